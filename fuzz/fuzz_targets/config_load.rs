//! Any text is a configuration, or is refused with messages: the loader neither panics nor hangs.
//!
//! The input is one or two YAML locations, separated by a form feed, and a `--set` after a vertical tab.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::config::{Config, ConfigError, Location};

/// Longest input: parsing takes time in proportion to it, and long inputs find nothing that short ones do not.
const MAX_INPUT: usize = 4096;

/// Variables that are set: of each type, and such as lead to themselves or double.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "A" => "x",
        "N" => "0123",
        "E" => "",
        "L" => "[debug, \"${env:A}\"]",
        "M" => "{ debug: { top: \"${env:N}\" }, otlp_grpc: {} }",
        "S" => "${env:S}",
        "D" => "${env:D}${env:D}",
        "T" => "[\"${env:T}\", \"${env:T}\"]",
        "Q" => "\"a: $$b\"",
        "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://localhost:4317",
        "OTEL_EXPORTER_OTLP_HEADERS" => "a=b%20c,d=e",
        "OTEL_EXPORTER_OTLP_TIMEOUT" => "1000",
        "OTEL_RESOURCE_ATTRIBUTES" => "a=b,service.name=c",
        _ => return None,
    };
    Some(value.to_owned())
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Devices may block, which is no matter of the loader.
    if text.len() > MAX_INPUT || text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let (text, setting) = text.split_once('\u{b}').unwrap_or((text, ""));
    let mut locations: Vec<_> = text.split('\u{c}').take(2).map(|yaml| Location::Yaml(yaml.to_owned())).collect();
    locations.extend(Location::parse_setting(setting).ok());
    match Config::load(&locations, &environment) {
        Ok(config) => assert!(!config.graph.pipelines.is_empty()),
        Err(ConfigError::Invalid(faults)) => {
            assert!(!faults.as_slice().is_empty());
            for fault in faults.as_slice() {
                assert!(!fault.message.trim().is_empty(), "{fault:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
