//! The processes that were there first.

use pdata::Event;

use crate::decode::{self, DecodeError};

/// Events of the two streams that `Programs::snapshot` reads, each stamped when the kernel wrote it.
///
/// # Errors
/// [`DecodeError`] if a stream does not consist of whole records.
pub(crate) fn events(mut images: &[u8], mut mappings: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    while !images.is_empty() {
        let (record, rest) = decode::split_image(images)?;
        events.push(decode::decode(record)?);
        images = rest;
    }
    while !mappings.is_empty() {
        let (event, rest) = decode::split_mapping(mappings)?;
        events.push(event);
        mappings = rest;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any bytes parse or are refused, and always in finite time.
        #[test]
        fn any_streams_parse_or_are_refused(
            images in proptest::collection::vec(any::<u8>(), 0..500),
            mappings in proptest::collection::vec(any::<u8>(), 0..500),
        ) {
            let _ = events(&images, &mappings);
        }
    }
}
