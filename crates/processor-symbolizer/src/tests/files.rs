//! Files that are replaced, removed and crowded out.

use std::path::PathBuf;

use pdata::{MappedFile, Pc, Uid};
use procfs::ProcSource;
use symbolize::Demangle;

use super::make::{ENDED, announced, first_offset, second_offset};
use crate::files::{FileSettings, Files};
use crate::request::{Name, Unnamed};
use crate::sight::Sight;

const MIB: usize = 1 << 20;

fn files(max_open: usize, max_bytes: usize) -> Files {
    let settings = FileSettings { max_bytes, max_open, demangle: Demangle::Simplified, lines: false };
    Files::new(ProcSource::new("/proc"), settings)
}

/// A copy of this program.
fn copy(dir: &tempfile::TempDir, name: &str) -> (PathBuf, MappedFile) {
    let path = dir.path().join(name);
    std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
    let file = announced(&path);
    (path, file)
}

fn look(files: &mut Files, file: &MappedFile, offset: u64) -> Result<String, Unnamed> {
    look_of(0, files, file, offset)
}

fn look_of(user: u32, files: &mut Files, file: &MappedFile, offset: u64) -> Result<String, Unnamed> {
    let sight = Sight { file, process: ENDED, range: (Pc(1), Pc(2)), user: Some(Uid(user)) };
    let names: Vec<(u64, Name)> = files.names(sight, &[offset])?;
    names[0].1.clone().map(|lines| lines.0[0].function.name.to_string())
}

#[test]
fn a_file_is_named_after_its_name_and_its_process_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = copy(&dir, "program");
    let mut files = files(8, 64 * MIB);
    let first = look(&mut files, &file, first_offset()).unwrap();
    assert!(first.contains("first_function_to_name"), "{first}");
    std::fs::remove_file(path).unwrap();
    let second = look(&mut files, &file, second_offset()).unwrap();
    assert!(second.contains("second_function_to_name"), "{second}");
}

#[test]
fn a_file_that_has_taken_the_place_of_another_names_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = copy(&dir, "program");
    let (other, _) = copy(&dir, "other");
    std::fs::rename(other, path).unwrap();
    assert_eq!(look(&mut files(8, 64 * MIB), &file, first_offset()), Err(Unnamed::Gone));
}

#[test]
fn a_file_that_is_written_to_while_it_is_held_names_nothing_any_more() {
    use std::io::Write as _;
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = copy(&dir, "program");
    let mut files = files(8, 64 * MIB);
    assert!(look(&mut files, &file, first_offset()).is_ok());
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    assert_eq!(look(&mut files, &file, first_offset()), Err(Unnamed::Gone));
}

#[test]
fn what_is_no_program_has_no_names_and_what_is_a_pipe_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    std::fs::write(&path, "no program").unwrap();
    let mut files = files(8, 64 * MIB);
    let text = announced(&path);
    assert_eq!(look(&mut files, &text, 3), Err(Unnamed::Stripped));
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert_eq!(look(&mut files, &announced(&pipe), 3), Err(Unnamed::Gone));
}

#[test]
fn no_more_files_are_held_than_may_be_and_what_made_room_is_opened_again_or_counts_as_evicted() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<_> = ["a", "b", "c"].iter().map(|name| copy(&dir, name)).collect();
    let mut files = files(2, 256 * MIB);
    for (_, file) in &all {
        assert!(look(&mut files, file, first_offset()).is_ok());
        assert!(files.held().0 <= 2);
    }
    assert!(look(&mut files, &all[0].1, first_offset()).is_ok(), "opened again");
    std::fs::remove_file(&all[1].0).unwrap();
    assert_eq!(look(&mut files, &all[1].1, first_offset()), Err(Unnamed::Evicted));
}

#[test]
fn tables_take_no_more_memory_than_they_may() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].iter().map(|name| copy(&dir, name)).collect();
    let mut one = files(8, 256 * MIB);
    look(&mut one, &all[0].1, first_offset()).unwrap();
    let bytes = one.held().1;
    // Reading takes more memory than its result: one file may take as much as all may.
    let room = 7 * bytes + bytes / 2;
    let mut files = files(16, room);
    for (_, file) in &all {
        look(&mut files, file, first_offset()).unwrap();
        assert!(files.held().1 <= room);
    }
    assert_eq!(files.held().0, 7);
}

/// A user who runs many programs has their files make room for each other. A file that another user has had read stays,
/// also if it is gone since and has not been used for long.
#[test]
fn many_files_of_one_user_do_not_crowd_out_those_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(4, 1024 * MIB);
    let own: Vec<_> = ["a", "b"].iter().map(|name| copy(&dir, name)).collect();
    for (path, file) in &own {
        look_of(1, &mut files, file, first_offset()).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    for number in 0..6 {
        let (path, file) = copy(&dir, &format!("many-{number}"));
        look_of(2, &mut files, &file, first_offset()).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(files.held().0 <= 4);
    }
    for (_, file) in &own {
        let name = look_of(1, &mut files, file, second_offset()).unwrap();
        assert!(name.contains("second_function_to_name"), "{name}");
    }
}

/// One user has at most half of the files that are open before their tables are read.
#[test]
fn files_that_wait_to_be_read_leave_room_for_those_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files(4, 1024 * MIB);
    let all: Vec<_> = (0..8).map(|number| copy(&dir, &number.to_string())).collect();
    for ((path, file), number) in all.iter().zip(0..) {
        let user = Some(Uid(if number < 6 { 2 } else { 1 }));
        let sight = Sight { file, process: ENDED, range: (Pc(1), Pc(2)), user };
        assert!(!files.is_known_or_opened(sight));
        std::fs::remove_file(path).unwrap();
    }
    let found: Vec<_> =
        all.iter().map(|(_, file)| look_of(1, &mut files, file, first_offset()).is_ok()).collect();
    assert_eq!(found, [true, true, false, false, false, false, true, true]);
}
