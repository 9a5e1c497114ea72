//! Stacks of programs without frame pointers against the running kernel.
//!
//! The truth is the programs' own source: which functions call which, how deep, and the names of their symbols.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod odd;
mod program;
#[path = "../support/mod.rs"]
mod support;

use pdata::{AddressKind, StackEnd};
use receiver_ebpf::UnwindConfig;

use program::{Program, RECURSION, names, user_frames, watch, working};

/// The number of samples to watch a program for, where nearly all are in `work`: most of a second of CPU time.
const ENOUGH: usize = 400;
/// The depth of a recursion in frames.
const DEPTH: usize = 50;

/// Every stack of a recursion without frame pointers has all its frames, in order, down to the root.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_recursion_without_frame_pointers_is_whole_and_in_order() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let program = Program::start(&source, &[]);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    for sample in &found {
        let names = names(sample, &program, &functions);
        assert_eq!(names[..3], [("work", 1), ("descend", DEPTH + 1), ("main", 1)], "{sample:?}");
        assert_eq!(sample.stack.end, StackEnd::Root, "{sample:?}");
    }
}

/// A frame that a signal interrupts is at an instruction, not a return address, and its callers follow; also on an
/// alternate stack.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_goes_on_below_a_signal_handler() {
    for (name, stack) in [
        ("the same", ""),
        ("another", "sigaltstack(&(stack_t){ .ss_sp = other, .ss_size = sizeof(other) }, 0);"),
    ] {
        let source = format!(
            "#define _GNU_SOURCE
            #include <signal.h>
            #include <sys/time.h>
            {RECURSION}
            static char other[65536];
            static volatile int ready;
            static void handle(int signal) {{ if (ready) descend(5); }}
            __attribute__((noinline)) long interrupted(void) {{ ready = 1; long sum = 0; for (;;) {{ sum += sum * 3 + 1; __asm__ volatile(\"\" : \"+r\"(sum)); }} return sum; }}
            int main() {{
                {stack}
                sigaction(SIGALRM, &(struct sigaction){{ .sa_handler = handle, .sa_flags = SA_ONSTACK }}, 0);
                setitimer(ITIMER_REAL, &(struct itimerval){{ {{ 0, 1000 }}, {{ 0, 1000 }} }}, 0);
                return interrupted() + 1;
            }}"
        );
        let program = Program::start(&source, &["-DROUNDS=200000"]);
        let samples = watch(UnwindConfig::default(), &program, 60);
        let functions =
            ["work", "descend", "handle", "interrupted", "main"].map(|name| (name, program.function(name)));
        let found = working(samples.iter(), &functions[0].1, &program.path);
        assert!(found.len() > 30, "{} samples on {name} stack", found.len());
        for sample in &found {
            let names = names(sample, &program, &functions);
            let expected =
                [("work", 1), ("descend", 6), ("handle", 1), ("other", 1), ("interrupted", 1), ("main", 1)];
            assert_eq!(
                names.get(..6),
                Some(&expected[..]),
                "on {name} stack: {names:?} {:?} {sample:?}",
                sample.stack.end
            );
            assert_eq!(sample.stack.end, StackEnd::Root, "{sample:?}");
            let exact = user_frames(sample, &program.path)
                .iter()
                .filter(|(_, frame)| frame.kind == AddressKind::Exact)
                .count();
            assert_eq!(exact, 2, "the leaf and what the signal interrupted: {sample:?}");
        }
    }
}

/// Code without tables but with frame pointers is followed by those; a function called from there that has neither says
/// so.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn code_without_tables_is_followed_by_frame_pointers() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let flags =
        ["-fno-asynchronous-unwind-tables", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"];
    let program = Program::start(&source, &flags);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    let whole = found.iter().filter(|sample| {
        names(sample, &program, &functions).starts_with(&[("work", 1), ("descend", DEPTH + 1), ("main", 1)])
    });
    // At the first and last instructions of a function the frame pointer is still, or again, the caller's.
    let whole = whole.count();
    assert!(whole * 10 > found.len() * 9, "{whole} of {} are whole", found.len());
}

/// A stack without tables or frame pointers ends with the last frame that was certain, and is marked.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_without_tables_or_frame_pointers_is_marked_as_cut_short() {
    // The frame pointer is a number like any other there.
    let source = format!(
        "{RECURSION} __attribute__((noinline)) long spoil(int depth) {{
            register long odd __asm__(\"rbp\") = 7; __asm__ volatile(\"\" : \"+r\"(odd));
            long sum = descend(depth); __asm__ volatile(\"\" : \"+r\"(odd)); return sum + odd; }}
        int main() {{ for (;;) spoil({DEPTH}); }}"
    );
    let program = Program::start(&source, &["-fno-asynchronous-unwind-tables"]);
    let samples = watch(UnwindConfig::default(), &program, ENOUGH);
    let work = program.function("work");
    let found = working(samples.iter(), &work, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    for sample in &found {
        assert_eq!(sample.stack.end, StackEnd::NoUnwindInfo, "{sample:?}");
        assert_eq!(sample.stack.end.cut(), Some("no_unwind_info"));
    }
}

/// A stack deeper than the configured limit has the frames next to the leaf, and is marked; at the largest bound it is
/// whole.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_stack_deeper_than_the_limit_is_cut_at_the_limit() {
    for (max_frames, depth) in [(100, 400), (1024, 1000)] {
        let source = format!("{RECURSION} int main() {{ for (;;) descend({depth}); }}");
        let program = Program::start(&source, &[]);
        let unwind = UnwindConfig { max_frames, ..UnwindConfig::default() };
        let samples = watch(unwind, &program, 200);
        let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
        let found = working(samples.iter(), &functions[0].1, &program.path);
        assert!(found.len() > 100, "{} samples", found.len());
        for sample in &found {
            let (user, names) =
                (user_frames(sample, &program.path).len(), names(sample, &program, &functions));
            if max_frames == 1024 {
                assert_eq!(names[..3], [("work", 1), ("descend", depth + 1), ("main", 1)]);
                assert_eq!(sample.stack.end, StackEnd::Root);
            } else {
                assert_eq!((user, &names[..]), (100, &[("work", 1), ("descend", 99)][..]));
                assert_eq!(sample.stack.end, StackEnd::DepthLimit);
            }
        }
    }
}

/// With unwinding switched off, stacks follow frame pointers, and do not say how they end.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn without_unwinding_stacks_follow_frame_pointers() {
    let source = format!("{RECURSION} int main() {{ for (;;) descend({DEPTH}); }}");
    let program = Program::start(&source, &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"]);
    let unwind = UnwindConfig { enabled: false, ..UnwindConfig::default() };
    let samples = watch(unwind, &program, ENOUGH);
    let functions = ["work", "descend", "main"].map(|name| (name, program.function(name)));
    let found = working(samples.iter(), &functions[0].1, &program.path);
    assert!(found.len() > 200, "{} samples", found.len());
    assert!(found.iter().all(|sample| sample.stack.end == StackEnd::NotReported));
    let deep =
        found.iter().filter(|sample| names(sample, &program, &functions).contains(&("descend", DEPTH + 1)));
    let deep = deep.count();
    assert!(deep * 10 > found.len() * 9, "{deep} of {} are whole", found.len());
}
