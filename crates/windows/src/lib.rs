//! Batches to windows of event time, for exporters of whatever format.
//!
//! Pure: no I/O, no clocks, no threads, and nothing of OTLP. An exporter implements [`Gather`] for what it collects of
//! a window, and [`EventWindows`] hands it each sample and each loss, and the windows that are complete. [`Losses`]
//! adds up what a window lacks. [`Grouping`] says which images leave as one, and [`Groups`] are what they leave as.

mod event_windows;
mod grouping;
mod losses;

pub use event_windows::{Closed, DEFAULT_WINDOW, EventWindows, Gather, MAX_WINDOW, MIN_WINDOW, window_fault};
pub use grouping::{Group, GroupBy, Grouping, Groups, Lives, Member, group_faults};
pub use losses::Losses;
