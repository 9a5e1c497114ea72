//! Decoding of the records of the BPF rings and the snapshot to pdata: a total function of any bytes.

use std::time::Duration;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pdata::{
    BootTime, BuildId, Cgroup, CgroupId, Comm, Context, Event, ExecCount, Executable, FileState, ImageKey,
    KTime, MappedFile, Measure, Pc, Pid, ProcessEvent, ProcessKey, ProcessTransition, Relatives, Running,
    Sample, Tid, Uid,
};
use thiserror::Error;
use zerocopy::FromBytes;

use crate::abi::{
    self, CgroupBody, CgroupKey, FileBody, FileKey, ForkBody, ImageBody, RawStackBody, RecordHeader,
    RelativesRecord, SampleBody, SampleMapping,
};
use crate::stack_budget::CountedBytes;

/// The reason why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The record ends before a part that it must have.
    #[error("record of {len} bytes ends within its {part}")]
    Truncated {
        /// Bytes of the record.
        len: usize,
        /// The part that the record does not hold whole.
        part: &'static str,
    },
    /// The record is of no kind that is known.
    #[error("unknown record kind {kind}")]
    UnknownKind {
        /// The kind in the header.
        kind: u32,
    },
}

/// A record of either ring, decoded.
#[derive(Debug)]
pub enum Record {
    /// A fact about a process.
    Event(Event),
    /// A sample, whose files are to be looked up once its turn has come.
    Sample(Box<RawSample>),
    /// A file, announced before any sample that refers to it.
    File(Box<AnnouncedFile>),
    /// Control groups, announced before any sample that refers to them.
    Cgroup(Box<AnnouncedCgroup>),
}

/// A sample as the kernel wrote it: mappings refer to files by number, frames to mappings.
#[derive(Debug)]
pub struct RawSample {
    /// The sample itself, with an empty stack.
    pub(crate) sample: Sample,
    pub(crate) kernel: Box<[Pc]>,
    pub(crate) user: Box<[RawFrame]>,
    pub(crate) mappings: Box<[SampleMapping]>,
    /// The end of the user stack, a `stack_end`.
    pub(crate) end: u16,
    /// Number of the thread's control groups.
    pub(crate) cgroup: u32,
    /// The registers and the copied stack in which the rest of the user frames can be found.
    pub(crate) rest: Option<Box<RawStack>>,
}

/// The state of a walk of the kernel at the frame where it stopped, and a copy of the stack there.
#[derive(Debug)]
pub(crate) struct RawStack {
    pub(crate) body: RawStackBody,
    pub(crate) bytes: Box<[u8]>,
    /// The budget's count of the bytes; set by the stage that holds the stack.
    pub(crate) counted: Option<CountedBytes>,
}

/// A user frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawFrame {
    pub pc: Pc,
    /// Index of the mapping that the frame lies in, among the sample's.
    pub mapping: Option<usize>,
    /// True for a frame that a signal interrupted.
    pub interrupted: bool,
}

/// A file under the number by which samples know it.
#[derive(Debug)]
pub struct AnnouncedFile {
    pub(crate) id: u64,
    pub(crate) key: FileKey,
    pub(crate) file: MappedFile,
    /// True if the file was never in a directory: a memfd, or memory that only has the form of a file.
    pub(crate) nowhere: bool,
}

/// Control groups under the number by which samples know them.
#[derive(Debug)]
pub struct AnnouncedCgroup {
    pub(crate) key: CgroupKey,
    pub(crate) cgroup: Cgroup,
}

