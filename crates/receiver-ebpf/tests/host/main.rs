//! The parts of `ebpf/` that only read and compute, built for the host with stand-ins for the kernel's functions
//! (`ebpf/tests/stubs`), and run there under the address and undefined behaviour sanitizers.

mod program;
mod step;

use program::Program;

/// Runs a program of `ebpf/tests`, which exits with 1 and prints the differences if there are any.
fn passes(name: &str) {
    let program = Program::build(name);
    assert_eq!(program.run(&[]), b"", "it prints nothing but differences");
}

#[test]
fn a_path_is_found_through_mounts_and_roots_and_cut_at_its_start() {
    passes("path");
}

#[test]
fn a_tick_is_missed_only_if_one_thread_ran_all_the_while() {
    passes("ticks");
}
