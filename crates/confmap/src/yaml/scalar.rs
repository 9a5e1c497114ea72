//! The meaning of a plain scalar, by the rules of the YAML library that the Collector uses (go-yaml v3, `resolve.go`).
//!
//! Those rules are YAML 1.2's with remnants of 1.1: `0123` is octal, `1_000` a number, but `yes` is a string. A date,
//! which that library knows as a type of its own, is a string here.

use super::node::Scalar;

/// The value of a scalar without quotes and without tag.
pub(crate) fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => text.parse().ok().filter(|value: &f64| value.is_finite()).map(Scalar::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::String(text.to_owned()))
}

/// A number that starts with a digit or a sign.
fn number(text: &str) -> Option<Scalar> {
    if let Some(value) = integer(text) {
        return u64::try_from(value)
            .map(Scalar::Unsigned)
            .or_else(|_negative| i64::try_from(value).map(Scalar::Signed))
            .ok()
            .or_else(|| float(text));
    }
    float(text)
}

/// A whole number: decimal, or with the prefix `0x`, `0b`, `0o` or `0`.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let prefixed = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (radix, digits) = if let Some(digits) = prefixed(["0x", "0X"]) {
        (16, digits)
    } else if let Some(digits) = prefixed(["0b", "0B"]) {
        (2, digits)
    } else if let Some(digits) = prefixed(["0o", "0O"]) {
        (8, digits)
    } else if let Some(digits) = digits.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        (8, digits)
    } else {
        (10, digits)
    };
    // A second sign is one that `from_str_radix` would take.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A decimal number, perhaps with a fraction and an exponent, that is not too large.
fn float(text: &str) -> Option<Scalar> {
    let allowed = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let value: f64 = text.chars().all(allowed).then(|| text.parse().ok())??;
    value.is_finite().then_some(Scalar::Float(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_scalars_have_the_types_that_the_collector_gives_them() {
        use Scalar::{Bool, Float, Null, Signed, Unsigned};
        let string = |text: &str| Scalar::String(text.to_owned());
        for (text, expected) in [
            ("", Null),
            ("~", Null),
            ("Null", Null),
            ("nULL", string("nULL")),
            ("true", Bool(true)),
            ("FALSE", Bool(false)),
            ("yes", string("yes")),
            ("no", string("no")),
            ("on", string("on")),
            ("Off", string("Off")),
            ("y", string("y")),
            ("7", Unsigned(7)),
            ("+7", Unsigned(7)),
            ("-7", Signed(-7)),
            ("0123", Unsigned(83)),
            ("-0123", Signed(-83)),
            ("0o17", Unsigned(15)),
            ("0x1F", Unsigned(31)),
            ("0b101", Unsigned(5)),
            ("1_000", Unsigned(1000)),
            ("089", Float(89.0)),
            ("18446744073709551615", Unsigned(u64::MAX)),
            ("18446744073709551616", Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775808", Signed(i64::MIN)),
            ("1.5", Float(1.5)),
            (".5", Float(0.5)),
            ("1.", Float(1.0)),
            ("1e3", Float(1000.0)),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("1e999", string("1e999")),
            ("-", string("-")),
            (".", string(".")),
            ("--1", string("--1")),
            ("0x", string("0x")),
            ("0x-1", string("0x-1")),
            ("1.2.3", string("1.2.3")),
            ("12:30:45", string("12:30:45")),
            ("2024-01-31", string("2024-01-31")),
            ("1h30m", string("1h30m")),
            ("infinity", string("infinity")),
            ("inf", string("inf")),
            ("nan", string("nan")),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
        assert!(matches!(plain(".nan"), Float(value) if value.is_nan()));
    }

    proptest! {
        /// Any text has a value; a whole number within 64 bits has its own.
        #[test]
        fn any_text_has_a_value(text in "[+-]?(0[xbo])?[0-9a-fA-F_.eE+-]{0,24}|.{0,8}", number: i64) {
            let _any = plain(&text);
            let expected = u64::try_from(number).map_or(Scalar::Signed(number), Scalar::Unsigned);
            prop_assert_eq!(plain(&number.to_string()), expected);
        }
    }
}
