//! Answers of an API server, read by those who have their bytes and no server: tests that try any bytes.

use crate::extract::PodExtract;
use crate::lines::{WatchLine, WatchLines};
use crate::object::{PodList, PodObject, WatchEvent};
use crate::pod::Pod;
use crate::reflector::PodChange;

/// The changes that a page of a list reports, as if it were a whole list; none if the bytes are no page.
#[must_use]
pub fn changes_of_list(page: &[u8], extract: &PodExtract) -> Vec<PodChange> {
    let Ok(list) = PodList::parse(page) else { return Vec::new() };
    let items = list.items.unwrap_or_default();
    let pods = items.iter().filter_map(|object| change(object, extract, PodChange::Present));
    [PodChange::ListBegan].into_iter().chain(pods).chain([PodChange::ListEnded]).collect()
}

/// The changes that a watch reports whose body comes in these parts, with lines of at most `most` bytes.
#[must_use]
pub fn changes_of_watch<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    most: usize,
    extract: &PodExtract,
) -> Vec<PodChange> {
    let (mut lines, mut changes) = (WatchLines::new(most), Vec::new());
    for part in parts {
        lines.push(part);
        while let Some(line) = lines.next() {
            let WatchLine::Whole(line) = line else { continue };
            match WatchEvent::parse(&line) {
                Ok(WatchEvent::Present(pod)) => changes.extend(change(&pod, extract, PodChange::Present)),
                Ok(WatchEvent::Deleted(pod)) => changes.extend(change(&pod, extract, PodChange::Deleted)),
                Ok(WatchEvent::Bookmark(_) | WatchEvent::Error(_) | WatchEvent::Other) | Err(_) => {}
            }
        }
    }
    changes
}

fn change(object: &PodObject, extract: &PodExtract, change: fn(Box<Pod>) -> PodChange) -> Option<PodChange> {
    Pod::of(object, extract).map(|pod| change(Box::new(pod)))
}
