//! Tests of the tables, with a kernel whose maps are memory of this process, and rows of this very program.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use pdata::{BootTime, BuildId, FileIdentity, MappedFile, Pc, Pid, ProcessKey, Uid};
use procfs::ProcSource;
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, memfd_create};
use unwind::{Cfa, PageRows, Row, Rule, RuleTable, UnwindFile};

use super::files::{FileError, Files, MetFile};
use super::follow::Next;
use super::kernel::{Kernel, KernelError, PAGES_BYTES, RULES_BYTES};
use super::tables::{CHUNK_BYTES, FIXED_BYTES, FileFacts, MAX_PAGES, Owner, TableError, Tables, VDSO};
use super::worker::{Requests, Worker};
use crate::abi::{self, FileIdentityKey, RowFile, SampleMapping};
use crate::memory::SharedMemory;

type RuleWords = [u32; 4];

fn memory(bytes: usize) -> [SharedMemory; 2] {
    let file = File::from(memfd_create("rows", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes as u64).unwrap();
    [(); 2].map(|()| SharedMemory::map(&file, bytes).unwrap())
}

/// The maps, as walks see them.
#[derive(Default)]
struct Maps {
    files: HashMap<FileIdentity, RowFile>,
    chunks: HashMap<u32, SharedMemory>,
}

#[derive(Clone, Default)]
struct FakeKernel(Rc<RefCell<Maps>>);

fn identity_of(key: &FileIdentityKey) -> FileIdentity {
    let FileIdentityKey { inode, mtime_ns, extra, device, generation } = *key;
    FileIdentity { device, inode, generation, modified: mtime_ns, extra }
}

impl Kernel for FakeKernel {
    fn add_chunk(&mut self, index: u32) -> Result<SharedMemory, KernelError> {
        let [ours, theirs] = memory(CHUNK_BYTES.try_into().unwrap());
        assert!(self.0.borrow_mut().chunks.insert(index, theirs).is_none(), "{index} is in use");
        Ok(ours)
    }

    fn remove_chunk(&mut self, index: u32) {
        self.0.borrow_mut().chunks.remove(&index).unwrap();
    }

    fn put_file(&mut self, file: &FileIdentityKey, rows: RowFile) -> Result<(), KernelError> {
        self.0.borrow_mut().files.insert(identity_of(file), rows);
        Ok(())
    }

    fn remove_file(&mut self, file: &FileIdentityKey) {
        self.0.borrow_mut().files.remove(&identity_of(file)).unwrap();
    }

    fn file_used(&self, file: &FileIdentityKey) -> Option<u32> {
        self.0.borrow().files.get(&identity_of(file)).map(|rows| rows.used)
    }

    fn wait_for_walks(&mut self) {}
}

/// Tables, and the maps as walks see them.
struct World {
    tables: Tables<FakeKernel>,
    maps: FakeKernel,
    rules: SharedMemory,
    directory: SharedMemory,
    program: Program,
}

/// The unwind tables of this program.
struct Program {
    bytes: Vec<u8>,
    file: UnwindFile,
    rules: RuleTable,
    pages: HashMap<u64, PageRows>,
}

impl Program {
    fn new() -> Self {
        let bytes = fs::read("/proc/self/exe").unwrap();
        Self {
            file: UnwindFile::open(&*bytes).unwrap(),
            bytes,
            rules: RuleTable::new(),
            pages: HashMap::default(),
        }
    }

    /// The pages of the program that have code.
    fn pages(&self) -> std::ops::Range<u64> {
        let first = self.file.code().iter().map(|segment| segment.offset).min().unwrap();
        first.div_ceil(PageRows::SIZE)..self.file.pages()
    }

    fn rule(&mut self, offset: u64) -> RuleWords {
        let page = offset / PageRows::SIZE;
        let page = self
            .pages
            .entry(page)
            .or_insert_with(|| self.file.page(&*self.bytes, page, &mut self.rules).unwrap());
        let rule = page.rule_at((offset % PageRows::SIZE).try_into().unwrap());
        zerocopy::transmute!(self.rules.rule(rule))
    }
}

impl World {
    fn new(max_bytes: u64) -> Self {
        let ([rules, rules_seen], [directory, directory_seen]) = (memory(RULES_BYTES), memory(PAGES_BYTES));
        let maps = FakeKernel::default();
        Self {
            tables: Tables::new(maps.clone(), rules, directory, max_bytes),
            maps,
            rules: rules_seen,
            directory: directory_seen,
            program: Program::new(),
        }
    }

    /// A file with the contents of this program.
    fn add(&mut self, file: FileIdentity) {
        self.tables.add_file(file, facts(None, self.program.file.pages())).unwrap();
    }

    fn publish(&mut self, file: FileIdentity, page: u64) -> Result<(), TableError> {
        let number = self.tables.number(file, page).unwrap();
        assert_eq!(self.tables.owner(number), Some((file, page)));
        let rows = self.program.file.page(&*self.program.bytes, page, self.tables.rules()).unwrap();
        self.tables.publish(number, &rows)
    }

    /// The rule that a walk finds for a byte of a file, as `find_rule` of `ebpf/rows.bpf.h` does; `None` if it asks
    /// for the page.
    fn walk(&self, file: FileIdentity, offset: u64) -> Option<RuleWords> {
        let maps = self.maps.0.borrow();
        let rows = maps.files.get(&file)?;
        let page = u32::try_from(offset >> abi::ROW_PAGE_SHIFT).unwrap();
        assert!(page < rows.pages);
        let place = self.directory.word_64((rows.first_page + page) as usize * 2);
        if place >> 48 != abi::PAGE_BUILT {
            return None;
        }
        let (first, count, chunk) = (place & 0xffff, place >> 16 & 0xffff, place >> 32 & 0xffff);
        let rows = (first..first + count)
            .map(|at| maps.chunks[&u32::try_from(chunk).unwrap()].word_32(at.try_into().unwrap()));
        let row = rows.take_while(|row| u64::from(row & 0xffff) <= offset & 0xffff).last();
        let Some(row) = row else { return Some(zerocopy::transmute!(Rule::GAP)) };
        Some([0, 1, 2, 3].map(|word| self.rules.word_32((row >> 16) as usize * 4 + word)))
    }

    /// Makes a page as if no walk had used it for long.
    fn age(&self, file: FileIdentity, page: u64) {
        let number = self.tables.number(file, page).unwrap();
        self.directory.write(number as usize * 4 + 2, std::iter::once(0));
    }
}

fn facts(build_id: Option<BuildId>, pages: u64) -> FileFacts {
    FileFacts { build_id, pages, ..FileFacts::default() }
}

fn identity(inode: u64) -> FileIdentity {
    FileIdentity { inode, ..FileIdentity::default() }
}

#[test]
fn a_walk_finds_the_rule_that_the_file_has_for_each_byte_of_a_built_page() {
    let mut world = World::new(FIXED_BYTES + 8 * CHUNK_BYTES);
    let (file, pages) = (identity(1), world.program.pages());
    world.add(file);
    for page in pages.clone().take(3) {
        assert_eq!(world.walk(file, page * PageRows::SIZE), None, "asked for");
        world.publish(file, page).unwrap();
        for offset in (page * PageRows::SIZE..(page + 1) * PageRows::SIZE).step_by(997) {
            assert_eq!(world.walk(file, offset), Some(world.program.rule(offset)), "{offset:#x}");
        }
    }
}

#[test]
fn what_no_walk_has_used_makes_room_and_what_one_uses_stays() {
    let mut world = World::new(FIXED_BYTES + 1024 + CHUNK_BYTES);
    let page = world.program.pages().start;
    let mut files = (1..).map(identity);
    let full = loop {
        let file = files.next().unwrap();
        world.add(file);
        match world.publish(file, page) {
            Ok(()) => continue,
            Err(error) => break (file, error),
        }
    };
    assert!(matches!(full.1, TableError::Full));
    let size = world.tables.size();
    assert_eq!((size.bytes > FIXED_BYTES + CHUNK_BYTES, size.evicted), (true, 0));
    let (oldest, offset) = (identity(1), page * PageRows::SIZE + 64);
    world.age(oldest, page);
    world.publish(full.0, page).unwrap();
    assert_eq!(world.tables.size().evicted, 1);
    assert_eq!(world.walk(oldest, offset), None, "asked for again");
    assert_eq!(world.walk(full.0, offset), Some(world.program.rule(offset)));
    assert_eq!(world.walk(identity(2), offset), Some(world.program.rule(offset)));
}

/// The vDSO's rows stay, since nobody could read it again.
#[test]
fn the_vdso_makes_no_room_for_others() {
    let mut world = World::new(FIXED_BYTES + 1024 + CHUNK_BYTES);
    let page = world.program.pages().start;
    let offset = page * PageRows::SIZE + 64;
    world.add(VDSO);
    world.publish(VDSO, page).unwrap();
    world.age(VDSO, page);
    for file in (1..).map(identity) {
        world.add(file);
        if world.publish(file, page).is_err() {
            break;
        }
    }
    assert_eq!(world.walk(VDSO, offset), Some(world.program.rule(offset)));
}

#[test]
fn memory_that_is_not_used_any_more_is_given_back() {
    let mut world = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    let files: Vec<_> = (1..=40).map(identity).collect();
    let pages = world.program.pages();
    for file in &files {
        world.add(*file);
        for page in pages.clone().take(20) {
            world.publish(*file, page).unwrap();
        }
    }
    let before = world.maps.0.borrow().chunks.len();
    assert!(before > 2, "{before} chunks");
    world.tables.forget(&files);
    assert_eq!(world.maps.0.borrow().chunks.len(), 1);
    let size = world.tables.size();
    assert_eq!((size.files, size.pages, size.rows, size.bytes), (0, 0, 0, FIXED_BYTES + CHUNK_BYTES));
}

#[test]
fn a_file_of_another_build_id_is_another_file() {
    let mut world = World::new(FIXED_BYTES + CHUNK_BYTES);
    let [a, b] = [1, 2].map(|byte| BuildId::new(&[byte; 20]));
    world.tables.add_file(identity(1), facts(a, 4)).unwrap();
    assert!(world.tables.knows(identity(1), a) && world.tables.knows(identity(1), None));
    assert!(!world.tables.knows(identity(1), b));
    assert_eq!(world.walk(identity(1), 0), None);
    assert!(world.maps.0.borrow().files.is_empty());
}

#[test]
fn more_files_or_pages_than_there_is_room_for_take_the_place_of_the_oldest() {
    let mut world = World::new(FIXED_BYTES + 2 * CHUNK_BYTES);
    assert!(matches!(
        world.tables.add_file(identity(0), facts(None, MAX_PAGES + 1)),
        Err(TableError::TooLarge)
    ));
    for inode in 1..=9 {
        world.tables.add_file(identity(inode), facts(None, MAX_PAGES)).unwrap();
        if let Some(rows) = world.maps.0.borrow_mut().files.get_mut(&identity(inode)) {
            rows.used = u32::try_from(inode).unwrap();
        }
    }
    let mut known: Vec<u64> = world.maps.0.borrow().files.keys().map(|file| file.inode).collect();
    known.sort_unstable();
    assert_eq!(known, [5, 6, 7, 8, 9], "half of eight were forgotten for the ninth");
    for inode in 100..100 + abi::MAX_ROW_FILES as u64 {
        world.tables.add_file(identity(inode), facts(None, 0)).unwrap();
    }
    assert!(world.tables.size().files <= abi::MAX_ROW_FILES as u64);
}

/// Adds a file of one page, of a user, with rules that no other file has.
fn add_odd(tables: &mut Tables<FakeKernel>, file: FileIdentity, owner: Owner, rules: std::ops::Range<i32>) {
    tables.add_file(file, FileFacts { owner, pages: 1, ..FileFacts::default() }).unwrap();
    let rows: Vec<Row> = (0..)
        .zip(rules)
        .map(|(low, depth)| {
            let rule = Rule { cfa: Cfa::Sp, cfa_offset: depth, ra_offset: -8, ..Rule::GAP };
            Row::new(low, tables.rules().id(rule))
        })
        .collect();
    let number = tables.number(file, 0).unwrap();
    tables.publish(number, &PageRows::from_rows(rows)).unwrap();
}

/// A user, by number, of processes in a mount namespace.
fn owner(user: Option<u32>, mount_namespace: u64) -> Owner {
    let is_root = (user, mount_namespace) == (Some(0), OWN_NAMESPACE);
    Owner { user: user.map(Uid), mount_namespace: Some(mount_namespace), is_root }
}

/// The mount namespace of the agent.
const OWN_NAMESPACE: u64 = 1;

/// A user who fills the table of rules with odd ones loses them, the greediest user first, and no other user any:
/// neither if that user is root of a container, nor if nobody knows which user of it.
#[test]
fn a_user_who_fills_the_table_of_rules_makes_room_for_others() {
    for (of_greedy, of_other) in [
        (owner(Some(1001), OWN_NAMESPACE), owner(Some(1000), OWN_NAMESPACE)),
        (owner(Some(0), 2), owner(Some(1000), OWN_NAMESPACE)),
        (owner(None, 2), owner(None, 3)),
    ] {
        fill_the_table_of_rules(of_greedy, of_other);
    }
}

fn fill_the_table_of_rules(of_greedy: Owner, of_other: Owner) {
    let mut world = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    let tables = &mut world.tables;
    add_odd(tables, identity(1), owner(Some(0), OWN_NAMESPACE), 0..700);
    add_odd(tables, identity(2), of_other, 1000..1900);
    let greedy: Vec<FileIdentity> = (0..18).map(|number| identity(100 + number)).collect();
    let mut cut_off = Vec::new();
    for (file, first) in greedy.iter().zip((10_000..).step_by(1000)) {
        cut_off.extend(tables.make_room_for_rules());
        // No file needs as many rules as the other user's.
        add_odd(tables, *file, of_greedy, first..first + 850);
    }
    cut_off.extend(tables.make_room_for_rules());
    assert!(cut_off.len() >= 4 && cut_off.iter().all(|file| greedy.contains(file)), "{cut_off:?}");
    assert!(tables.rules().left() >= RuleTable::CAPACITY / 8 && tables.rules().overflows() == 0);
    let rule = Rule { cfa: Cfa::Sp, cfa_offset: 1899, ra_offset: -8, ..Rule::GAP };
    assert_eq!(world.walk(identity(2), 0xffff), Some(zerocopy::transmute!(rule)));
    assert!(
        world.maps.0.borrow().files.get(&cut_off[0]).is_some_and(|rows| rows.pages == 0),
        "not read again"
    );
}

/// Pages that no walk uses go before any file is cut off.
#[test]
fn rules_of_pages_that_no_walk_uses_make_room_first() {
    let mut world = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    for (number, first) in (0..18).zip((0..).step_by(1000)) {
        add_odd(&mut world.tables, identity(number), Owner::default(), first..first + 850);
        world.age(identity(number), 0);
        assert!(world.tables.make_room_for_rules().is_empty());
    }
    let size = world.tables.size();
    assert!(size.evicted > 4 && size.files == 18 && size.rules < 15_000, "{size:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is added, built, aged and forgotten: a walk finds the right rule or asks for the page, and memory
    /// stays within its bound.
    #[test]
    fn a_walk_finds_the_right_rule_or_none(steps in proptest::collection::vec((0u8..4, 1u64..6, 0u64..12), 1..60)) {
        let max_bytes = FIXED_BYTES + 2048 + CHUNK_BYTES;
        let mut world = World::new(max_bytes);
        let first = world.program.pages().start;
        for (step, inode, page) in steps {
            let (file, page) = (identity(inode), first + page);
            match (step, world.tables.knows(file, None)) {
                (0, true) => world.tables.forget(&[file]),
                (1, true) => world.age(file, page),
                (_, true) => {
                    let _full = world.publish(file, page);
                }
                (_, false) => world.add(file),
            }
            prop_assert!(world.tables.size().bytes <= max_bytes);
            for inode in 1..6 {
                let offset = page * PageRows::SIZE + 4321;
                let found = world.walk(identity(inode), offset);
                prop_assert!(found.is_none_or(|found| found == world.program.rule(offset)));
            }
        }
    }
}

/// A file as met in a process that has ended.
fn met(path: &Path) -> MetFile {
    let found = fs::metadata(path).unwrap();
    let identity = procfs::identity_of(&found);
    let file = MappedFile { identity, size: found.len(), ..MappedFile::at(path) };
    let process = ProcessKey { pid: Pid(u32::MAX), start_time: BootTime::from_nanos(1) };
    MetFile { identity, file: Some(Arc::new(file)), process, range: (Pc(1), Pc(2)) }
}

#[test]
fn a_file_is_read_for_as_long_as_it_is_the_one_that_was_met() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    fs::copy("/proc/self/exe", &path).unwrap();
    let (met, mut rules) = (met(&path), RuleTable::new());
    let mut files = Files::new(ProcSource::new("/proc"));
    let page = files.facts(&met).unwrap().pages - 1;
    files.rows(&met, &[page], &mut rules).unwrap();
    fs::rename(&path, path.with_extension("moved")).unwrap();
    files.rows(&met, &[page], &mut rules).expect("it is still open");
    files.close(true);
    files.rows(&met, &[page], &mut rules).expect("it is kept for the other stages, too");
    fs::rename(path.with_extension("moved"), &path).unwrap();
    files.rows(&met, &[page], &mut rules).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    assert!(
        matches!(files.rows(&met, &[page], &mut rules), Err(FileError::Replaced)),
        "found again, and another"
    );
}

#[test]
fn a_file_that_was_gone_before_anybody_looked_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    fs::copy("/proc/self/exe", &path).unwrap();
    let met = met(&path);
    fs::remove_file(&path).unwrap();
    assert!(matches!(Files::new(ProcSource::new("/proc")).facts(&met), Err(FileError::Gone)));
}

