//! Durations as the Collector writes them: `300ms`, `1h30m`; a bare integer is nanoseconds.
//!
//! Use as `#[serde(with = "confmap::duration")]`.

use std::fmt;
use std::time::Duration;

use serde::{Deserializer, Serializer, de};

/// Units of Go's `time.ParseDuration`, with their nanoseconds; longer names before their prefixes.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Parses a Go duration.
///
/// # Errors
/// A sentence that names the text and says what is expected, if it is not one or is negative.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse =
        || format!("invalid duration {text:?}: expected a number with a unit, like 300ms, 5s or 1h30m");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_not_a_number| refuse())?;
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
        nanos += number * scale;
        rest = tail;
    }
    if text.is_empty() { Err(refuse()) } else { Ok(Duration::from_secs_f64((nanos / 1e9).min(1e10))) }
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
    use super::*;

    #[test]
    fn go_durations_parse() {
        for (text, millis) in [
            ("300ms", 300),
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("0", 0),
            ("2m3s", 123_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_named() {
        for text in ["", "5", "s", "-1s", "5 s", "1d", "5sx", "1.2.3s"] {
            assert!(parse(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
        }
    }
}
