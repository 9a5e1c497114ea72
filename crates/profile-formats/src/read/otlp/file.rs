//! Files of OTLP requests, in each of their wrappings.

use protowire::{Fields, WireValue};

use super::json;
use super::requests::Requests;
use crate::model::Profile;
use crate::read::error::ReadError;
use crate::read::plain::{MOST_BYTES, plain};

/// Bytes of the length before a message.
const PREFIX: usize = 4;

/// The wrapping of the requests of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::read) enum Wrapping {
    /// OTLP/JSON, one request after the other.
    Json,
    /// One request as protobuf.
    Message,
    /// Requests with their lengths before them (4 bytes, big-endian), each compressed or not: the Collector's file
    /// exporter writes protobuf so, and all that it compresses.
    Framed,
}

/// The wrapping of a file's requests; `None` if the file holds none.
pub(in crate::read) fn wrapping(bytes: &[u8]) -> Option<Wrapping> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Some(Wrapping::Json);
    }
    let is_message =
        !bytes.is_empty() && Fields(bytes).all(|field| matches!(field, Ok((1 | 2, WireValue::Bytes(_)))));
    if is_message {
        return Some(Wrapping::Message);
    }
    let is_framed = !bytes.is_empty() && Frames(bytes).all(|frame| frame.is_some());
    is_framed.then_some(Wrapping::Framed)
}

/// Reads a file of requests.
///
/// # Errors
/// [`ReadError`] names the fault and the request.
pub(in crate::read) fn read(bytes: &[u8], wrapping: Wrapping) -> Result<Profile, ReadError> {
    let mut requests = Requests::default();
    match wrapping {
        Wrapping::Json => requests.add_json(bytes)?,
        Wrapping::Message => requests.add(bytes)?,
        Wrapping::Framed => {
            let mut left = MOST_BYTES;
            for frame in Frames(bytes).flatten() {
                let message = plain(frame, left)?;
                left = left.saturating_sub(message.len() as u64);
                if message.trim_ascii_start().starts_with(b"{") {
                    requests.add_json(&message)?;
                } else {
                    requests.add(&message)?;
                }
            }
        }
    }
    Ok(requests.finish())
}

impl Requests {
    fn add_json(&mut self, text: &[u8]) -> Result<(), ReadError> {
        let mut has_profiles = false;
        json::requests(text, |message| {
            has_profiles |= !message.is_empty();
            self.add(message)
        })?;
        if has_profiles { Ok(()) } else { Err(ReadError::OtherJson) }
    }
}

/// The messages of a file in which a length precedes each; `None` for a message that is cut off, which is the last
/// item.
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.0.split_first_chunk::<PREFIX>().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|&length| length > 0)?;
            rest.split_at_checked(length)
        });
        self.0 = frame.map_or(&[], |(_, rest)| rest);
        Some(frame.map(|(frame, _)| frame))
    }
}
