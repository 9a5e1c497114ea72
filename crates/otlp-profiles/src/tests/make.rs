//! Input: images, mappings, samples, batches, and strategies for streams of them.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pdata::*;
use proptest::prelude::*;

pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// A wall clock that shows `unix` when the monotonic and the boot clock show 0.
pub(super) fn clock(unix: u64) -> ClockOffset {
    ClockOffset::from_readings(KTime::ZERO, BootTime::from_nanos(0), UnixNanos::from_nanos(unix))
}

pub(super) fn batch(events: Vec<Event>, watermark: Watermark) -> Batch {
    Batch { events: Arc::new(events.into()), watermark, clock: clock(1_000_000), ..Batch::default() }
}

pub(super) fn before(nanos: u64) -> Watermark {
    Watermark::before(KTime::from_nanos(nanos))
}

pub(super) fn comm(name: &str) -> Comm {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Comm(bytes)
}

pub(super) fn key(pid: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(u64::from(pid)) };
    ImageKey { process, exec_count: ExecCount(1) }
}

pub(super) fn executable(path: &str) -> Executable {
    Executable { device: 1, inode: 2, mount_namespace: 3, ..Executable::at(Path::new(path)) }
}

pub(super) fn image(pid: u32, path: &str) -> Arc<Image> {
    let kind = ImageKind::User { executable: Arc::new(executable(path)), script: None, loader: None };
    Arc::new(Image::new(key(pid), UnixNanos::from_nanos(7), kind))
}

pub(super) fn sample(at: u64, image: Option<Arc<Image>>, stack: Vec<Frame>) -> Sample {
    Sample {
        at: KTime::from_nanos(at),
        key: image.as_ref().map_or(key(99), |image| image.key),
        measure: Measure::OnCpu { period: PERIOD },
        tid: Tid(5),
        cpu: 0,
        comm: comm("worker"),
        context: Context::default(),
        running: Running::Program,
        stack: Stack::new(stack),
        image,
    }
}

pub(super) fn loss(until: u64, reason: LossReason, count: u64) -> Event {
    let until = KTime::from_nanos(until);
    Event::Loss(Loss { from: until, until, reason, count })
}

pub(super) fn file(path: &str, segments: Option<Vec<Segment>>) -> Arc<MappedFile> {
    let facts = OnceLock::new();
    if let Some(segments) = segments {
        let known = FileFacts {
            htlhash: [0xab; 16],
            build_id: BuildId::new(&[1, 2]),
            go_build_id: Some("go/id".into()),
            segments: segments.into(),
        };
        facts.set(known).unwrap();
    }
    Arc::new(MappedFile { facts, ..MappedFile::at(Path::new(path)) })
}

pub(super) fn segment(file_offset: u64, size: u64, address: u64) -> Segment {
    Segment { file_offset: FileOffset(file_offset), size, address: ElfAddress(address) }
}

pub(super) fn mapping(file: &Arc<MappedFile>, start: u64, end: u64, file_offset: u64) -> Arc<Mapping> {
    Arc::new(Mapping {
        start: Pc(start),
        end: Pc(end),
        file_offset: FileOffset(file_offset),
        backing: Backing::File(Arc::clone(file)),
    })
}

pub(super) fn special(name: &str, start: u64, end: u64) -> Arc<Mapping> {
    no_file(Backing::Special(name.into()), start, end)
}

pub(super) fn no_file(backing: Backing, start: u64, end: u64) -> Arc<Mapping> {
    Arc::new(Mapping { start: Pc(start), end: Pc(end), file_offset: FileOffset(0), backing })
}

/// A few images, mappings and threads, for streams in which values meet again.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) images: Vec<Option<Arc<Image>>>,
    pub(super) mappings: Vec<Arc<Mapping>>,
    pub(super) functions: Vec<Arc<Function>>,
    pub(super) lines: Vec<Arc<Lines>>,
}

