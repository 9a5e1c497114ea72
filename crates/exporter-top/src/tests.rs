//! Tests of the exporter with watchers, over a real socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use componentstatus::{Board, Kind};
use exporterhelper::{Delivery, DeliverySettings};
use pdata::{Batch, ClockOffset, Comm, Event, KTime, Loss, LossReason, Measure, Sample, Watermark};
use profile_seconds::{Hello, Losses, LostRecords, Message, MessageReader, Report};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tower::{Service as _, ServiceExt as _};

use crate::audience::READ_WITHIN;
use crate::{Config, TopExporter};

/// Longest time that a message may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Watcher {
    stream: UnixStream,
    reader: MessageReader,
    /// Seconds that were not sent.
    skipped: u64,
    /// Records lost in those seconds.
    lost: Losses,
}

impl Watcher {
    async fn connect(path: &Path) -> Self {
        Self {
            stream: UnixStream::connect(path).await.unwrap(),
            reader: MessageReader::default(),
            skipped: 0,
            lost: Losses::default(),
        }
    }

    /// The next message; `None` once the agent has hung up.
    async fn next(&mut self) -> Option<Message> {
        let mut piece = vec![0; 4_096];
        loop {
            if let Some(message) = self.reader.take().unwrap() {
                return Some(message);
            }
            match timeout(PATIENCE, self.stream.read(&mut piece)).await.unwrap() {
                Ok(length) if length > 0 => self.reader.push(&piece[..length]),
                _ => return None,
            }
        }
    }

    async fn greeted(self) -> Self {
        self.greeting().await.0
    }

    async fn greeting(mut self) -> (Self, Hello) {
        match self.next().await {
            Some(Message::Hello(hello)) if hello.pid == std::process::id() => (self, hello),
            other => panic!("{other:?}"),
        }
    }

