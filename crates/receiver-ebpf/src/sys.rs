//! The calls that have no safe binding.
#![allow(unsafe_code, reason = "neither a mapping nor bpf(2) has a safe interface")]

use std::ffi::{c_long, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use aya_obj::generated::{bpf_cmd, bpf_prog_info};
use pdata::Pc;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping of the first page of a file, which nobody may read, write or run. The mapping ends when the value is
/// dropped.
#[derive(Debug)]
pub(crate) struct Page {
    start: *mut c_void,
    bytes: usize,
}

impl Page {
    /// Maps a page of the file, even of an empty one.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        let bytes = rustix::param::page_size();
        // SAFETY: a mapping at an address of the kernel's choice, so over nothing that is in use.
        let start = unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::empty(), MapFlags::PRIVATE, file, 0) }?;
        Ok(Self { start, bytes })
    }

    /// The mapping's address.
    pub(crate) fn address(&self) -> u64 {
        self.start.addr() as u64
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the range that `map` has mapped; its address is given to nobody as a pointer.
        let _unmapped = unsafe { munmap(self.start, self.bytes) };
    }
}

/// The most functions that the kernel lets a BPF program have (`BPF_MAX_SUBPROGS`).
const MAX_FUNCTIONS: u32 = 256;

/// The kernel's description of a BPF program's code.
#[derive(Clone, Debug)]
pub(crate) struct ProgramCode {
    /// A digest of the program's instructions.
    pub(crate) tag: [u8; 8],
    /// Start and length of the machine code of each function. Empty if the kernel hides its addresses
    /// (`kptr_restrict`), or interprets the program.
    pub(crate) functions: Vec<(Pc, u64)>,
}

/// Asks the kernel for the machine code of a BPF program.
///
/// # Errors
/// Errors of `BPF_OBJ_GET_INFO_BY_FD`.
pub(crate) fn program_code(program: BorrowedFd<'_>) -> io::Result<ProgramCode> {
    /// The part of `union bpf_attr` that the call reads and writes.
    #[repr(C)]
    struct InfoRequest {
        program: i32,
        length: u32,
        info: u64,
    }
    let (mut starts, mut lengths) = ([0_u64; MAX_FUNCTIONS as usize], [0_u32; MAX_FUNCTIONS as usize]);
    // SAFETY: the struct is made of integers, of which all zeros are values.
    let mut info = unsafe { MaybeUninit::<bpf_prog_info>::zeroed().assume_init() };
    (info.nr_jited_ksyms, info.nr_jited_func_lens) = (MAX_FUNCTIONS, MAX_FUNCTIONS);
    (info.jited_ksyms, info.jited_func_lens) = (starts.as_mut_ptr() as u64, lengths.as_mut_ptr() as u64);
    let length = u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    let mut request =
        InfoRequest { program: program.as_raw_fd(), length, info: ptr::from_mut(&mut info) as u64 };
    // SAFETY: the kernel writes at most the lengths that it is given, into memory that is borrowed until it returns.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut request) }?;
    let count = info.nr_jited_ksyms.min(info.nr_jited_func_lens) as usize;
    let functions = starts.into_iter().zip(lengths).take(count);
    let shown = functions.filter(|(start, length)| *start > 0 && *length > 0);
    let functions = shown.map(|(start, length)| (Pc(start), length.into())).collect();
    Ok(ProgramCode { tag: info.tag, functions })
}

/// Runs a BPF program of type `raw_tp` once, in the context of the calling thread, with such arguments. Returns the
/// program's return value.
///
/// # Errors
/// Errors of `BPF_PROG_TEST_RUN`.
pub(crate) fn run_program<const N: usize>(program: BorrowedFd<'_>, arguments: &[u64; N]) -> io::Result<u32> {
    /// The part of `union bpf_attr` that the call reads and writes (its struct `test`).
    #[repr(C)]
    #[derive(Default)]
    struct RunRequest {
        program: i32,
        returned: u32,
        data_lengths: [u32; 2],
        data: [u64; 2],
        repeat: u32,
        duration: u32,
        context_length: u32,
        context_length_out: u32,
        context: u64,
        context_out: u64,
        flags: u32,
        cpu: u32,
        batch: u32,
        padding: u32,
    }
    let mut request = RunRequest {
        program: program.as_raw_fd(),
        context_length: u32::try_from(size_of_val(arguments)).map_err(io::Error::other)?,
        context: arguments.as_ptr() as u64,
        ..RunRequest::default()
    };
    // SAFETY: the kernel reads the arguments, which are borrowed until it returns, and writes nothing but the request.
    unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut request) }?;
    Ok(request.returned)
}

/// Returns the number of the BPF program that comes after a number.
///
/// # Errors
/// `NotFound` if there is no such program; `PermissionDenied` without `CAP_SYS_ADMIN`.
pub(crate) fn next_program(after: u32) -> io::Result<u32> {
    /// The part of `union bpf_attr` that the call reads and writes.
    #[repr(C)]
    struct NextRequest {
        start: u32,
        next: u32,
        open_flags: u32,
    }
    let mut request = NextRequest { start: after, next: 0, open_flags: 0 };
    // SAFETY: the call reads and writes nothing but the request.
    unsafe { bpf(bpf_cmd::BPF_PROG_GET_NEXT_ID, &mut request) }?;
    Ok(request.next)
}

/// Calls bpf(2).
///
/// # Safety
/// The addresses in the request must be those of memory that the command may write.
unsafe fn bpf<R>(command: bpf_cmd, request: &mut R) -> io::Result<()> {
    // SAFETY: the kernel writes no more of the request than its size, and elsewhere what the caller answers for.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command as c_long, ptr::from_mut(request), size_of::<R>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
