//! A FUSE server of one file, directly on `/dev/fuse`, which stops answering when a test asks it to.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Name of the file.
pub const FILE: &str = "file";

const ROOT_NODE: u64 = 1;
const FILE_NODE: u64 = 2;
/// Length of a request's header, in bytes. Source: uapi/linux/fuse.h, as of the constants below.
const HEADER: usize = 40;
const MAX_REQUEST: usize = 1 << 20;
const ENOENT: i32 = 2;
const ENOSYS: i32 = 38;

/// Operations that the kernel asks a server for.
pub mod opcode {
    #![allow(missing_docs, reason = "as in the kernel's header")]
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const INTERRUPT: u32 = 36;
    pub const BATCH_FORGET: u32 = 42;
}

/// A mounted file system. When it is dropped, processes that wait for an answer get an error, and it is unmounted.
#[derive(Debug)]
pub struct Fuse {
    point: PathBuf,
    device: Arc<Mutex<Option<Arc<File>>>>,
    shared: Arc<FuseState>,
}

#[derive(Debug)]
struct FuseState {
    contents: Vec<u8>,
    silent: AtomicBool,
    asked: Mutex<BTreeSet<u32>>,
}

impl Fuse {
    /// Mounts a file system at `point`, a directory. Its one file, [`FILE`], holds `contents` and can be executed.
    ///
    /// # Panics
    /// If the kernel has no FUSE, or this process is not root.
    #[must_use]
    pub fn mount(point: &Path, contents: Vec<u8>) -> Self {
        let device =
            OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("the kernel has FUSE");
        let data = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let data = CString::new(data).expect("no zero in it");
        mount("silent", point, "fuse", MountFlags::empty(), &*data).expect("root may mount");
        let shared =
            Arc::new(FuseState { contents, silent: AtomicBool::new(false), asked: Mutex::default() });
        let (serving, served) = (Arc::new(device), Arc::clone(&shared));
        let device = Arc::new(Mutex::new(Some(Arc::clone(&serving))));
        thread::spawn(move || serve(&serving, &served));
        Self { point: point.to_owned(), device, shared }
    }

    /// Path of the file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.point.join(FILE)
    }

    /// Takes requests from now on and answers none: a process that asks then waits, and cannot be killed.
    pub fn silence(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// Operations that the kernel has asked for up to now, by [`opcode`].
    #[must_use]
    pub fn asked(&self) -> BTreeSet<u32> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends all requests that wait for an answer, with an error.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn abort(&self) {
        if self.device.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            // A forced unmount ends all requests, and the server's read.
            unmount(&self.point, UnmountFlags::FORCE | UnmountFlags::DETACH).expect("it is mounted");
        }
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.abort();
    }
}

fn serve(device: &File, shared: &FuseState) {
    let mut request = vec![0; MAX_REQUEST];
    loop {
        let mut stream = device;
        let Ok(length) = stream.read(&mut request) else { return };
        let (Some(opcode), Some(unique), Some(node)) =
            (number(&request, 4, 4), number(&request, 8, 8), number(&request, 16, 8))
        else {
            return;
        };
        let opcode = u32::try_from(opcode).unwrap_or_default();
        shared.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(opcode);
        let unanswered = [opcode::FORGET, opcode::BATCH_FORGET, opcode::INTERRUPT].contains(&opcode);
        if unanswered || shared.silent.load(Ordering::SeqCst) {
            continue;
        }
        let body = request.get(HEADER..length).unwrap_or_default();
        let (error, answer) = match answer(opcode, node, body, &shared.contents) {
            Ok(answer) => (0, answer),
            Err(errno) => (-errno, Vec::new()),
        };
        let length = u32::try_from(16 + answer.len()).unwrap_or(u32::MAX);
        let head = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes()].concat();
        // The process that asked may have ended.
        let _sent = stream.write(&[head, answer].concat());
    }
}

/// The part of an answer behind its header, or an error.
fn answer(opcode: u32, node: u64, body: &[u8], contents: &[u8]) -> Result<Vec<u8>, i32> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
    Ok(match opcode {
        // Version 7.31, whose answer has 64 bytes: no read-ahead, no flags, requests of 128 KiB.
        opcode::INIT => words(&[7, 31, 0, 0, 0x000c_0010, 128 << 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        opcode::LOOKUP if body.starts_with(FILE.as_bytes()) && body.len() == FILE.len() + 1 => {
            // A name that is looked up again each time, and attributes that are cached.
            let head = [FILE_NODE, 0, 0, 3600].map(u64::to_ne_bytes).concat();
            [head, words(&[0, 0]), attributes(FILE_NODE, contents)].concat()
        }
        opcode::LOOKUP => return Err(ENOENT),
        opcode::GETATTR => {
            [3600_u64.to_ne_bytes().to_vec(), words(&[0, 0]), attributes(node, contents)].concat()
        }
        opcode::OPEN => vec![0; 16],
        opcode::READ => {
            let at = number(body, 8, 8).and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
            let length =
                number(body, 16, 4).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
            let rest = contents.get(at..).unwrap_or_default();
            rest.get(..length).unwrap_or(rest).to_vec()
        }
        opcode::STATFS => {
            [[0_u64; 5].map(u64::to_ne_bytes).concat(), words(&[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0])]
                .concat()
        }
        opcode::RELEASE | opcode::FLUSH => Vec::new(),
        _ => return Err(ENOSYS),
    })
}

fn attributes(node: u64, contents: &[u8]) -> Vec<u8> {
    let (mode, size) = if node == ROOT_NODE { (0o040_755, 0) } else { (0o100_755, contents.len() as u64) };
    let numbers = [node, size, size.div_ceil(512), 0, 0, 0].map(u64::to_ne_bytes).concat();
    let words = [0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat();
    [numbers, words].concat()
}

/// The number in `length` bytes at a position.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let mut padded = [0; 8];
    padded.get_mut(..length)?.copy_from_slice(bytes.get(at..at + length)?);
    Some(u64::from_le_bytes(padded))
}
