//! The BPF programs of the machine, whoever has loaded them.

use aya::programs::loaded_programs;

/// The number of the newest BPF program that is loaded: another one than before means that there may be code where
/// other code was. `None` if there is none, or the kernel does not show it to this agent (without `CAP_SYS_ADMIN`).
#[must_use]
pub(crate) fn newest_bpf_program() -> Option<u32> {
    let mut newest = None;
    for program in loaded_programs() {
        match program {
            // Numbers are given in ascending order, and used again only after two thousand millions.
            Ok(program) => newest = newest.max(Some(program.id())),
            // It has been unloaded since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(_refused) => return None,
        }
    }
    newest
}

fn is_gone(error: &aya::programs::ProgramError) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::NotFound;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root: loads BPF programs"]
    fn a_program_that_is_loaded_is_the_newest() {
        use crate::config::UnwindConfig;
        use crate::loader::Programs;

        let before = newest_bpf_program();
        let programs = Programs::load((1, 1), &UnwindConfig::default(), crate::room::Room::find()).unwrap();
        let with_ours = newest_bpf_program();
        assert!(with_ours > before, "{with_ours:?}, {before:?}");
        drop(programs);
    }
}