/// Decodes one record.
///
/// # Errors
/// [`DecodeError`] if the record is shorter than the parts that it claims to hold, or of an unknown kind.
pub fn decode(record: &[u8]) -> Result<Record, DecodeError> {
    let (header, body) = split::<RecordHeader>(record, "header")?;
    let transition = match header.kind {
        abi::RECORD_SAMPLE => return sample(&header, body).map(|sample| Record::Sample(sample.into())),
        abi::RECORD_FILE => return file(&header, body).map(|file| Record::File(file.into())),
        abi::RECORD_CGROUP => return cgroup(&header, body).map(|cgroup| Record::Cgroup(cgroup.into())),
        abi::RECORD_SEEN => seen(&header, body)?,
        abi::RECORD_EXEC => exec(&header, body)?,
        abi::RECORD_FORK => fork(body)?,
        abi::RECORD_EXIT => ProcessTransition::Exit,
        abi::RECORD_FREED => ProcessTransition::Freed,
        abi::RECORD_RENAME => ProcessTransition::Rename { tid: Tid(header.tid), comm: comm(&header) },
        kind => return Err(DecodeError::UnknownKind { kind }),
    };
    Ok(Record::Event(Event::Process(ProcessEvent {
        at: KTime::from_nanos(header.ktime_ns),
        image: image_key(&header),
        transition,
    })))
}

/// Splits the first image record off a snapshot.
pub(crate) fn split_image(stream: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (_, body) = split::<RecordHeader>(stream, "header")?;
    let (image, _) = split::<ImageBody>(body, "image")?;
    let whole = size_of::<RecordHeader>()
        + size_of::<ImageBody>()
        + [
            image.path_bytes,
            image.filename_bytes,
            image.interpreter_bytes,
            image.environment_bytes,
            image.arguments_bytes,
        ]
        .map(usize::from)
        .iter()
        .sum::<usize>();
    take(stream, whole, "text")
}

fn sample(header: &RecordHeader, body: &[u8]) -> Result<RawSample, DecodeError> {
    let (sample, rest) = split::<SampleBody>(body, "sample")?;
    let (kernel, rest) = words(rest, sample.kernel_frames.into(), "kernel frames")?;
    let (user, rest) = words(rest, sample.user_frames.into(), "user frames")?;
    let count = usize::from(sample.mappings);
    let (mappings, after) = take(rest, count * size_of::<SampleMapping>(), "mappings")?;
    let rest = (header.flags & abi::FLAG_RAW_STACK != 0).then(|| raw_stack(after)).transpose()?;
    let (mappings, _none) = mappings.as_chunks::<{ size_of::<SampleMapping>() }>();
    Ok(RawSample {
        sample: Sample {
            at: KTime::from_nanos(header.ktime_ns),
            key: image_key(header),
            measure: Measure::OnCpu { period: Duration::from_nanos(sample.period_ns) },
            tid: Tid(header.tid),
            cpu: header.cpu,
            comm: comm(header),
            context: Context { cgroup: None, user: Some(Uid(sample.user)) },
            running: running(header.flags),
            ..Sample::default()
        },
        kernel: kernel.map(Pc).collect(),
        user: user.map(raw_frame).collect(),
        mappings: mappings.iter().filter_map(|bytes| SampleMapping::read_from_bytes(bytes).ok()).collect(),
        end: sample.user_stack_end,
        cgroup: sample.cgroup,
        rest,
    })
}

fn raw_stack(bytes: &[u8]) -> Result<Box<RawStack>, DecodeError> {
    let (body, rest) = split::<RawStackBody>(bytes, "stack")?;
    let count = usize::try_from(body.bytes).unwrap_or(usize::MAX);
    let (bytes, _slack) = take(rest, count, "stack")?;
    Ok(Box::new(RawStack { body, bytes: bytes.into(), counted: None }))
}

/// The kind of code that ran. A kernel thread that calls `execve` is one until the call has made it a program.
fn running(flags: u32) -> Running {
    if flags & abi::FLAG_SOFTIRQ != 0 {
        Running::Softirq
    } else if flags & abi::FLAG_KERNEL_THREAD != 0 {
        Running::KernelThread
    } else if flags & abi::FLAG_IN_EXECVE != 0 {
        Running::Execve
    } else {
        Running::Program
    }
}

