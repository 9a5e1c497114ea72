//! Records of the perf sideband to pdata: a total function of any bytes. Layout: perf_event_open(2).

use pdata::{
    BuildId, Event, FileOffset, KTime, Loss, LossReason, MappingChange, MappingEvent, MappingRecord, Pc, Pid,
};

use crate::decode::DecodeError;

const LOST: u32 = 2;
const COMM: u32 = 3;
const FORK: u32 = 7;
const MMAP2: u32 = 10;

const MISC_COMM_EXEC: u16 = 1 << 13;
const MISC_MMAP_BUILD_ID: u16 = 1 << 14;

/// `struct perf_event_header`: type, misc, size.
pub(crate) const HEADER_BYTES: usize = 8;
/// What `sample_id_all` with TID, TIME and CPU puts at the end of each record.
const TRAILER_BYTES: usize = 24;

/// What a record says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Something that only the sideband knows.
    Event(Event),
    /// A process (not only a thread) was made. The BPF hook says more; this says that it should have.
    Forked,
    /// What the BPF programs tell with more detail: names, new threads, exits.
    Nothing,
}

/// One record: when, and what it says.
///
/// `since` is the time of the ring's previous record: what was lost, was lost after it.
///
/// # Errors
/// [`DecodeError`] if the record is shorter than its kind.
pub fn decode(record: &[u8], since: KTime) -> Result<(KTime, Said), DecodeError> {
    let truncated = |part| DecodeError::Truncated { len: record.len(), part };
    let kind = u32_at(record, 0).ok_or(truncated("header"))?;
    let misc = u16_at(record, 4).ok_or(truncated("header"))?;
    let trailer = record.len().checked_sub(TRAILER_BYTES).ok_or(truncated("trailer"))?;
    let at = KTime::from_nanos(u64_at(record, trailer + 8).ok_or(truncated("trailer"))?);
    let body = record.get(..trailer).ok_or(truncated("trailer"))?;
    let said = match kind {
        MMAP2 => Said::Event(mmap2(body, misc, at).ok_or(truncated("mapping"))?),
        COMM if misc & MISC_COMM_EXEC != 0 => {
            let pid = Pid(u32_at(body, 8).ok_or(truncated("comm"))?);
            Said::Event(Event::Mapping(MappingEvent { at, pid, change: MappingChange::Cleared }))
        }
        LOST => {
            let count = u64_at(body, 16).ok_or(truncated("count"))?;
            Said::Event(Event::Loss(Loss {
                from: since,
                until: at,
                reason: LossReason::SidebandRingFull,
                count,
            }))
        }
        FORK => {
            let (pid, parent) = u32_at(body, 8).zip(u32_at(body, 12)).ok_or(truncated("fork"))?;
            if pid == parent { Said::Nothing } else { Said::Forked }
        }
        _ => Said::Nothing,
    };
    Ok((at, said))
}

