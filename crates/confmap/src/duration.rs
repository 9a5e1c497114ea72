//! Durations as the Collector writes them: `300ms`, `1h30m`; a bare integer is nanoseconds.
//!
//! Use as `#[serde(with = "confmap::duration")]`.

use std::fmt;
use std::time::Duration;

use serde::{Deserializer, Serializer, de};

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
/// A sentence that names the text and says what is expected, if it is not one or is negative.
pub fn parse(text: &str) -> Result<Duration, String> {
    nanos(text).map(Duration::from_nanos).ok_or_else(|| {
        format!("invalid duration {text:?}: expected a number with a unit, like 300ms, 5s or 1h30m")
    })
}

fn nanos(text: &str) -> Option<u64> {
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

/// `number` times `scale`; what is below a nanosecond is dropped.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // No unit has more nanoseconds than 18 digits tell apart.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let below = u128::from(part(fraction)?) * u128::from(scale) / places;
    part(whole)?.checked_mul(scale)?.checked_add(u64::try_from(below).ok()?)
}

/// Writes a duration so that [`parse`] reads it back.
///
/// # Errors
/// Whatever the serializer refuses.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}

/// Reads a duration from a string or, as nanoseconds, from an integer.
///
/// # Errors
/// As [`parse`]; also for a negative integer or another type.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(GoDuration)
}

struct GoDuration;

impl de::Visitor<'_> for GoDuration {
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
            ("2m3s", 123_000_000_000),
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

    proptest! {
        /// What is written is read back as it was.
        #[test]
        fn a_duration_survives_writing_and_reading(nanos: u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format!("{duration:?}")), Ok(duration));
        }

        /// Any text is a duration or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,30}(ns|us|ms|s|m|h|x)?.{0,8}") {
            let _any = parse(&text);
        }
    }
}
