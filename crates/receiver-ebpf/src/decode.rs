//! Records of the BPF rings and the snapshot to pdata: a total function of any bytes.

use std::time::Duration;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pdata::{
    AddressKind, BootTime, CgroupId, Code, Comm, Event, ExecCount, Executable, FileOffset, FileState, Frame,
    ImageKey, KTime, MappingChange, MappingEvent, MappingRecord, Measure, Pc, Pid, ProcessEvent, ProcessKey,
    ProcessTransition, Running, Sample, Tid,
};
use thiserror::Error;
use zerocopy::FromBytes;

use crate::abi::{self, ForkBody, ImageBody, MappingHeader, RecordHeader, SampleBody};

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The record ends before something it must have.
    #[error("record of {len} bytes ends within its {part}")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// What they do not hold whole.
        part: &'static str,
    },
    /// The record is of no kind that is known.
    #[error("unknown record kind {kind}")]
    UnknownKind {
        /// As in the header.
        kind: u32,
    },
}

/// One record to one event.
///
/// # Errors
/// [`DecodeError`] if the record is shorter than what it claims to hold, or of an unknown kind.
pub fn decode(record: &[u8]) -> Result<Event, DecodeError> {
    let (header, body) = split::<RecordHeader>(record, "header")?;
    let transition = match header.kind {
        abi::RECORD_SAMPLE => return sample(&header, body).map(Event::Sample),
        abi::RECORD_SEEN => seen(&header, body)?,
        abi::RECORD_EXEC => exec(&header, body)?,
        abi::RECORD_FORK => fork(body)?,
        abi::RECORD_EXIT => ProcessTransition::Exit,
        abi::RECORD_FREED => ProcessTransition::Freed,
        abi::RECORD_RENAME => ProcessTransition::Rename { tid: Tid(header.tid), comm: comm(&header) },
        kind => return Err(DecodeError::UnknownKind { kind }),
    };
    Ok(Event::Process(ProcessEvent {
        at: KTime::from_nanos(header.ktime_ns),
        image: image_key(&header),
        transition,
    }))
}

/// The first image record of a snapshot, and the bytes after it.
pub(crate) fn split_image(stream: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (_, body) = split::<RecordHeader>(stream, "header")?;
    let (image, _) = split::<ImageBody>(body, "image")?;
    let whole = size_of::<RecordHeader>()
        + size_of::<ImageBody>()
        + [image.path_bytes, image.filename_bytes, image.interpreter_bytes]
            .map(usize::from)
            .iter()
            .sum::<usize>();
    take(stream, whole, "text")
}

/// The first mapping record of a snapshot, and the bytes after it.
pub(crate) fn split_mapping(stream: &[u8]) -> Result<(Event, &[u8]), DecodeError> {
    let (header, rest) = split::<MappingHeader>(stream, "mapping")?;
    let (name, rest) = take(rest, usize::try_from(header.name_bytes).unwrap_or(usize::MAX), "mapping name")?;
    let mapping = MappingRecord {
        start: Pc(header.start),
        end: Pc(header.end),
        file_offset: FileOffset(header.file_offset),
        name: name.into(),
        build_id: None,
    };
    let at = KTime::from_nanos(header.ktime_ns);
    Ok((
        Event::Mapping(MappingEvent { at, pid: Pid(header.pid), change: MappingChange::Mapped(mapping) }),
        rest,
    ))
}

fn sample(header: &RecordHeader, body: &[u8]) -> Result<Sample, DecodeError> {
    let (sample, rest) = split::<SampleBody>(body, "sample")?;
    let (kernel, user) = (usize::from(sample.kernel_frames), usize::from(sample.user_frames));
    let (addresses, _slack) = take(rest, (kernel + user) * size_of::<u64>(), "frames")?;
    let (addresses, _none) = addresses.as_chunks();
    let stack = addresses
        .iter()
        .enumerate()
        .map(|(depth, address)| {
            let code = if depth < kernel { Code::Kernel } else { Code::Unknown };
            // Both leaves were read from registers: passing from user to kernel code is no call.
            let kind = if depth == 0 || depth == kernel { AddressKind::Exact } else { AddressKind::Return };
            Frame { pc: Pc(u64::from_ne_bytes(*address)), kind, code, lines: None }
        })
        .collect();
    Ok(Sample {
        at: KTime::from_nanos(header.ktime_ns),
        key: image_key(header),
        measure: Measure::OnCpu { period: Duration::from_nanos(sample.period_ns) },
        tid: Tid(header.tid),
        cpu: header.cpu,
        comm: comm(header),
        cgroup: CgroupId(sample.cgroup_id),
        running: running(header.flags),
        stack,
        image: None,
    })
}

