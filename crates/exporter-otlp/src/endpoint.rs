//! Where to send, from what the user wrote.

use tonic::codegen::http::uri::{Authority, Uri};

/// A server, and whether to speak TLS to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) uri: Uri,
    pub(crate) tls: bool,
}

/// Reads `host:port`, `http://host:port` or `https://host[:port]`.
///
/// As in the Collector, TLS is spoken unless `insecure`, and always to `https://`. Unlike it,
/// `http://` without `insecure` is refused rather than taken as TLS.
///
/// # Errors
/// What is wrong with the text and what is expected, without the key's name.
pub(crate) fn parse(text: &str, insecure: bool) -> Result<Endpoint, String> {
    let refuse = |what| format!("{text:?} {what}, expected host:port, http://host:port or https://host:port");
    if text.is_empty() {
        return Err("is missing, expected an OTLP gRPC receiver, like localhost:4317".to_owned());
    }
    let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let tls = match scheme {
        None => !insecure,
        Some("https") => true,
        Some("http") if insecure => false,
        Some("http") => {
            return Err(format!(
                "{text:?} is without TLS, expected also tls.insecure: true, or https:// to use TLS"
            ));
        }
        Some(other) => return Err(refuse(format!("has the scheme {other}, which is not supported"))),
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let authority: Authority = host.parse().map_err(|_invalid| refuse("is no host and port".to_owned()))?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(refuse("is no host and port".to_owned()));
    }
    // Only https has a port that everybody means when none is given.
    let bare = authority.as_str() == authority.host();
    if authority.port_u16().is_none() && !(bare && scheme == Some("https")) {
        return Err(refuse("has no valid port".to_owned()));
    }
    let uri =
        Uri::builder().scheme(if tls { "https" } else { "http" }).authority(authority).path_and_query("/");
    uri.build().map(|uri| Endpoint { uri, tls }).map_err(|_invalid| refuse("is no host and port".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_the_collector_does() {
        for (text, insecure, uri) in [
            ("localhost:4317", true, "http://localhost:4317/"),
            ("localhost:4317", false, "https://localhost:4317/"),
            ("[::1]:4317", true, "http://[::1]:4317/"),
            ("http://10.0.0.1:4317/", true, "http://10.0.0.1:4317/"),
            ("https://otel.example.com", false, "https://otel.example.com/"),
            ("https://otel.example.com:4317", true, "https://otel.example.com:4317/"),
        ] {
            let endpoint = parse(text, insecure).unwrap();
            assert_eq!(endpoint.uri, uri, "{text}");
            assert_eq!(endpoint.tls, uri.starts_with("https"), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_wrong() {
        for (text, insecure, wrong) in [
            ("", true, "is missing"),
            ("localhost", true, "has no valid port"),
            ("http://localhost", true, "has no valid port"),
            ("localhost:99999", true, "has no valid port"),
            ("https://localhost:99999", true, "has no valid port"),
            ("https://localhost:", true, "has no valid port"),
            (":4317", true, "is no host and port"),
            ("a b:1", true, "is no host and port"),
            ("user@host:1", true, "is no host and port"),
            ("localhost:4317/v1/profiles", true, "is no host and port"),
            ("http://localhost:4317", false, "expected also tls.insecure: true"),
            ("unix:///run/otel.sock", true, "has the scheme unix, which is not supported"),
            ("dns:///collector:4317", true, "has the scheme dns, which is not supported"),
        ] {
            let error = parse(text, insecure).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