/// A stack whose time is over has nothing read for it.
#[test]
fn what_a_stack_lacks_is_built_until_its_time_is_over() {
    let World { tables, mut program, .. } = World::new(FIXED_BYTES + 64 * CHUNK_BYTES);
    let met = met(&std::env::current_exe().unwrap());
    let ((_, files), (_, stacks), (followed, _)) =
        (mpsc::sync_channel(1), mpsc::sync_channel(1), mpsc::sync_channel(1));
    let requests = Requests { files, stacks, followed };
    let mut worker = Worker::new(tables, Files::new(ProcSource::new("/proc")), requests);
    let code = program.pages().start * PageRows::SIZE;
    let mapping = SampleMapping { start: 0, end: u64::MAX, file_offset: 0, file: 16 };
    let now = Instant::now();
    assert!(matches!(worker.next(&mapping, Some(&met), code, now), Next::Pending));
    assert!(worker.met.is_empty(), "nothing has been read");
    let rule = worker.next(&mapping, Some(&met), code, now + Duration::from_secs(60));
    let Next::Rule(rule) = rule else { panic!("no rule") };
    let expected: RuleWords = program.rule(code);
    let found: RuleWords = zerocopy::transmute!(rule);
    assert_eq!(found, expected);
}

#[test]
fn what_is_no_elf_file_has_no_tables() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    fs::write(&path, "text").unwrap();
    let mut files = Files::new(ProcSource::new("/proc"));
    assert!(matches!(files.facts(&met(&path)), Err(FileError::NoTables(_))));
}
