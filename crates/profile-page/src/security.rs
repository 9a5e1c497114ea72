//! Requests that get an answer, and the restrictions on the browser that shows it.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Policy of what the page may load and run: its own files, and nothing that text from a profile could turn into.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Headers of every answer.
pub(crate) const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// A text that a client must present. Only its sum is kept, so that comparing takes equally long whatever is wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// The token in the first line of a file; `None` if that line is empty.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        let line = file.lines().next().unwrap_or_default().trim();
        (!line.is_empty()).then(|| Self::sum(line.as_bytes()))
    }

    fn sum(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([REDACTED])")
    }
}

/// The status and text of a refusal; `None` if the request may be answered.
pub(crate) fn refusal(headers: &HeaderMap, token: Option<&Token>) -> Option<(StatusCode, &'static str)> {
    if !is_own_page(headers) {
        return Some((StatusCode::FORBIDDEN, "The request comes from a page of another origin.\n"));
    }
    let known = token.is_none_or(|token| presented(headers).is_some_and(|presented| presented == *token));
    (!known).then_some((
        StatusCode::UNAUTHORIZED,
        "Expected the token: as a bearer token, or as the password of any user.\n",
    ))
}

/// True unless the browser reports that a page of another origin sends the request. Following a link is allowed.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fetch = |name: &'static str| text(HeaderName::from_static(name));
    let is_own_origin = text(header::ORIGIN).is_none_or(|origin| {
        let host = text(header::HOST).unwrap_or_default();
        origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host))
    });
    let is_own_site = match fetch("sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        Some(_) => fetch("sec-fetch-mode") == Some("navigate") && fetch("sec-fetch-dest") == Some("document"),
    };
    is_own_origin && is_own_site
}

/// The token in a request: `Bearer TOKEN`, or `Basic` with the token as the password.
fn presented(headers: &HeaderMap) -> Option<Token> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Token::sum(rest.trim().as_bytes()));
    }
    let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let place = decoded.iter().position(|&byte| byte == b':')?;
    Some(Token::sum(decoded.get(place + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pairs: &[(&'static str, &str)], token: Option<&Token>) -> u16 {
        let headers =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        refusal(&headers.collect(), token).map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = ("host", "localhost:4470");
        assert_eq!(status(&[host], None), 200, "curl");
        assert_eq!(
            status(&[host, ("origin", "http://localhost:4470"), ("sec-fetch-site", "same-origin")], None),
            200
        );
        assert_eq!(status(&[host, ("origin", "http://localhost:3000")], None), 403);
        assert_eq!(status(&[host, ("origin", "null")], None), 403);
        assert_eq!(status(&[host, ("origin", "https://evil.example")], None), 403);
        assert_eq!(
            status(
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "no-cors"),
                    ("sec-fetch-dest", "script")
                ],
                None
            ),
            403
        );
        assert_eq!(
            status(
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "document")
                ],
                None
            ),
            200
        );
        assert_eq!(
            status(
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("sec-fetch-mode", "navigate"),
                    ("sec-fetch-dest", "iframe")
                ],
                None
            ),
            403
        );
    }

    #[test]
    fn only_who_knows_the_token_is_answered() {
        let token = Token::of("s3cret\nignored\n").unwrap();
        let with = |value: &str| status(&[("host", "a"), ("authorization", value)], Some(&token));
        assert_eq!(status(&[("host", "a")], Some(&token)), 401);
        assert_eq!((with("Bearer s3cret"), with("bearer  s3cret "), with("Bearer other")), (200, 200, 401));
        assert_eq!(with(&format!("Basic {}", STANDARD.encode("any:s3cret"))), 200);
        assert_eq!(with(&format!("Basic {}", STANDARD.encode("s3cret"))), 401);
        assert_eq!(with("Basic !!"), 401);
        assert_eq!(Token::of("\n"), None);
        assert_eq!(format!("{token:?}"), "Token([REDACTED])");
    }
}
