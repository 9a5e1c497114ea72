//! Files that the kubelet mounts into the agent's pod.

use std::path::Path;

use tokio::io::AsyncReadExt as _;

use crate::error::ApiError;

/// Most bytes of a file.
const MAX_FILE: u64 = 1 << 20;

/// The file's bytes.
///
/// # Errors
/// If it cannot be read, or is far too large.
pub(crate) async fn read(file: &Path) -> Result<Vec<u8>, ApiError> {
    let failed = |error| ApiError::File(file.to_owned(), error);
    let mut bytes = Vec::new();
    let mut open = tokio::fs::File::open(file).await.map_err(failed)?.take(MAX_FILE + 1);
    open.read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ApiError::BadFile { file: file.to_owned(), reason: "is too large" });
    }
    Ok(bytes)
}
