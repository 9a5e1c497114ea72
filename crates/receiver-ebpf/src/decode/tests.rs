use proptest::prelude::*;
use zerocopy::IntoBytes;

use pdata::FileIdentity;

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

const RELATIVES: RelativesRecord = RelativesRecord {
    parent_start_boottime_ns: 15,
    parent_pid: 16,
    session: 17,
    process_group: 18,
    own_pid: 19,
    pid_namespace: 20,
    network_namespace: 21,
    group_id: 22,
    has_terminal: 1,
};

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
        environment_bytes: 0,
        arguments_bytes: 0,
        relatives: RELATIVES,
    };
    // A slot is longer than its text.
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
        Record::Event(Event::Process(event)) => event.transition,
        other => panic!("{other:?} is no process event"),
    }
}

#[test]
fn a_sample_keeps_identity_and_its_frames_refer_to_its_mappings() {
    let body = SampleBody {
        cgroup: 44,
        user: 1000,
        period_ns: 5_000_000_000,
        kernel_frames: 1,
        user_frames: 2,
        mappings: 1,
        user_stack_end: 2,
    };
    let mut header = header(abi::RECORD_SAMPLE);
    header.flags = abi::FLAG_IN_EXECVE;
    let kernel = u64::MAX - 5;
    let mapping = SampleMapping { start: 2, end: 3, file_offset: 0x1000, file: 77 };
    let words = [kernel, 2 | (1 << abi::FRAME_ADDRESS_BITS), 3 | (1 << abi::FRAME_INTERRUPTED_BIT)];
    let record =
        [header.as_bytes(), body.as_bytes(), words.as_bytes(), mapping.as_bytes(), &[9; 20]].concat();
    let Record::Sample(raw) = decode(&record).unwrap() else { panic!("no sample") };
    let sample = &raw.sample;
    assert_eq!(sample.key, key(42, 77, 9));
    assert_eq!(
        (sample.at, sample.tid, sample.cpu, raw.cgroup, sample.context.user),
        (KTime::from_nanos(1_000), Tid(43), 3, 44, Some(Uid(1000)))
    );
    assert_eq!(sample.comm.to_string(), "worker");
    // The period has more than 32 bits: one sample a second and slower.
    assert_eq!(sample.measure, Measure::OnCpu { period: Duration::from_secs(5) });
    assert_eq!(sample.running, Running::Execve);
    assert_eq!(*raw.kernel, [Pc(kernel)]);
    let leaf = RawFrame { pc: Pc(2), mapping: Some(0), interrupted: false };
    assert_eq!(*raw.user, [leaf, RawFrame { pc: Pc(3), mapping: None, interrupted: true }]);
    assert_eq!(raw.end, 2);
    assert_eq!(*raw.mappings, [mapping]);
}

#[test]
fn a_file_has_identity_path_and_build_id() {
    let key = FileKey { inode: 5, mtime_ns: 6, extra: 7, device: 8, generation: 9, ..FileKey::default() };
    let mut build_id = [0; 20];
    build_id[..2].copy_from_slice(&[0xab, 0xcd]);
    let body = FileBody {
        id: 31,
        key,
        size: 7,
        link_count: 0,
        path_bytes: 6,
        own_path_bytes: 4,
        build_id,
        build_id_bytes: 2,
    };
    let record = [header(abi::RECORD_FILE).as_bytes(), body.as_bytes(), b"/r/lib", &[0xaa; 3]].concat();
    let Record::File(announced) = decode(&record).unwrap() else { panic!("no file") };
    assert_eq!((announced.id, announced.key, announced.nowhere), (31, key, false));
    let file = &announced.file;
    let identity = FileIdentity { device: 8, inode: 5, generation: 9, modified: 6, extra: 7 };
    assert_eq!((file.identity, file.size, file.state), (identity, 7, FileState::Deleted));
    assert_eq!((&*file.path, file.own_path.as_deref()), (Path::new("/r/lib"), Some(Path::new("/lib"))));
    assert_eq!(file.build_id, BuildId::new(&[0xab, 0xcd]));
}

