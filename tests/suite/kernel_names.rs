//! Functions of the kernel and of BPF programs that were loaded after the agent are named, even if the kernel hides
//! addresses.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;
use tests::agent::Setup;
use tests::daemon::{Daemon, PATIENCE};
use tests::otlp::{OtlpFile, Sample};
use tests::{wait, workspace};

use crate::alone;

const RATE: u32 = 199;
const SETTING: &str = "/proc/sys/kernel/kptr_restrict";
/// First address of modules and BPF programs on x86-64; on other machines no address is above it.
const MODULES: u64 = 0xffff_ffff_c000_0000;
/// Least samples of the program.
const ENOUGH: u64 = 20;
/// Least named frames of the kernel: an idle machine has some hundred a second, a busy one thousands.
const ENOUGH_NAMED: u64 = 300;

/// The setting that hides addresses, restored when this is dropped.
struct Restriction(String);

impl Restriction {
    fn set(value: u8) -> Self {
        let before = fs::read_to_string(SETTING).expect("the kernel has the setting");
        fs::write(SETTING, value.to_string()).expect("root may write it");
        Self(before)
    }
}

impl Drop for Restriction {
    fn drop(&mut self) {
        fs::write(SETTING, &self.0).expect("root may write it");
    }
}

/// Number of samples whose stack has the later program, and of the kernel's own frames with a name and without, in all
/// processes other than the one that has loaded the program: its frames have no name until the program is known.
fn counts(file: &OtlpFile) -> (u64, u64, u64) {
    let (mut samples, mut named, mut unnamed) = (0, 0, 0);
    let resources = file.resources().expect("every index is good");
    let all = resources.iter().flat_map(|resource| resource.samples().map(move |sample| (resource, sample)));
    for (resource, sample) in all {
        let of =
            |name: &str| sample.stack.iter().any(|frame| frame.functions.iter().any(|f| f.contains(name)));
        samples += if of("later_program") { sample.events() } else { 0 };
        if resource.text("process.executable.name").starts_with("python") {
            continue;
        }
        for frame in &sample.stack {
            let kind = frame.attributes.get("profile.frame.type").and_then(|kind| kind.as_text());
            // Any process may load programs at any time, also the agent when it starts. The programs have no names
            // until the agent has read them.
            let is_program = match &frame.mapping {
                Some(mapping) => mapping.filename.starts_with("[bpf_prog_"),
                None => frame.address >= MODULES,
            };
            if kind != Some("kernel") || is_program {
                continue;
            }
            match frame.functions.first() {
                Some(name) if name != "[kernel]" => named += sample.events(),
                _ => {
                    // Printed so that a failure shows these frames.
                    println!("no name: {frame:x?} in {:?}", names(sample));
                    unnamed += sample.events();
                }
            }
        }
    }
    (samples, named, unnamed)
}

fn names(sample: &Sample) -> Vec<&String> {
    sample.stack.iter().flat_map(|frame| &frame.functions).collect()
}

/// With each value of the setting, a program that is loaded after the agent gets its name, and so do the kernel's own
/// functions.
#[test]
#[ignore = "needs root: loads BPF programs, and hides the kernel's addresses for a while"]
fn functions_of_the_kernel_and_of_later_programs_are_named_whatever_is_hidden() {
    let _alone = alone();
    for value in [2, 1, 0] {
        let _restored = Restriction::set(value);
        let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
        // Each name is waited for, however busy the machine is.
        let symbolizer = json!({ "timeout": "10s" });
        let agent = Setup::new()
            .samples_per_second(RATE)
            .with(
                json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }),
            )
            .start();
        let script = workspace::file("fixtures/bpf_spin.py");
        let mut command = Command::new("python3");
        let mut daemon = Daemon::start("the program", command.arg(script).stdin(Stdio::piped()));
        let input = daemon.stdin();
        daemon.out.wait_for("ready", PATIENCE).expect("it runs");
        let look = || counts(&agent.file_so_far());
        let are_enough = |(program, named, _): &(u64, u64, u64)| *program >= ENOUGH && *named >= ENOUGH_NAMED;
        wait::until("samples in the program, and names of the kernel's functions", look, are_enough);
        drop(input);
        daemon.wait().assert_code(0);
        let (_, named, unnamed) = counts(&agent.stop().file);
        println!("kptr_restrict={value}: {named} frames named, {unnamed} not");
        // A thousandth; of few, as many as a module that has just been loaded may have.
        assert!(
            named >= ENOUGH_NAMED && unnamed * 1000 <= named.max(5_000),
            "kptr_restrict={value}: {named} named, {unnamed} not"
        );
    }
}
