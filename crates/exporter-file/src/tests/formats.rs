//! The content of files, in each format.

use std::io::Read as _;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use prost::Message as _;
use windows::GroupBy;

use super::*;
use crate::{Compression, Format, Fsync};

/// Messages of a length-prefixed file; panics if it ends within one.
pub(super) fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        frames.push(bytes[4..4 + length].to_vec());
        bytes = &bytes[4 + length..];
    }
    frames
}

pub(super) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Number of timestamps in a request.
fn total_events(request: &ExportProfilesServiceRequest) -> usize {
    let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    let samples = scopes.flat_map(|scope| &scope.profiles).flat_map(|profile| &profile.samples);
    samples.map(|sample| sample.timestamps_unix_nano.len()).sum()
}

#[tokio::test]
async fn messages_follow_their_length_and_are_compressed_each_by_itself() {
    for format in [Format::Json, Format::Proto] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            if (format, compression) == (Format::Json, Compression::None) {
                continue;
            }
            let (_directory, path) = place("profiles.bin");
            let mut exporter = open(Config { format, compression, ..config(&path) });
            send(&mut exporter, second(0, 3)).await;
            send(&mut exporter, second(1, 2)).await;
            let decode = |message: Vec<u8>| {
                let plain = match compression {
                    Compression::None => message,
                    Compression::Gzip => gunzip(&message),
                    Compression::Zstd => zstd::stream::decode_all(message.as_slice()).unwrap(),
                };
                match format {
                    Format::Proto => {
                        total_events(&ExportProfilesServiceRequest::decode(plain.as_slice()).unwrap())
                    }
                    _ => samples_of(&serde_json::from_slice(&plain).unwrap()),
                }
            };
            let found: Vec<_> = frames(&fs::read(&path).unwrap()).into_iter().map(decode).collect();
            assert_eq!(found, [3, 2], "{format:?} {compression:?}");
        }
    }
}

/// Some readers take lines of 64 KiB, or of 1 MiB; ours and the Collector's take lines of a whole window.
#[tokio::test]
async fn a_record_of_more_than_a_mebibyte_is_whole() {
    const SAMPLES: u64 = 100_000;
    for format in [Format::Json, Format::Proto] {
        let (_directory, path) = place("profiles");
        let mut exporter = open(Config { format, fsync: Fsync::Always, ..config(&path) });
        for number in 0..3 {
            send(&mut exporter, second(number, SAMPLES)).await;
        }
        let bytes = fs::read(&path).unwrap();
        let records = match format {
            Format::Proto => frames(&bytes),
            _ => bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect(),
        };
        assert!(records.iter().all(|record| record.len() > 3 << 18), "{format:?}");
        let sum: usize = records
            .iter()
            .map(|record| match format {
                Format::Proto => {
                    total_events(&ExportProfilesServiceRequest::decode(record.as_slice()).unwrap())
                }
                _ => samples_of(&serde_json::from_slice(record).unwrap()),
            })
            .sum();
        assert_eq!(sum as u64, 3 * SAMPLES, "{format:?}");
    }
}

/// Names with the characters that lines are made of: none breaks a line or a stack, and no number in a name is taken
/// for a count.
#[tokio::test]
async fn names_with_what_folded_stacks_are_made_of_add_up() {
    let (_directory, path) = place("stacks.folded");
    let mut exporter = open(Config { format: Format::Folded, ..config(&path) });
    let names = ["a;b", "a b 12", "12", " 7", "a;", ";", "x\n99 5", "\u{2028}3", "\u{1b}[2J"];
    let mut events = Vec::new();
    for (name, count) in names.iter().zip(1..) {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name.as_bytes());
        let function = Function { name: (*name).into(), ..Function::default() };
        let lines = Lines([Line { function: Arc::new(function), line: 0 }].into());
        let frame = Frame { lines: Some(Arc::new(lines)), ..Frame::exact(Pc(1), Code::Unknown) };
        let stack = Stack { frames: [frame].into(), end: StackEnd::Root };
        let one = Sample { comm: Comm(comm), stack, ..sample(0) };
        events.extend((0..count).map(|_| Event::Sample(one.clone())));
    }
    send(&mut exporter, Batch { events: Arc::new(events.into()), ..second(0, 0) }).await;
    let text = fs::read_to_string(&path).unwrap();
    let counts: Vec<u64> = text
        .lines()
        .map(|line| {
            let (stack, count) = line.rsplit_once(' ').unwrap();
            assert_eq!(stack.split(';').count(), 2, "{line:?}");
            assert!(stack.split(';').all(|name| !name.is_empty()), "{line:?}");
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            count.parse().unwrap()
        })
        .collect();
    let mut sorted = counts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=names.len() as u64).collect::<Vec<_>>(), "{text}");
}

