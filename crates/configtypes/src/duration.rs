//! Durations as the Collector writes them: `300ms`, `1h30m`; a bare integer is nanoseconds.
//!
//! Use it as `#[serde(with = "configtypes::GoDuration")]`, which adds a schema to the key, too.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units of Go's `time.ParseDuration`, with their nanoseconds.
///
/// The micro sign has two code points; Go takes both.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a Go duration: numbers with units, added up. At most 2^64 nanoseconds, some 584 years.
///
/// # Errors
/// A sentence with the text and the form that is expected, if the text is no duration or is negative.
pub fn parse(text: &str) -> Result<Duration, String> {
    nanos(text).map(Duration::from_nanos).ok_or_else(|| {
        format!("invalid duration {text:?}: expected a number with a unit, like 300ms, 5s or 1h30m")
    })
}

fn nanos(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut sum) = (text, None);
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, tail) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = Some(sum.unwrap_or(0_u64).checked_add(scaled(number, *scale)?)?);
        rest = tail;
    }
    sum
}

/// `number` times `scale`; fractions of a nanosecond are dropped.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // No unit has so many nanoseconds that digits after the 18th would change them.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let below = u128::from(part(fraction)?) * u128::from(scale) / places;
    part(whole)?.checked_mul(scale)?.checked_add(u64::try_from(below).ok()?)
}

/// Writes a duration as Go does, so that [`parse`] reads it back: `1h30m0s`, `1.5s`, `300ms`.
///
/// # Errors
/// Whatever the serializer refuses.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&GoDuration(*value))
}

/// Reads a duration from a string or, as nanoseconds, from an integer.
///
/// # Errors
/// As [`parse`]; also for a negative integer or another type.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Visitor)
}

/// A duration as it is written in configuration.
///
/// On a `Duration` in a `Config`, `#[serde(with = "configtypes::GoDuration")]` calls the functions of this type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// Writes a duration like [`serialize`](fn@serialize).
    ///
    /// # Errors
    /// Whatever the serializer refuses.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(value, serializer)
    }

    /// Reads a duration like [`deserialize`](fn@deserialize).
    ///
    /// # Errors
    /// As [`deserialize`](fn@deserialize).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserialize(deserializer)
    }
}

impl fmt::Display for GoDuration {
    /// Writes the duration as Go's `Duration.String` does: no unit above hours, and below a second one unit with
    /// decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds == 0 {
            // Rust's form is Go's here, save for zero.
            return if self.0.is_zero() { f.write_str("0s") } else { write!(f, "{:?}", self.0) };
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}", seconds % 60)?;
        let decimals = format!(".{:09}", self.0.subsec_nanos());
        write!(f, "{}s", decimals.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for GoDuration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "pattern": "^(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u{b5}s|\u{3bc}s|ms|s|m|h))+)$",
            "examples": ["300ms", "5s", "1h30m"],
        })
    }
}

/// A duration that may be absent: `#[serde(with = "configtypes::GoDurationOption")]` on an `Option<Duration>`.
#[derive(Clone, Copy, Debug)]
pub enum GoDurationOption {}

impl GoDurationOption {
    /// Writes a duration like [`serialize`](fn@serialize), or nothing.
    ///
    /// # Errors
    /// Whatever the serializer refuses.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(GoDuration).serialize(serializer)
    }

    /// Reads a duration like [`deserialize`](fn@deserialize), or nothing for nothing.
    ///
    /// # Errors
    /// As [`deserialize`](fn@deserialize).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<GoDuration>::deserialize(deserializer)?.map(|duration| duration.0))
    }
}

impl JsonSchema for GoDurationOption {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OptionalDuration".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Option<GoDuration>>()
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like 300ms, 5s or 1h30m")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Duration, E> {
        Ok(Duration::from_nanos(nanos))
    }

    fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<Duration, E> {
        u64::try_from(nanos)
            .map(Duration::from_nanos)
            .map_err(|_negative| E::custom(format!("invalid duration {nanos}: must not be negative")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_durations_parse() {
        for (text, nanos) in [
            ("300ms", 300_000_000),
            ("5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.0000000019s", 1),
            ("7us", 7_000),
            ("7\u{b5}s", 7_000),
            ("7\u{3bc}s", 7_000),
            ("0", 0),
            ("+2m3s", 123_000_000_000),
            ("+0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_named() {
        for text in ["", "5", "s", "-1s", "5 s", "1d", "5sx", "1.2.3s", ".s", "999999999999h"] {
            assert!(parse(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (60_000_000_000, "1m0s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (60_500_000_000, "1m0.5s"),
            (480_000_000_001, "8m0.000000001s"),
            (5_400_000_000_000, "1h30m0s"),
        ] {
            assert_eq!(GoDuration(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    /// A configuration with a duration that is there and one that may be.
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Config {
        #[serde(with = "GoDuration")]
        timeout: Duration,
        #[serde(with = "GoDurationOption")]
        age: Option<Duration>,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { timeout: Duration::from_secs(5), age: None }
        }
    }

    #[test]
    fn one_attribute_gives_a_duration_its_text_and_its_schema() {
        let text = r#"{"timeout":"300ms","age":"1h0m0s"}"#;
        let config = Config { timeout: Duration::from_millis(300), age: Some(Duration::from_secs(3600)) };
        assert_eq!(serde_json::from_str::<Config>(text).unwrap(), config);
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        assert_eq!(serde_json::from_str::<Config>("{\"age\":null}").unwrap(), Config::default());
        let schema = schemars::schema_for!(Config).to_value();
        let timeout = schema.pointer("/properties/timeout").unwrap();
        assert_eq!((&timeout["default"], &timeout["type"][0]), (&"5s".into(), &"string".into()), "{timeout}");
        assert!(schema.pointer("/properties/age").is_some());
    }

    proptest! {
        /// A duration that is written is read back as it was.
        #[test]
        fn a_duration_survives_writing_and_reading(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&GoDuration(duration).to_string()), Ok(duration));
            prop_assert_eq!(parse(&format!("{duration:?}")), Ok(duration));
        }

        /// Any text is a duration or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,30}(ns|us|ms|s|m|h|x)?.{0,8}") {
            let _any = parse(&text);
        }
    }
}
