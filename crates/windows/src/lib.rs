//! Sorting of batches into windows of event time, for exporters of any format.
//!
//! Pure: no I/O, no clocks, no threads, and nothing of OTLP. An exporter implements [`Gather`] for the value in which
//! it collects a window's events, and [`EventWindows`] hands it each sample and each loss, and returns the windows that
//! are complete. [`Losses`] adds up the records that a window lacks. [`Grouping`] decides which images leave as one,
//! and each of its [`Groups`] then leaves in their place.

mod event_windows;
mod grouping;
mod losses;

pub use event_windows::{Closed, DEFAULT_WINDOW, EventWindows, Gather, MAX_WINDOW, MIN_WINDOW, window_fault};
pub use grouping::{Group, GroupBy, Grouping, Groups, Lives, Member, group_faults};
pub use losses::Losses;
