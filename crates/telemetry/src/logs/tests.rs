use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use metrics::with_local_recorder;
use serde_json::{Value, json};
use tracing::subscriber::with_default;
use tracing::{debug, error, info, warn};

use super::*;
use crate::config::{LogEncoding, Sampling};
use crate::metrics::Registry as Metrics;
use crate::metrics::family;

fn writer() -> Writer {
    Writer::start().unwrap()
}

/// The lines that `act` writes with a log that has this configuration.
fn lines(config: &Logs, act: impl FnOnce()) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let config = Logs { output_paths: vec![path.to_str().unwrap().to_owned()], ..config.clone() };
    let log = Log::open(&config, &[("service.name".to_owned(), "x".to_owned())], &writer()).unwrap();
    with_default(Registry::default().with(log), act);
    fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_json_line_begins_with_what_all_have_and_has_each_key_once() {
    let config = Logs {
        encoding: LogEncoding::Json,
        initial_fields: [("zone".to_owned(), json!("every")), ("a".to_owned(), json!(0))].into(),
        ..Logs::default()
    };
    let found = lines(&config, || info!(zone = "this", "Said."));
    let [line] = found.as_slice() else { panic!("{found:?}") };
    assert!(line.starts_with(r#"{"level":"info","ts":""#), "{line}");
    assert!(line.ends_with(r#"Z","msg":"Said.","a":0,"zone":"this"}"#), "{line}");
}

fn json_lines(config: &Logs, act: impl FnOnce()) -> Vec<Value> {
    let config = Logs { encoding: LogEncoding::Json, ..config.clone() };
    lines(&config, act).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_json_line_has_the_collectors_keys() {
    let config = Logs {
        initial_fields: [("zone".to_owned(), json!(["a"])), ("msg".to_owned(), json!(1))].into(),
        disable_zap_resource: false,
        disable_caller: false,
        ..Logs::default()
    };
    let found = json_lines(&config, || {
        let cause = std::io::Error::other("a \"reason\"");
        warn!(count = 3, ratio = 0.5, on = true, name = "n", level = "x", %cause, "Something\nhappened.");
    });
    let [line] = found.as_slice() else { panic!("{found:?}") };
    let mut line = line.clone();
    let caller = line["caller"].take();
    assert!(caller.as_str().unwrap().starts_with("crates/telemetry/src/logs/tests.rs:"), "{caller}");
    let time = line["ts"].take();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    assert_eq!(
        line,
        json!({
            "level": "warn", "ts": null, "caller": null, "msg": "Something\nhappened.",
            "zone": ["a"], "msg_": 1, "resource": { "service.name": "x" },
            "count": 3, "ratio": 0.5, "on": true, "name": "n", "level_": "x", "cause": "a \"reason\"",
        })
    );
}

#[test]
fn a_console_line_is_one_line_whatever_it_holds() {
    let found =
        lines(&Logs { initial_fields: [("zone".to_owned(), json!(1))].into(), ..Logs::default() }, || {
            info!(path = "/a b", bare = %"c", text = %"\u{1b}[31m\nx", "Wrote.");
        });
    let [line] = found.as_slice() else { panic!("{found:?}") };
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z'), "{line}");
    assert_eq!(rest, r#" INFO Wrote. path="/a b" bare=c text="\u001b[31m\nx" zone=1"#);
}

#[test]
fn only_lines_of_the_level_are_written_and_those_of_libraries_less() {
    let found = lines(&Logs::default(), || {
        debug!("a");
        info!("b");
        info!(target: "h2::client", "c");
        error!(target: "h2::client", "d");
    });
    assert_eq!(found.iter().map(|line| line.chars().last().unwrap()).collect::<String>(), "bd");
}

#[test]
fn repeated_lines_are_left_out_and_counted() {
    let metrics = Metrics::new();
    let sampling = Sampling { initial: 2, thereafter: 5, ..Sampling::default() };
    let found = with_local_recorder(&metrics, || {
        lines(&Logs { sampling, ..Logs::default() }, || {
            for at in 0..8 {
                warn!(at, "Again.");
            }
            warn!("Once.");
        })
    });
    let said: Vec<_> = found.iter().map(|line| line.split_once("WARN ").unwrap().1).collect();
    assert_eq!(said, ["Again. at=0", "Again. at=1", "Again. at=6", "Once."]);
    let counted = metrics.collect();
    assert_eq!(counted[0].name, LEFT_OUT);
    assert_eq!(counted[0].series[0].value, family::Value::Integer(5));
}

#[test]
fn without_sampling_every_line_is_written() {
    let sampling = Sampling { enabled: false, ..Sampling::default() };
    let found = lines(&Logs { sampling, ..Logs::default() }, || (0..500).for_each(|_| info!("Again.")));
    assert_eq!(found.len(), 500);
}

#[test]
fn a_replaced_log_is_written_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = |name: &str, level| {
        let output_paths = vec![dir.path().join(name).to_str().unwrap().to_owned()];
        Log::open(&Logs { level, output_paths, ..Logs::default() }, &[], &writer()).unwrap()
    };
    let (layer, handle) = reload::Layer::new(log("first", LogLevel::Info));
    let control = Control(handle);
    let say = || {
        debug!("fine");
        info!("coarse");
    };
    with_default(Registry::default().with(layer), || {
        say();
        control.replace(log("second", LogLevel::Debug));
        say();
    });
    let lines = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap().lines().count();
    assert_eq!((lines("first"), lines("second")), (1, 2));
}

#[test]
fn a_file_is_appended_to_and_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let config = Logs { output_paths: vec![path.to_str().unwrap().to_owned()], ..Logs::default() };
    for _ in 0..2 {
        with_default(Registry::default().with(Log::open(&config, &[], &writer()).unwrap()), || info!("x"));
    }
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_output_that_cannot_be_opened_is_told_with_its_key() {
    let config = Logs { error_output_paths: vec!["stderr".into(), "/no/such/log".into()], ..Logs::default() };
    let error = Log::open(&config, &[], &writer()).unwrap_err().to_string();
    assert_eq!(error, "service::telemetry::logs::error_output_paths::1: cannot open \"/no/such/log\"");
}

#[test]
fn a_file_in_a_directory_that_others_can_write_to_is_doubted_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log").to_str().unwrap().to_owned();
    let outputs = vec![path, "stderr".to_owned()];
    let config = Logs { output_paths: outputs.clone(), error_output_paths: outputs, ..Logs::default() };
    assert_eq!(config.files().count(), 2);
    assert_eq!(Log::open(&config, &[], &writer()).unwrap().doubts(), BTreeSet::new());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let log = Log::open(&config, &[], &writer()).unwrap();
    let doubts = log.doubts();
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    with_default(Registry::default().with(log), || warn_of(doubts));
    let line = fs::read_to_string(&config.output_paths[0]).unwrap();
    assert!(line.contains("Others can decide") && line.contains(dir.path().to_str().unwrap()), "{line}");
}

/// The link may lead to a file of root's, to which lines of the log would be added.
#[test]
fn an_output_that_is_a_link_of_another_user_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, shared) = (dir.path().join("victim"), dir.path().join("shared"));
    fs::write(&victim, "kept").unwrap();
    fs::create_dir(&shared).unwrap();
    let link = shared.join("log");
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let outputs = vec![link.to_str().unwrap().to_owned()];
    let lines = Logs { output_paths: outputs.clone(), ..Logs::default() };
    let errors = Logs { error_output_paths: outputs, ..Logs::default() };
    // The owner of the directory is the only one who can have made the link.
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    Log::open(&lines, &[], &writer()).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    for (key, config) in [("output_paths", lines), ("error_output_paths", errors)] {
        let error = Log::open(&config, &[], &writer()).unwrap_err();
        let expected = format!("service::telemetry::logs::{key}::0: cannot open \"{}\"", link.display());
        assert_eq!(error.to_string(), expected);
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("it is a symbolic link in a directory that others can write to"));
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
}

/// A full disk is reported once, at the outputs for errors, and every line that is lost is counted.
#[test]
fn an_output_that_takes_nothing_is_reported_once() {
    let dir = tempfile::tempdir().unwrap();
    let errors = dir.path().join("errors");
    let config = Logs {
        output_paths: vec!["/dev/full".to_owned()],
        error_output_paths: vec![errors.to_str().unwrap().to_owned()],
        ..Logs::default()
    };
    let metrics = Metrics::new();
    with_local_recorder(&metrics, || {
        with_default(Registry::default().with(Log::open(&config, &[], &writer()).unwrap()), || {
            (0..3).for_each(|_| info!("x"));
        });
    });
    let told = fs::read_to_string(&errors).unwrap();
    assert_eq!(told, "cannot write log lines to /dev/full: No space left on device (os error 28)\n");
    assert_eq!(metrics.collect()[0].series[0].value, family::Value::Integer(3));
}

/// `stderr` may be a pipe whose reader has been stopped: code that logs must not wait for it.
#[test]
fn an_output_that_stands_still_stops_nobody_and_what_is_dropped_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, errors) = (dir.path().join("pipe"), dir.path().join("errors"));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    // Opened both ways, as a pipe without a reader could not be.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let config = Logs {
        output_paths: vec![pipe.to_str().unwrap().to_owned()],
        error_output_paths: vec![errors.to_str().unwrap().to_owned()],
        sampling: Sampling { enabled: false, ..Sampling::default() },
        ..Logs::default()
    };
    let metrics = Metrics::new();
    let (text, lines) = ("x".repeat(1 << 10), 3_000);
    let (tell, told) = std::sync::mpsc::sync_channel(0);
    let log = Log::open(&config, &[], &writer()).unwrap();
    let logging = {
        let metrics = metrics.clone();
        std::thread::spawn(move || {
            with_local_recorder(&metrics, || {
                with_default(Registry::default().with(log), || {
                    (0..lines).for_each(|_| info!("{text}"));
                    tell.send(()).unwrap();
                });
            });
        })
    };
    told.recv_timeout(std::time::Duration::from_secs(60)).expect("nobody waits for a pipe");
    let dropped = metrics.collect()[0].series[0].value.clone();
    assert!(matches!(dropped, family::Value::Integer(1_000..2_950)), "{dropped:?}");
    // A reader that reads on finds all lines that were kept.
    let family::Value::Integer(dropped) = dropped else { panic!("{dropped:?}") };
    let kept = lines - usize::try_from(dropped).unwrap();
    let found = std::io::BufRead::lines(std::io::BufReader::new(reader)).take(kept).count();
    assert_eq!(found, kept);
    logging.join().unwrap();
    let noted = fs::read_to_string(&errors).unwrap();
    let counts = noted.lines().map(|line| {
        let count = line.strip_suffix(" log lines dropped: an output does not keep up");
        count.unwrap_or_else(|| panic!("{line:?}")).parse::<u64>().unwrap()
    });
    // One note, or more if the thread that writes was late before the pipe was full.
    assert_eq!(counts.sum::<u64>(), dropped, "{noted}");
}
