//! Sections that are off unless the configuration has them.

use serde::{Deserialize, Deserializer};

/// Reads an `Option<Section>` as the Collector does: a key without a value is there, with the section's defaults.
///
/// Use as `#[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]` in a struct
/// with `#[serde(default)]`: an absent section is then `None`, and is not written as null, which would read as being
/// there.
///
/// # Errors
/// As `T`.
pub fn section<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Config {
        #[serde(deserialize_with = "section", skip_serializing_if = "Option::is_none")]
        batch: Option<Inner>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Inner {
        size: u32,
    }

    #[test]
    fn a_section_that_is_absent_is_off_and_stays_so_when_it_is_written() {
        let off: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(off, Config { batch: None });
        assert_eq!(serde_json::to_string(&off).unwrap(), "{}");
        let on: Config = serde_json::from_str(r#"{"batch": {}}"#).unwrap();
        assert_eq!(on, Config { batch: Some(Inner { size: 0 }) });
        assert_eq!(serde_json::to_string(&on).unwrap(), r#"{"batch":{"size":0}}"#);
    }
}
