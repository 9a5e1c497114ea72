//! The processes that were there first.

use pdata::Event;

use crate::decode::{self, DecodeError};

/// Events of the two streams that `Programs::snapshot` reads, each stamped when the kernel wrote it; and how many streams
/// broke off, since what follows a record that makes no sense cannot be found.
///
/// A process that is missing for that is unknown when it is sampled, and then read from `/proc`.
pub(crate) fn events(images: &[u8], mappings: &[u8]) -> (Vec<Event>, u64) {
    let mut events = Vec::new();
    let broken = [read(images, image, &mut events), read(mappings, decode::split_mapping, &mut events)];
    for error in broken.iter().flatten() {
        tracing::error!(%error, "the snapshot of running processes breaks off");
    }
    (events, broken.iter().flatten().count() as u64)
}

fn read(
    mut stream: &[u8],
    first: impl Fn(&[u8]) -> Result<(Event, &[u8]), DecodeError>,
    events: &mut Vec<Event>,
) -> Option<DecodeError> {
    while !stream.is_empty() {
        match first(stream) {
            Ok((event, rest)) => {
                events.push(event);
                stream = rest;
            }
            Err(error) => return Some(error),
        }
    }
    None
}

fn image(stream: &[u8]) -> Result<(Event, &[u8]), DecodeError> {
    let (record, rest) = decode::split_image(stream)?;
    Ok((decode::decode(record)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_that_breaks_off_keeps_what_came_before_and_does_not_touch_the_other() {
        let mapping = [7u64, 1 | (2 << 32), 0x1000, 0x2000, 0].map(u64::to_ne_bytes).concat();
        let whole = [&mapping[..], b"/a"].concat();
        let (events, broken) = events(b"garbage", &[&whole[..], &whole[..20]].concat());
        assert_eq!((events.len(), broken), (1, 2));
    }

    proptest! {
        /// Any bytes are read as far as they make sense, and always in finite time.
        #[test]
        fn any_streams_are_read_as_far_as_they_make_sense(
            images in proptest::collection::vec(any::<u8>(), 0..500),
            mappings in proptest::collection::vec(any::<u8>(), 0..500),
        ) {
            let _ = events(&images, &mappings);
        }
    }
}
