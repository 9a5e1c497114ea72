//! The processes that were there first.

use pdata::Event;

use crate::decode::{self, DecodeError, Record};

/// Events of the stream that `Programs::snapshot` reads, each stamped when the kernel wrote it; and why the stream
/// broke off, if it did, since what follows a record that makes no sense cannot be found.
///
/// A process that is missing for that is unknown when it is sampled, and then read from `/proc`.
pub(crate) fn events(mut stream: &[u8]) -> (Vec<Event>, Option<DecodeError>) {
    let mut events = Vec::new();
    while !stream.is_empty() {
        match first(stream) {
            Ok((event, rest)) => {
                events.extend(event);
                stream = rest;
            }
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

fn first(stream: &[u8]) -> Result<(Option<Event>, &[u8]), DecodeError> {
    let (record, rest) = decode::split_image(stream)?;
    match decode::decode(record)? {
        Record::Event(event) => Ok((Some(event), rest)),
        Record::Sample(_) | Record::File(_) | Record::Cgroup(_) => Ok((None, rest)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_that_breaks_off_says_so() {
        assert!(matches!(events(b""), (events, None) if events.is_empty()));
        assert!(
            matches!(events(b"garbage"), (events, Some(DecodeError::Truncated { .. })) if events.is_empty())
        );
    }

    proptest! {
        /// Any bytes are read as far as they make sense, and always in finite time.
        #[test]
        fn any_stream_is_read_as_far_as_it_makes_sense(stream in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = events(&stream);
        }
    }
}
