//! Lines of source and inlined functions, from debug information, in what the agent exports.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use tests::agent::Setup;
use tests::otlp::{Frame, OtlpFile};
use tests::{wait, workspace};

use crate::alone;

pub(crate) const RATE: u32 = 199;
/// Least samples in inlined functions.
pub(crate) const ENOUGH: usize = 40;

/// The leaf frames of a program's own code, one for each sample.
pub(crate) fn leaves(file: &OtlpFile, program: &str) -> Vec<Arc<Frame>> {
    let resources = file.resources().expect("every index is good");
    let samples = resources.iter().flat_map(|resource| resource.samples());
    let leaves = samples
        .flat_map(|sample| sample.stack.first().map(|leaf| vec![Arc::clone(leaf); sample.times.len()]));
    let is_own = |leaf: &Arc<Frame>| leaf.mapping.as_ref().is_some_and(|of| of.filename.ends_with(program));
    leaves.flatten().filter(is_own).collect()
}

/// The function, the file's name and the line of each line of a frame, innermost first.
fn shown(frame: &Frame) -> Vec<(&str, &str, i64)> {
    let places = frame.functions.iter().zip(&frame.places);
    places
        .map(|(function, (file, line))| {
            (function.as_str(), file.rsplit('/').next().unwrap_or_default(), *line)
        })
        .collect()
}

/// Number, from 1, of the line of the source that holds a text.
fn line_of(source: &str, text: &str) -> i64 {
    let lines = (1..).zip(source.lines());
    lines.into_iter().find_map(|(number, line)| line.contains(text).then_some(number)).expect("it is there")
}

/// A frame in a function that was inlined has that function, the function that it was inlined into, and the lines of
/// both calls; none has another.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn frames_have_the_functions_that_were_inlined_and_their_lines() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (source, program) = (workspace::file("fixtures/lines/inlined.c"), dir.path().join("inlined-program"));
    let status = Command::new("cc").args(["-O2", "-g", "-o"]).arg(&program).arg(&source).status();
    assert!(status.expect("a C compiler starts").success());
    let agent = agent();
    let run = |program: &Path| {
        let status = Command::new(program).status().expect("it starts");
        assert!(status.success(), "{status}");
    };
    let with_inlined = |file: &OtlpFile| {
        leaves(file, "inlined-program")
            .into_iter()
            .filter(|leaf| leaf.functions.len() > 1)
            .collect::<Vec<_>>()
    };
    let look = || {
        run(&program);
        with_inlined(&agent.file_so_far()).len()
    };
    wait::until("frames of inlined functions", look, |inlined| *inlined >= ENOUGH);

    let text = std::fs::read_to_string(source).expect("the source is there");
    let called =
        |function: &'static str, text_of_call: &str| (function, "inlined.c", line_of(&text, text_of_call));
    let (in_outer, in_rounds) = (called("outer", "return rounds("), called("rounds", "mix(seed ^"));
    let (mut deep, file) = (0, agent.stop().file);
    let inlined = with_inlined(&file);
    for leaf in &inlined {
        match &shown(leaf)[..] {
            [("mix", "inlined.c", line), middle, last] => {
                assert_eq!((*line, middle, last), (line_of(&text, "return seed *"), &in_rounds, &in_outer));
                deep += 1;
            }
            [("rounds", "inlined.c", line), last] => {
                let body = line_of(&text, "unsigned long rounds(")..=line_of(&text, "return seed;");
                assert!(body.contains(line) && *last == in_outer, "{leaf:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(deep > 0 && inlined.len() >= ENOUGH, "{deep} of {}", inlined.len());
}

fn agent() -> tests::agent::Agent {
    let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
    // Lines are waited for, however busy the machine is.
    let symbolizer = json!({ "timeout": "10s", "lines": true });
    let setup = Setup::new().samples_per_second(RATE);
    setup
        .with(json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }))
        .start()
}
