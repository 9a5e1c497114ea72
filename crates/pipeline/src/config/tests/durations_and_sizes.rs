//! Durations in Go's form, and sizes, at keys of components.

use super::*;

#[test]
fn durations_are_those_of_go() {
    let window = |text: &str| -> Result<std::time::Duration, String> {
        let config = load(&[SOUND, &format!("exporters::debug::window: {text}")])
            .map_err(|error| error.to_string())?;
        let (_, debug) = config.exporters.iter().find(|(id, _)| id.to_string() == "debug").unwrap();
        Ok(debug.as_any().downcast_ref::<exporter_debug::Config>().unwrap().window)
    };
    for (text, millis) in [
        ("5s", 5_000),
        ("1500ms", 1_500),
        ("1.5s", 1_500),
        ("1m", 60_000),
        ("1m0.5s", 60_500),
        ("'2s'", 2_000),
        // A bare integer is nanoseconds.
        ("2000000000", 2_000),
        ("2_000_000_000", 2_000),
        ("1000000us", 1_000),
        ("+3s", 3_000),
    ] {
        assert_eq!(window(text), Ok(std::time::Duration::from_millis(millis)), "{text}");
    }
    for (text, reported) in [
        ("5", "exporters::debug::window: is 5ns, expected"),
        (
            "'5'",
            "exporters::debug::window: invalid duration \"5\": expected a number with a unit, like 300ms, 5s or 1h30m",
        ),
        ("5 s", "exporters::debug::window: invalid duration \"5 s\""),
        ("1d", "exporters::debug::window: invalid duration \"1d\""),
        ("-5s", "exporters::debug::window: invalid duration \"-5s\""),
        ("-5", "exporters::debug::window: invalid duration -5: must not be negative"),
        ("5.5", "exporters::debug::window: expected a duration like 300ms, 5s or 1h30m, found 5.5"),
        ("true", "exporters::debug::window: expected a duration like 300ms, 5s or 1h30m, found true"),
        ("[5s]", "exporters::debug::window: expected a duration like 300ms, 5s or 1h30m, found a list"),
    ] {
        let error = window(text).unwrap_err();
        assert!(error.starts_with(&format!("invalid configuration: {reported}")), "{text}: {error}");
    }
}
