//! Every attribute name that profiles carry, and the meaning of its value.
//!
//! Names of OpenTelemetry's semantic conventions (1.44) are used wherever one fits; names of our own
//! begin with `procinfo.` (facts of a process), `profile.window.` (counts and losses of a window), `profile.off_cpu.`
//! (facts of time off the CPU) or `profile.stack.` (facts of a stack): see
//! `docs/decisions/attribute-names.md`. A resource has further ones, which come with its image and its host: those are
//! in `docs/metadata.md`.

use pdata::{Code, Frame, Runtime};

/// Resource, string: the service that the process's environment names, else the program that an interpreter runs, by
/// its arguments, else the name of the executable; `[kernel]` for every kernel thread. See `docs/metadata.md`.
///
/// Some readers group by the service name, and fall back to `unknown_service:NAME`. The plain name reads better, and
/// kernel threads share one so that hundreds of short-lived workers do not become as many services.
pub const SERVICE_NAME: &str = pdata::names::SERVICE_NAME;

/// Resource, int: the process, in the agent's pid namespace.
pub const PROCESS_PID: &str = pdata::names::PID;

/// Resource, string: path of the executable, as `readlink /proc/PID/exe` shows it outside a chroot,
/// without a mark such as ` (deleted)`. Absent for a kernel thread and an unresolved process. Bytes
/// that are not UTF-8 are replaced.
pub const PROCESS_EXECUTABLE_PATH: &str = pdata::names::EXECUTABLE_PATH;

/// Resource, string, always present: last part of the path; `[NAME]` for a kernel thread; for an
/// unresolved process the name of the thread first sampled.
pub const PROCESS_EXECUTABLE_NAME: &str = pdata::names::EXECUTABLE_NAME;

/// Resource, string: start of the process, RFC 3339 in UTC with nanoseconds. With
/// [`PROCESS_PID`] it names a process even if the pid is used again.
pub const PROCESS_CREATION_TIME: &str = pdata::names::CREATION_TIME;

/// Resource, string: path of the executable as the process itself sees it, where its root differs
/// (chroot).
pub const EXECUTABLE_OWN_PATH: &str = pdata::names::EXECUTABLE_OWN_PATH;

/// Resource, string: `deleted` if that name of the file was gone, `memfd` if it never had one.
/// Absent while the path names the file.
pub const EXECUTABLE_STATE: &str = pdata::names::EXECUTABLE_STATE;

/// Resource, bool, only ever true: the path was too long for the kernel side, and is its tail.
pub const EXECUTABLE_PATH_TRUNCATED: &str = "procinfo.executable.path_truncated";

/// Resource, string: path of the script that the executable interprets, as passed to `execve`.
pub const SCRIPT_PATH: &str = "procinfo.script.path";

/// Resource, string: interpreter as the script's first line names it.
pub const SCRIPT_INTERPRETER: &str = "procinfo.script.interpreter";

/// Resource, string: path of the dynamic loader, if the program was started through it
/// (`ld-linux-x86-64.so.2 PROGRAM`). While the program has not been met, the executable is the loader.
pub const LOADER_PATH: &str = "procinfo.loader.path";

/// Resource, int: number of the image within the process: how often the process and its ancestors had called `execve`,
/// modulo 2^32.
pub const EXEC_COUNT: &str = "procinfo.exec_count";

/// Resource, bool, only ever true: the image that the process ran is not known.
pub const UNRESOLVED: &str = pdata::names::UNRESOLVED;

/// Sample, int: the thread, by its operating-system number.
pub const THREAD_ID: &str = "thread.id";

/// Sample, string: the thread's name at that instant (`comm`). Absent if the name is empty.
pub const THREAD_NAME: &str = "thread.name";

/// Sample, int: the CPU that the thread ran on.
pub const CPU_LOGICAL_NUMBER: &str = "cpu.logical_number";

