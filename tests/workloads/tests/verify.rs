//! The truth itself is true: every link shows what the storm expected it to show.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::storm::{Prepared, StormError, StormSite};
use workloads::truth::{State, Truth};

/// The truth of a storm, which runs alone: while one storm lowers `kernel.pid_max`, processes of another find no pid
/// for a second fork or a thread. And a program cannot be run while another storm's launcher, which has yet to call
/// exec, holds it open for writing.
fn storm(shape: &Shape, pid_max: Option<u32>) -> Result<Truth, StormError> {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = StormSite { dir: std::env::temp_dir(), executables: 30, pid_max };
    Prepared::new(shape, &place)?.run(&Arc::new(AtomicBool::new(false)))
}

fn shape() -> Shape {
    Shape {
        seed: 1,
        arrival: Arrival::Closed { processes: 120, at_once: 3 },
        cpu: Some(Duration::from_micros(300)),
        modes: Mode::value_variants().to_vec(),
        older: 1,
        sleepers: 2,
        verify: true,
    }
}

#[test]
#[ignore = "needs root: makes namespaces and changes roots"]
fn every_link_shows_the_expected_path_and_mark() {
    let truth = storm(&shape(), None).unwrap();
    let mut looked = 0;
    for process in &truth.processes {
        for image in &process.images {
            let observed = image.observed.as_deref().unwrap();
            let bare = observed.strip_suffix(" (deleted)");
            assert_eq!(bare.unwrap_or(observed), image.path, "{process:?}");
            let allowed = if bare.is_some() { [State::Deleted, State::Memfd] } else { [State::Linked; 2] };
            assert!(image.states.iter().any(|state| allowed.contains(state)), "{process:?}");
            looked += 1;
        }
    }
    assert!(looked >= 120 + Mode::value_variants().len());
}

#[test]
#[ignore = "needs root: makes namespaces and changes roots"]
fn the_marks_of_a_process_are_in_order_and_its_images_use_no_more_cpu_than_it_has() {
    for process in storm(&Shape { verify: false, ..shape() }, None).unwrap().processes {
        let mut marks = vec![process.born];
        marks.extend(process.exec_at);
        marks.extend(process.images.iter().flat_map(|image| [image.enter, image.leave]));
        marks.push(process.reaped);
        assert!(marks.is_sorted(), "{process:?}");
        let in_images: u64 = process.images.iter().map(|image| image.cpu_ns).sum();
        // wait4 counts whole microseconds, of user and of system time.
        assert!(process.variant.is_some() || in_images <= process.cpu_ns + 2_000, "{process:?}");
    }
}

#[test]
#[ignore = "needs root: lowers kernel.pid_max"]
fn pids_are_used_again_and_pid_max_is_restored() {
    let before = std::fs::read_to_string(workloads::kernel::PID_MAX).unwrap();
    let arrival = Arrival::Closed { processes: 1_500, at_once: 4 };
    let modes = Mode::PID_REUSE.to_vec();
    let truth =
        storm(&Shape { arrival, modes, older: 0, sleepers: 0, verify: false, ..shape() }, Some(1_000))
            .unwrap();
    let pids: std::collections::HashSet<u32> = truth.processes.iter().map(|process| process.pid).collect();
    assert!(truth.processes.len() > pids.len() + 500, "{} pids for {}", pids.len(), truth.processes.len());
    assert_eq!(std::fs::read_to_string(workloads::kernel::PID_MAX).unwrap(), before);
}
