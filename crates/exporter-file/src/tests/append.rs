//! Files that hold records already when they are opened.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::frame::frame;
use crate::{Compression, Format, Fsync};

#[tokio::test]
async fn a_file_is_started_anew_or_appended_to() {
    let (_directory, path) = place("profiles.jsonl");
    let whole = "{\"resourceProfiles\":[]}\n";
    fs::write(&path, format!("{whole}{{\"cut off by a cra")).unwrap();
    let append = Config { append: true, ..config(&path) };
    send(&mut open(append.clone()), second(0, 1)).await;
    send(&mut open(append.clone()), second(0, 2)).await;
    let text = fs::read_to_string(&path).unwrap();
    let ours = text.strip_prefix(whole).unwrap();
    fs::write(&path, ours.trim_end()).unwrap();
    assert_eq!(samples(&path), [1, 2]);
    send(&mut open(append), second(0, 3)).await;
    assert_eq!(samples(&path), [1, 2, 3], "a last line that lacks only its end is kept");
    send(&mut open(config(&path)), second(0, 4)).await;
    assert_eq!(samples(&path), [4]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644, "as it was created");
}

#[tokio::test]
async fn a_torn_message_is_cut_off_before_more_are_appended() {
    for (format, compression) in [(Format::Proto, Compression::None), (Format::Json, Compression::Zstd)] {
        let (_directory, path) = place("profiles.bin");
        let config = Config { append: true, format, compression, ..config(&path) };
        let mut exporter = open(config.clone());
        send(&mut exporter, second(0, 1)).await;
        send(&mut exporter, second(1, 2)).await;
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        send(&mut open(config), second(2, 3)).await;
        let requests = formats::frames(&fs::read(&path).unwrap());
        assert_eq!(requests.len(), 2, "{format:?}");
        assert!(whole.starts_with(&{
            let mut first = Vec::new();
            frame(&requests[0], &mut first).unwrap();
            first
        }));
    }
}

#[test]
fn a_file_of_another_format_is_not_touched() {
    let (_directory, path) = place("profiles.jsonl");
    fs::write(&path, "{\"resourceProfiles\":[]}\n").unwrap();
    let config = Config { append: true, format: Format::Proto, ..config(&path) };
    let error = FileExporter::open(&DeliverySettings::new("file"), config).unwrap_err().to_string();
    assert!(error.ends_with("it holds something of another format, name another file"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"resourceProfiles\":[]}\n");
}

#[test]
fn a_last_line_that_is_none_of_ours_is_not_cut_off() {
    let (_directory, path) = place("notes.txt");
    fs::write(&path, "all that I know").unwrap();
    let config = Config { append: true, ..config(&path) };
    FileExporter::open(&DeliverySettings::new("file"), config).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "all that I know");
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_begun_again() {
    let (directory, path) = place("profiles.jsonl");
    let mut exporter = open(config(&path));
    send(&mut exporter, second(0, 1)).await;
    let moved = directory.path().join("moved.jsonl");
    fs::rename(&path, &moved).unwrap();
    send(&mut exporter, second(1, 2)).await;
    assert_eq!((samples(&moved), samples(&path)), (vec![1], vec![2]));
    fs::remove_file(&path).unwrap();
    send(&mut exporter, second(2, 3)).await;
    assert_eq!(samples(&path), [3]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A file is copied and emptied, like with logrotate's `copytruncate`: the next record is at the start of the file,
/// without zeros before it.
#[tokio::test]
async fn a_file_that_is_copied_and_emptied_is_written_from_its_start() {
    let (directory, path) = place("profiles.jsonl");
    let mut exporter = open(config(&path));
    send(&mut exporter, second(0, 1)).await;
    let copy = directory.path().join("profiles.jsonl.1");
    fs::copy(&path, &copy).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    send(&mut exporter, second(1, 2)).await;
    send(&mut exporter, second(2, 3)).await;
    assert_eq!((samples(&copy), samples(&path)), (vec![1], vec![2, 3]));
}

#[tokio::test]
async fn the_time_in_a_path_is_that_of_the_window() {
    let (directory, _) = place("");
    let path = directory.path().join("%Y/%H%M%S.jsonl");
    let config = Config { create_directory: true, directory_permissions: "0700".to_owned(), ..config(&path) };
    let mut exporter = open(config.clone());
    send(&mut exporter, second(0, 1)).await;
    send(&mut exporter, second(5, 2)).await;
    send(&mut open(config), second(5, 3)).await;
    let year = directory.path().join("1970");
    assert_eq!(fs::metadata(&year).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(names(&year), ["000000.jsonl", "000005.jsonl"]);
    assert_eq!(samples(&year.join("000005.jsonl")), [2, 3], "kept across a restart");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_is_put_on_disk_when_it_is_due() {
    let (_directory, path) = place("profiles.jsonl");
    for fsync in [Fsync::Never, Fsync::Interval, Fsync::Always] {
        let mut exporter = open(Config { fsync, ..config(&path) });
        send(&mut exporter, second(0, 1)).await;
        assert_eq!(exporter.exporter().wants_sync(), fsync == Fsync::Interval, "{fsync:?}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        // The clock goes on while the blocking pool works, so look until it has.
        while exporter.exporter().wants_sync() {
            tokio::task::yield_now().await;
        }
        send(&mut exporter, second(1, 1)).await;
        assert_eq!(send(&mut exporter, end()).await, Watermark::END);
        assert!(!exporter.exporter().wants_sync(), "{fsync:?}");
        assert_eq!(samples(&path), [1, 1]);
    }
}
