//! Tests with made-up samples, seconds and messages.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Batch, BootTime, Census, CensusEntry, ClockOffset, Code, Event, Executable, FileState, Frame, Function,
    Image, ImageKey, ImageKind, KTime, Line, Lines, Loss, LossReason, Measure, Parent, Pc, Pid, ProcessEvent,
    ProcessKey, ProcessTransition, Sample, Stack, UnixNanos, Watermark,
};
use proptest::prelude::*;

use crate::*;

const MILLIS: u64 = 1_000_000;

fn key(pid: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(u64::from(pid)) };
    ImageKey { process, ..ImageKey::default() }
}

fn kind(path: &str) -> ImageKind {
    let executable = Executable {
        path: Path::new(path).into(),
        own_path: None,
        state: FileState::Linked,
        device: 0,
        inode: 0,
        mount_namespace: 0,
        truncated: false,
    };
    ImageKind::User { executable: Arc::new(executable), script: None, loader: None }
}

/// A frame of kernel code if the name begins with `do_`.
fn frame(name: &str) -> Frame {
    let function = Arc::new(Function { name: name.into(), ..Function::default() });
    let lines = Arc::new(Lines([Line { function, line: 0 }].into()));
    let code = if name.starts_with("do_") { Code::Kernel } else { Code::Unknown };
    Frame { lines: Some(lines), ..Frame::exact(Pc(1), code) }
}

/// A sample of 10 ms, the innermost function first, of a process that process 1 has forked.
fn sample(millis: u64, pid: u32, path: &str, functions: &[&str]) -> Event {
    let parent =
        Parent { process: key(1).process, created: UnixNanos::default(), kind: Some(kind("/sbin/init")) };
    let image = Image { parents: [parent].into(), ..Image::new(key(pid), UnixNanos::default(), kind(path)) };
    Event::Sample(Sample {
        at: KTime::from_nanos(millis * MILLIS),
        key: key(pid),
        measure: Measure::OnCpu { period: Duration::from_millis(10) },
        stack: Stack::new(functions.iter().map(|name| frame(name)).collect::<Vec<_>>()),
        image: Some(Arc::new(image)),
        ..Sample::default()
    })
}

fn batch(events: Vec<Event>, millis: u64) -> Batch {
    Batch::new(events, Watermark::before(KTime::from_nanos(millis * MILLIS)), ClockOffset::default())
}

/// A summarizer that has taken a batch up to a second before.
fn summarizer(millis: u64) -> Summarizer {
    let mut summarizer = Summarizer::default();
    let first = vec![sample(millis - 1_000, 5, "/bin/before", &[])];
    assert_eq!(summarizer.take(&batch(first, millis - 900)), [], "its beginning is missing");
    summarizer
}

fn loss(millis: u64, count: u64) -> Event {
    let at = KTime::from_nanos(millis * MILLIS);
    Event::Loss(Loss { from: at, until: at, reason: LossReason::SampleRingFull, count })
}

fn exit(millis: u64, pid: u32) -> Event {
    let at = KTime::from_nanos(millis * MILLIS);
    Event::Process(ProcessEvent { at, image: key(pid), transition: ProcessTransition::Exit })
}

/// The calls as `path total`, by name.
fn ways(second: &Second) -> Vec<String> {
    let mut ways: Vec<String> = Vec::new();
    for call in &second.calls {
        let above = (call.parent as usize).checked_sub(1).map(|place| ways[place].clone());
        let above = above.map(|way| way.rsplit_once(' ').unwrap().0.to_owned() + ";").unwrap_or_default();
        ways.push(format!("{above}{} {}", second.name(call.name), call.total / MILLIS));
    }
    ways.sort();
    ways
}

