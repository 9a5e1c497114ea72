//! Loads and attaches the BPF object; the only module that names its programs and maps.

use std::error::Error;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use aya::maps::{Array, ArrayOfMaps, HashMap, Map, MapData, MapError, RingBuf};
use aya::programs::perf_event::{
    PerfEventConfig, PerfEventLinkId, PerfEventScope, SamplePolicy, SoftwareEvent,
};
use aya::programs::{BtfTracePoint, Iter, PerfEvent, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};
use pdata::LossReason;

use zerocopy::IntoBytes;

use crate::abi::{self, CgroupKey, FileKey};
use crate::config::UnwindConfig;
use crate::counters::Counters;
use crate::environment::Environments;
use crate::error::{StartError, attach};
use crate::horizon::Barrier;
use crate::identify::Identifier;
use crate::kernel_types::KernelTypes;
use crate::memory::SharedMemory;
use crate::pid_namespace::PidNamespace;
use crate::ring::Ring;
use crate::room::Room;
use crate::unwind::{PAGES_BYTES, RULES_BYTES, RowMaps, WalkMaps};
use crate::verifier;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/profiler.bpf.o"));

/// Program and tracepoint of each kind of process event.
const LIFECYCLE: [(&str, &str); 5] = [
    ("on_exec", "sched_process_exec"),
    ("on_fork", "sched_process_fork"),
    ("on_exit", "sched_process_exit"),
    ("on_free", "sched_process_free"),
    ("on_rename", "task_rename"),
];
const SAMPLER: &str = "sample_cpu";
const TASKS: (&str, &str) = ("snapshot_task", "task");
const CENSUS: (&str, &str) = ("census_task", "task");

const SAMPLES: &str = "samples";
const LIFECYCLE_RECORDS: &str = "lifecycle";
const COUNTERS: &str = "counters";
const WAKEUPS: &str = "wakeups";
const BARRIER: &str = "barrier";
const BARRIER_ELEMENT: &str = "barrier_element";
const ANNOUNCED_FILES: &str = "announced_files";
const ANNOUNCED_CGROUPS: &str = "announced_cgroups";
const WANTED_ENVIRONMENT: &str = "wanted_environment";
const LEGACY_CONTROLLERS: &str = "legacy_controllers";
const PID_NAMESPACE: &str = "pid_namespace";
const PAGE_SHIFT: &str = "page_shift";
const ROW_FILES: &str = "row_files";
const ROW_PAGES: &str = "row_pages";
const ROW_CHUNKS: &str = "row_chunks";
const ROW_ASKS: &str = "row_asks";
const RULES: &str = "unwind_rules";
const UNWIND_ROWS: &str = "unwind_rows";
const MAX_USER_FRAMES: &str = "max_user_frames";
const RAW_PER_SECOND: &str = "raw_per_second";

/// Bytes of the ring of asks: an ask takes 16 bytes, and each page is asked for once.
const ASK_RING: u32 = 64 << 10;
/// The loaded object. Dropping it detaches everything.
#[derive(Debug)]
pub(crate) struct Programs {
    ebpf: Ebpf,
}

/// The maps that user space reads.
pub(crate) struct Maps {
    pub samples: Ring,
    pub lifecycle: Ring,
    /// A ring without data: it wakes the reader.
    pub wakeups: Ring,
    pub counters: SharedMemory,
    pub announced_files: AnnouncedFiles,
    pub announced_cgroups: AnnouncedCgroups,
    pub environments: Environments,
    pub barrier: Barrier,
    /// The maps of walks; `None` if stacks are followed by frame pointers alone.
    pub walk: Option<WalkMaps>,
}

/// Files that the kernel side has announced, and will not announce again.
#[derive(Debug)]
pub(crate) struct AnnouncedFiles(HashMap<MapData, [u8; size_of::<FileKey>()], u64>);

impl AnnouncedFiles {
    /// Has the kernel side announce these files again when it next meets them.
    pub(crate) fn forget(&mut self, files: Vec<FileKey>) {
        for key in files {
            let mut bytes = [0; size_of::<FileKey>()];
            bytes.copy_from_slice(key.as_bytes());
            // The kernel forgets files by itself too, so this one may be gone already.
            let _ = self.0.remove(&bytes);
        }
    }
}

/// Control groups that the kernel side has announced, and will not announce again.
#[derive(Debug)]
pub(crate) struct AnnouncedCgroups(HashMap<MapData, [u8; size_of::<CgroupKey>()], u32>);

impl AnnouncedCgroups {
    /// Has the kernel side announce these groups again when it next meets them.
    pub(crate) fn forget(&mut self, cgroups: Vec<CgroupKey>) {
        for key in cgroups {
            let mut bytes = [0; size_of::<CgroupKey>()];
            bytes.copy_from_slice(key.as_bytes());
            // As for files, the kernel may have forgotten these groups already.
            let _ = self.0.remove(&bytes);
        }
    }
}

