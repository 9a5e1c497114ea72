//! Proxies of HTTP connections.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::address::SocketAddress;

/// A proxy to connect through.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddress,
    pub(crate) url: Uri,
    /// The user and password of the proxy, as the header `Proxy-Authorization`.
    pub(crate) auth: Option<HeaderValue>,
}

/// Reads the URL of a proxy. The URL may hold a user and a password, which are never shown.
///
/// # Errors
/// A fault that names the form that is expected, without the key's name and without the text.
pub(crate) fn parse(text: &str) -> Result<Proxy, String> {
    let refuse = || "is no proxy that can be used, expected http://host:port".to_owned();
    let url: Uri = text.parse().map_err(|_invalid| refuse())?;
    if url.scheme_str() != Some("http") {
        return Err(refuse());
    }
    // Any destination does: all of them go by it.
    let all = Matcher::builder().all(text).build();
    of(&all, &Uri::from_static("http://destination")).ok_or_else(refuse)
}

/// The proxy that the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, also in lower case) has for
/// a destination.
///
/// # Errors
/// If the environment names a proxy that cannot be used; without its text.
pub(crate) fn of_environment(destination: &Uri) -> Result<Option<Proxy>, String> {
    let matcher = Matcher::from_env();
    if matcher.intercept(destination).is_none() {
        return Ok(None);
    }
    let refuse = "the environment names a proxy that cannot be used, expected http://host:port in HTTP_PROXY, \
                  HTTPS_PROXY and ALL_PROXY, or the destination in NO_PROXY";
    of(&matcher, destination).map(Some).ok_or_else(|| refuse.to_owned())
}

fn of(matcher: &Matcher, destination: &Uri) -> Option<Proxy> {
    let found = matcher.intercept(destination)?;
    let url = found.uri().clone();
    if url.scheme_str() != Some("http") {
        return None;
    }
    let address =
        SocketAddress::tcp(url.host().filter(|host| !host.is_empty())?, url.port_u16().unwrap_or(80));
    Some(Proxy { address, auth: found.basic_auth().cloned(), url })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_url_perhaps_with_a_password_that_is_not_told() {
        let proxy = parse("http://me:hunter2@proxy.example.com:3128").unwrap();
        assert_eq!(proxy.address, SocketAddress::tcp("proxy.example.com", 3128));
        assert_eq!(proxy.auth.unwrap(), "Basic bWU6aHVudGVyMg==");
        assert_eq!(parse("http://proxy").unwrap().address, SocketAddress::tcp("proxy", 80));
        for text in
            ["", "proxy:3128", "https://me:hunter2@proxy", "socks5://proxy:1080", "http://", "http://a b"]
        {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains("expected http://host:port") && !error.contains("hunter2"),
                "{text}: {error}"
            );
        }
    }
}
