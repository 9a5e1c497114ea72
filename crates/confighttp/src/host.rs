//! A protection against DNS rebinding: a page from elsewhere, in a browser on this machine, whose name turns into our
//! address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

const REFUSAL: &str = "The header Host names another machine: ask for localhost, or for an address.\n";

/// Answers requests for this machine alone: by an address, as `localhost`, or by the name that the endpoint has in the
/// configuration.
pub(crate) async fn refuse_others(
    State(own_name): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Response {
    if is_ours(request.headers(), &own_name) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, REFUSAL).into_response()
    }
}

fn is_ours(headers: &HeaderMap, own_name: &str) -> bool {
    // Browsers always send one; HTTP/1.0 need not.
    headers.get_all(header::HOST).iter().all(|value| {
        let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
        authority.is_some_and(|authority| is_own_name(authority.host(), own_name))
    })
}

fn is_own_name(host: &str, own_name: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Nobody but us can make an address mean this machine.
    address.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || !own_name.is_empty() && host.eq_ignore_ascii_case(own_name)
}
