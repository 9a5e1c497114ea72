//! Tests of made-up samples and their printed summary.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pdata::{
    Backing, BootTime, Code, Executable, FileOffset, Frame, Function, Image, ImageKey, ImageKind, KTime,
    Line, Lines, Loss, LossReason, MappedFile, Mapping, Measure, Pc, Pid, ProcessKey, Sample, Stack,
    StackEnd, UnixNanos,
};
use proptest::prelude::*;
use windows::Gather as _;

use crate::{Facts, Tally, summary};

pub(crate) fn process(pid: u32) -> ImageKey {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(pid.into()) };
    ImageKey { process, ..ImageKey::default() }
}

/// A frame in `libx.so` of a function and those that it was inlined into; without a name if there are no functions.
pub(crate) fn frame(functions: &[&str]) -> Frame {
    let backing = Backing::File(Arc::new(MappedFile::at(Path::new("/lib/libx.so"))));
    let mapping = Mapping { start: Pc(0), end: Pc(9), file_offset: FileOffset(0), backing };
    let line = |name: &&str| Line {
        function: Arc::new(Function { name: (*name).into(), ..Function::default() }),
        line: 0,
    };
    let lines: Box<[_]> = functions.iter().map(line).collect();
    let lines = (!lines.is_empty()).then(|| Arc::new(Lines(lines)));
    Frame { lines, ..Frame::exact(Pc(1), Code::Mapped(Arc::new(mapping))) }
}

/// A sample at a second of the process `pid`, which runs `path`, with these frames.
pub(crate) fn sample(second: u64, pid: u32, path: &str, frames: Vec<Frame>) -> Sample {
    let executable = Arc::new(Executable::at(Path::new(path)));
    let kind = ImageKind::User { executable, script: None, loader: None };
    let image = Image {
        key: process(pid),
        created: UnixNanos::default(),
        kind,
        attributes: Default::default(),
        context: Default::default(),
        parents: Default::default(),
    };
    Sample {
        at: KTime::from_nanos(second * 1_000_000_000),
        key: process(pid),
        measure: Measure::OnCpu { period: Duration::from_millis(10) },
        stack: Stack::new(frames),
        image: Some(Arc::new(image)),
        ..Sample::default()
    }
}

/// Names that try to steer a terminal.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("\u{1b}[2J".to_owned()),
            Just("\u{1b}]0;x\u{7}".to_owned()),
            Just("\r\n".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("\u{9b}31m".to_owned()),
            "[ -~]{0,8}",
            any::<char>().prop_map(String::from),
        ],
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

#[test]
fn the_summary_counts_a_recursive_function_once_and_says_what_is_missing() {
    let mut tally = Tally::default();
    tally.sample(&sample(1, 1, "/bin/a", vec![frame(&["inlined", "f"]), frame(&["f"]), frame(&["main"])]));
    tally.sample(&sample(1, 1, "/bin/a", vec![frame(&["f"]), frame(&["main"])]));
    let mut cut = sample(1, 2, "/bin/b", vec![frame(&[])]);
    cut.stack.end = StackEnd::DepthLimit;
    tally.sample(&cut);
    tally.sample(&sample(1, 2, "/bin/b", Vec::new()));
    let (from, until) = (KTime::ZERO, KTime::ZERO);
    tally.loss(&Loss { from, until, reason: LossReason::SampleRingFull, count: 1_234 });
    let facts = Facts {
        length: Duration::from_millis(1_540),
        samples_per_second: 100,
        command_cpu: Some(Duration::from_millis(40)),
        others: 5,
    };
    assert_eq!(
        summary(&tally, &facts),
        "4 samples in 1.5 s at 100 Hz: 0.04 s of CPU time (the kernel counts 0.04 s)

   SELF   TOTAL  FUNCTION
  25.0%   50.0%  f (libx.so)
  25.0%   25.0%  [unnamed] (libx.so)
  25.0%   25.0%  inlined (libx.so)
   0.0%   50.0%  main (libx.so)

    CPU   SAMPLES  EXECUTABLE
  50.0%         2  /bin/a
  50.0%         2  /bin/b

Stacks cut short: 25.0 %. Samples in code without a name: 50.0 %.
Samples lost on this machine: 1,234 (sample_ring_full 1,234). Samples of other processes, left out: 5.
"
    );
}

#[test]
fn a_recording_of_nothing_has_a_summary_too() {
    let text = summary(&Tally::default(), &Facts { samples_per_second: 997, ..Facts::default() });
    assert!(text.starts_with("0 samples in 0.0 s at 997 Hz: 0.00 s of CPU time\n"), "{text}");
    assert!(text.ends_with("Samples lost on this machine: 0.\n"), "{text}");
}

proptest! {
    /// A summary has no name that steers the terminal or adds a line.
    #[test]
    fn no_name_steers_the_terminal(function in hostile(), path in hostile()) {
        let path = path.replace('\0', "");
        let mut tally = Tally::default();
        tally.sample(&sample(1, 1, &format!("/{path}"), vec![frame(&[&function])]));
        let text = summary(&tally, &Facts::default());
        prop_assert_eq!(text.lines().count(), 10, "{:?}", text);
        prop_assert!(!text.contains(|c| c != '\n' && textline::is_unseen(c)), "{:?}", text);
    }
}
