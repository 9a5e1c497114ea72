//! Destinations of HTTP, as users write them.

use http::Uri;

use crate::address::SocketAddress;

/// Path that is added to `endpoint`.
const PATH: &str = "/v1development/profiles";

/// A URL to send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddress,
    pub(crate) tls: bool,
    pub(crate) url: Uri,
}

/// Reads a URL to be sent to as it is.
///
/// # Errors
/// The problem of the text and the form that is expected, without the key's name.
pub(crate) fn parse(text: &str) -> Result<Target, String> {
    if text.is_empty() {
        return Err("is missing, expected an OTLP HTTP receiver, like http://localhost:4318".to_owned());
    }
    let refuse = |what: &str| {
        // The part before an @ may be a password, and a query may hold a key.
        let shown = match text.split_once('?') {
            _ if text.contains('@') => "the address".to_owned(),
            Some((address, _query)) => format!("{address:?} with a query"),
            None => format!("{text:?}"),
        };
        Err(format!("{shown} {what}, expected http://host:port or https://host"))
    };
    let Ok(url) = text.parse::<Uri>() else { return refuse("is no URL") };
    let tls = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return refuse("has no scheme that is supported"),
    };
    let Some(authority) = url.authority() else { return refuse("has no host") };
    if authority.as_str().contains('@') {
        return refuse("holds a user or password, which go into headers");
    }
    if authority.host().is_empty() {
        return refuse("has no host that can be used");
    }
    if authority.port_u16().is_none() && authority.as_str() != authority.host() {
        return refuse("has no valid port");
    }
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Ok(Target { address: SocketAddress::tcp(authority.host(), port), tls, url })
}

/// Reads the URL of a server, to which the path for profiles is added.
///
/// # Errors
/// The same as those of [`parse`].
pub(crate) fn parse_base(text: &str) -> Result<Target, String> {
    let base = parse(text)?;
    if base.url.query().is_some() {
        // The query, which may be a key of an interface, is not shown.
        return Err("has a query, expected none, or all of it as profiles_endpoint".to_owned());
    }
    parse(&format!("{}{PATH}", text.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_path_is_added_to_a_server_and_not_to_a_url() {
        for (text, url, place, tls) in [
            (
                "http://localhost:4318",
                "http://localhost:4318/v1development/profiles",
                ("localhost", 4318),
                false,
            ),
            ("http://[::1]:4318/", "http://[::1]:4318/v1development/profiles", ("::1", 4318), false),
            (
                "https://otel.example.com/otlp/",
                "https://otel.example.com/otlp/v1development/profiles",
                ("otel.example.com", 443),
                true,
            ),
        ] {
            let target = parse_base(text).unwrap();
            assert_eq!(
                target,
                Target { address: SocketAddress::tcp(place.0, place.1), tls, url: url.parse().unwrap() }
            );
        }
        let whole = parse("http://localhost/v1/profiles?a=b").unwrap();
        assert_eq!(whole.url, "http://localhost/v1/profiles?a=b");
        assert_eq!(whole.address, SocketAddress::tcp("localhost", 80));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        for (text, wrong) in [
            ("", "is missing"),
            ("localhost:4318", "has no scheme that is supported"),
            ("ftp://localhost", "has no scheme that is supported"),
            ("/v1/profiles", "has no scheme that is supported"),
            ("http://a b", "is no URL"),
            ("http://me:hunter2@host", "holds a user or password"),
            ("http://me:hunter2@a b", "is no URL"),
            ("http://localhost:99999", "has no valid port"),
            ("http://localhost:4318?key=hunter2", "has a query"),
            ("localhost:4318?key=hunter2", "with a query is no URL"),
            ("http://a b?key=hunter2", "with a query is no URL"),
        ] {
            let error = parse_base(text).unwrap_err();
            assert!(error.contains(wrong) && error.contains("expected"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        /// Any text is a target or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "(https?://)?.{0,40}") {
            let _any = parse_base(&text);
        }
    }
}
