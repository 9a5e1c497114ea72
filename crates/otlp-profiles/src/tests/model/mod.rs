//! The plain way to make a request, against which the crate's own is tested: prost's messages, built as samples come.
//!
//! [`window`] gathers into messages with a growing dictionary of messages, [`extract`] copies the entries that some
//! profiles use.

pub(super) mod dictionary;
pub(super) mod extract;
mod frames;
mod mappings;
mod profile;
mod resource;
mod settle;
pub(super) mod window;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use pdata::Batch;

use ::windows::EventWindows;

/// The requests of batches, one a window with samples, of any size. `between` runs after each batch.
///
/// Losses of windows without samples are not carried on.
pub(super) fn requests(
    length: Duration,
    batches: &[Batch],
    mut between: impl FnMut(usize),
) -> Vec<ExportProfilesServiceRequest> {
    let mut events = EventWindows::new(length);
    let mut requests = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let (closed, _) = events.push(batch, || window::Window::new(batch.clock));
        for closed in closed.into_iter().filter(|closed| !closed.gathered.is_empty()) {
            let whole = closed.gathered.finish(closed.from, closed.until);
            let dictionary = whole.dictionary.unwrap();
            requests.push(extract::extract(whole.resource_profiles, &dictionary));
        }
        between(number);
    }
    requests
}