fn raw_frame(word: u64) -> RawFrame {
    let interrupted = 1 << abi::FRAME_INTERRUPTED_BIT;
    let index = usize::try_from((word & !interrupted) >> abi::FRAME_ADDRESS_BITS).ok();
    RawFrame {
        interrupted: word & interrupted != 0,
        pc: Pc(word & ((1 << abi::FRAME_ADDRESS_BITS) - 1)),
        mapping: index.and_then(|index| index.checked_sub(1)),
    }
}

fn file(header: &RecordHeader, body: &[u8]) -> Result<AnnouncedFile, DecodeError> {
    let (body, rest) = split::<FileBody>(body, "file")?;
    let (path, _slack) = take(rest, body.path_bytes.into(), "path")?;
    let key = body.key;
    let named = Named::new(header, path, body.own_path_bytes, body.link_count);
    let build_id = usize::try_from(body.build_id_bytes).ok().and_then(|bytes| body.build_id.get(..bytes));
    Ok(AnnouncedFile {
        id: body.id,
        key,
        nowhere: header.flags & abi::FLAG_NO_PARENT_DIRECTORY != 0,
        file: MappedFile {
            own_path: named.own_path,
            identity: key.identity(),
            size: body.size,
            state: named.state,
            truncated: named.truncated,
            build_id: build_id.and_then(BuildId::new),
            ..MappedFile::at(&named.path)
        },
    })
}

fn cgroup(header: &RecordHeader, body: &[u8]) -> Result<AnnouncedCgroup, DecodeError> {
    let (body, rest) = split::<CgroupBody>(body, "control group")?;
    let (unified, rest) = take(rest, body.unified_bytes.into(), "path")?;
    let (legacy, _slack) = take(rest, body.legacy_bytes.into(), "path")?;
    let cgroup = Cgroup {
        id: CgroupId(body.number),
        path: group_path(unified),
        legacy_path: (body.key.legacy != 0).then(|| group_path(legacy)),
        truncated: header.flags & abi::FLAG_PATH_TRUNCATED != 0,
    };
    Ok(AnnouncedCgroup { key: body.key, cgroup })
}

/// Builds a path from its names, which come from the last to the first, each ended by NUL.
fn group_path(names: &[u8]) -> Box<Path> {
    let mut path = Vec::with_capacity(names.len() + 1);
    for name in names.split(|&byte| byte == 0).rev().filter(|name| !name.is_empty()) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    to_path(if path.is_empty() { b"/" } else { &path })
}

/// The path that a walk of dentries and mounts found.
struct Named {
    path: Box<Path>,
    own_path: Option<Box<Path>>,
    state: FileState,
    truncated: bool,
}

impl Named {
    fn new(header: &RecordHeader, path: &[u8], own_path_bytes: u16, link_count: u32) -> Self {
        let own = path.len().checked_sub(own_path_bytes.into()).and_then(|start| path.get(start..));
        // The kernel marks the link in the same way: by the name that was opened, even if the file has others.
        let name_gone = link_count == 0 || header.flags & abi::FLAG_NAME_GONE != 0;
        let state = match (header.flags & abi::FLAG_NO_PARENT_DIRECTORY != 0, name_gone) {
            (true, _) => FileState::Memfd,
            (false, true) => FileState::Deleted,
            (false, false) => FileState::Linked,
        };
        Self {
            path: to_path(path),
            // The walk does not come by the task's root if that is elsewhere; then there is no other view to report.
            own_path: own.filter(|own| !own.is_empty() && own.len() < path.len()).map(to_path),
            state,
            truncated: header.flags & abi::FLAG_PATH_TRUNCATED != 0,
        }
    }
}

fn seen(header: &RecordHeader, body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (executable, _rest, image) = executable(header, body)?;
    Ok(ProcessTransition::Seen { executable, comm: comm(header), relatives: relatives(&image.relatives) })
}