#[tokio::test]
async fn folded_stacks_are_a_block_of_lines_for_each_window() {
    let (_directory, path) = place("stacks.folded");
    let mut exporter = open(Config { format: Format::Folded, ..config(&path) });
    send(&mut exporter, second(0, 3)).await;
    send(&mut exporter, second(1, 2)).await;
    let text = fs::read_to_string(&path).unwrap();
    let counts: Vec<_> = text.lines().map(|line| line.rsplit_once(' ').unwrap().1).collect();
    assert_eq!(counts, ["3", "2"], "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.ends_with(";[unknown] 3"), "{first}");
}

#[tokio::test]
async fn a_stack_that_lacks_its_outer_frames_begins_with_a_mark_in_their_place() {
    let (_directory, path) = place("stacks.folded");
    let mut exporter = open(Config { format: Format::Folded, ..config(&path) });
    let ends = [StackEnd::Root, StackEnd::NoUnwindInfo, StackEnd::DepthLimit];
    let events = ends.into_iter().map(|end| {
        let stack = Stack { frames: [Frame::exact(Pc(1), Code::Unknown)].into(), end };
        Event::Sample(Sample { stack, ..sample(0) })
    });
    send(&mut exporter, Batch { events: Arc::new(events.collect()), ..second(0, 0) }).await;
    let text = fs::read_to_string(&path).unwrap();
    let stacks: Vec<_> = text.lines().map(|line| line.split_once(';').unwrap().1).collect();
    assert_eq!(stacks, ["[truncated];[unknown] 2", "[unknown] 1"], "{text}");
}

/// Whatever is grouped, and by however many keys: what is written adds up to the same.
#[tokio::test]
async fn groups_are_the_outermost_frames_of_folded_stacks_and_add_up() {
    for group_by in [vec![], vec![GroupBy::Executable], vec![GroupBy::Namespace, GroupBy::Pod]] {
        let keys = group_by.len();
        let (_directory, path) = place("stacks.folded");
        let mut exporter =
            open(Config { format: Format::Folded, group_by: group_by.clone(), ..config(&path) });
        send(&mut exporter, second(0, 3)).await;
        send(&mut exporter, second(1, 2)).await;
        let text = fs::read_to_string(&path).unwrap();
        let counts: Vec<_> = text.lines().map(|line| line.rsplit_once(' ').unwrap()).collect();
        assert!(counts.iter().all(|(stack, _)| stack.split(';').count() == keys + 2), "{text}");
        assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), ["3", "2"], "{text}");
        let (directory, path) = place("cpu.pb.gz");
        let mut exporter = open(Config { format: Format::Pprof, group_by, ..config(&path) });
        send(&mut exporter, second(0, 3)).await;
        let written = fs::read(directory.path().join(&names(directory.path())[0])).unwrap();
        assert_eq!(profile_formats::read(&written).unwrap().samples.captured(), 3);
    }
}

/// Which processes were short is known by their ends, which open no window of their own.
#[tokio::test]
async fn short_lived_processes_are_grouped_by_their_ends() {
    let (_directory, path) = place("stacks.folded");
    let fold_shorter_than = Duration::from_secs(1);
    let group_by = vec![GroupBy::Pod];
    let mut exporter = open(Config { format: Format::Folded, group_by, fold_shorter_than, ..config(&path) });
    let of = |pid| ImageKey {
        process: ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(1) },
        ..ImageKey::default()
    };
    let end = |pid, at| {
        let (at, transition) = (KTime::from_nanos(at), ProcessTransition::Exit);
        Event::Process(ProcessEvent { at, image: of(pid), transition })
    };
    let sampled = |pid| Event::Sample(Sample { key: of(pid), ..sample(5) });
    let events: Vec<Event> = [sampled(1), sampled(2), sampled(3), end(1, 9), end(2, 10)].into();
    send(&mut exporter, Batch { events: Arc::new(events.into()), ..second(0, 0) }).await;
    let later: Vec<Event> = [end(3, 1_500_000_000)].into();
    send(&mut exporter, Batch { events: Arc::new(later.into()), ..second(1, 0) }).await;
    send(&mut exporter, super::end()).await;
    let text = fs::read_to_string(&path).unwrap();
    let mut counts: Vec<_> =
        text.lines().map(|line| (line.starts_with("-;"), line.rsplit_once(' ').unwrap().1)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(false, "1"), (true, "2")], "{text}");
}

#[tokio::test]
async fn pprof_is_a_file_for_each_window() {
    let (directory, path) = place("cpu.pb.gz");
    let mut exporter = open(Config { format: Format::Pprof, ..config(&path) });
    assert!(names(directory.path()).is_empty(), "nothing is left of trying whether it can be written");
    send(&mut exporter, second(0, 3)).await;
    send(&mut exporter, second(7, 2)).await;
    let expected = ["cpu-1970-01-01T00-00-00.000.pb.gz", "cpu-1970-01-01T00-00-07.000.pb.gz"];
    assert_eq!(names(directory.path()), expected);
    for name in expected {
        assert!(!gunzip(&fs::read(directory.path().join(name)).unwrap()).is_empty());
    }
}

#[tokio::test]
async fn a_pprof_file_replaces_none() {
    let (directory, _) = place("");
    let config = Config { format: Format::Pprof, ..config(&directory.path().join("cpu-%H%M.pb.gz")) };
    let mut exporter = open(config);
    send(&mut exporter, second(0, 3)).await;
    send(&mut exporter, second(1, 2)).await;
    assert_eq!(names(directory.path()), ["cpu-0000-1970-01-01T00-00-01.000.pb.gz", "cpu-0000.pb.gz"]);
}
