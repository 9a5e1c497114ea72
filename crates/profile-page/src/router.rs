//! Requests to answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;

use crate::answer::{gzip, json};
use crate::assets::{CSS, SCRIPT, page};
use crate::download::{self, Download};
use crate::page::Page;
use crate::question::{Format, Question, Refusal, Topic};
use crate::security::{HEADERS, refusal};

/// Seconds that a profile at `/debug/pprof/profile` is of, if no others are asked for.
const PPROF_SECONDS: u32 = 30;

/// The page, its API under `/api/`, and `/debug/pprof/profile`. Nothing can be changed by it: only `GET` and `HEAD` are
/// answered.
pub fn router(page: Page) -> Router {
    routes(Arc::new(page))
}

pub(crate) fn routes(page: Arc<Page>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/page.js", get(|headers: HeaderMap| async move { asset(&headers, "text/javascript; charset=utf-8", &SCRIPT) }))
        .route("/page.css", get(|headers: HeaderMap| async move { asset(&headers, "text/css; charset=utf-8", CSS) }))
        .route("/api/{name}", get(api))
        .route("/debug/pprof/profile", get(pprof))
        .layer(middleware::from_fn_with_state(Arc::clone(&page), guard))
        .with_state(page)
}

/// Refuses who may not ask, and adds to every answer what a browser may do with it.
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

async fn index(State(of): State<Arc<Page>>, headers: HeaderMap) -> Response {
    let head = "<link rel=\"stylesheet\" href=\"page.css\">\n<script src=\"page.js\" defer></script>";
    // Of a file that does not change the page asks once.
    let file = if of.is_live { "" } else { "\n<meta name=\"pipeline-file\" content=\"\">" };
    asset(&headers, "text/html; charset=utf-8", &page(&format!("{head}{file}"), ""))
}

/// A file of the page itself.
fn asset(headers: &HeaderMap, kind: &'static str, text: &str) -> Response {
    let tag = format!("\"{}-{:x}\"", env!("CARGO_PKG_VERSION"), fnv(text.as_bytes()));
    if is_known(headers, &tag) {
        return not_modified(tag);
    }
    send(headers, kind, tag, gzip(text.as_bytes(), Compression::default()).into())
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

/// An answer that is the same until more seconds are complete.
async fn answer(page: Arc<Page>, question: Question, uri: &Uri, headers: &HeaderMap) -> Response {
    let window = page.store().window();
    let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
    let tag = format!("\"{:x}-{:x}-{:x}\"", page.born, window.until, fnv(asked.as_bytes()));
    if is_known(headers, &tag) {
        return not_modified(tag);
    }
    let cached = page.cached(&tag);
    let known = match cached {
        Some(known) => Some(known),
        None => {
            let tag = tag.clone();
            page.work(move |page| computed(page, &question, tag)).await.flatten()
        }
    };
    let Some(body) = known else { return gone() };
    send(headers, "application/json", tag, body)
}

/// An answer, compressed, that the cache then has.
fn computed(page: &Page, question: &Question, tag: String) -> Option<Bytes> {
    // Whoever was before may have asked the same.
    if let Some(known) = page.cached(&tag) {
        return Some(known);
    }
    let body = Bytes::from(gzip(&json(&page.store(), question).ok()?, Compression::fast()));
    page.cache(tag, body.clone());
    Some(body)
}

/// What is missing and held, with what the agent costs right now.
async fn status(page: Arc<Page>, question: Question, headers: &HeaderMap) -> Response {
    let work = move |page: &Page| {
        let mut json = json(&page.store(), &question)?;
        if let Some(agent) = page.agent() {
            // Into the object, before its end.
            json.pop();
            json.extend_from_slice(b",\"agent\":");
            json.extend(serde_json::to_vec(&agent)?);
            json.push(b'}');
        }
        Ok::<_, serde_json::Error>(Bytes::from(gzip(&json, Compression::fast())))
    };
    let Some(Ok(body)) = page.work(work).await else { return gone() };
    let tag = format!("\"{:x}\"", fnv(&body));
    send(headers, "application/json", tag, body)
}

async fn download(page: Arc<Page>, question: Question, format: Format) -> Response {
    let made = page.work(move |page| download::make(&page.store(), &question, format)).await;
    match made {
        Some(Ok(Download { body, kind, name })) => {
            let disposition = format!("attachment; filename=\"{name}\"");
            ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
                .into_response()
        }
        Some(Err(fault)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")).into_response(),
        None => gone(),
    }
}

/// What `go tool pprof http://localhost:4470/debug/pprof/profile` reads: the last seconds that are held, at once.
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

/// What is compressed, for whoever reads that, and plain for others.
fn send(headers: &HeaderMap, kind: &'static str, tag: String, gzipped: Bytes) -> Response {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let takes_gzip = accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        name.trim() == "gzip" && weight.trim() != "q=0"
    });
    let common = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, tag),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if takes_gzip {
        return (common, [(header::CONTENT_ENCODING, "gzip")], gzipped).into_response();
    }
    let mut plain = Vec::new();
    match std::io::copy(&mut flate2::read::GzDecoder::new(&*gzipped), &mut plain) {
        Ok(_) => (common, plain).into_response(),
        Err(_damaged) => gone(),
    }
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

/// A short sum; whoever makes two texts with the same one only gets an answer of the same page again.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
