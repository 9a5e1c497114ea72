//! Keys, faults and defaults.

use super::*;

fn sound() -> Config {
    Config { path: "p.jsonl".into(), ..Config::default() }
}

#[test]
fn faults_are_reported_together() {
    let config = Config {
        window: Duration::ZERO,
        flush_interval: Duration::ZERO,
        format: Format::Folded,
        compression: Compression::Zstd,
        rotation: Some(Rotation { max_megabytes: 0, ..Rotation::default() }),
        directory_permissions: "0999".to_owned(),
        ..Config::default()
    };
    assert_eq!(
        config.validate(),
        [
            "path: is missing, expected a file to write, like ./profiles.jsonl",
            "compression: is for the formats json and proto, expected none (pprof is always compressed by gzip)",
            "rotation::max_megabytes: is 0, expected at least 1",
            "window: is 0ns, expected 100ms to 600s",
            "flush_interval: is 0s, expected more, or fsync: always",
            "directory_permissions: is \"0999\", expected permissions in octal, like \"0755\"",
        ]
    );
    assert_eq!(sound().validate(), [""; 0]);
}

#[test]
fn a_path_with_the_time_is_not_rotated_and_must_be_one_of_time() {
    let timed = Config { path: "%Y/%H.jsonl".into(), ..sound() };
    assert_eq!(timed.validate(), [""; 0]);
    let rotated = Config { rotation: Some(Rotation::default()), ..timed };
    assert_eq!(rotated.validate(), ["rotation: is for one file, expected a path without the time in it"]);
    let faults = Config { path: "%!.jsonl".into(), ..sound() }.validate();
    assert!(faults.len() == 1 && faults[0].keys == ["path"], "{faults:?}");
}

#[test]
fn keys_are_as_documented_and_others_are_refused() {
    let text = r#"{"path": "p.jsonl", "format": "proto", "compression": "zstd", "append": true, "window": "1m",
        "rotation": {"max_megabytes": 10, "max_days": 3, "max_backups": 3, "localtime": true}, "fsync": "always",
        "flush_interval": "5s", "group_by": ["parent"], "fold_shorter_than": "2s", "create_directory": true, "directory_permissions": "0700"}"#;
    let rotation = Rotation { max_megabytes: 10, max_days: 3, max_backups: 3, localtime: true };
    let config = Config {
        path: "p.jsonl".into(),
        format: Format::Proto,
        compression: Compression::Zstd,
        append: true,
        rotation: Some(rotation),
        window: Duration::from_secs(60),
        group_by: vec![GroupBy::Parent],
        fold_shorter_than: Duration::from_secs(2),
        fsync: Fsync::Always,
        flush_interval: Duration::from_secs(5),
        create_directory: true,
        directory_permissions: "0700".to_owned(),
    };
    assert_eq!(serde_json::from_str::<Config>(text).unwrap(), config);
    assert_eq!(config.directory_mode(), Some(0o700));
    assert!(config.validate().is_empty());
    assert!(serde_json::from_str::<Config>(r#"{"rotate": {}}"#).is_err());
    assert!(serde_json::from_str::<Config>(r#"{"rotation": {"max_size": 1}}"#).is_err());
}
