//! Files with build IDs, and clients that ask for them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use configtypes::ByteSize;
use tests::wait;

use crate::address::Url;
use crate::cache::Cache;
use crate::client::{Debuginfod, Fetch};
use crate::connect::Tls;
use crate::error::FetchError;
use crate::fetch::Fetcher;
use crate::{Config, GnuBuildId};

/// Size of the largest file that clients of tests take.
pub(super) const MAX_FILE: u64 = 64 << 10;

/// The build ID of a number.
pub(super) fn id(number: u8) -> GnuBuildId {
    GnuBuildId::new(&[number; 20]).unwrap()
}

/// An ELF file of this build ID and about `size` bytes: a header, a note, a section of zeros, the table of sections.
pub(super) fn elf(id: &GnuBuildId, size: usize) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut note = Vec::new();
    for number in [4, u32::try_from(id.as_bytes().len()).unwrap(), 3] {
        note.extend(number.to_le_bytes());
    }
    note.extend(b"GNU\0");
    note.extend(id.as_bytes());
    note.resize(note.len().next_multiple_of(4), 0);
    let zeros = HEADER + note.len();
    let table = (zeros + size).next_multiple_of(8);
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    file.resize(16, 0);
    let word = |file: &mut Vec<u8>, word: usize| file.extend((word as u64).to_le_bytes());
    let half = |file: &mut Vec<u8>, half: u16| file.extend(half.to_le_bytes());
    // The kind of file and machine, its version, and the place of the table.
    [3, 62, 1, 0].into_iter().for_each(|each| half(&mut file, each));
    [0, 0, table].into_iter().for_each(|each| word(&mut file, each));
    [0, 0, 64, 56, 0, 64, 3, 0].into_iter().for_each(|each| half(&mut file, each));
    assert_eq!(file.len(), HEADER);
    file.extend(&note);
    file.resize(table, 0);
    // SHT_NULL, SHT_NOTE and SHT_PROGBITS.
    for (kind, offset, size) in [(0_u64, 0, 0), (7, HEADER, note.len()), (1, zeros, size)] {
        word(&mut file, usize::try_from(kind << 32).unwrap());
        [0, 0, offset, size, 0, 4, 0].into_iter().for_each(|each| word(&mut file, each));
    }
    file
}

pub(super) fn config(directory: &Path, urls: &[String]) -> Config {
    Config {
        urls: urls.to_vec(),
        cache_directory: directory.to_owned(),
        max_cache: ByteSize::from_mib(1),
        max_file_size: ByteSize::from_bytes(MAX_FILE),
        // Longer than an honest server takes, on whatever machine.
        timeout: Duration::from_secs(600),
        retry_missing_after: Duration::from_secs(600),
    }
}

pub(super) fn client(config: &Config) -> Debuginfod {
    Debuginfod::with(config, "", Tls::default()).unwrap()
}

/// The outcome of fetching a file from a server within that time: whether it is there, or the reason why not.
pub(super) async fn fetch(
    (url, tls): (&str, Tls),
    id: GnuBuildId,
    cache: &Cache,
    within: Duration,
) -> Result<bool, &'static str> {
    let max_file_size = ByteSize::from_bytes(MAX_FILE);
    let mut fetcher = Fetcher { tls, timeout: within, max_file_size, kept: None, has_answered: false };
    let fetched = fetcher.fetch(&Url::of_server(url).unwrap(), id, cache).await;
    fetched.map_err(|error: FetchError| error.reason())
}

/// Waits until a file has been fetched or is not to be had; the file's bytes if it is there.
pub(super) fn wait_for(client: &Debuginfod, id: GnuBuildId) -> Option<Vec<u8>> {
    let look = || client.file(id, None);
    match wait::until("an answer of the server", look, |found| !matches!(found, Fetch::Waiting)) {
        Fetch::Here(file) => Some(bytes(file)),
        Fetch::Waiting | Fetch::Absent => None,
    }
}

pub(super) fn bytes(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The names of the files in a directory.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