fn exec(header: &RecordHeader, body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (executable, rest, image) = executable(header, body)?;
    let (filename, rest) = take(rest, image.filename_bytes.into(), "filename")?;
    let (interpreter, rest) = take(rest, image.interpreter_bytes.into(), "interpreter")?;
    let (environment, rest) = take(rest, image.environment_bytes.into(), "environment")?;
    let (arguments, _slack) = take(rest, image.arguments_bytes.into(), "arguments")?;
    Ok(ProcessTransition::Exec {
        // An exec always has a file; one whose walk failed is still an exec, of an unknown file.
        executable: executable.unwrap_or_else(|| Box::new(unknown_executable(&image))),
        comm: comm(header),
        filename: filename.into(),
        interpreter: (!interpreter.is_empty()).then(|| interpreter.into()),
        environment: (header.flags & abi::FLAG_ENVIRONMENT_READ != 0).then(|| environment.into()),
        arguments: arguments.into(),
        relatives: relatives(&image.relatives),
    })
}

type ExecutableAndRest<'a> = (Option<Box<Executable>>, &'a [u8], ImageBody);

fn executable<'a>(header: &RecordHeader, body: &'a [u8]) -> Result<ExecutableAndRest<'a>, DecodeError> {
    let (image, rest) = split::<ImageBody>(body, "image")?;
    let (path, rest) = take(rest, image.path_bytes.into(), "path")?;
    if path.is_empty() {
        return Ok((None, rest, image));
    }
    let Named { path, own_path, state, truncated } =
        Named::new(header, path, image.own_path_bytes, image.link_count);
    let executable = Executable { path, own_path, state, truncated, ..unknown_executable(&image) };
    Ok((Some(Box::new(executable)), rest, image))
}

fn unknown_executable(image: &ImageBody) -> Executable {
    Executable {
        device: image.device,
        inode: image.inode,
        mount_namespace: image.mount_namespace,
        ..Executable::at(Path::new(""))
    }
}

fn fork(body: &[u8]) -> Result<ProcessTransition, DecodeError> {
    let (fork, _slack) = split::<ForkBody>(body, "fork")?;
    Ok(ProcessTransition::Fork {
        parent: key(fork.parent_pid, fork.parent_start_boottime_ns, fork.parent_exec_count),
        relatives: relatives(&fork.relatives),
    })
}

fn relatives(record: &RelativesRecord) -> Relatives {
    Relatives {
        parent: key(record.parent_pid, record.parent_start_boottime_ns, 0).process,
        session: Pid(record.session),
        group: Pid(record.process_group),
        own_pid: Pid(record.own_pid),
        pid_namespace: record.pid_namespace,
        network_namespace: record.network_namespace,
        group_id: Some(record.group_id),
        has_terminal: Some(record.has_terminal != 0),
    }
}

fn image_key(header: &RecordHeader) -> ImageKey {
    key(header.pid, header.start_boottime_ns, header.exec_count)
}

fn key(pid: u32, start_boottime_ns: u64, exec_count: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start_boottime_ns) };
    ImageKey { process, exec_count: ExecCount(exec_count) }
}

/// Reads a thread's name. The kernel side writes up to the first NUL; later bytes in the slot are left from an older
/// record.
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

type Words<'a> = (std::iter::Map<std::slice::Iter<'a, [u8; 8]>, fn(&[u8; 8]) -> u64>, &'a [u8]);

fn words<'a>(bytes: &'a [u8], count: usize, part: &'static str) -> Result<Words<'a>, DecodeError> {
    let (words, rest) = take(bytes, count * size_of::<u64>(), part)?;
    let (words, _none) = words.as_chunks();
    Ok((words.iter().map(|word| u64::from_ne_bytes(*word)), rest))
}

fn take<'a>(bytes: &'a [u8], count: usize, part: &'static str) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    bytes.split_at_checked(count).ok_or(DecodeError::Truncated { len: bytes.len(), part })
}

#[cfg(test)]
mod tests;
