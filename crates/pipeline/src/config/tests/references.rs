//! Pipelines name components (`otelcol/config.go`, `service/pipelines/config.go`).

use super::*;

#[test]
fn sections_that_are_missing_are_told_in_the_collectors_words() {
    for (text, reported) in [
        ("", "empty configuration file"),
        ("{}", "empty configuration file"),
        ("receivers:", "no receiver configuration specified in config"),
        ("exporters:", "no exporter configuration specified in config"),
        ("service:", "service must have at least one pipeline"),
        ("service: { pipelines: }", "service must have at least one pipeline"),
    ] {
        let error = match text {
            "" | "{}" => load(&[text]),
            _ => load(&[SOUND, text]),
        };
        let error = error.unwrap_err().to_string();
        assert!(error.contains(reported), "{text}: {error}");
    }
}

#[test]
fn what_is_configured_and_not_used_is_sound_but_is_still_read() {
    let unused = "exporters: { debug/unused: { top: 5 } }";
    assert_eq!(load(&[SOUND, unused]).unwrap().exporters.len(), 4);
    assert_eq!(exporters(&load(&[SOUND, unused]).unwrap()), 2);
    let wrong = "exporters: { debug/unused: { tpo: 5 } }";
    assert_eq!(faults(wrong), "exporters::debug/unused: has invalid keys: tpo (did you mean \"top\"?)");
}

#[test]
fn a_component_that_is_wrong_is_not_also_told_to_be_missing() {
    let reported =
        faults("{ exporters: { debug/x: { tpo: 5 } }, service::pipelines::profiles::exporters: [debug/x] }");
    assert_eq!(reported.lines().count(), 1, "{reported}");
}