#[test]
fn a_second_has_calls_below_executables_and_processes_with_their_ancestors() {
    let mut summarizer = summarizer(7_000);
    let events = vec![
        sample(7_100, 5, "/bin/a", &["do_read", "leaf", "main"]),
        sample(7_200, 5, "/bin/a", &["leaf", "main"]),
        loss(7_200, 3),
        sample(7_300, 6, "/bin/b", &[]),
        exit(7_400, 6),
        exit(7_500, 77),
        sample(8_100, 5, "/bin/a", &["main"]),
    ];
    let seconds = summarizer.take(&batch(events, 8_200));
    let [second] = &*seconds else { panic!("one is complete: {seconds:?}") };
    second.check().unwrap();
    assert_eq!((second.number, second.samples, second.cpu), (7, 3, 30 * MILLIS));
    assert_eq!(
        ways(second),
        ["/bin/a 20", "/bin/a;main 20", "/bin/a;main;leaf 20", "/bin/a;main;leaf;do_read 10", "/bin/b 10"]
    );
    let kernel: Vec<_> = second.calls.iter().filter(|call| call.kind == CallKind::Kernel).collect();
    assert_eq!(kernel.iter().map(|call| second.name(call.name)).collect::<Vec<_>>(), ["do_read"]);
    let processes = second.processes.iter().map(|process| {
        let parent = process.parent.map(|parent| parent.pid);
        (process.process.pid, parent, second.name(process.name), process.gone, process.cpu / MILLIS)
    });
    let processes: Vec<_> = processes.collect();
    assert_eq!(
        processes,
        [(1, None, "init", false, 0), (5, Some(1), "a", false, 20), (6, Some(1), "b", true, 10)],
        "nobody has seen 77 run"
    );
    assert_eq!(second.lost, [("sample_ring_full".into(), true, 3)]);
    assert_eq!(summarizer.seen(), Some(KTime::from_nanos(8_200 * MILLIS)));

    let late = summarizer.take(&batch(vec![sample(7_900, 5, "/bin/a", &["late"])], 9_000));
    assert_eq!((late[0].number, late[0].samples), (8, 2), "what is late counts where it comes");
    let end = Batch { watermark: Watermark::END, ..Batch::default() };
    assert_eq!(summarizer.take(&end).len(), 1, "the second under way at the end");
}

/// Records lost in a second of which no summary is made are still counted: those of the first second in the next one,
/// and those of the last one at the end.
#[test]
fn losses_are_counted_even_if_their_second_is_cut() {
    let mut summarizer = Summarizer::default();
    let first = vec![loss(1_500, 3), loss(1_600, 2), sample(2_100, 5, "/bin/a", &[]), loss(2_200, 1)];
    assert_eq!(summarizer.take(&batch(first, 2_900)), []);
    let seconds = summarizer.take(&batch(vec![loss(3_100, 40)], 3_900));
    let lost: Vec<_> = seconds.iter().map(|second| (second.number, second.samples, &*second.lost)).collect();
    assert_eq!(lost, [(2, 1, &[("sample_ring_full".into(), true, 6)][..])]);
    assert_eq!(summarizer.into_losses(), [("sample_ring_full".into(), true, 40)]);
    assert_eq!(Summarizer::default().into_losses(), []);
}

#[test]
fn who_is_missing_from_a_census_is_gone_and_quiet_seconds_come_with_their_batch() {
    let mut summarizer = summarizer(1_000);
    let events = vec![sample(1_000, 5, "/bin/a", &[]), sample(1_100, 6, "/bin/b", &[])];
    assert_eq!(summarizer.take(&batch(events, 1_500)), []);
    let census = Census {
        at: KTime::from_nanos(3_000 * MILLIS),
        began: KTime::from_nanos(2_900 * MILLIS),
        processes: [1, 5].map(|pid| CensusEntry { process: key(pid).process, exited: false }).into(),
        unidentified: [].into(),
    };
    let seconds = summarizer.take(&batch(vec![Event::Census(Arc::new(census))], 60_000));
    assert_eq!(seconds.iter().map(|second| second.number).collect::<Vec<_>>(), [1, 3]);
    let gone: Vec<_> = seconds[1].processes.iter().map(|found| (found.process.pid, found.gone)).collect();
    assert_eq!(gone, [(6, true)]);
    assert_eq!(summarizer.take(&batch(Vec::new(), 61_000))[0].samples, 0);
}

/// Stacks, names and processes in any number are put together, the most expensive are kept, and no time is missing.
#[test]
fn a_second_is_bounded_whatever_users_do() {
    let mut summarizer = summarizer(5_000);
    let mut samples: Vec<_> = (0..40_000_u32)
        .map(|number| {
            let (leaf, path) = (format!("f{number}"), format!("/tmp/{number}"));
            sample(5_000, 10 + number, &path, &[&leaf, "main"])
        })
        .collect();
    samples.extend((0..20).map(|_| sample(5_001, 5, "/bin/a", &["busy"])));
    let all = samples.len() as u64 * 10 * MILLIS;
    assert_eq!(summarizer.take(&batch(samples, 5_500)), []);
    let seconds = summarizer.take(&batch(Vec::new(), 6_000));
    let second = &seconds[0];
    second.check().unwrap();
    assert_eq!((second.calls.len(), second.processes.len(), second.cpu), (MAX_CALLS, MAX_PROCESSES, all));
    assert!(ways(second).contains(&"/bin/a;busy 200".to_owned()));
    assert!(second.processes.iter().any(|process| process.process.pid == 5 && process.cpu == 200 * MILLIS));
    let line = Message::Report(Box::new(Report { second: second.clone(), ..Report::default() })).line();
    assert!(line.len() < MAX_LINE / 8, "{}", line.len());
}

