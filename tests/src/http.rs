//! A minimal HTTP client for servers on this machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::daemon::PATIENCE;

/// The answer of a server.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The answer's status, such as 200.
    pub status: u16,
    /// The answer's status line and headers.
    pub head: String,
    /// The part of the answer behind the headers.
    pub body: String,
}

/// Fetches `path` from a port of the loopback interface.
///
/// # Errors
/// The operating system's error if the server cannot be reached, or an error if the answer is not HTTP.
pub fn get(port: u16, path: &str) -> io::Result<HttpResponse> {
    get_within(port, path, PATIENCE)
}

/// As [`get`], from a server that may take `longest` for its answer, and is then asked again by the caller.
///
/// # Errors
/// As of [`get`], and if nothing comes for so long.
pub fn get_within(port: u16, path: &str, longest: Duration) -> io::Result<HttpResponse> {
    let answer = String::from_utf8(answer(port, path, longest)?).map_err(io::Error::other)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(head.to_owned()))?;
    Ok(HttpResponse { status, head: head.to_owned(), body: body.to_owned() })
}

/// Fetches `path` as [`get`] does, and returns the bytes behind the headers, which need not be text.
///
/// # Errors
/// The same as of [`get`], and an error if the status is not 200.
pub fn get_bytes(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let answer = answer(port, path, PATIENCE)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) =
        end.and_then(|end| answer.split_at_checked(end + 4)).ok_or(io::ErrorKind::InvalidData)?;
    let head = String::from_utf8_lossy(head);
    let is_good = head.split(' ').nth(1) == Some("200");
    if is_good { Ok(body.to_vec()) } else { Err(io::Error::other(head.into_owned())) }
}

fn answer(port: u16, path: &str, longest: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(longest))?;
    // HTTP/1.0, so that the answer is neither chunked nor kept open.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// `text`, percent-encoded as part of a query.
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