    /// Counts the losses in all that is sent until the agent hangs up.
    async fn read_to_end(&mut self) {
        while let Some(message) = self.next().await {
            match message {
                Message::Report(report) => self.lost.add(&report.second.lost),
                Message::Skipped { lost, .. } => self.lost.add(&lost),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn report(&mut self) -> Report {
        loop {
            match self.next().await {
                Some(Message::Report(report)) => return *report,
                Some(Message::Skipped { seconds, lost }) => {
                    self.skipped += seconds;
                    self.lost.add(&lost);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A second in which each of `threads` threads of unknown processes was sampled once, and `second` samples were lost.
fn batch(second: u64, threads: u32) -> Batch {
    let sample = |thread: u32| {
        let mut comm = [0; 16];
        comm[..10].copy_from_slice(format!("{thread:010}").as_bytes());
        Event::Sample(Sample {
            at: KTime::from_nanos(second * 1_000_000_000),
            measure: Measure::OnCpu { period: Duration::from_millis(10) },
            comm: Comm(comm),
            ..Sample::default()
        })
    };
    let watermark = Watermark::before(KTime::from_nanos((second + 1) * 1_000_000_000));
    let at = KTime::from_nanos(second * 1_000_000_000);
    let loss = Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count: second });
    Batch::new((0..threads).map(sample).chain([loss]).collect(), watermark, ClockOffset::default())
}

fn start(path: &Path, board: &Arc<Board>) -> Delivery<TopExporter> {
    let config = Config { endpoint: path.to_owned(), group: None };
    TopExporter::start(&DeliverySettings::new("top"), &config, Arc::clone(board)).unwrap()
}

async fn send(exporter: &mut Delivery<TopExporter>, batch: Batch) {
    let done = batch.watermark;
    assert_eq!(exporter.ready().await.unwrap().call(batch).await.unwrap(), done);
}

#[tokio::test]
async fn who_is_attached_sees_each_second_and_the_stages_and_the_socket_goes_with_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("top.sock");
    let board = Arc::<Board>::default();
    let stage = board.stage(Kind::Receiver, "ebpf", &[]);
    let mut exporter = start(&path, &board);
    send(&mut exporter, batch(3, 9)).await;
    let mut watcher = Watcher::connect(&path).await.greeted().await;
    stage.forwarded(7, Watermark::before(KTime::from_nanos(1)));
    // The first second may have begun before the watcher connected.
    for second in [3, 4, 5] {
        send(&mut exporter, batch(second, 2)).await;
    }
    let (first, second) = (watcher.report().await, watcher.report().await);
    assert_eq!((first.second.number, first.second.samples, second.second.number), (4, 2, 5));
    assert_eq!(
        (&*first.stages[0].kind, &*first.stages[0].id, first.stages[0].samples),
        ("receiver", "ebpf", 7)
    );
    assert!(first.cpus > 0 && first.agent.memory_bytes > 0 && !first.agent.threads.is_empty());
    let end = Batch { watermark: Watermark::END, ..Batch::default() };
    send(&mut exporter, end).await;
    assert!(!path.exists());
    assert_eq!(watcher.next().await, None);
    let _successor = start(&path, &board);
    Watcher::connect(&path).await.greeted().await;
}

/// A watcher that does not read holds up neither the pipeline nor other watchers, and keeps its place as they do.
#[tokio::test]
async fn who_does_not_read_misses_seconds_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("top.sock");
    let mut exporter = start(&path, &Arc::default());
    let silent = Watcher::connect(&path).await.greeted().await;
    let mut watcher = Watcher::connect(&path).await.greeted().await;
    // A line is so long that a socket holds only a few.
    send(&mut exporter, batch(0, 1)).await;
    for second in 1..30 {
        send(&mut exporter, batch(second, 1_000)).await;
        assert_eq!(watcher.report().await.second.number, second);
    }
    let mut silent = silent;
    let mut seen = Vec::new();
    while seen.last() != Some(&29) {
        let second = silent.report().await.second;
        seen.push(second.number);
        silent.lost.add(&second.lost);
    }
    assert!(seen.len() < 29 && seen.is_sorted(), "{seen:?}");
    let skipped = usize::try_from(silent.skipped).unwrap();
    assert_eq!(seen.len() + skipped, 29, "each second is seen, or is said to be missing: {seen:?}");
    assert_eq!(
        silent.lost.take(),
        [("sample_ring_full".into(), true, (1..=29).sum())],
        "what was lost in those is counted, too"
    );
}

fn lost(count: u64) -> Vec<LostRecords> {
    vec![("sample_ring_full".into(), true, count)]
}

/// A watcher that is cut off because it has not read for too long, and attaches again later, finds in the greeting what
/// was lost meanwhile: in seconds that it was not sent, and while nobody was attached.
#[tokio::test]
async fn what_is_lost_while_a_watcher_is_cut_off_is_in_the_next_greeting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("top.sock");
    let mut exporter = start(&path, &Arc::default());
    send(&mut exporter, batch(1, 1)).await;
    let (mut silent, first) = Watcher::connect(&path).await.greeting().await;
    assert_eq!(first.lost, lost(1), "what was lost before is not this watcher's");
    // A line is so long that a socket holds only a few: the watcher's task waits for it to read.
    for second in 2..30 {
        send(&mut exporter, batch(second, 1_000)).await;
    }
    tokio::time::pause();
    tokio::time::advance(READ_WITHIN * 2).await;
    tokio::time::resume();
    // The place of the watcher is empty now, and the open second ends with the reporter.
    silent.read_to_end().await;
    for second in 30..33 {
        send(&mut exporter, batch(second, 1)).await;
    }
    let (mut again, second) = Watcher::connect(&path).await.greeting().await;
    assert_eq!((second.since, second.lost), (first.since, lost((1..33).sum())));
    let mut known = Losses::default();
    known.add(&first.lost);
    known.add(&silent.lost.take());
    let mut all = Losses::default();
    all.add(&lost((1..33).sum()));
    assert!(!all.since(&known).is_empty(), "the watcher was cut off before it was sent all");

    for second in 33..36 {
        send(&mut exporter, batch(second, 1)).await;
    }
    let report = again.report().await;
    assert_eq!((report.second.number, report.second.lost), (34, lost(33 + 34)), "33 was cut");
    let end = Batch { watermark: Watermark::END, ..Batch::default() };
    send(&mut exporter, end).await;
    let _next = start(&path, &Arc::default());
    let (_, third) = Watcher::connect(&path).await.greeting().await;
    assert!(third.since > second.since && third.lost.is_empty(), "another agent counts from its own start");
}

#[tokio::test]
async fn the_places_are_bounded_and_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("top.sock");
    let _exporter = start(&path, &Arc::default());
    let mut watchers = Vec::new();
    for _ in 0..16 {
        watchers.push(Watcher::connect(&path).await.greeted().await);
    }
    let mut late = Watcher::connect(&path).await;
    let refused = late.next().await;
    assert!(
        matches!(&refused, Some(Message::Refused { reason }) if reason.contains("16 programs")),
        "{refused:?}"
    );
    assert_eq!(late.next().await, None);
    watchers.pop();
    loop {
        // The place is free once the agent has seen that its holder has left.
        if let Some(Message::Hello(_)) = Watcher::connect(&path).await.next().await {
            return;
        }
        tokio::task::yield_now().await;
    }
}