/// The longest line that the agent can send is accepted by a reader.
#[test]
fn the_longest_second_fits_into_a_line() {
    let names = std::iter::once(String::new())
        .chain((1..MAX_NAMES).map(|number| format!("{number:06}") + &"\u{1}".repeat(MAX_NAME - 6)));
    let call = Call { parent: 0, name: 9, module: 9, kind: CallKind::Kernel, total: u64::MAX };
    let id = ProcessId { pid: u32::MAX, start: u64::MAX };
    let process = ProcessUse { process: id, parent: Some(id), name: 9, gone: false, cpu: u64::MAX };
    let second = Second {
        names: names.map(Into::into).collect(),
        calls: vec![call; MAX_CALLS],
        processes: vec![process; MAX_PROCESSES],
        ..Second::default()
    };
    let message = Message::Report(Box::new(Report { second, ..Report::default() }));
    let mut reader = MessageReader::default();
    reader.push(&message.line());
    assert!(reader.take().unwrap() == Some(message));
}

#[test]
fn what_refers_to_nothing_or_is_too_much_is_refused() {
    let report = |second: Second| Message::Report(Box::new(Report { second, ..Report::default() })).line();
    let call = Call { parent: 1, ..Call::default() };
    let sound = Second { names: vec!["".into()], calls: vec![Call::default(), call], ..Second::default() };
    Message::read(&report(sound.clone())).unwrap();
    for (second, text) in [
        (Second { calls: vec![call], ..sound.clone() }, "call 0 comes before its caller"),
        (Second { names: Vec::new(), ..sound.clone() }, "a name of number 0 is missing"),
        (Second { names: vec!["x".repeat(257).into()], ..sound.clone() }, "a name is longer than 256 bytes"),
        (Second { calls: vec![Call::default(); MAX_CALLS + 1], ..sound }, "a second has 8193 calls"),
    ] {
        let error = Message::read(&report(second)).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let newer = br#"{"hello":{"version":2,"agent":"9","pid":1}}"#;
    assert!(matches!(Message::read(newer), Err(MessageError::Version(2))));
    let mut reader = MessageReader::default();
    reader.push(&vec![b' '; MAX_LINE + 1]);
    assert!(matches!(reader.take(), Err(MessageError::LongLine)));
}

fn names() -> impl Strategy<Value = Vec<Box<str>>> {
    prop::collection::vec(any::<String>().prop_map(Into::into), 1..4)
}

fn messages() -> impl Strategy<Value = Message> {
    let refused = any::<String>().prop_map(|reason| Message::Refused { reason });
    let report =
        (names(), any::<[u64; 4]>(), prop::option::of(any::<u32>())).prop_map(|(names, n, parent)| {
            let process = ProcessId { pid: 1, start: n[0] };
            let parent = parent.map(|pid| ProcessId { pid, start: n[1] });
            let second = Second {
                number: n[2],
                calls: vec![Call { total: n[3], kind: CallKind::Kernel, ..Call::default() }],
                processes: vec![ProcessUse { process, parent, name: 0, gone: n[0] % 2 == 0, cpu: n[1] }],
                lost: vec![("why".into(), true, n[2])],
                names,
                ..Second::default()
            };
            Message::Report(Box::new(Report { second, ..Report::default() }))
        });
    prop_oneof![refused, report]
}

proptest! {
    /// Messages arrive as they were sent, in pieces of any size.
    #[test]
    fn messages_arrive_in_whatever_pieces(
        sent in prop::collection::vec(messages(), 0..5), piece in 1_usize..200,
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(Message::line).collect();
        let (mut reader, mut came) = (MessageReader::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            reader.push(piece);
            while let Some(message) = reader.take().unwrap() {
                came.push(message);
            }
        }
        prop_assert_eq!(came, sent);
    }

    /// Any bytes are messages within the bounds, or are refused.
    #[test]
    fn any_bytes_are_messages_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = MessageReader::default();
        reader.push(&bytes);
        while let Ok(Some(message)) = reader.take() {
            if let Message::Report(report) = message {
                report.second.check().unwrap();
            }
        }
    }

    /// A message with a changed byte is another message within the bounds, or is refused.
    #[test]
    fn a_damaged_message_is_a_message_or_refused(
        message in messages(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut line = message.line();
        let at = at.index(line.len());
        line[at] = byte;
        if let Ok(Message::Report(report)) = Message::read(&line) {
            report.second.check().unwrap();
        }
    }
}