/// A kernel thread that calls `execve` is one until the call has made it a program.
fn running(flags: u32) -> Running {
    if flags & abi::FLAG_KERNEL_THREAD != 0 {
        Running::KernelThread
    } else if flags & abi::FLAG_IN_EXECVE != 0 {
        Running::Execve
    } else {
        Running::Program
    }
}

fn seen(header: &RecordHeader, body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (executable, _rest, _image) = executable(header, body)?;
    Ok(ProcessTransition::Seen { executable, comm: comm(header) })
}

fn exec(header: &RecordHeader, body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (executable, rest, image) = executable(header, body)?;
    let (filename, rest) = take(rest, image.filename_bytes.into(), "filename")?;
    let (interpreter, _slack) = take(rest, image.interpreter_bytes.into(), "interpreter")?;
    Ok(ProcessTransition::Exec {
        // An exec always has a file; one whose walk failed is still an exec, of an unknown one.
        executable: executable.unwrap_or_else(|| Box::new(unknown_executable(&image))),
        comm: comm(header),
        filename: filename.into(),
        interpreter: (!interpreter.is_empty()).then(|| interpreter.into()),
    })
}

type ExecutableAndRest<'a> = (Option<Box<Executable>>, &'a [u8], ImageBody);

fn executable<'a>(header: &RecordHeader, body: &'a [u8]) -> Result<ExecutableAndRest<'a>, DecodeError> {
    let (image, rest) = split::<ImageBody>(body, "image")?;
    let (path, rest) = take(rest, image.path_bytes.into(), "path")?;
    if path.is_empty() {
        return Ok((None, rest, image));
    }
    let own = path.len().checked_sub(image.own_path_bytes.into()).and_then(|start| path.get(start..));
    // As the kernel marks the link: by the name that was opened, even if the file has others.
    let name_gone = image.link_count == 0 || header.flags & abi::FLAG_NAME_GONE != 0;
    let state = match (header.flags & abi::FLAG_NO_PARENT_DIRECTORY != 0, name_gone) {
        (true, _) => FileState::Memfd,
        (false, true) => FileState::Deleted,
        (false, false) => FileState::Linked,
    };
    let executable = Executable {
        path: to_path(path),
        // The walk does not come by the task's root if that is elsewhere; then there is no other view to give.
        own_path: own.filter(|own| !own.is_empty() && own.len() < path.len()).map(to_path),
        state,
        truncated: header.flags & abi::FLAG_PATH_TRUNCATED != 0,
        ..unknown_executable(&image)
    };
    Ok((Some(Box::new(executable)), rest, image))
}

fn unknown_executable(image: &ImageBody) -> Executable {
    Executable {
        path: Path::new("").into(),
        own_path: None,
        state: FileState::Linked,
        device: image.device,
        inode: image.inode,
        mount_namespace: image.mount_namespace,
        truncated: false,
    }
}

fn fork(body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (fork, _slack) = split::<ForkBody>(body, "fork")?;
    Ok(ProcessTransition::Fork {
        parent: key(fork.parent_pid, fork.parent_start_boottime_ns, fork.parent_exec_count),
    })
}

fn image_key(header: &RecordHeader) -> ImageKey {
    key(header.pid, header.start_boottime_ns, header.exec_count)
}

fn key(pid: u32, start_boottime_ns: u64, exec_count: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start_boottime_ns) };
    ImageKey { process, exec_count: ExecCount(exec_count) }
}

/// The kernel side writes up to the first NUL; what follows it in the slot is left from an older record.
fn comm(header: &RecordHeader) -> Comm {
    let mut ended = false;
    Comm(header.comm.map(|byte| {
        ended |= byte == 0;
        if ended { 0 } else { byte }
    }))
}

fn to_path(bytes: &[u8]) -> Box<Path> {
    Path::new(OsStr::from_bytes(bytes)).into()
}

fn split<'a, T: FromBytes>(bytes: &'a [u8], part: &'static str) -> Result<(T, &'a [u8]), DecodeError> {
    T::read_from_prefix(bytes).map_err(|_short| DecodeError::Truncated { len: bytes.len(), part })
}

fn take<'a>(bytes: &'a [u8], count: usize, part: &'static str) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    bytes.split_at_checked(count).ok_or(DecodeError::Truncated { len: bytes.len(), part })
}

#[cfg(test)]
mod tests;
