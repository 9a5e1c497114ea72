//! What walks find in the tables, and what makes room in them.

use pdata::BuildId;
use proptest::prelude::*;
use unwind::PageRows;

use super::world::{World, facts, identity};
use crate::abi;
use crate::unwind::tables::{CHUNK_BYTES, FIXED_BYTES, MAX_PAGES, TableError, VDSO};

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
