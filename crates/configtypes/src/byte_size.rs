//! Numbers of bytes: `4MiB`, `512KiB`, `1GB`; a bare integer is bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units with their bytes. The binary ones from the largest: a size is written in the first that fits.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Units that a size is written in.
const BINARY: usize = 4;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of `bytes` bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `kib` times 1024 bytes; at most `u64::MAX` bytes.
    #[must_use]
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// A size of `mib` times 1024² bytes; at most `u64::MAX` bytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// A size of `gib` times 1024³ bytes; at most `u64::MAX` bytes.
    #[must_use]
    pub const fn from_gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes; at most `usize::MAX`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// The error of a text that is no number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invalid size {:?}: expected a number of bytes below 2^64 with a unit, like 512KiB, 4MiB or 1GB, or without \
             one for bytes (units: B, kB, KiB, MB, MiB, GB, GiB, TB, TiB)",
            self.0
        )
    }
}

impl std::error::Error for ParseError {}

impl FromStr for ByteSize {
    type Err = ParseError;

    /// Reads a number, whole or decimal, and a unit in upper or lower case.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text.trim()).map(Self).ok_or_else(|| ParseError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let scale = match UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() => 1,
        None => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let bytes = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    bytes.checked_add(part_of(fraction, scale)?)
}

/// `0.fraction` times `scale`; `None` if that is no whole number.
fn part_of(fraction: &str, scale: u64) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    // More decimals than this cannot be of a whole number of bytes but by trailing zeros.
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 18)?;
    let digits = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let (product, divisor) = (u128::from(digits) * u128::from(scale), 10_u128.pow(places));
    (product % divisor == 0).then_some(())?;
    u64::try_from(product / divisor).ok()
}

impl fmt::Display for ByteSize {
    /// Writes the size in the largest binary unit of which it is a whole number, so that reading the text gives the
    /// same size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, scale): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*scale);
        match UNITS.iter().take(BINARY).find(whole) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Size)
    }
}

struct Size;

impl de::Visitor<'_> for Size {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like 512KiB, 4MiB or 1GB, or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        u64::try_from(bytes).map(ByteSize).map_err(|_negative| E::custom(ParseError(bytes.to_string())))
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "minimum": 0,
            "pattern": r"^ *[0-9]+(\.[0-9]+)? *([kKmMgGtT]?[bB]|[kKmMgGtT][iI][bB])? *$",
            "examples": ["512KiB", "4MiB", 1_048_576],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_parse_in_bytes_and_in_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("12B", 12),
            ("512KiB", 512 << 10),
            ("4MiB", 4 << 20),
            ("4 MiB", 4 << 20),
            ("1GB", 1_000_000_000),
            ("1kB", 1000),
            ("1KB", 1000),
            ("1kib", 1024),
            ("1.5MiB", 3 << 19),
            ("1.50GB", 1_500_000_000),
            ("2TiB", 2 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_that_are_not() {
        for text in
            ["", "MiB", "-1", "1.", ".5MiB", "1.5", "0.3KiB", "1Mi", "4MiBs", "1e3", "16777216TiB", "1.1.1B"]
        {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid size {text:?}: expected")), "{error}");
            assert!(error.contains("512KiB, 4MiB or 1GB"), "{error}");
        }
    }

    #[test]
    fn a_size_is_read_from_an_integer_and_written_with_a_unit() {
        let read = |json: &str| serde_json::from_str::<ByteSize>(json);
        assert_eq!(read("1048576").unwrap(), ByteSize::from_mib(1));
        assert_eq!(read("\"1MiB\"").unwrap(), ByteSize::from_mib(1));
        assert!(read("-1").unwrap_err().to_string().starts_with("invalid size \"-1\""));
        assert!(read("[]").unwrap_err().to_string().contains("expected a size like 512KiB"));
        for (bytes, text) in
            [(0, "0B"), (1, "1B"), (1000, "1000B"), (1536, "1536B"), (3 << 20, "3MiB"), (1 << 50, "1024TiB")]
        {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    proptest! {
        /// A size that is written is read back as it was.
        #[test]
        fn a_size_survives_writing_and_reading(bytes: u64, shift in 0_u32..64) {
            let size = ByteSize((bytes >> shift) << (shift / 2));
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        /// Any text is a size or is refused.
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.]{0,30} ?([kKmMgGtT]i?)?[bB]?.{0,3}") {
            let _any = text.parse::<ByteSize>();
        }
    }
}
