//! How often memory is asked for.

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

/// Captures of known stacks cost no memory of their own, nor does a second window like the first.
#[test]
fn known_stacks_allocate_nothing() {
    let first = Host::new(8).batches(5_000);
    let mut windows = Windows::new(WINDOW, usize::MAX);
    let new = push_all(&mut windows, &first);
    assert!(new > 0, "the counter counts");
    // The log of captures grows by doubling: it is full-grown after this.
    push_all(&mut windows, &Host::again(&first, Duration::from_secs(35)));

    let second = Host::again(&first, WINDOW);
    let (opening, rest) = second.split_at(1);
    let requests: Vec<_> = opening.iter().flat_map(|batch| windows.push(batch).requests).collect();
    assert_eq!(requests.iter().map(|request| request.samples).sum::<u64>(), 10_000);
    // The first batch of a window closes the one before and gathers in a window of its own beside it: two are in use
    // from then on, and this one is new. The third uses what the first has left.
    push_all(&mut windows, rest);
    push_all(&mut windows, &Host::again(&first, WINDOW + Duration::from_secs(35)));

    let third = Host::again(&first, 2 * WINDOW);
    let (opening, rest) = third.split_at(1);
    assert_eq!(opening.iter().map(|batch| windows.push(batch).requests.len()).sum::<usize>(), 1);
    assert_eq!(push_all(&mut windows, rest), 0, "a window like one before, in its memory");
    assert_eq!(push_all(&mut windows, &Host::again(&first, 2 * WINDOW + Duration::from_secs(35))), 0);
}

/// What a window allocates once it is warm is its requests, not its samples.
#[test]
fn closing_a_window_allocates_for_its_requests_alone() {
    let allocated = |samples: u64| {
        let first = Host::new(8).batches(1_000);
        let mut windows = Windows::new(WINDOW, usize::MAX);
        let repeats = u32::try_from(samples / 1_000).unwrap();
        let fill = |windows: &mut Windows, from: Duration| {
            let last = (0..repeats).map(|n| Host::again(&first, from + Duration::from_secs(7) * n)).flatten();
            for batch in last {
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
