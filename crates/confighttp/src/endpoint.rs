//! Addresses that servers listen on.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Host and port to listen on, written `host:port`, `[::1]:port` or, for all addresses, `:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host name or address, without brackets; empty for all addresses.
    pub host: String,
    /// Port; 0 for any that is free.
    pub port: u16,
}

/// A text that is no [`Endpoint`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("invalid endpoint {shown}: expected host:port, like localhost:8888, [::1]:8888 or 0.0.0.0:8888", shown = shown(.0))]
pub struct ParseError(String);

/// The text for an error; one with an @ is not shown, since a password may stand before it, nor is a query, which may
/// hold a key.
fn shown(text: &str) -> String {
    match text.split_once('?') {
        _ if text.contains('@') => "that holds a user or password".to_owned(),
        Some((address, _query)) => format!("{address:?} with a query"),
        None => format!("{text:?}"),
    }
}

impl Endpoint {
    /// The endpoint of that host and port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }
}

impl FromStr for Endpoint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| ParseError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    // `parse` alone would take a sign.
    let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            address
        }
        None if host.contains([':', '/', '[', ']']) || host.contains(char::is_whitespace) => return None,
        None => host,
    };
    Some(Endpoint { host: host.to_owned(), port })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Endpoint {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]*):[0-9]+$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_and_a_port_are_told_apart() {
        let parts = |text: &str| text.parse::<Endpoint>().map(|endpoint| (endpoint.host, endpoint.port));
        assert_eq!(parts("localhost:8888"), Ok(("localhost".to_owned(), 8888)));
        assert_eq!(parts("[::1]:0"), Ok(("::1".to_owned(), 0)));
        assert_eq!(parts(":13133"), Ok((String::new(), 13133)));
        for bad in [
            "",
            "localhost",
            "8888",
            "::1:80",
            "[::1]",
            "[x]:1",
            "a:+1",
            "a:65536",
            "http://a:1",
            "a b:1",
            "a:",
        ] {
            assert_eq!(parts(bad), Err(ParseError(bad.to_owned())));
        }
    }

    #[test]
    fn in_a_configuration_it_is_a_text() {
        let endpoint: Endpoint = serde_json::from_str("\"[::1]:80\"").unwrap();
        assert_eq!(endpoint, Endpoint::new("::1", 80));
        assert_eq!(serde_json::to_string(&endpoint).unwrap(), "\"[::1]:80\"");
        let error = serde_json::from_str::<Endpoint>("\"x\"").unwrap_err().to_string();
        assert!(error.starts_with("invalid endpoint \"x\": expected host:port"), "{error}");
        let error = serde_json::from_str::<Endpoint>("\"http://me:hunter2@x:1\"").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        let error = serde_json::from_str::<Endpoint>("\"x:1?key=hunter2\"").unwrap_err().to_string();
        assert!(error.contains("\"x:1\" with a query") && !error.contains("hunter2"), "{error}");
    }

    proptest! {
        /// Any text is read or refused, and an endpoint that was read is written so that it is read
        /// again.
        #[test]
        fn any_text_is_read_or_refused(text in ".*", likely in "\\[?[a-f:.0-9]*\\]?:[0-9]{1,6}") {
            for text in [text, likely] {
                if let Ok(endpoint) = text.parse::<Endpoint>() {
                    prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
                }
            }
        }
    }
}
