//! Keys and their faults.

use std::time::Duration;

use configtypes::{ByteSize, Fault};

use crate::{
    Encoding, GrpcCompression, GrpcConfig, HttpCompression, HttpConfig, Keepalive, TlsConfig, TlsVersion,
};

fn grpc(text: &str) -> GrpcConfig {
    serde_json::from_str(text).unwrap()
}

fn http(text: &str) -> HttpConfig {
    serde_json::from_str(text).unwrap()
}

/// The beginnings of faults, up to the value that was found.
fn starts(faults: &[Fault]) -> Vec<String> {
    let start = |fault: &Fault| fault.to_string().split([',', '"']).next().unwrap().to_owned();
    faults.iter().map(start).collect()
}

#[test]
fn keys_of_grpc_are_the_collectors() {
    let config = grpc(
        r#"{"endpoint": "https://c:4317", "endpoints": ["d:4317"], "balancer_name": "round_robin",
            "compression": "zstd", "timeout": "1s", "window": "10s", "headers": {"authorization": "Bearer x"},
            "max_request_size": "2MiB", "wait_for_ready": true, "user_agent": "me", "authority": "c.example.com",
            "keepalive": {"time": "20s"}, "sending_queue": {"queue_size": 5}, "retry_on_failure": {"enabled": false},
            "tls": {"ca_file": "a", "include_system_ca_certs_pool": true, "cert_file": "b", "key_pem": "c",
                    "min_version": "1.2", "max_version": 1.3, "reload_interval": "1h", "server_name_override": "d"}}"#,
    );
    assert_eq!(config.validate(), [""; 0]);
    let tls = TlsConfig {
        ca_file: Some("a".into()),
        include_system_ca_certs_pool: true,
        cert_file: Some("b".into()),
        key_pem: Some("c".into()),
        min_version: Some(TlsVersion::Tls12),
        max_version: Some(TlsVersion::Tls13),
        reload_interval: Some(Duration::from_secs(3600)),
        server_name_override: Some("d".into()),
        ..TlsConfig::default()
    };
    assert_eq!(config.tls, tls);
    assert_eq!(config.compression, GrpcCompression::Zstd);
    assert_eq!(config.max_request_size, ByteSize::from_mib(2));
    assert_eq!(config.keepalive, Some(Keepalive { time: Duration::from_secs(20), ..Keepalive::default() }));
    assert_eq!(config.sending_queue.queue_size, 5);
    assert!(!config.retry_on_failure.enabled);
    assert!(serde_json::from_str::<GrpcConfig>(r#"{"endpiont": "c:1"}"#).is_err());
    let error = serde_json::from_str::<GrpcConfig>(r#"{"compression": "snappy"}"#).unwrap_err().to_string();
    assert!(error.contains("unknown variant `snappy`, expected one of `gzip`, `zstd`, `none`"), "{error}");
    let error = serde_json::from_str::<TlsConfig>(r#"{"min_version": 1.1}"#).unwrap_err().to_string();
    assert!(error.contains(r#"expected a version of TLS, "1.2" or "1.3""#), "{error}");
}

#[test]
fn keys_of_http_are_the_collectors() {
    let config = http(
        r#"{"profiles_endpoint": "https://c/v1/profiles", "encoding": "json", "compression": "deflate",
            "proxy_url": "http://me:secret@p:3128", "max_idle_conns": 5, "idle_conn_timeout": "1s",
            "force_attempt_http2": false}"#,
    );
    assert_eq!(config.validate(), [""; 0]);
    assert_eq!((config.encoding, config.compression), (Encoding::Json, HttpCompression::Deflate));
    assert_eq!(config.timeout, Duration::from_secs(30));
    assert!(serde_json::from_str::<HttpConfig>(r#"{"encoding": "xml"}"#).is_err());
}

#[test]
fn faults_of_grpc_are_reported_together() {
    let config = grpc(
        r#"{"endpoint": "http://c:4317", "endpoints": ["d"], "timeout": "1h", "window": "0",
            "max_request_size": 5, "headers": {"A b": "x", "ok": "line\nbreak", "x-bin": "y", "te": "z"},
            "keepalive": {"time": "0"}, "user_agent": "", "authority": "a b", "sending_queue": {"queue_size": 0},
            "retry_on_failure": {"multiplier": -1}, "auth": {"authenticator": "x"}, "write_buffer_size": 1,
            "tls": {"cert_file": "b", "ca_file": "x", "ca_pem": "y", "min_version": "1.3", "max_version": "1.2",
                    "cipher_suites": ["x"]}}"#,
    );
    let faults = config.validate();
    assert_eq!(
        starts(&faults),
        [
            "endpoint: ",
            "endpoints: ",
            "tls::ca_pem: is beside ca_file",
            "tls::key_file: is missing",
            "tls::min_version: is above max_version",
            "tls::cipher_suites: is not supported by this agent",
            "timeout: is 3600s",
            "headers: ",
            "headers::ok: has a value that cannot be sent",
            "headers: ",
            "headers::te: is set by the protocol itself",
            "keepalive::time: is 0ns",
            "user_agent: has a value that cannot be sent",
            "authority: is no host",
            "window: is 0ns",
            "max_request_size: is 5B",
            "sending_queue: `queue_size` must be positive",
            "retry_on_failure: 'multiplier' must be non-negative",
            "auth: is not supported by this agent",
            "write_buffer_size: is not supported by this agent",
        ]
    );
    assert!(faults[0].message.contains("tls.insecure: true"), "{}", faults[0]);
}

#[test]
fn faults_of_http_are_reported_together() {
    let config = http(
        r#"{"endpoint": "c:4318", "endpoints": ["http://"], "proxy_url": "socks5://p", "cookies": {},
            "compression_params": {"level": 3}, "middlewares": []}"#,
    );
    assert_eq!(
        starts(&config.validate()),
        [
            "endpoint: ",
            "endpoints: ",
            "proxy_url: is no proxy that can be used",
            "compression_params: is not supported by this agent",
            "cookies: is not supported by this agent",
            "middlewares: is not supported by this agent",
        ]
    );
    let both = http(r#"{"profiles_endpoint": "http://c", "endpoints": ["http://d"]}"#);
    assert_eq!(starts(&both.validate()), ["endpoints: are beside profiles_endpoint"]);
}

#[test]
fn certificates_and_insecure_exclude_each_other() {
    let config = grpc(r#"{"endpoint": "c:1", "tls": {"insecure": true, "ca_file": "a"}}"#);
    assert_eq!(config.validate(), ["tls::insecure: is true beside certificates, expected one or the other"]);
    let config = grpc(r#"{"endpoint": "c:1", "tls": {"key_file": "a"}}"#);
    assert_eq!(config.validate(), ["tls::cert_file: is missing, expected the certificate of the key"]);
}

#[test]
fn secrets_are_not_shown_and_keys_that_are_not_supported_not_written() {
    let config = http(
        r#"{"headers": {"authorization": "hunter2"}, "proxy_url": "http://me:hunter2@p", "auth": {},
            "tls": {"key_pem": "hunter2"}}"#,
    );
    let written = serde_json::to_string(&config).unwrap();
    assert!(!format!("{config:?}").contains("hunter2") && !written.contains("hunter2"));
    assert!(!written.contains("auth\":{"), "{written}");
}
