//! The context that a process publishes of itself, for those who read its memory: OpenTelemetry's process context.
//!
//! Source: OTEP 4719 (`oteps/profiles/4719-process-ctx.md` of the specification), version 2 of its header. A mapping
//! that is named after it begins with a header, which points to the payload and has the instant at which the payload
//! was published.

use std::path::Path;

use foreignfile::{Files, ProcessMemory, Refusal};
use pdata::ProcessKey;

use crate::error::ProcError;
use crate::maps::mappings;
use crate::source::ProcSource;

/// Names of the mapping: of anonymous memory, of a memfd that has been named, and of a memfd without a name.
const NAMES: [&[u8]; 4] =
    [b"[anon:OTEL_CTX]", b"[anon_shmem:OTEL_CTX]", b"/memfd:OTEL_CTX", b"/memfd:OTEL_CTX (deleted)"];
const SIGNATURE: &[u8; 8] = b"OTEL_CTX";
const VERSION: u32 = 2;
const HEADER_BYTES: u32 = 32;
/// Bytes of a payload at most: more than anybody needs for 32 attributes.
const MAX_PAYLOAD: u32 = 16 << 10;
/// Bytes of a list of mappings that are looked through: some ten thousand mappings.
const MAX_MAPS: u32 = 1 << 20;
/// Mappings of that name that are tried: a process has one.
const MAX_CANDIDATES: usize = 4;
/// The most tries to read a context while it is being written.
const TRIES: usize = 3;

/// The context of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedContext {
    /// Address of the context's header.
    pub address: u64,
    /// The instant at which the context was published, by the process's own word: not zero, and another number whenever
    /// the context changes.
    pub published_at: u64,
    /// A `ProcessContext` message of `opentelemetry/proto/processcontext`; any bytes.
    pub payload: Vec<u8>,
}

/// The outcomes of a look for a process's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextLook {
    /// The process has published none.
    Nothing,
    /// The context is the one that is known, or is just being written.
    Unchanged,
    /// The context is not known yet.
    Published(PublishedContext),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    published_at: u64,
    payload: u64,
    payload_bytes: u32,
}

impl ProcSource {
    /// Looks for the context of a process, whose address and instant may be `known`.
    ///
    /// # Errors
    /// [`ProcError::Ended`] if there is no such process; the reason why its memory cannot be read.
    pub fn process_context(
        &self,
        files: &mut Files,
        key: ProcessKey,
        known: Option<(u64, u64)>,
    ) -> Result<ContextLook, ProcError> {
        let look = look(files, &self.process(key), known);
        // The process is checked last: if the pid is the process's now, it was all along.
        self.check(key)?;
        Ok(look?)
    }
}

fn look(files: &mut Files, process: &Path, known: Option<(u64, u64)>) -> Result<ContextLook, Refusal> {
    if let Some((address, published_at)) = known
        && read_header(files, process, address)?.is_some_and(|header| header.published_at == published_at)
    {
        return Ok(ContextLook::Unchanged);
    }
    for address in candidates(&files.read_memory(process, ProcessMemory::Maps, 0, MAX_MAPS)?) {
        match read(files, process, address)? {
            ContextLook::Nothing => {}
            found => return Ok(found),
        }
    }
    Ok(ContextLook::Nothing)
}

/// Reads the context at an address, as the reading protocol has it: a payload whose instant is the same before and
/// after is whole.
fn read(files: &mut Files, process: &Path, address: u64) -> Result<ContextLook, Refusal> {
    for _ in 0..TRIES {
        let Some(header) = read_header(files, process, address)? else { return Ok(ContextLook::Nothing) };
        if header.published_at == 0 {
            continue;
        }
        let payload = read_memory(files, process, header.payload, header.payload_bytes)?;
        if read_header(files, process, address)? != Some(header) {
            continue;
        }
        if payload.len() != usize::try_from(header.payload_bytes).unwrap_or(usize::MAX) {
            return Ok(ContextLook::Nothing);
        }
        let published_at = header.published_at;
        return Ok(ContextLook::Published(PublishedContext { address, published_at, payload }));
    }
    Ok(ContextLook::Unchanged)
}

