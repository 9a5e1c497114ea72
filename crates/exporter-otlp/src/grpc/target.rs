//! Destinations of gRPC, as users write them.

use std::path::PathBuf;

use http::uri::Authority;

use crate::address::SocketAddress;

/// The authority of requests to a socket in the file system, as in gRPC's other libraries.
const UNIX_AUTHORITY: &str = "localhost";

/// A server, and whether to speak TLS to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddress,
    pub(crate) tls: bool,
    /// The server's name in requests.
    pub(crate) authority: Authority,
    /// True for `dns:///`: each address of the name is a server.
    pub(crate) follow: bool,
}

/// Reads `host:port`, `dns:///host:port`, `http://host:port`, `https://host[:port]`, `unix:///path` or `unix:path`.
///
/// As in the Collector, TLS is spoken unless `insecure`, and always to `https://`. Unlike the Collector, `http://`
/// without `insecure` is refused rather than taken as TLS.
///
/// # Errors
/// A fault with the problem of the text and the form that is expected, without the key's name.
pub(crate) fn parse(text: &str, insecure: bool) -> Result<Target, String> {
    // A query, which no endpoint of gRPC has, may hold a key.
    let shown = text
        .split_once('?')
        .map_or_else(|| format!("{text:?}"), |(address, _query)| format!("{address:?} with a query"));
    let refuse = |what: &str| {
        Err(format!(
            "{shown} {what}, expected host:port, http://host:port, https://host:port, dns:///host:port or unix:///path"
        ))
    };
    if text.is_empty() {
        // The Collector's words first.
        return Err("requires a non-empty \"endpoint\", expected an OTLP gRPC receiver, like localhost:4317"
            .to_owned());
    }
    if text.contains('@') && !text.starts_with("unix:") {
        // The text is left out of the error: the part before the @ may be a password.
        return Err("holds a user or password, expected host:port, and headers to authenticate".to_owned());
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path, insecure).map_or_else(|| refuse("is no path of a socket"), Ok);
    }
    let (scheme, rest) = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.contains('?'))
        .map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let (tls, host) = match scheme {
        None => (!insecure, rest),
        Some("https") => (true, rest),
        Some("http") if insecure => (false, rest),
        Some("http") => {
            return Err(format!(
                "{shown} is without TLS, expected also tls.insecure: true, or https:// to use TLS"
            ));
        }
        Some("dns") => match rest.strip_prefix('/') {
            Some(host) => (!insecure, host),
            None => return refuse("names a server for DNS, which is not supported"),
        },
        Some(other) => return refuse(&format!("has the scheme {other}, which is not supported")),
    };
    let Ok(authority) = host.strip_suffix('/').unwrap_or(host).parse::<Authority>() else {
        return refuse("is no host and port");
    };
    if authority.host().is_empty() {
        return refuse("is no host and port");
    }
    // Only `https://` has a port that everybody expects when the text has none.
    let bare = authority.as_str() == authority.host();
    let port = match authority.port_u16() {
        Some(port) => port,
        None if bare && scheme == Some("https") => 443,
        None => return refuse("has no valid port"),
    };
    let follow = scheme == Some("dns");
    Ok(Target { address: SocketAddress::tcp(authority.host(), port), tls, authority, follow })
}

fn unix(path: &str, insecure: bool) -> Option<Target> {
    let path = match path.strip_prefix("//") {
        // With two slashes, only an absolute path is meant.
        Some(path) => Some(path).filter(|path| path.starts_with('/'))?,
        None => path,
    };
    let is_path = !path.is_empty() && !path.contains('\0');
    is_path.then(|| Target {
        address: SocketAddress::Unix(PathBuf::from(path)),
        tls: !insecure,
        authority: Authority::from_static(UNIX_AUTHORITY),
        follow: false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints_are_read_as_the_collector_does() {
        let tcp = |host: &str, port| SocketAddress::tcp(host, port);
        for (text, insecure, address, authority, tls) in [
            ("localhost:4317", true, tcp("localhost", 4317), "localhost:4317", false),
            ("localhost:4317", false, tcp("localhost", 4317), "localhost:4317", true),
            ("[::1]:4317", true, tcp("::1", 4317), "[::1]:4317", false),
            ("http://10.0.0.1:4317/", true, tcp("10.0.0.1", 4317), "10.0.0.1:4317", false),
            ("https://otel.example.com", false, tcp("otel.example.com", 443), "otel.example.com", true),
            (
                "https://otel.example.com:4317",
                true,
                tcp("otel.example.com", 4317),
                "otel.example.com:4317",
                true,
            ),
            ("dns:///collector:4317", true, tcp("collector", 4317), "collector:4317", false),
            ("unix:///run/otel.sock", true, SocketAddress::Unix("/run/otel.sock".into()), "localhost", false),
            ("unix:otel.sock", true, SocketAddress::Unix("otel.sock".into()), "localhost", false),
        ] {
            let follow = text.starts_with("dns:");
            let expected = Target { address, tls, authority: Authority::from_static(authority), follow };
            assert_eq!(parse(text, insecure), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        for (text, insecure, wrong) in [
            ("", true, "requires a non-empty \"endpoint\""),
            ("localhost", true, "has no valid port"),
            ("http://localhost", true, "has no valid port"),
            ("localhost:99999", true, "has no valid port"),
            ("https://localhost:99999", true, "has no valid port"),
            ("https://localhost:", true, "has no valid port"),
            (":4317", true, "is no host and port"),
            ("a b:1", true, "is no host and port"),
            ("user@host:1", true, "holds a user or password"),
            ("https://me:hunter2@host:1", true, "holds a user or password"),
            ("localhost:4317/v1/profiles", true, "is no host and port"),
            ("https://h:1/?token=hunter2", true, "with a query is no host and port"),
            ("http://h:1?token=hunter2", false, "with a query is without TLS"),
            ("x?token=hunter2://h:1", true, "with a query is no host and port"),
            ("http://localhost:4317", false, "expected also tls.insecure: true"),
            ("unix://relative.sock", true, "is no path of a socket"),
            ("unix:", true, "is no path of a socket"),
            ("dns://8.8.8.8/collector:4317", true, "names a server for DNS"),
            ("xds:///collector", true, "has the scheme xds, which is not supported"),
        ] {
            let error = parse(text, insecure).unwrap_err();
            assert!(error.contains(wrong) && error.contains("expected"), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        /// Any text is a target or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "(unix:|dns:///|https?://)?.{0,40}", insecure: bool) {
            let _any = parse(&text, insecure);
        }
    }
}
