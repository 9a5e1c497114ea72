use std::path::Path;

use pdata::{FileIdentity, KTime};

use super::*;

fn key(inode: u64) -> FileKey {
    FileKey { inode, ..FileKey::default() }
}

fn announced(id: u64, key: FileKey, path: &str) -> AnnouncedFile {
    let identity = FileIdentity { inode: key.inode, ..FileIdentity::default() };
    AnnouncedFile {
        id,
        key,
        file: MappedFile { identity, ..MappedFile::at(Path::new(path)) },
        nowhere: false,
    }
}

impl Files {
    fn resolve(&mut self, raw: RawSample) -> Sample {
        self.open(raw).close()
    }
}

/// A sample with a frame in a mapping of each file.
fn sample(files: &[u64]) -> RawSample {
    let mapping = |(index, &file): (usize, &u64)| {
        let start = 0x1000 * (index as u64 + 1);
        SampleMapping { start, end: start + 0x1000, file_offset: 0, file }
    };
    let frame = |pc, mapping| RawFrame { pc: Pc(pc), mapping, interrupted: false };
    let user = (0..files.len()).map(|index| frame(0x1000 * (index as u64 + 1), Some(index)));
    RawSample {
        sample: Sample { at: KTime::from_nanos(1), ..Sample::default() },
        kernel: [Pc(u64::MAX)].into(),
        user: user.chain([frame(3, None)]).collect(),
        mappings: files.iter().enumerate().map(mapping).collect(),
        end: abi::END_FILE_PENDING,
        cgroup: 0,
        rest: None,
    }
}

/// The names of the mappings that a sample's user frames are in.
fn names(sample: &Sample) -> Vec<Option<String>> {
    let name = |frame: &Frame| match &frame.code {
        Code::Mapped(mapping) => Some(Some(mapping.backing.name().into_owned())),
        Code::Unknown => Some(None),
        Code::Kernel | Code::Interpreted(..) => None,
    };
    sample.stack.frames.iter().filter_map(name).collect()
}

#[test]
fn frames_are_in_what_their_mappings_refer_to() {
    let mut files = Files::new(KernelImages::default());
    files.announce(announced(16, key(1), "/bin/a"));
    let told = files.resolve(sample(&[16, abi::MAPPED_ANONYMOUS, abi::MAPPED_VDSO, abi::MAPPED_UNANNOUNCED]));
    let expected = [Some("/bin/a"), Some("//anon"), Some("[vdso]"), None, None];
    assert_eq!(names(&told), expected.map(|name| name.map(str::to_owned)));
    let [kernel, leaf, caller, ..] = &*told.stack.frames else { panic!("{told:?}") };
    assert!(matches!(kernel.code, Code::Kernel) && kernel.pc == Pc(u64::MAX));
    let kinds = [kernel, leaf, caller].map(|frame| frame.kind);
    assert_eq!(
        kinds,
        [AddressKind::Exact, AddressKind::Exact, AddressKind::Return],
        "both leaves are from registers"
    );
    let Code::Mapped(anonymous) = &caller.code else { panic!("{caller:?}") };
    assert!(matches!(anonymous.backing, Backing::Anonymous(of) if of == told.key.process));
    assert_eq!(files.take_unknown(), 0);
}

#[test]
fn a_number_that_is_not_known_is_counted_and_taken_for_nothing() {
    let mut files = Files::new(KernelImages::default());
    assert_eq!(names(&files.resolve(sample(&[99]))), [None, None]);
    assert_eq!((files.take_unknown(), files.take_unknown()), (1, 0));
}

#[test]
fn a_file_announced_again_is_the_same_file_and_mappings_are_shared() {
    let mut files = Files::new(KernelImages::default());
    files.announce(announced(16, key(1), "/bin/a"));
    files.announce(announced(17, key(1), "/bin/a"));
    files.announce(announced(18, key(2), "/bin/a"));
    let told = files.resolve(sample(&[16, 17, 18]));
    let file = |frame: usize| match &told.stack.frames[frame].code {
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) => Arc::clone(file),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&file(1), &file(2)));
    assert!(!Arc::ptr_eq(&file(1), &file(3)), "the same name, another file");
    let again = files.resolve(sample(&[16]));
    let (Code::Mapped(first), Code::Mapped(second)) =
        (&told.stack.frames[1].code, &again.stack.frames[1].code)
    else {
        panic!("{told:?} {again:?}")
    };
    assert!(Arc::ptr_eq(first, second));
}

#[test]
fn memory_that_only_has_the_form_of_a_file_is_none() {
    let mut files = Files::new(KernelImages::default());
    files.announce(AnnouncedFile { nowhere: true, ..announced(16, key(1), "/dev/zero") });
    files.announce(AnnouncedFile { nowhere: true, ..announced(17, key(2), "/memfd:jit") });
    let told = files.resolve(sample(&[16, 17]));
    let backings = told.stack.frames.iter().filter_map(|frame| match &frame.code {
        Code::Mapped(mapping) => Some(matches!(mapping.backing, Backing::File(_))),
        _ => None,
    });
    assert_eq!(backings.collect::<Vec<_>>(), [false, true]);
}

/// Whatever is mapped, files and bytes stay bounded, files in use stay known, and the kernel side is asked to forget
/// the forgotten ones.
#[test]
fn what_is_longest_unused_is_forgotten_here_and_there() {
    let mut files = Files::new(KernelImages::default());
    files.announce(announced(16, key(1), "/bin/used"));
    let mut forgotten = 0;
    let long = "d".repeat(4000);
    for id in 17..30_000 {
        let path = if id % 2 == 0 { format!("/{long}{id}") } else { format!("/{id}") };
        files.announce(announced(id, key(id), &path));
        assert_eq!(names(&files.resolve(sample(&[16, id]))).len(), 3);
        assert!(files.by_id.len() <= MAX_FILES && files.path_bytes <= MAX_PATH_BYTES + long.len());
        forgotten += files.take_forgotten().len();
    }
    assert_eq!(files.take_unknown(), 0);
    assert_eq!(files.by_id.len() + forgotten, 30_000 - 16);
    assert_eq!(files.by_id.len(), files.by_key.len());
    let bytes: usize = files.by_id.values().map(|known| known.path_bytes).sum();
    assert_eq!(bytes, files.path_bytes);
}
