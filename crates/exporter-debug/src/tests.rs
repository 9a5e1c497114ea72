//! The reports that the exporter prints.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporterhelper::DeliverySettings;
use pdata::*;
use tower::{Service, ServiceExt};
use windows::GroupBy;

use crate::{Config, DebugExporter, Verbosity};

/// A batch whose clock shows 2026-08-21T09:30:00Z when the monotonic clock shows 0.
fn batch(events: Vec<Event>, watermark: Watermark) -> Batch {
    let unix = UnixNanos::from_nanos(1_787_304_600_000_000_000);
    let clock = ClockOffset::from_readings(KTime::ZERO, BootTime::from_nanos(0), unix);
    Batch { events: Arc::new(events.into()), watermark, clock, ..Batch::default() }
}

fn image(pid: u32, kind: ImageKind) -> Arc<Image> {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
    let key = ImageKey { process, exec_count: ExecCount(1) };
    Arc::new(Image::new(key, UnixNanos::default(), kind))
}

fn program(pid: u32, path: &str, state: FileState) -> Arc<Image> {
    let executable = Executable {
        path: Path::new(path).into(),
        own_path: None,
        state,
        device: 1,
        inode: 2,
        mount_namespace: 3,
        truncated: false,
    };
    image(pid, ImageKind::User { executable: Arc::new(executable), script: None, loader: None })
}

fn samples(image: Option<&Arc<Image>>, count: u64, frame: Frame) -> impl Iterator<Item = Event> {
    let image = image.cloned();
    (0..count).map(move |n| {
        Event::Sample(Sample {
            at: KTime::from_nanos(n),
            key: image.as_ref().map_or(ImageKey::default(), |image| image.key),
            tid: Tid(1),
            measure: Measure::OnCpu { period: Duration::from_millis(10) },
            cpu: 0,
            comm: Comm(*b"gone\0\0\0\0\0\0\0\0\0\0\0\0"),
            context: Context::default(),
            running: Running::Program,
            stack: Stack::new([frame.clone()]),
            image: image.clone(),
        })
    })
}

fn events() -> Vec<Event> {
    let kthread = image(2, ImageKind::Kernel(Comm(*b"kworker/0:1\0\0\0\0\0")));
    let cc = [program(10, "/usr/bin/cc", FileState::Linked), program(11, "/usr/bin/cc", FileState::Linked)];
    let old = program(12, "/tmp/old\u{1b}[2J", FileState::Deleted);
    let file = MappedFile::at(Path::new("/usr/bin/cc"));
    let mapping = Mapping {
        start: Pc(0x7000),
        end: Pc(0x8000),
        file_offset: FileOffset(0x1000),
        backing: Backing::File(Arc::new(file)),
    };
    let mapping = Arc::new(mapping);
    let mut events = Vec::new();
    events.extend(samples(Some(&cc[0]), 200, Frame::exact(Pc(0x7010), Code::Mapped(Arc::clone(&mapping)))));
    events.extend(samples(Some(&cc[0]), 50, Frame::exact(Pc(0xffff), Code::Kernel)));
    events.extend(samples(Some(&cc[1]), 25, Frame::exact(Pc(0x7020), Code::Mapped(mapping))));
    events.extend(samples(Some(&kthread), 10, Frame::exact(Pc(0xfffe), Code::Kernel)));
    events.extend(samples(Some(&old), 5, Frame::exact(Pc(0x10), Code::Unknown)));
    events.extend(samples(None, 1, Frame::exact(Pc(0x20), Code::Unknown)));
    let until = KTime::from_nanos(1_000);
    events.push(Event::Loss(Loss { from: KTime::ZERO, until, reason: LossReason::SampleRingFull, count: 9 }));
    events.push(Event::Loss(Loss {
        from: KTime::ZERO,
        until,
        reason: LossReason::LifecycleRingFull,
        count: 2,
    }));
    events
}

#[derive(Clone, Default)]
struct SharedOutput(Arc<Mutex<Vec<u8>>>);

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn printed(verbosity: Verbosity, top: usize, events: Vec<Event>) -> String {
    printed_by(Config { verbosity, top, ..Config::default() }, events).await
}