fn read_header(files: &mut Files, process: &Path, address: u64) -> Result<Option<Header>, Refusal> {
    Ok(header(&read_memory(files, process, address, HEADER_BYTES)?))
}

/// Reads bytes of a process's memory; fewer if it has no more, none at an address that it does not have.
fn read_memory(files: &mut Files, process: &Path, address: u64, length: u32) -> Result<Vec<u8>, Refusal> {
    match files.read_memory(process, ProcessMemory::Mem, address, length) {
        Err(Refusal::Open(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            Ok(Vec::new())
        }
        read => read,
    }
}

/// The addresses at which the mappings of that name begin, of proc_pid_maps(5). Names are the process's word.
fn candidates(maps: &[u8]) -> Vec<u64> {
    let named = mappings(maps).filter(|mapping| NAMES.contains(&mapping.name));
    named.map(|mapping| mapping.range.start.0).take(MAX_CANDIDATES).collect()
}

/// Reads a header; `None` for any other bytes.
fn header(bytes: &[u8]) -> Option<Header> {
    let (signature, rest) = bytes.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (payload_bytes, rest) = rest.split_first_chunk()?;
    let (published_at, rest) = rest.split_first_chunk()?;
    let (payload, _) = rest.split_first_chunk()?;
    let payload_bytes = u32::from_ne_bytes(*payload_bytes);
    let is_one = signature == SIGNATURE && u32::from_ne_bytes(*version) == VERSION;
    (is_one && payload_bytes <= MAX_PAYLOAD).then(|| Header {
        published_at: u64::from_ne_bytes(*published_at),
        payload: u64::from_ne_bytes(*payload),
        payload_bytes,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAPS: &str = "\
55d0-55d1 r--p 00000000 fe:00 1234                       /usr/bin/cat
7f00-7f01 rw-p 00000000 00:00 0                          [anon:OTEL_CTX]
7f02-7f03 rw-p 00000000 00:01 77                         /memfd:OTEL_CTX (deleted)
7f04-7f05 rw-p 00000000 00:01 77                         [anon_shmem:OTEL_CTX]
7f06-7f07 rw-p 00000000 00:01 77                         /memfd:OTEL_CTX2
7f08-7f09 rw-p 00000000 00:01 77                         /tmp/[anon:OTEL_CTX]
7f0a-7f0b rw-p 00000000 00:00 0
";

    fn written(version: u32, payload_bytes: u32) -> Vec<u8> {
        let (version, size) = (version.to_ne_bytes(), payload_bytes.to_ne_bytes());
        [&SIGNATURE[..], &version, &size, &7_u64.to_ne_bytes(), &0x7f20_u64.to_ne_bytes()].concat()
    }

    #[test]
    fn mappings_are_found_by_name() {
        assert_eq!(candidates(MAPS.as_bytes()), [0x7f00, 0x7f02, 0x7f04]);
        assert_eq!(candidates(MAPS.repeat(9).as_bytes()).len(), MAX_CANDIDATES);
    }

    #[test]
    fn a_header_is_one_of_version_2_with_a_payload_that_is_not_too_large() {
        let expected = Header { published_at: 7, payload: 0x7f20, payload_bytes: 9 };
        assert_eq!(header(&written(2, 9)), Some(expected));
        assert_eq!([header(&written(1, 9)), header(&written(2, MAX_PAYLOAD + 1))], [None; 2]);
        assert_eq!([header(b""), header(&[0; 32]), header(&written(2, 9)[..31])], [None; 3]);
    }

    proptest! {
        /// Any bytes are a list of mappings and a header, or are refused.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, line in "[0-9a-f-]{0,20}( [a-z0-9]{0,3}){0,6} *\\[anon:OTEL_CTX\\]") {
            prop_assert!(candidates(&bytes).len() <= MAX_CANDIDATES);
            prop_assert!(candidates(line.as_bytes()).len() <= 1);
            let _ = (header(&bytes), header(&[&written(2, 1)[..16], &bytes].concat()));
        }
    }
}
