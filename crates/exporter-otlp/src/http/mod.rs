//! The transport that sends a request by HTTP.

mod answer;
mod body;
mod retry_after;
pub(crate) mod target;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use exporterhelper::{Delivered, SendError};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

use self::body::Body;
use self::target::Target;
use crate::answers::Answers;
use crate::config::HttpConfig;
use crate::connect::Connector;
use crate::error::ConnectError;
use crate::proxy::{self, Proxy};
use crate::tls::Tls;

const HTTP_1: &[&[u8]] = &[b"http/1.1"];
const HTTP_2_OR_1: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Posts a request to one server.
///
/// Connections are made as needed and kept for later requests. Redirections are not followed. Always ready.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<Connector, Full<Bytes>>,
    target: Target,
    headers: HeaderMap,
    body: Body,
    answers: Arc<Answers>,
}

impl Http {
    /// A transport to each server. Must be called within a Tokio runtime, and reads files.
    ///
    /// # Errors
    /// If the configuration makes no sense or files of it cannot be used. An unreachable server is no error.
    pub(crate) fn all(config: &HttpConfig, answers: &Arc<Answers>) -> Result<Vec<Self>, ConnectError> {
        let targets: Result<Vec<_>, _> = match &config.profiles_endpoint {
            Some(url) => target::parse(url).map(|target| vec![target]),
            None => std::iter::once(&config.endpoint)
                .chain(&config.endpoints)
                .map(|url| target::parse_base(url))
                .collect(),
        };
        let targets = targets.map_err(|fault| ConnectError::Config(format!("endpoint: {fault}")))?;
        let alpn = if config.force_attempt_http2 { HTTP_2_OR_1 } else { HTTP_1 };
        let tls = Tls::if_needed(targets.iter().any(|target| target.tls), &config.tls, alpn)?;
        targets.into_iter().map(|target| Self::new(config, target, tls.as_ref(), answers)).collect()
    }

    fn new(
        config: &HttpConfig,
        target: Target,
        tls: Option<&Arc<Tls>>,
        answers: &Arc<Answers>,
    ) -> Result<Self, ConnectError> {
        let tls = tls.filter(|_| target.tls).map(|tls| tls.for_host(target.address.host())).transpose()?;
        let proxy = match &config.proxy_url {
            Some(url) => Some(proxy::parse(url.expose()).map_err(|fault| format!("proxy_url: {fault}"))),
            None => proxy::of_environment(&target.url).transpose(),
        };
        let proxy = proxy.transpose().map_err(ConnectError::Config)?;
        let body = Body { encoding: config.encoding, compression: config.compression };
        let headers = headers(config, body, proxy.as_ref().filter(|_| !target.tls))?;
        let proxy = proxy.map(|proxy| (proxy, target.url.clone()));
        let connector = Connector { address: target.address.clone(), tls, proxy, timeout: config.timeout };
        let idle = Some(config.idle_conn_timeout).filter(|timeout| !timeout.is_zero());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle)
            .pool_max_idle_per_host(config.max_idle_conns)
            .build(connector);
        Ok(Self { client, target, headers, body, answers: Arc::clone(answers) })
    }

    async fn send(self, request: otlp_profiles::ProfilesRequest) -> Result<Delivered, SendError> {
        let body = self.body;
        let permanent = |error| SendError::permanent(format!("cannot write the request: {error}"));
        // Up to some MiB: longer than the runtime's threads should be kept busy.
        let body = tokio::task::spawn_blocking(move || body.write(&request))
            .await
            .map_err(|error| permanent(error.to_string()))?;
        let mut request = http::Request::new(Full::new(body.map_err(permanent)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.url.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| SendError::retryable(textline::with_causes(&error)))?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return answer::read(&head.headers, body, self.body.encoding)
                .await
                .map(|answer| self.answers.taken(answer));
        }
        let error = answer::refusal(&head, body).await;
        if head.status == StatusCode::NOT_FOUND {
            self.answers.hint(&error);
        }
        Err(error)
    }
}

impl Service<otlp_profiles::ProfilesRequest> for Http {
    type Response = Delivered;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<Delivered, SendError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: otlp_profiles::ProfilesRequest) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Headers of every request; `proxy` is one that reads the requests.
fn headers(config: &HttpConfig, body: Body, proxy: Option<&Proxy>) -> Result<HeaderMap, ConnectError> {
    let mut map = HeaderMap::new();
    map.insert(USER_AGENT, HeaderValue::from_static(crate::USER_AGENT));
    for (name, value) in config.headers.iter() {
        let refuse = || ConnectError::Config(format!("headers::{name}: cannot be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| refuse())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_invalid| refuse())?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    let content_type = HeaderValue::from_static(body.content_type());
    map.insert(ACCEPT, content_type.clone());
    map.insert(CONTENT_TYPE, content_type);
    if let Some(encoding) = body.content_encoding() {
        map.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Some(auth) = proxy.and_then(|proxy| proxy.auth.clone()) {
        map.insert(PROXY_AUTHORIZATION, auth);
    }
    Ok(map)
}