pub(super) fn world() -> World {
    let read =
        file("/usr/bin/a", Some(vec![segment(0x1000, 0x800, 0x40_1000), segment(0x1800, 0x800, 0x80_1800)]));
    let unread = file("/usr/lib/b.so", None);
    let kernel = Image::new(key(2), UnixNanos::from_nanos(3), ImageKind::Kernel(comm("kthreadd")));
    World {
        images: vec![
            Some(image(10, "/usr/bin/a")),
            Some(image(11, "/usr/bin/a")),
            Some(image(12, "/opt/c")),
            // Equal to the first one, but elsewhere in memory.
            Some(image(10, "/usr/bin/a")),
            Some(Arc::new(kernel)),
            None,
        ],
        mappings: vec![
            mapping(&read, 0x5000_1000, 0x5000_2000, 0x1000),
            mapping(&read, 0x7000_1000, 0x7000_2000, 0x1000),
            mapping(&unread, 0x6000_0000, 0x6000_1000, 0),
            special("[vdso]", 0x9000, 0xa000),
            no_file(Backing::Anonymous(key(10).process), 0xb000, 0xc000),
            kernel_image(KERNEL, BuildId::new(&[7; 20])),
            kernel_image("[ext4]", None),
        ],
        // The same twice, but elsewhere in memory.
        functions: [3, 3, 0].map(function).into(),
        lines: [&[(3, 7)][..], &[(3, 7)], &[(0, 0)], &[(3, 7), (4, 8), (5, 0)]].map(lines).into(),
    }
}

pub(super) fn function(start_line: u32) -> Arc<Function> {
    let file = (start_line > 0).then(|| "app/main.py".into());
    let runtime = if start_line == 3 { Runtime::CPython } else { Runtime::Native };
    Arc::new(Function { name: "main.run".into(), system_name: None, file, start_line, runtime })
}

/// Lines of functions: where each starts, and the line in it.
pub(super) fn lines(of: &[(u32, u32)]) -> Arc<Lines> {
    let line = |&(start, line)| Line { function: function(start), line };
    Arc::new(Lines(of.iter().map(line).collect()))
}

/// A mapping of the kernel or of a module, of 256 MiB.
pub(super) fn kernel_image(name: &str, build_id: Option<BuildId>) -> Arc<Mapping> {
    let backing = Backing::Kernel(Arc::new(KernelImage { name: name.into(), build_id }));
    no_file(backing, 0xffff_ffff_8000_0000, 0xffff_ffff_9000_0000)
}

pub(super) fn kernel(pc: u64) -> Frame {
    Frame::exact(Pc(pc), Code::Kernel)
}

pub(super) fn mapped(pc: u64, mapping: &Arc<Mapping>) -> Frame {
    Frame::exact(Pc(pc), Code::Mapped(Arc::clone(mapping)))
}

fn frame(world: World) -> impl Strategy<Value = Frame> {
    let World { mappings, functions, lines, .. } = world;
    let kind = prop::sample::select(vec![AddressKind::Exact, AddressKind::Return]);
    let named = prop::option::weighted(0.3, prop::sample::select(lines));
    (0..10_usize, 0..0x1000_u64, kind, named).prop_map(move |(which, into, kind, lines)| {
        let (base, code) = match (which, mappings.get(which)) {
            (_, Some(mapping)) => (mapping.start.0, Code::Mapped(Arc::clone(mapping))),
            (7, None) => (0, Code::Unknown),
            (8, None) => {
                let number = usize::try_from(into).unwrap() % functions.len();
                (0, Code::Interpreted(Arc::clone(&functions[number]), u32::try_from(into % 7).unwrap()))
            }
            _ => (0xffff_ffff_8000_0000, Code::Kernel),
        };
        Frame { pc: Pc(base + into), kind, code, lines }
    })
}

fn measure() -> impl Strategy<Value = Measure> {
    let reason = prop::sample::select(vec![OffCpuReason::Sleep, OffCpuReason::Preempted]);
    let nanos = prop_oneof![0..300_u64, Just(u64::MAX)];
    let off_cpu = (nanos, reason)
        .prop_map(|(nanos, reason)| Measure::OffCpu { blocked: Duration::from_nanos(nanos), reason });
    prop_oneof![3 => Just(Measure::OnCpu { period: PERIOD }), 1 => off_cpu]
}

/// Samples whose stamps are below `end`, in no order.
pub(super) fn samples(end: u64, max: usize) -> impl Strategy<Value = Vec<Sample>> {
    let world = world();
    let ends = vec![StackEnd::NotReported, StackEnd::Root, StackEnd::Pending, StackEnd::DepthLimit];
    let frames = prop::collection::vec(frame(world.clone()), 0..6);
    let stack =
        (frames, prop::sample::select(ends)).prop_map(|(frames, end)| Stack { frames: frames.into(), end });
    let one = (0..end, 0..world.images.len(), stack, 1..4_u32, 0..2_u32, 0..3_usize, measure());
    let one = one.prop_map(move |(at, image, stack, tid, cpu, name, measure)| Sample {
        measure,
        tid: Tid(tid),
        cpu,
        comm: comm(["", "worker", "gc"][name]),
        stack,
        ..sample(at, world.images[image].clone(), Vec::new())
    });
    prop::collection::vec(one, 0..max)
}