/// The kernel's measurements of a program since it was loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub program: &'static str,
    pub count: u64,
    pub time: Duration,
}

/// A program that stays attached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttachedProgram {
    pub name: &'static str,
    /// The kind of loss that each skipped run is.
    pub skips: LossReason,
}

impl Programs {
    /// Loads and verifies maps and programs, as large as there is room; attaches nothing. `cpus`: the number of CPUs
    /// that are online; `numbers`: one more than the highest number that any CPU may have.
    ///
    /// Without rows the walk is no part of the sampler: the verifier removes what a constant switches off.
    pub(crate) fn load(
        (cpus, numbers): (usize, u32),
        unwind: &UnwindConfig,
        room: Room,
    ) -> Result<(Self, Maps, Identifier), StartError> {
        let load = |error| StartError::Load(Box::new(error));
        let btf = KernelTypes::read().map_err(|error| load(error.into()))?;
        let (sample_ring, lifecycle_ring) = (room.sample_ring(cpus), room.lifecycle_ring());
        let page = rustix::param::page_size();
        // The wake-up ring is the smallest that there is.
        let wakeup_ring = u32::try_from(page).unwrap_or(u32::MAX);
        let row_pages = if unwind.enabled { abi::MAX_ROW_PAGES } else { 1 };
        let ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .map_max_entries(SAMPLES, sample_ring)
            .map_max_entries(LIFECYCLE_RECORDS, lifecycle_ring)
            .map_max_entries(WAKEUPS, wakeup_ring)
            .map_max_entries(ROW_ASKS, ASK_RING)
            .map_max_entries(COUNTERS, numbers)
            .map_max_entries(ROW_PAGES, row_pages)
            .override_global(PAGE_SHIFT, &page.trailing_zeros(), true)
            .override_global(UNWIND_ROWS, &u32::from(unwind.enabled), true)
            .override_global(LEGACY_CONTROLLERS, &legacy_controllers(), true)
            .override_global(PID_NAMESPACE, &PidNamespace::find().map_or(0, PidNamespace::inode), true)
            .override_global(MAX_USER_FRAMES, &unwind.max_frames, true)
            .override_global(RAW_PER_SECOND, &unwind.raw_samples_per_second, true)
            .load(OBJECT)
            .map_err(load)?;
        let mut programs = Self { ebpf };
        programs.verify(&btf)?;
        let rings = [sample_ring, lifecycle_ring, wakeup_ring];
        let maps = programs.take_maps(rings, Counters::bytes(numbers), unwind)?;
        Ok((programs, maps, Identifier::load(&btf)?))
    }

    /// The maps that user space reads and fills; only after the programs are loaded, which find maps by their
    /// descriptors.
    fn take_maps(
        &mut self,
        [sample_ring, lifecycle_ring, wakeup_ring]: [u32; 3],
        counter_bytes: usize,
        unwind: &UnwindConfig,
    ) -> Result<Maps, StartError> {
        let load = |error: MapError| StartError::Load(Box::new(error.into()));
        let ring = |map: Map, bytes| RingBuf::try_from(map).map(|ring| Ring::new(ring, bytes)).map_err(load);
        let share = |map: Map, bytes| SharedMemory::of_array(&map, bytes).map_err(StartError::Memory);
        let mut take = |name| self.ebpf.take_map(name).ok_or(StartError::Missing(name));
        let walk = if unwind.enabled {
            Some(WalkMaps {
                rows: RowMaps::new(take(ROW_FILES)?, take(ROW_CHUNKS)?).map_err(load)?,
                rules: share(take(RULES)?, RULES_BYTES)?,
                pages: share(take(ROW_PAGES)?, PAGES_BYTES)?,
                asks: ring(take(ROW_ASKS)?, ASK_RING)?,
            })
        } else {
            None
        };
        Ok(Maps {
            samples: ring(take(SAMPLES)?, sample_ring)?,
            lifecycle: ring(take(LIFECYCLE_RECORDS)?, lifecycle_ring)?,
            wakeups: ring(take(WAKEUPS)?, wakeup_ring)?,
            counters: share(take(COUNTERS)?, counter_bytes)?,
            announced_files: AnnouncedFiles(HashMap::try_from(take(ANNOUNCED_FILES)?).map_err(load)?),
            announced_cgroups: AnnouncedCgroups(HashMap::try_from(take(ANNOUNCED_CGROUPS)?).map_err(load)?),
            walk,
            environments: Environments::new(Array::try_from(take(WANTED_ENVIRONMENT)?).map_err(load)?),
            barrier: Barrier::new(
                ArrayOfMaps::try_from(take(BARRIER)?).map_err(load)?,
                Array::try_from(take(BARRIER_ELEMENT)?).map_err(load)?,
            ),
        })
    }

