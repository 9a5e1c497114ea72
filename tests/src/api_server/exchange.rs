//! HTTP/1.1, as far as an API server's clients need it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Cluster, Gone, Line, Refusal, Trick};

const UNAUTHORIZED: Refusal = Refusal(401, "Unauthorized", "Unauthorized");
const NOT_FOUND: Refusal = Refusal(404, "NotFound", "the server could not find the requested resource");
const BAD_REQUEST: Refusal = Refusal(400, "BadRequest", "no such query");
/// Pods of a page, and time of a watch, if the client does not say.
const LIMIT: usize = 500;
const WATCH_TIME: Duration = Duration::from_secs(1800);
/// A piece of a body without an end.
static PART: [u8; 1 << 16] = [b' '; 1 << 16];

/// A request that was made.
#[derive(Debug, Default)]
struct HttpRequest {
    target: String,
    token: Option<String>,
    query: Vec<(String, String)>,
}

/// Answers requests until the client closes the connection.
pub(super) fn serve(stream: impl Read + Write, cluster: &Cluster) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = HttpRequest::read(&mut stream)? {
        let out = stream.get_mut();
        // Each answer is logged before it is written: whoever has read it finds it in the log.
        if let Err(refusal) = answer(&request, cluster, out)? {
            cluster.log(format!("{} {}", request.target, refusal.0));
            write_whole(out, refusal.0, &refusal.object())?;
        }
    }
    Ok(())
}

fn answer(request: &HttpRequest, cluster: &Cluster, out: &mut impl Write) -> io::Result<Result<(), Refusal>> {
    if !cluster.takes(request.token.as_deref()) {
        return Ok(Err(UNAUTHORIZED));
    }
    let trick = cluster.next_trick();
    if let Some(trick) = trick.filter(|trick| *trick != Trick::Oversized) {
        return play(trick, request, cluster, out);
    }
    if request.target.split('?').next() != Some("/api/v1/pods") {
        return Ok(Err(NOT_FOUND));
    }
    let Some(node) =
        request.get("fieldSelector").and_then(|selector| selector.strip_prefix("spec.nodeName="))
    else {
        return Ok(Err(BAD_REQUEST));
    };
    if matches!(request.get("watch"), Some("1" | "true")) {
        let before = if trick == Some(Trick::Oversized) { oversized() } else { Vec::new() };
        return watch(request, node, cluster, &before, out);
    }
    // A page that follows is of the version of the first.
    if request.get("continue").is_some() && request.get("resourceVersion").is_some() {
        return Ok(Err(BAD_REQUEST));
    }
    let limit = request.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT);
    match cluster.list(node, limit, request.get("continue")) {
        Ok(list) => {
            cluster.log(format!("{} 200", request.target));
            write_whole(out, 200, &list).map(Ok)
        }
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Answers in a way that no API server does.
fn play(
    trick: Trick,
    request: &HttpRequest,
    cluster: &Cluster,
    out: &mut impl Write,
) -> io::Result<Result<(), Refusal>> {
    match trick {
        Trick::Status(status) => Ok(Err(Refusal(status, "Trick", "no\nsuch\u{1b}[31m luck"))),
        Trick::Nothing => {
            cluster.log(format!("{} 200", request.target));
            write_whole(out, 200, &json!({ "kind": "Other" })).map(Ok)
        }
        Trick::Garbage => {
            cluster.log(format!("{} 200", request.target));
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n{\"a\":\xff")?;
            out.flush().map(Ok)
        }
        // Such a watch is a watch all the same.
        Trick::Oversized => Ok(Err(BAD_REQUEST)),
        Trick::Endless => {
            begin_chunks(out)?;
            for bytes in (0_usize..).step_by(PART.len()) {
                if let Err(error) = write_chunk(out, &PART) {
                    cluster.log(format!("{} endless {bytes}", request.target));
                    return Err(error);
                }
            }
            Ok(Ok(()))
        }
    }
}

/// Lines of a watch that no client takes in.
fn oversized() -> Vec<u8> {
    let annotations = json!({ "long": "x".repeat(13 << 20) });
    let pod = json!({ "metadata": { "uid": "1", "annotations": annotations } });
    let event = json!({ "type": "MODIFIED", "object": pod });
    format!("{event}\n{{\"type\":\n").into_bytes()
}

fn watch(
    request: &HttpRequest,
    node: &str,
    cluster: &Cluster,
    before: &[u8],
    out: &mut impl Write,
) -> io::Result<Result<(), Refusal>> {
    let Some(version) = request.get("resourceVersion").and_then(|version| version.parse().ok()) else {
        return Ok(Err(BAD_REQUEST));
    };
    let seconds = request.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
    let ends = Instant::now() + seconds.map_or(WATCH_TIME, Duration::from_secs);
    let mut position = match cluster.watch(node, version, ends) {
        Ok(position) => position,
        Err((refusal, Gone::Status)) => return Ok(Err(refusal)),
        Err((refusal, Gone::Event)) => {
            cluster.log(format!("{} 200", request.target));
            begin_chunks(out)?;
            write_event(out, &json!({ "type": "ERROR", "object": refusal.object() }))?;
            return write_chunk(out, b"").map(Ok);
        }
    };
    cluster.log(format!("{} watching", request.target));
    begin_chunks(out)?;
    for part in before.chunks(PART.len()) {
        write_chunk(out, part)?;
    }
    while let Line::Event(event) = cluster.next(&mut position) {
        write_event(out, &event)?;
        match event.get("type").and_then(Value::as_str) {
            Some("BOOKMARK") => cluster.log("bookmark sent".to_owned()),
            Some("ERROR") => break,
            _ => {}
        }
    }
    write_chunk(out, b"").map(Ok)
}

fn begin_chunks(out: &mut impl Write) -> io::Result<()> {
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    out.flush()
}

/// An event as a line, in two chunks: where chunks end says nothing of where lines do.
fn write_event(out: &mut impl Write, event: &Value) -> io::Result<()> {
    let line = format!("{event}\n").into_bytes();
    let (first, second) = line.split_at(line.len() / 2);
    write_chunk(out, first)?;
    write_chunk(out, second)
}

/// A chunk; an empty one is the last.
fn write_chunk(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write!(out, "{:x}\r\n", bytes.len())?;
    out.write_all(bytes)?;
    out.write_all(b"\r\n")?;
    out.flush()
}

fn write_whole(out: &mut impl Write, status: u16, object: &Value) -> io::Result<()> {
    let body = object.to_string();
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    out.flush()
}

impl HttpRequest {
    /// Reads the head of a request, which has no body; `None` once the client has closed the connection.
    fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let (mut request, mut line) = (Self::default(), String::new());
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let pairs = target.split_once('?').map_or("", |(_, query)| query).split('&');
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), decoded(value))
        };
        request.query = pairs.map(pair).collect();
        request.target = target;
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    request.token = value.strip_prefix("Bearer ").map(str::to_owned);
                }
                Some(_) => {}
                None => return Ok(Some(request)),
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str())
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code =
            after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code.filter(|_| byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
