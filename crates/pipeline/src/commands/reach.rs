//! Checks of addresses: that a server answers, or that an address is free to listen on.

use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest time that one address of a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of a socket.
    Unix(String),
}

/// Connects to the server of an endpoint, as exporters write them, and hangs up.
///
/// # Errors
/// The error of the last address that was tried.
pub(super) fn connect(endpoint: &str) -> io::Result<()> {
    let target = parse(endpoint)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "is no host with a port"))?;
    match target {
        Target::Unix(path) => UnixStream::connect(path).map(drop),
        Target::Tcp(host, port) => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for address in (host.as_str(), port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, TIMEOUT) {
                    Ok(_hung_up) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// Listens on `host:port` for a moment.
///
/// # Errors
/// The operating system's error.
pub(super) fn listen(address: &str) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

/// `host:port`, `scheme://host:port/path`, `dns:///host:port`, `unix:///path`; the port may be left out where the
/// scheme has one.
fn parse(endpoint: &str) -> Option<Target> {
    if let Some(path) = endpoint.strip_prefix("unix:") {
        return Some(Target::Unix(path.strip_prefix("//").unwrap_or(path).to_owned()));
    }
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    // The authority of `dns://server/host:port` is the name server; that is not followed.
    let rest = if scheme == "dns" { rest.split_once('/')?.1 } else { rest };
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon is part of an IPv6 address without a port.
        Some((_, tail)) if tail.ends_with(']') => (authority, default),
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (authority, default),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some(Target::Tcp(host.to_owned(), port?)).filter(|_| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endpoints_are_read_as_exporters_write_them() {
        let tcp = |host: &str, port| Some(Target::Tcp(host.to_owned(), port));
        for (endpoint, target) in [
            ("localhost:4317", tcp("localhost", 4317)),
            ("http://localhost:4318", tcp("localhost", 4318)),
            ("https://user:pw@example.com/v1/profiles?x=1", tcp("example.com", 443)),
            ("http://example.com", tcp("example.com", 80)),
            ("dns:///collector:4317", tcp("collector", 4317)),
            ("[::1]:4317", tcp("::1", 4317)),
            ("https://[::1]", tcp("::1", 443)),
            ("unix:///run/otel.sock", Some(Target::Unix("/run/otel.sock".to_owned()))),
            ("localhost", None),
            (":4317", None),
            ("localhost:99999", None),
            ("", None),
        ] {
            assert_eq!(parse(endpoint), target, "{endpoint}");
        }
    }

    #[test]
    fn a_server_that_listens_is_reached_and_its_address_is_taken() {
        let server = TcpListener::bind("localhost:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        connect(&format!("http://{address}")).unwrap();
        assert_eq!(listen(&address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(server);
        assert_eq!(connect(&address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        listen(&address).unwrap();
        connect("nonsense").unwrap_err();
    }

    proptest! {
        /// Any text is an endpoint or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z:/@\\[\\]?#.0-9]{0,30}|\\PC{0,20}") {
            let _any = parse(&text);
        }
    }
}
