//! Requests to the API server: lists and watches of the pods of one node.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use textline::one_line;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::authorities::Authorities;
use crate::connect::{self, ApiEndpoint};
use crate::error::ApiError;
use crate::lines::{WatchLine, WatchLines};
use crate::metrics;
use crate::mounted_file;
use crate::object::{ApiStatus, PodList, WatchEvent};

/// Most bytes of a page. A pod has 5 to 30 KiB.
const MAX_PAGE: usize = 32 << 20;
/// Most bytes of an event: etcd stores no object of more than 1.5 MiB, of which JSON escapes some bytes sixfold. A
/// longer event is passed over, and the watch given up if that has no end.
const MAX_EVENT: usize = 12 << 20;
const MAX_PASSED_OVER: usize = 32 << 20;
/// Most bytes of what a server says of a failure, and of it in the log.
const MAX_REASON: usize = 64 << 10;
const MAX_MESSAGE: usize = 300;
/// Time for the head of an answer, and for each part of a page.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time after which the server is asked to end a watch, at least.
const LEAST_WATCH_TIME: Duration = Duration::from_secs(300);
/// Time that the server may take beyond that.
const WATCH_GRACE: Duration = Duration::from_secs(30);

/// The way to the API server, and the node that it is asked about.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) endpoint: ApiEndpoint,
    pub(crate) token_file: PathBuf,
    pub(crate) authorities: Authorities,
    /// Name of the node, as part of a query.
    pub(crate) node: String,
}

/// The part of a list that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PodPage {
    /// The first page, of any version that the server has at hand.
    Any,
    /// The first page, of this version or a later one that the server has at hand.
    Since(String),
    /// The first page, of the version of now.
    Newest,
    /// The page that follows the one which had this token.
    After(String),
}

/// The answer to a request: its body, which is read as it comes, and the connection that it comes by.
#[derive(Debug)]
struct ApiAnswer {
    body: Incoming,
    /// The task that moves the connection's bytes; it ends with this.
    _connection: AbortOnDropHandle<()>,
}

/// A watch that the server has begun to answer, line by line.
#[derive(Debug)]
pub(crate) struct PodWatch {
    answer: ApiAnswer,
    lines: WatchLines,
    /// Time for the watch from its beginning, and the instant at which that is over.
    time: Duration,
    ends: tokio::time::Instant,
}

impl Api {
    /// One page of at most `limit` pods.
    ///
    /// # Errors
    /// If the server does not answer with one.
    pub(crate) async fn list(&self, page: &PodPage, limit: u32) -> Result<PodList, ApiError> {
        let position = match page {
            PodPage::Any => "&resourceVersion=0".to_owned(),
            PodPage::Since(version) => {
                format!("&resourceVersion={}&resourceVersionMatch=NotOlderThan", encoded(version))
            }
            PodPage::Newest => String::new(),
            PodPage::After(token) => format!("&continue={}", encoded(token)),
        };
        let mut answer = self.get(&format!("limit={limit}{position}"), page.version()).await?;
        let body = collect(&mut answer.body, MAX_PAGE).await?;
        let list = PodList::parse(&body).map_err(ApiError::Invalid)?;
        if list.version().is_none() {
            return Err(ApiError::NoVersion);
        }
        Ok(list)
    }