#[test]
fn control_groups_have_their_paths_from_the_root_down() {
    let key = CgroupKey { unified: 7, legacy: 8, controller: 1 };
    let body = CgroupBody { key, number: 3, unified_bytes: 21, legacy_bytes: 2 };
    let header = header(abi::RECORD_CGROUP);
    let names = b"a.scope\0system.slice\0b\0";
    let bytes = |body: CgroupBody| [header.as_bytes(), body.as_bytes(), &names[..], &[0xaa; 9]].concat();
    let Record::Cgroup(announced) = decode(&bytes(body)).unwrap() else { panic!("no control group") };
    let cgroup = &announced.cgroup;
    assert_eq!((announced.key, cgroup.id, cgroup.truncated), (key, CgroupId(3), false));
    assert_eq!(&*cgroup.path, Path::new("/system.slice/a.scope"));
    assert_eq!(cgroup.legacy_path.as_deref(), Some(Path::new("/b")));
    let root = CgroupBody { key: CgroupKey { unified: 1, ..CgroupKey::default() }, ..body };
    let root = CgroupBody { unified_bytes: 0, legacy_bytes: 0, ..root };
    let Record::Cgroup(announced) = decode(&bytes(root)).unwrap() else { panic!("no control group") };
    assert_eq!((&*announced.cgroup.path, &announced.cgroup.legacy_path), (Path::new("/"), &None));
    assert!(decode(&bytes(CgroupBody { unified_bytes: 60, ..body })).is_err());
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
    let body =
        ForkBody { parent_start_boottime_ns: 5, parent_pid: 6, parent_exec_count: 7, relatives: RELATIVES };
    let record = [header(abi::RECORD_FORK).as_bytes(), body.as_bytes()].concat();
    let relatives = Relatives {
        parent: key(16, 15, 0).process,
        session: Pid(17),
        group: Pid(18),
        own_pid: Pid(19),
        pid_namespace: 20,
        network_namespace: 21,
        group_id: Some(22),
        has_terminal: Some(true),
    };
    assert_eq!(transition(&record), ProcessTransition::Fork { parent: key(6, 5, 7), relatives });
}

#[test]
fn a_record_shorter_than_it_claims_is_refused_by_the_part_it_lacks() {
    let whole = image_bytes(&header(abi::RECORD_EXEC), "/bin/sh", 0, "sh", "");
    assert_eq!(decode(&whole[..20]).unwrap_err(), DecodeError::Truncated { len: 20, part: "header" });
    assert_eq!(decode(&whole[..60]).unwrap_err(), DecodeError::Truncated { len: 4, part: "image" });
    assert_eq!(decode(&whole[..130]).unwrap_err(), DecodeError::Truncated { len: 2, part: "path" });
}

proptest! {
    /// Any bytes decode or are refused: no panic, no read past the end.
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
        if let Ok((_, rest)) = split_image(&bytes) {
            prop_assert!(rest.len() < bytes.len(), "a snapshot is read in finite time");
        }
    }

    /// Any bytes with a valid kind decode or are refused, so that the bodies are reached.
    #[test]
    fn any_body_decodes_or_is_refused(kind in 0u32..11, body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let record = [header(kind).as_bytes(), &body].concat();
        let _ = decode(&record);
    }
}

#[test]
fn flags_say_what_ran() {
    // The idle task is a kernel thread too, and so is one that calls `execve`.
    for (flags, expected) in [
        (0, Running::Program),
        (abi::FLAG_IN_EXECVE, Running::Execve),
        (abi::FLAG_KERNEL_THREAD | abi::FLAG_IN_EXECVE, Running::KernelThread),
        (abi::FLAG_KERNEL_THREAD | abi::FLAG_SOFTIRQ, Running::Softirq),
    ] {
        assert_eq!(running(flags), expected);
        assert_eq!(expected.is_kernel(), flags & abi::FLAG_KERNEL_THREAD != 0);
    }
}
