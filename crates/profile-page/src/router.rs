//! Routes of requests to their answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;

use crate::answer::{gzip, json, plain, sum};
use crate::assets::{Asset, CSS_FILE, FILE_INDEX, LIVE_INDEX, SCRIPT_FILE};
use crate::cache::{Key, MOST_ANSWER};
use crate::download::{self, Fault};
use crate::page::Page;
use crate::question::{Format, Question, Refusal, Topic};
use crate::security::{HEADERS, refusal};

/// Default of the seconds that a profile at `/debug/pprof/profile` covers.
const PPROF_SECONDS: u32 = 30;

/// Most memory that a download from an agent takes while it is made, about: a file of an hour of a storm would take
/// gigabytes.
const MOST_FILE_BYTES: usize = 128 << 20;

/// The routes of the page, its API under `/api/`, and `/debug/pprof/profile`. No request changes anything: only `GET`
/// and `HEAD` are answered.
pub fn router(page: Page) -> Router {
    routes(Arc::new(page))
}

pub(crate) fn routes(page: Arc<Page>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page.js", get(|headers: HeaderMap| async move { asset(&headers, &SCRIPT_FILE) }))
        .route("/page.css", get(|headers: HeaderMap| async move { asset(&headers, &CSS_FILE) }))
        .route("/api/{name}", get(api))
        .route("/debug/pprof/profile", get(pprof))
        .layer(middleware::from_fn_with_state(Arc::clone(&page), guard))
        .with_state(page)
}

/// Refuses requests that may not be answered, and adds headers that restrict the browser to every answer.
async fn guard(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(request.headers(), page.token.as_ref()) {
        None => next.run(request).await,
        Some((status, text)) => (status, text).into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Basic realm=\"pipeline\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn index(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    asset(&headers, if page.is_live { &LIVE_INDEX } else { &FILE_INDEX })
}

/// The answer for a file of the page itself.
fn asset(headers: &HeaderMap, asset: &Asset) -> Response {
    if is_known(headers, &asset.tag) {
        return not_modified(asset.tag.clone());
    }
    let common = common(asset.kind, asset.tag.clone());
    if takes_gzip(headers) {
        return (common, [(header::CONTENT_ENCODING, "gzip")], asset.gzipped.clone()).into_response();
    }
    (common, asset.plain.clone()).into_response()
}

async fn api(
    State(page): State<Arc<Page>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let question = match Question::parse(&name, uri.query().unwrap_or_default()) {
        None => return (StatusCode::NOT_FOUND, "There is no such answer.\n").into_response(),
        Some(Err(Refusal(text))) => return (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response(),
        Some(Ok(question)) => question,
    };
    match question.topic {
        Topic::Download(format) => download(page, question, format).await,
        Topic::Status => status(page, question, &headers).await,
        _ => answer(page, question, &uri, &headers).await,
    }
}

/// Answers a question whose answer stays the same until more seconds are complete.
async fn answer(page: Arc<Page>, question: Question, uri: &Uri, headers: &HeaderMap) -> Response {
    // The store may be locked for a change right now, so only threads that may wait read it.
    let until = page.progress.complete();
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    let key = Key { until, asked: asked.to_owned() };
    let tag = format!("\"{:x}-{:x}-{}\"", page.born, key.until, sum(asked.as_bytes()));
    if is_known(headers, &tag) {
        return not_modified(tag);
    }
    let known = match page.cached(&key) {
        Some(known) => Some(known),
        None => page.work(move |page| computed(page, &question, key)).await.flatten(),
    };
    match known {
        Some(body) if body.len() <= MOST_ANSWER => send(headers, tag, body),
        // An answer too large for the cache is for this client alone, so it needs a place of its own.
        Some(body) => match page.place_now() {
            Some(place) => send(headers, tag, place.with(body)),
            None => busy(),
        },
        None => gone(),
    }
}

/// The compressed answer, which is then in the cache.
fn computed(page: &Page, question: &Question, key: Key) -> Option<Bytes> {
    // The question whose turn was before may have been the same.
    if let Some(known) = page.cached(&key) {
        return Some(known);
    }
    let body = Bytes::from(gzip(&json(&page.store(), question).ok()?, Compression::fast()));
    page.cache(key, body.clone());
    Some(body)
}

/// Answers with the status of the store and the agent's own use right now.
async fn status(page: Arc<Page>, question: Question, headers: &HeaderMap) -> Response {
    let work = move |page: &Page| {
        let mut json = json(&page.store(), &question)?;
        if let Some(agent) = page.agent() {
            // Inserted into the JSON object before its closing brace.
            json.pop();
            json.extend_from_slice(b",\"agent\":");
            json.extend(serde_json::to_vec(&agent)?);
            json.push(b'}');
        }
        Ok::<_, serde_json::Error>(Bytes::from(gzip(&json, Compression::fast())))
    };
    let Some(Ok(body)) = page.work(work).await else { return gone() };
    let tag = format!("\"{}\"", sum(&body));
    send(headers, tag, body)
}

async fn download(page: Arc<Page>, question: Question, format: Format) -> Response {
    let Some(place) = page.place().await else { return gone() };
    let most_bytes = if page.is_live { MOST_FILE_BYTES } else { usize::MAX };
    let made = page.work(move |page| {
        let made = download::make(&page.store(), &question, format, most_bytes)?;
        Ok::<_, Fault>((made.kind, made.name, place.with(made.body)))
    });
    match made.await {
        Some(Ok((kind, name, body))) => {
            let disposition = format!("attachment; filename=\"{name}\"");
            ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
                .into_response()
        }
        Some(Err(fault @ Fault::TooLarge)) => {
            (StatusCode::PAYLOAD_TOO_LARGE, format!("{fault}\n")).into_response()
        }
        Some(Err(fault)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
        None => gone(),
    }
}

/// Answers `go tool pprof http://localhost:4470/debug/pprof/profile` at once, with the last seconds that are held.
async fn pprof(State(page): State<Arc<Page>>, uri: Uri) -> Response {
    let pairs = crate::params::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let seconds =
        pairs.iter().find(|(key, _)| key == "seconds").map_or(Ok(PPROF_SECONDS), |(_, value)| value.parse());
    match seconds {
        Ok(seconds) => {
            download(page, Question::last(Topic::Download(Format::Pprof), seconds), Format::Pprof).await
        }
        Err(_no_number) => (StatusCode::BAD_REQUEST, "expected seconds=NUMBER\n").into_response(),
    }
}

/// The answer, compressed for a client that accepts gzip, else plain.
fn send(headers: &HeaderMap, tag: String, gzipped: Bytes) -> Response {
    let common = common("application/json", tag);
    if takes_gzip(headers) {
        return (common, [(header::CONTENT_ENCODING, "gzip")], gzipped).into_response();
    }
    (common, Body::from_stream(plain(gzipped))).into_response()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        name.trim() == "gzip" && weight.trim() != "q=0"
    })
}

fn common(kind: &'static str, tag: String) -> [(HeaderName, String); 3] {
    [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, tag),
        (header::VARY, "accept-encoding".to_owned()),
    ]
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag)
}

fn not_modified(tag: String) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
}

fn gone() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be made.\n").into_response()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Others are being sent large answers: ask again later.\n")
        .into_response()
}
