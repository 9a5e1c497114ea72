use proptest::prelude::*;
use zerocopy::IntoBytes;

use pdata::StackEnd;

use super::*;

fn header(kind: u32) -> RecordHeader {
    RecordHeader {
        kind,
        cpu: 3,
        ktime_ns: 1_000,
        pid: 42,
        tid: 43,
        start_boottime_ns: 77,
        exec_count: 9,
        flags: 0,
        comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
    }
}

fn image_bytes(header: &RecordHeader, path: &str, own: u16, filename: &str, interpreter: &str) -> Vec<u8> {
    let len = |text: &str| u16::try_from(text.len()).unwrap();
    let body = ImageBody {
        inode: 5,
        device: 6,
        link_count: 1,
        mount_namespace: 7,
        path_bytes: len(path),
        own_path_bytes: own,
        filename_bytes: len(filename),
        interpreter_bytes: len(interpreter),
        reserved: 0,
    };
    // A slot is longer than what it holds.
    [
        header.as_bytes(),
        body.as_bytes(),
        path.as_bytes(),
        filename.as_bytes(),
        interpreter.as_bytes(),
        &[0xaa; 33],
    ]
    .concat()
}

fn transition(record: &[u8]) -> ProcessTransition {
    match decode(record).unwrap() {
        Event::Process(event) => event.transition,
        other => panic!("{other:?} is no process event"),
    }
}

#[test]
fn a_sample_keeps_identity_and_orders_kernel_frames_before_user_frames() {
    let body =
        SampleBody { cgroup_id: 44, period_ns: 5_000_000_000, kernel_frames: 2, user_frames: 2, reserved: 0 };
    let mut header = header(abi::RECORD_SAMPLE);
    header.flags = abi::FLAG_IN_EXECVE;
    let record = [header.as_bytes(), body.as_bytes(), [1u64, 2, 3, 4, 99].as_bytes()].concat();
    let Event::Sample(sample) = decode(&record).unwrap() else { panic!("no sample") };
    assert_eq!(sample.key, key(42, 77, 9));
    assert_eq!(
        (sample.at, sample.tid, sample.cpu, sample.cgroup),
        (KTime::from_nanos(1_000), Tid(43), 3, CgroupId(44))
    );
    assert_eq!(sample.comm.to_string(), "worker");
    // More than 32 bits hold: one sample a second and slower.
    assert_eq!(sample.measure, Measure::OnCpu { period: Duration::from_secs(5) });
    assert_eq!((sample.running, sample.stack.end), (Running::Execve, StackEnd::NotReported));
    let frames = sample.stack.frames.iter().map(|frame| (frame.pc.0, frame.kind, frame.code.is_kernel()));
    let expected = [
        (1, AddressKind::Exact, true),
        (2, AddressKind::Return, true),
        (3, AddressKind::Exact, false),
        (4, AddressKind::Return, false),
    ];
    assert_eq!(frames.collect::<Vec<_>>(), expected, "each leaf was read from registers");
}

#[test]
fn an_exec_splits_its_text_into_path_filename_and_interpreter() {
    let record = image_bytes(&header(abi::RECORD_EXEC), "/jail/bin/sh", 7, "./run.sh", "/bin/sh");
    let ProcessTransition::Exec { executable, filename, interpreter, .. } = transition(&record) else {
        panic!("no exec")
    };
    assert_eq!(&*executable.path, Path::new("/jail/bin/sh"));
    assert_eq!(executable.own_path.as_deref(), Some(Path::new("/bin/sh")));
    assert_eq!(executable.state, FileState::Linked);
    assert_eq!(&*filename, b"./run.sh");
    assert_eq!(interpreter.as_deref(), Some(&b"/bin/sh"[..]));
}

#[test]
fn an_own_path_equal_to_the_path_or_absent_is_no_other_view() {
    for own in [0, 7] {
        let record = image_bytes(&header(abi::RECORD_EXEC), "/bin/sh", own, "sh", "");
        let ProcessTransition::Exec { executable, interpreter, .. } = transition(&record) else {
            panic!("no exec")
        };
        assert_eq!(executable.own_path, None);
        assert_eq!(interpreter, None);
    }
}

#[test]
fn a_file_that_was_never_in_a_directory_is_a_memfd() {
    let mut header = header(abi::RECORD_SEEN);
    header.flags = abi::FLAG_NO_PARENT_DIRECTORY;
    let ProcessTransition::Seen { executable: Some(executable), .. } =
        transition(&image_bytes(&header, "/memfd:x", 0, "", ""))
    else {
        panic!("nothing seen")
    };
    assert_eq!(executable.state, FileState::Memfd);
}

#[test]
fn a_file_is_deleted_for_whoever_opened_it_by_a_name_that_is_gone() {
    let mut header = header(abi::RECORD_SEEN);
    header.flags = abi::FLAG_NAME_GONE;
    let ProcessTransition::Seen { executable: Some(executable), .. } =
        transition(&image_bytes(&header, "/bin/a", 0, "", ""))
    else {
        panic!("nothing seen")
    };
    assert_eq!(executable.state, FileState::Deleted);
}

#[test]
fn an_image_without_a_path_is_a_kernel_thread() {
    let seen = transition(&image_bytes(&header(abi::RECORD_SEEN), "", 0, "", ""));
    assert!(matches!(seen, ProcessTransition::Seen { executable: None, .. }));
}

#[test]
fn what_an_older_record_left_behind_a_name_is_no_part_of_it() {
    let mut header = header(abi::RECORD_RENAME);
    header.comm = *b"sh\0ker\0\0\0\0\0\0\0\0\0x";
    let renamed = ProcessTransition::Rename { tid: Tid(43), comm: Comm(*b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0") };
    assert_eq!(transition(header.as_bytes()), renamed);
}

#[test]
fn a_fork_names_its_parent() {
    let body = ForkBody { parent_start_boottime_ns: 5, parent_pid: 6, parent_exec_count: 7 };
    let record = [header(abi::RECORD_FORK).as_bytes(), body.as_bytes()].concat();
    assert_eq!(transition(&record), ProcessTransition::Fork { parent: key(6, 5, 7) });
}

#[test]
fn a_record_shorter_than_it_claims_is_refused_by_the_part_it_lacks() {
    let whole = image_bytes(&header(abi::RECORD_EXEC), "/bin/sh", 0, "sh", "");
    assert_eq!(decode(&whole[..20]).unwrap_err(), DecodeError::Truncated { len: 20, part: "header" });
    assert_eq!(decode(&whole[..60]).unwrap_err(), DecodeError::Truncated { len: 4, part: "image" });
    assert_eq!(decode(&whole[..90]).unwrap_err(), DecodeError::Truncated { len: 2, part: "path" });
}

proptest! {
    /// Any bytes decode or are refused: no panic, no read past the end.
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
        if let Ok((_, rest)) = split_mapping(&bytes) {
            prop_assert!(rest.len() < bytes.len(), "a snapshot is read in finite time");
        }
        if let Ok((_, rest)) = split_image(&bytes) {
            prop_assert!(rest.len() < bytes.len(), "a snapshot is read in finite time");
        }
    }

    /// The same with a valid kind, so that the bodies are reached.
    #[test]
    fn any_body_decodes_or_is_refused(kind in 0u32..9, body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let record = [header(kind).as_bytes(), &body].concat();
        let _ = decode(&record);
    }
}
