//! Keys and their faults.

use std::time::Duration;

use crate::{Compression, Config, TlsConfig};

fn read(text: &str) -> Config {
    serde_json::from_str(text).unwrap()
}

#[test]
fn keys_are_as_documented_and_others_are_refused() {
    let config = read(
        r#"{"endpoint": "https://c:4317", "compression": "none", "timeout": "1s", "window": "10s",
            "headers": {"authorization": "Bearer x"}, "max_request_bytes": 2000000,
            "tls": {"insecure": false, "insecure_skip_verify": false, "ca_file": "a", "cert_file": "b",
                    "key_file": "c", "server_name_override": "d"}}"#,
    );
    let tls = TlsConfig {
        ca_file: Some("a".into()),
        cert_file: Some("b".into()),
        key_file: Some("c".into()),
        server_name_override: Some("d".into()),
        ..TlsConfig::default()
    };
    let expected = Config {
        endpoint: "https://c:4317".into(),
        tls,
        compression: Compression::None,
        timeout: Duration::from_secs(1),
        headers: [("authorization".to_owned(), "Bearer x".to_owned().into())].into(),
        window: Duration::from_secs(10),
        max_request_bytes: 2_000_000,
    };
    assert_eq!(config, expected);
    assert!(config.validate().is_empty());
    assert!(serde_json::from_str::<Config>(r#"{"sending_queue": {}}"#).is_err());
    assert!(serde_json::from_str::<Config>(r#"{"tls": {"min_version": "1.3"}}"#).is_err());
}

#[test]
fn faults_are_reported_together() {
    let config = read(
        r#"{"endpoint": "http://c:4317", "timeout": "0", "window": "0", "max_request_bytes": 5,
            "headers": {"A b": "x", "ok": "line\nbreak", "x-bin": "y"},
            "tls": {"insecure_skip_verify": true, "cert_file": "b"}}"#,
    );
    let faults = config.validate();
    let starts: Vec<_> = faults.iter().map(|fault| fault.split([',', '"']).next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "endpoint: ",
            "tls.insecure_skip_verify: is not supported",
            "tls.key_file: is missing",
            "timeout: is 0ns",
            "headers: ",
            "headers.ok: has a value gRPC cannot send",
            "headers: ",
            "window: is 0ns",
            "max_request_bytes: is 5",
        ]
    );
    assert!(faults.iter().all(|fault| fault.contains("expected")), "{faults:?}");
    assert!(faults[0].contains("tls.insecure: true"), "{}", faults[0]);
}

#[test]
fn certificates_and_insecure_exclude_each_other() {
    let config = read(r#"{"endpoint": "c:1", "tls": {"insecure": true, "ca_file": "a"}}"#);
    assert_eq!(config.validate(), ["tls.insecure: is true beside certificates, expected one or the other"]);
    let config = read(r#"{"endpoint": "c:1", "tls": {"key_file": "a"}}"#);
    assert_eq!(config.validate(), ["tls.cert_file: is missing, expected the certificate of tls.key_file"]);
}

#[test]
fn headers_are_not_shown() {
    let config = read(r#"{"headers": {"authorization": "hunter2"}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
}