async fn printed_by(config: Config, events: Vec<Event>) -> String {
    let out = SharedOutput::default();
    let mut exporter = DebugExporter::new(&DeliverySettings::new("debug"), config, out.clone());
    let watermark = Watermark::before(KTime::from_nanos(5_000_000_000));
    let answer = exporter.ready().await.unwrap().call(batch(events, watermark)).await.unwrap();
    assert_eq!(answer, watermark, "printed before it is answered");
    String::from_utf8(out.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn basic_is_a_line_of_counts() {
    assert_eq!(
        printed(Verbosity::Basic, 20, events()).await,
        "2026-08-21T09:30:00Z 5.0 s: resource profiles: 5, sample records: 6, samples: 291, lost: 9\n"
    );
}

#[tokio::test]
async fn normal_is_a_table_of_executables_in_percent_of_one_cpu() {
    assert_eq!(
        printed(Verbosity::Normal, 20, events()).await,
        "\
2026-08-21T09:30:00Z, 5.0 s: 291 samples
   CPU %  SAMPLES   PIDS  EXECUTABLE
    55.0      275      2  /usr/bin/cc
     2.0       10      1  [kworker/0:1]
     1.0        5      1  /tmp/old\\u{1b}[2J (deleted)
     0.2        1      1  gone (unresolved)
    58.2      291      5  total
     1.8        9         lost: sample_ring_full 9, lifecycle_ring_full 2

"
    );
}

/// An image that is in two containers one after the other has a row in each; a row names its attributes in order.
#[tokio::test]
async fn rows_are_what_users_group_by() {
    let in_container = |number: u32, id: Option<&'static str>| {
        let mut image = (*program(10, "/usr/bin/cc", FileState::Linked)).clone();
        let cgroup =
            Cgroup { id: CgroupId(number), path: Path::new("/").into(), legacy_path: None, truncated: false };
        image.context = Some(Context { cgroup: Some(Arc::new(cgroup)), user: None });
        image.attributes.add(id.iter().map(|id| Attribute::text("container.id", *id)).collect());
        Arc::new(image)
    };
    let frame = Frame::exact(Pc(1), Code::Unknown);
    let mut events: Vec<_> = samples(Some(&in_container(1, Some("aa\n"))), 3, frame.clone()).collect();
    events.extend(samples(Some(&in_container(2, None)), 2, frame));
    let group_by = vec![GroupBy::Container, GroupBy::Executable];
    let text = printed_by(Config { group_by, ..Config::default() }, events).await;
    assert_eq!(
        text.lines().skip(1).take(4).collect::<Vec<_>>(),
        [
            "   CPU %  SAMPLES   PIDS  CONTAINER  EXECUTABLE",
            "     0.6        3      1  aa\\n  /usr/bin/cc",
            "     0.4        2      1  -  /usr/bin/cc",
            "     1.0        5      2  total",
        ]
    );
}

#[tokio::test]
async fn a_table_is_cut_and_the_rest_summed_up() {
    let text = printed(Verbosity::Normal, 1, events()).await;
    assert_eq!(
        text.lines().skip(2).take(3).collect::<Vec<_>>(),
        [
            "    55.0      275      2  /usr/bin/cc",
            "     3.2       16      3  (3 more)",
            "    58.2      291      5  total",
        ]
    );
}

#[tokio::test]
async fn detailed_adds_each_process_and_where_it_was() {
    let text = printed(Verbosity::Detailed, 3, events()).await;
    assert_eq!(
        text.lines().skip(8).collect::<Vec<_>>(),
        [
            "pid 10 /usr/bin/cc, 250 samples",
            "              200  /usr/bin/cc offset 0x1010",
            "               50  [kernel] 0xffff",
            "pid 11 /usr/bin/cc, 25 samples",
            "               25  /usr/bin/cc offset 0x1020",
            "pid 2 [kworker/0:1], 10 samples",
            "               10  [kernel] 0xfffe",
            "(2 processes not listed)",
            "",
        ]
    );
}

/// A writer that fails like a pipe whose reader is gone.
struct Gone(Arc<Mutex<u32>>);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        *self.0.lock().unwrap() += 1;
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_is_gone_is_tried_once_and_the_stream_goes_on() {
    let writes = Arc::new(Mutex::new(0));
    let mut exporter =
        DebugExporter::new(&DeliverySettings::new("debug"), Config::default(), Gone(Arc::clone(&writes)));
    for second in [5, 10, 15] {
        let at = KTime::from_nanos(second * 1_000_000_000);
        let frame = Frame::exact(Pc(1), Code::Unknown);
        let mut events: Vec<_> = samples(None, 1, frame).collect();
        if let [Event::Sample(sample)] = events.as_mut_slice() {
            sample.at = at.saturating_sub(Duration::from_secs(5));
        }
        let answer = exporter.ready().await.unwrap().call(batch(events, Watermark::before(at))).await;
        assert_eq!(answer.unwrap(), Watermark::before(at));
    }
    assert_eq!(*writes.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_window_without_samples_prints_nothing_unless_something_was_lost() {
    assert_eq!(printed(Verbosity::Normal, 20, Vec::new()).await, "");
    let at = KTime::ZERO;
    let loss = Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: 1 });
    let text = printed(Verbosity::Normal, 20, vec![loss]).await;
    assert!(text.contains("lost: sample_ring_full 1"), "{text}");
}