/// Sample, string: why the thread was off the CPU: `sleep`, `uninterruptible`, `preempted` or `stopped`. In profiles of
/// time off the CPU alone, where it is always present.
pub const OFF_CPU_REASON: &str = "profile.off_cpu.reason";

/// Sample, string: why the stack lacks its outermost frames: `depth_limit`, `no_unwind_info`, `bad_frame`,
/// `unreadable`, or `pending` (its frames may be incomplete, too). Absent where the stack is whole, and where its
/// source does not report that.
pub const STACK_TRUNCATED: &str = "profile.stack.truncated";

/// Location, string: [`FRAME_TYPE_NATIVE`], [`FRAME_TYPE_KERNEL`], or the runtime that runs the function: `beam`,
/// `cpython`, `dotnet`, `jvm`, `php`, `ruby` or `v8js`.
pub const FRAME_TYPE: &str = "profile.frame.type";

/// Value of [`FRAME_TYPE`]: user code, of whatever kind until its runtime is known.
pub const FRAME_TYPE_NATIVE: &str = "native";

/// Value of [`FRAME_TYPE`]: kernel code.
pub const FRAME_TYPE_KERNEL: &str = "kernel";

/// Returns the value of [`FRAME_TYPE`] for a frame: that of its innermost function, where that is known.
pub(crate) fn frame_type(frame: &Frame) -> &'static str {
    if frame.code.is_kernel() {
        return FRAME_TYPE_KERNEL;
    }
    let named = frame.lines.as_ref().and_then(|lines| lines.0.first()).map(|line| &line.function);
    let function = match &frame.code {
        Code::Interpreted(function, _) => named.or(Some(function)),
        _ => named,
    };
    match function.map_or(Runtime::Native, |function| function.runtime) {
        Runtime::Native => FRAME_TYPE_NATIVE,
        Runtime::Beam => "beam",
        Runtime::CPython => "cpython",
        Runtime::DotNet => "dotnet",
        Runtime::Jvm => "jvm",
        Runtime::Php => "php",
        Runtime::Ruby => "ruby",
        Runtime::V8 => "v8js",
        // The conventions have no word for it, and some readers refuse words that they do not know.
        Runtime::Wasm => FRAME_TYPE_NATIVE,
    }
}

/// Mapping, string: GNU build ID, lower-case hex.
pub const BUILD_ID_GNU: &str = "process.executable.build_id.gnu";

/// Mapping, string: Go build ID.
pub const BUILD_ID_GO: &str = "process.executable.build_id.go";

/// Mapping, string: hash of the file's head, tail and length, lower-case hex. Absent if the file was
/// gone before it could be read; a mapping then carries the GNU build ID alone, or nothing.
pub const BUILD_ID_HTLHASH: &str = "process.executable.build_id.htlhash";

/// Profile, int: samples that the window should have had on the whole host: those delivered, in
/// whichever profile, and those lost.
///
/// Every profile of a window repeats the window's figures. A window in which samples were lost and
/// none delivered has no profile: its losses are added to those of the next window that has one.
pub const WINDOW_SAMPLES_EXPECTED: &str = "profile.window.samples.expected";

/// Profile, int: number of the window's expected samples that were lost. Always present.
pub const WINDOW_SAMPLES_LOST: &str = "profile.window.samples.lost";

/// Profile, int: prefix of the number of samples lost for one reason, such as
/// `profile.window.samples.lost.sample_ring_full`. Present if not zero.
pub const WINDOW_SAMPLES_LOST_BY: &str = "profile.window.samples.lost.";

/// Profile, int: prefix of the number of other records lost for one reason: facts of processes that they carried may be
/// missing. Present if not zero.
pub const WINDOW_RECORDS_LOST_BY: &str = "profile.window.records.lost.";

/// Profile, int: number of processes that the profile's samples are of. In profiles of a group of images alone.
pub const GROUP_PROCESSES: &str = "profile.group.processes";