    /// Passes every program through the verifier. The kernel's type information takes tens of megabytes, and is needed
    /// by the verifier alone.
    fn verify(&mut self, btf: &Btf) -> Result<(), StartError> {
        for (name, tracepoint) in LIFECYCLE {
            let program = self.program::<BtfTracePoint>(name)?;
            verifier::load(name, || program.load(tracepoint, btf))?;
        }
        for (name, target) in [TASKS, CENSUS] {
            let program = self.program::<Iter>(name)?;
            verifier::load(name, || program.load(target, btf))?;
        }
        let sampler = self.program::<PerfEvent>(SAMPLER)?;
        verifier::load(SAMPLER, || sampler.load())
    }

    /// Attaches the programs by which the kernel reports what happens to processes, from then on.
    pub(crate) fn attach_lifecycle(&mut self) -> Result<(), StartError> {
        for (name, _) in LIFECYCLE {
            self.program::<BtfTracePoint>(name)?.attach().map_err(attach(name))?;
        }
        Ok(())
    }

    /// Opens a list of the processes that there are: records as `ebpf/census.bpf.h` writes them, made while the file is
    /// read.
    pub(crate) fn census(&mut self) -> Result<File, StartError> {
        let (name, _) = CENSUS;
        let program = self.program::<Iter>(name)?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(attach(name))?;
        link.into_file().map_err(|error| StartError::Snapshot(error.into()))
    }

    /// Opens a list of the images that run now: records as `ebpf/snapshot.bpf.h` writes them, made while the file is
    /// read.
    pub(crate) fn snapshot(&mut self) -> Result<File, StartError> {
        let (name, _) = TASKS;
        let failed = |error: Box<dyn Error + Send + Sync>| StartError::Snapshot(error);
        let program = self.program::<Iter>(name)?;
        let link = program.attach().and_then(|id| program.take_link(id)).map_err(attach(name))?;
        let file = link.into_file().map_err(|error| failed(error.into()))?;
        // The kernel keeps the program for as long as the file is open.
        program.unload().map_err(attach(name))?;
        Ok(file)
    }

    /// Starts the timer of a CPU.
    pub(crate) fn attach_sampler(
        &mut self,
        cpu: u32,
        period: Duration,
    ) -> Result<PerfEventLinkId, StartError> {
        let period = SamplePolicy::Period(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX));
        let clock = PerfEventConfig::Software(SoftwareEvent::CpuClock);
        let program = self.program::<PerfEvent>(SAMPLER)?;
        let scope = PerfEventScope::AllProcessesOneCpu { cpu };
        program.attach(clock, scope, period, false).map_err(attach(SAMPLER))
    }

    /// Stops a timer, whose samples stay in the ring.
    pub(crate) fn detach_sampler(&mut self, timer: PerfEventLinkId) {
        let Ok(program) = self.program::<PerfEvent>(SAMPLER) else { return };
        if let Err(error) = program.detach(timer) {
            tracing::warn!(%error, "A sampler could not be detached: it ends with the agent.");
        }
    }

    /// The programs that stay attached, and their descriptors.
    pub(crate) fn attached(&self) -> Vec<(AttachedProgram, RawFd)> {
        let hook = |&(name, _): &(&'static str, _)| AttachedProgram {
            name,
            skips: LossReason::LifecycleHookSkipped,
        };
        let sampler = AttachedProgram { name: SAMPLER, skips: LossReason::SampleHookSkipped };
        let programs = LIFECYCLE.iter().map(hook).chain([sampler]);
        let open = |program: AttachedProgram| {
            let descriptor = self.ebpf.program(program.name)?.fd().ok()?.as_fd().as_raw_fd();
            Some((program, descriptor))
        };
        programs.filter_map(open).collect()
    }

    /// Number and time of the runs of each program that stays attached, as far as the kernel measures them.
    pub(crate) fn runs(&self) -> Vec<Runs> {
        let runs = |(AttachedProgram { name: program, .. }, _)| {
            let info = self.ebpf.program(program)?.info().ok()?;
            Some(Runs { program, count: info.run_count(), time: info.run_time() })
        };
        self.attached().into_iter().filter_map(runs).collect()
    }

    fn program<'a, P>(&'a mut self, name: &'static str) -> Result<&'a mut P, StartError>
    where
        &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
    {
        let program = self.ebpf.program_mut(name).ok_or(StartError::Missing(name))?;
        program.try_into().map_err(attach(name))
    }
}

/// Controllers that have a hierarchy of version 1 now. A controller that gets its hierarchy later is not looked at.
fn legacy_controllers() -> u32 {
    // A kernel without control groups has no such file.
    let cgroups = fs::read("/proc/cgroups").unwrap_or_default();
    let bits = [("pids", abi::LEGACY_PIDS), ("memory", abi::LEGACY_MEMORY), ("cpu", abi::LEGACY_CPU)];
    let legacy = bits.into_iter().filter(|(name, _)| procfs::cgroup::has_legacy_hierarchy(&cgroups, name));
    legacy.fold(0, |all, (_, bit)| all | bit)
}
