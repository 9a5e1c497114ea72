//! The worker, which reads what a stack lacks.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use procfs::ProcSource;
use unwind::PageRows;

use super::files::met;
use super::program::RuleWords;
use super::world::World;
use crate::abi::SampleMapping;
use crate::unwind::files::Files;
use crate::unwind::follow::Next;
use crate::unwind::tables::{CHUNK_BYTES, FIXED_BYTES};
use crate::unwind::worker::{Requests, Worker};

/// A stack whose time is over has nothing read for it.
#[test]
fn what_a_stack_lacks_is_built_until_its_time_is_over() {
    let World { tables, mut program, .. } = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    let met = met(&std::env::current_exe().unwrap());
    let ((_, files), (_, stacks), (followed, _)) =
        (mpsc::sync_channel(1), mpsc::sync_channel(1), mpsc::sync_channel(1));
    let requests = Requests { files, stacks, followed };
    let mut worker = Worker::new(tables, Files::new(ProcSource::new("/proc")), requests);
    let code = program.pages().start * PageRows::SIZE;
    let mapping = SampleMapping { start: 0, end: u64::MAX, file_offset: 0, file: 16 };
    let now = Instant::now();
    assert!(matches!(worker.next(&mapping, Some(&met), code, now), Next::Pending));
    assert!(worker.met.is_empty(), "nothing has been read");
    let rule = worker.next(&mapping, Some(&met), code, now + Duration::from_secs(60));
    let Next::Rule(rule) = rule else { panic!("no rule") };
    let expected: RuleWords = program.rule(code);
    let found: RuleWords = zerocopy::transmute!(rule);
    assert_eq!(found, expected);
}
