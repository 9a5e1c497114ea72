//! Just enough of an HTTP client to ask servers of this machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::daemon::PATIENCE;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// Status, such as 200.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// What follows.
    pub body: String,
}

/// Fetches `path` from a port of the loopback interface.
///
/// # Errors
/// If the server cannot be reached, or does not answer in HTTP.
pub fn get(port: u16, path: &str) -> io::Result<HttpResponse> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0, so that the answer is neither chunked nor kept open.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(head.to_owned()))?;
    Ok(HttpResponse { status, head: head.to_owned(), body: body.to_owned() })
}

/// `text` as part of a query.
#[must_use]
pub fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        assert_eq!(encoded("up{a=\"b\"} + 1"), "up%7Ba%3D%22b%22%7D%20%2B%201");
    }
}