    /// A watch of what becomes of the pods from a version on.
    ///
    /// # Errors
    /// If the server does not answer with one.
    pub(crate) async fn watch(&self, version: &str) -> Result<PodWatch, ApiError> {
        let seconds = watch_time().as_secs();
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            encoded(version)
        );
        let answer = self.get(&query, version).await?;
        let time = Duration::from_secs(seconds) + WATCH_GRACE;
        let ends = tokio::time::Instant::now() + time;
        Ok(PodWatch { answer, lines: WatchLines::new(MAX_EVENT), time, ends })
    }

    async fn get(&self, query: &str, version: &str) -> Result<ApiAnswer, ApiError> {
        let token = self.token().await?;
        let connection = self.endpoint.connect(&self.authorities).await?;
        let answered = timeout(ANSWER_TIMEOUT, self.send(connection, query, token)).await;
        let (head, mut answer) = answered.map_err(|_elapsed| ApiError::Late(ANSWER_TIMEOUT))??;
        if head == StatusCode::OK {
            return Ok(answer.0);
        }
        let body = collect(&mut answer.0.body, MAX_REASON).await.unwrap_or_default();
        Err(refusal(head, &body, answer.1, version))
    }

    async fn send(
        &self,
        connection: connect::ApiConnection,
        query: &str,
        token: HeaderValue,
    ) -> Result<(StatusCode, (ApiAnswer, Option<Duration>)), ApiError> {
        let (mut sender, driver) = http1::handshake(connection).await.map_err(ApiError::Broken)?;
        // What becomes of the connection is seen by whoever reads the answer.
        let driven = AbortOnDropHandle::new(tokio::spawn(async move { drop(driver.await) }));
        let selector = encoded(&format!("spec.nodeName={}", self.node));
        let request = Request::get(format!("/api/v1/pods?fieldSelector={selector}&{query}"))
            .header(HOST, self.endpoint.authority())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            .header(AUTHORIZATION, token)
            .body(Empty::<Bytes>::new());
        let Ok(request) = request else {
            return Err(ApiError::BadFile { file: self.token_file.clone(), reason: "makes no request" });
        };
        let response = sender.send_request(request).await.map_err(ApiError::Broken)?;
        let (status, after) = (response.status(), retry_after(&response));
        Ok((status, (ApiAnswer { body: response.into_body(), _connection: driven }, after)))
    }

    /// The token that the kubelet provides now: it puts another there long before one expires.
    async fn token(&self) -> Result<HeaderValue, ApiError> {
        let bytes = mounted_file::read(&self.token_file).await?;
        let token = bytes.trim_ascii();
        let bad = |reason| ApiError::BadFile { file: self.token_file.clone(), reason };
        if token.is_empty() {
            return Err(bad("is empty, expected a token"));
        }
        let value = HeaderValue::from_bytes(&[b"Bearer ", token].concat());
        let mut value = value.map_err(|_invalid| bad("has something else than a token"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl PodPage {
    fn version(&self) -> &str {
        match self {
            Self::Any => "0",
            Self::Newest => "",
            Self::Since(version) => version,
            Self::After(token) => token,
        }
    }
}

impl PodWatch {
    /// The next event; `None` once the server has ended the watch.
    ///
    /// A line that is too long or no event is counted and passed over: whoever watches anew from the version before
    /// would only get it again.
    ///
    /// # Errors
    /// If the connection breaks, or the answer ends within a line or has one without end.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchEvent>, ApiError> {
        loop {
            match self.lines.next() {
                Some(WatchLine::Whole(line)) => match WatchEvent::parse(&line) {
                    Ok(event) => return Ok(Some(event)),
                    Err(_) => metrics::refused("invalid"),
                },
                Some(WatchLine::TooLong) => metrics::refused("too_large"),
                None if self.lines.discarded() > MAX_PASSED_OVER => {
                    return Err(ApiError::TooLarge(MAX_PASSED_OVER));
                }
                None => {
                    if !self.receive().await? {
                        return if self.lines.is_within_one() { Err(ApiError::Cut) } else { Ok(None) };
                    }
                }
            }
        }
    }

    /// Waits for more bytes; false if there are no more.
    async fn receive(&mut self) -> Result<bool, ApiError> {
        let frame = tokio::time::timeout_at(self.ends, self.answer.body.frame()).await;
        let Some(frame) = frame.map_err(|_elapsed| ApiError::Late(self.time))? else { return Ok(false) };
        if let Ok(data) = frame.map_err(ApiError::Broken)?.into_data() {
            self.lines.push(&data);
        }
        Ok(true)
    }
}

/// Time for a watch: up to twice the least by chance, so that the watches of agents that have begun together, or have
/// lost their server together, do not end together again and again.
fn watch_time() -> Duration {
    LEAST_WATCH_TIME.mul_f64(1.0 + fastrand::f64())
}

/// A body of at most so many bytes.
async fn collect(body: &mut Incoming, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(ANSWER_TIMEOUT, body.frame()).await;
        let Some(frame) = frame.map_err(|_elapsed| ApiError::Late(ANSWER_TIMEOUT))? else { return Ok(bytes) };
        if let Ok(data) = frame.map_err(ApiError::Broken)?.into_data() {
            if bytes.len() + data.len() > most {
                return Err(ApiError::TooLarge(most));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// The error for an answer that is none of success.
fn refusal(status: StatusCode, body: &[u8], retry_after: Option<Duration>, version: &str) -> ApiError {
    let said: ApiStatus = serde_json::from_slice(body).unwrap_or_default();
    let message = said.message.unwrap_or_default();
    if status == StatusCode::GONE || message.contains("Too large resource version") {
        return ApiError::Expired(version.to_owned());
    }
    ApiError::Status { code: status.as_u16(), message: one_line(&message, MAX_MESSAGE), retry_after }
}

/// The error for an event that ends a watch.
pub(crate) fn ended(status: ApiStatus, version: &str) -> ApiError {
    let code = status.code.and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code == StatusCode::GONE {
        return ApiError::Expired(version.to_owned());
    }
    let message = one_line(&status.message.unwrap_or_default(), MAX_MESSAGE);
    ApiError::Status { code: code.as_u16(), message, retry_after: None }
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A text as part of a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that takes connections and says nothing is given up.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = ::tests::api_server::ApiServer::start();
        let endpoint = ApiEndpoint::of("127.0.0.1", &port.to_string()).unwrap();
        let authorities = Authorities::in_file(server.ca_file());
        let api = Api { endpoint, token_file: server.token_file(), authorities, node: "a".to_owned() };
        let error = api.list(&PodPage::Any, 1).await.unwrap_err();
        assert_eq!(error.outcome(), "timeout", "{error}");
    }

    #[test]
    fn watches_take_times_of_their_own_within_bounds() {
        let times: Vec<_> = (0..100).map(|_| watch_time()).collect();
        let bounds = LEAST_WATCH_TIME..=LEAST_WATCH_TIME * 2;
        assert!(times.iter().all(|time| bounds.contains(time)), "{times:?}");
        // Each is of 2^52: a hundred that are one would take a broken generator.
        assert!(times.iter().any(|time| *time != times[0]), "{times:?}");
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("spec.nodeName=a/b é"), "spec.nodeName%3Da%2Fb%20%C3%A9");
    }

    #[test]
    fn refusals_say_what_the_server_said() {
        let body = br#"{"kind":"Status","status":"Failure","message":"pods is\nforbidden","code":403}"#;
        let error = refusal(StatusCode::FORBIDDEN, body, None, "7");
        assert_eq!(
            (error.outcome(), error.to_string()),
            ("forbidden", "the server answered 403: pods is forbidden".to_owned())
        );
        assert_eq!(refusal(StatusCode::GONE, b"<html>", None, "7").outcome(), "expired");
        let ahead = br#"{"message":"Timeout: Too large resource version: 9, current: 7","code":504}"#;
        assert_eq!(refusal(StatusCode::GATEWAY_TIMEOUT, ahead, None, "9").outcome(), "expired");
        assert_eq!(ended(ApiStatus { code: Some(410), message: None }, "7").outcome(), "expired");
        assert_eq!(ended(ApiStatus { code: Some(70), message: None }, "7").outcome(), "refused");
    }
}