fn mmap2(body: &[u8], misc: u16, at: KTime) -> Option<Event> {
    let pid = Pid(u32_at(body, 8)?);
    let (start, length) = (u64_at(body, 16)?, u64_at(body, 24)?);
    let build_id = if misc & MISC_MMAP_BUILD_ID != 0 {
        let size = usize::from(*body.get(40)?);
        BuildId::new(body.get(44..44 + size.min(BuildId::MAX))?)
    } else {
        None
    };
    let mapping = MappingRecord {
        start: Pc(start),
        end: Pc(start.saturating_add(length)),
        file_offset: FileOffset(u64_at(body, 32)?),
        // NUL-terminated, then padded to a multiple of 8.
        name: body.get(72..)?.split(|&byte| byte == 0).next()?.into(),
        build_id,
    };
    Some(Event::Mapping(MappingEvent { at, pid, change: MappingChange::Mapped(mapping) }))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_ne_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 5_000;

    fn record(kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
        let size = u16::try_from(HEADER_BYTES + body.len() + TRAILER_BYTES).unwrap();
        let mut bytes = [&kind.to_ne_bytes()[..], &misc.to_ne_bytes(), &size.to_ne_bytes(), body].concat();
        bytes.extend([[7; 8], NOW.to_ne_bytes(), [0; 8]].concat());
        bytes
    }

    fn mmap2_body(build_id: &[u8], name: &[u8]) -> Vec<u8> {
        let mut body = [42u32.to_ne_bytes(), 42u32.to_ne_bytes()].concat();
        for word in [0x1000u64, 0x200, 0x3000] {
            body.extend(word.to_ne_bytes());
        }
        body.extend([u8::try_from(build_id.len()).unwrap(), 0, 0, 0]);
        body.extend(build_id);
        body.resize(64, 0);
        body.extend([name, &[0; 8]].concat());
        body
    }

    #[test]
    fn a_mapping_has_range_offset_name_and_build_id() {
        let bytes = record(MMAP2, MISC_MMAP_BUILD_ID, &mmap2_body(&[0xab; 20], b"/bin/true"));
        let (at, event) = decode(&bytes, KTime::ZERO).unwrap();
        assert_eq!(at, KTime::from_nanos(NOW));
        let Said::Event(Event::Mapping(MappingEvent {
            pid: Pid(42),
            change: MappingChange::Mapped(mapping),
            ..
        })) = event
        else {
            panic!("{event:?}")
        };
        assert_eq!(
            (mapping.start, mapping.end, mapping.file_offset),
            (Pc(0x1000), Pc(0x1200), FileOffset(0x3000))
        );
        assert_eq!(&*mapping.name, b"/bin/true");
        assert_eq!(mapping.build_id, BuildId::new(&[0xab; 20]));
    }

    #[test]
    fn without_the_build_id_flag_those_bytes_are_an_inode() {
        let (_, event) = decode(&record(MMAP2, 0, &mmap2_body(&[0xab; 20], b"[vdso]")), KTime::ZERO).unwrap();
        let Said::Event(Event::Mapping(MappingEvent { change: MappingChange::Mapped(mapping), .. })) = event
        else {
            panic!("{event:?}")
        };
        assert_eq!(mapping.build_id, None);
    }

    #[test]
    fn only_a_name_given_by_exec_clears_the_mappings() {
        let body = [&42u32.to_ne_bytes()[..], &42u32.to_ne_bytes(), b"true\0\0\0\0"].concat();
        let (_, renamed) = decode(&record(COMM, 0, &body), KTime::ZERO).unwrap();
        assert!(matches!(renamed, Said::Nothing));
        let (_, exec) = decode(&record(COMM, MISC_COMM_EXEC, &body), KTime::ZERO).unwrap();
        assert!(matches!(
            exec,
            Said::Event(Event::Mapping(MappingEvent { change: MappingChange::Cleared, .. }))
        ));
    }

    #[test]
    fn a_loss_spans_from_the_previous_record_to_its_own() {
        let body = [1u64.to_ne_bytes(), 17u64.to_ne_bytes()].concat();
        let (_, event) = decode(&record(LOST, 0, &body), KTime::from_nanos(4_000)).unwrap();
        let Said::Event(Event::Loss(loss)) = event else { panic!("{event:?}") };
        assert_eq!(loss.count, 17);
        assert_eq!((loss.from, loss.until), (KTime::from_nanos(4_000), KTime::from_nanos(NOW)));
        assert_eq!(loss.reason, LossReason::SidebandRingFull);
    }

    #[test]
    fn a_fork_of_a_thread_is_no_fork_of_a_process() {
        let fork = |pid: u32, parent: u32| {
            let body: Vec<u8> =
                [pid, parent, 9, 8, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
            decode(&record(FORK, 0, &body), KTime::ZERO).unwrap().1
        };
        assert!(matches!(fork(42, 41), Said::Forked));
        assert!(matches!(fork(42, 42), Said::Nothing));
    }

    proptest! {
        /// Any bytes decode or are refused: no panic, no read past the end.
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, KTime::ZERO);
        }

        /// The same with a kind that is decoded, so that the bodies are reached.
        #[test]
        fn any_body_decodes_or_is_refused(
            kind in prop_oneof![Just(LOST), Just(COMM), Just(FORK), Just(MMAP2)],
            misc: u16,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = decode(&record(kind, misc, &body), KTime::ZERO);
        }
    }
}
