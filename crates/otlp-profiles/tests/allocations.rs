//! Counts of memory allocations while windows are filled and closed.

#[path = "../benches/host/mod.rs"]
mod host;

use std::time::Duration;

use otlp_profiles::Windows;
use pdata::Batch;

use host::Host;

/// Length of a window; a minute of samples is less.
const WINDOW: Duration = Duration::from_secs(100);

fn push_all(windows: &mut Windows, batches: &[Batch]) -> u64 {
    let measured = allocation_counter::measure(|| {
        for batch in batches {
            assert!(windows.push(batch).requests.is_empty());
        }
    });
    measured.count_total
}

/// Once a window is as large as those before, captures of stacks that it knows cost no memory of their own, and the
/// first of each stack costs memory only for the texts of its image and files.
#[test]
fn known_stacks_allocate_nothing() {
    /// Half of a window.
    const HALF: Duration = Duration::from_secs(35);
    /// Number of files of the host: one executable for each process, and the libraries.
    const FILES: u64 = host::PROCESSES + host::LIBRARIES;
    let batches = Host::new(8).batches(5_000);
    let mut windows = Windows::new(WINDOW, usize::MAX);
    for number in 0..4 {
        let first = Host::again(&batches, WINDOW * number);
        let (opening, rest) = first.split_at(1);
        let closed =
            opening.iter().flat_map(|batch| windows.push(batch).requests).map(|request| request.samples);
        assert_eq!(closed.sum::<u64>(), if number == 0 { 0 } else { 10_000 });
        let new = push_all(&mut windows, rest);
        let known = push_all(&mut windows, &Host::again(&batches, WINDOW * number + HALF));
        match number {
            // Each batch opens a window before it closes the last: two are in use, and both grow to the size they need.
            0 | 1 => assert!(known > 0 && new > known, "the counter counts: {new}, {known}"),
            _ => {
                assert_eq!(known, 0, "in window {number}");
                assert!(new < 8 * (host::PROCESSES + FILES), "{new} in window {number}");
            }
        }
    }
}

/// Closing a warm window allocates memory for its requests, not for its samples.
#[test]
fn closing_a_window_allocates_for_its_requests_alone() {
    let allocated = |samples: u64| {
        let first = Host::new(8).batches(1_000);
        let mut windows = Windows::new(WINDOW, usize::MAX);
        let repeats = u32::try_from(samples / 1_000).unwrap();
        let fill = |windows: &mut Windows, from: Duration| {
            for batch in (0..repeats).flat_map(|n| Host::again(&first, from + Duration::from_secs(7) * n)) {
                windows.push(&batch);
            }
        };
        for window in 0..4 {
            fill(&mut windows, WINDOW * window);
        }
        let mut close = host::batch(&[]);
        close.watermark = pdata::Watermark::before(pdata::KTime::from_nanos(400_000_000_000));
        let mut requests = Vec::new();
        let measured = allocation_counter::measure(|| requests = windows.push(&close).requests);
        assert_eq!(requests.iter().map(|request| request.samples).sum::<u64>(), samples);
        measured.count_total
    };
    assert_eq!(allocated(1_000), allocated(10_000));
}
