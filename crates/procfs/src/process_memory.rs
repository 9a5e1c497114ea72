//! Files of `/proc/PID` that show a process's memory. The server of a file that the process has mapped may keep a
//! reader of them waiting for ever, so another process reads them: [`foreignfile`].

use std::path::Path;

use foreignfile::{Files, ProcessMemory, Refusal};

/// Bytes that are asked for at a time.
const PIECE: u32 = 128 << 10;

/// Reads such a file from its beginning, up to about `most` bytes. `process` is the directory of the process, or that
/// of one of its threads.
pub(crate) fn read(
    files: &mut Files,
    process: &Path,
    file: ProcessMemory,
    most: u32,
) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    loop {
        let at = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let wanted = u64::from(most).saturating_sub(at).min(PIECE.into());
        let wanted = u32::try_from(wanted).unwrap_or(PIECE);
        if wanted == 0 {
            return Ok(bytes);
        }
        let piece = files.read_memory(process, file, at, wanted)?;
        bytes.extend_from_slice(&piece);
        if piece.len() < wanted as usize {
            return Ok(bytes);
        }
    }
}
