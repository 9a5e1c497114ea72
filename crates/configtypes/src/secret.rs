//! Texts that must not be shown.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that stands for a secret wherever one is shown, the same as the Collector's.
pub const REDACTED: &str = "[REDACTED]";

/// Name by which a deserializer knows that it reads a [`Secret`], so that its errors do not show the value.
pub const TYPE_NAME: &str = "configtypes::Secret";

/// A text that neither logs nor a printed configuration show.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// The text that must not be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True if there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

thread_local! {
    static UNREDACTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `write`, during which this thread serializes secrets as they are. Only the command by which a user asks to show
/// them may call this. `Debug` and `Display` stay redacted.
pub fn unredacted<T>(write: impl FnOnce() -> T) -> T {
    /// Restores the former state, even if `write` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            UNREDACTED.set(self.0);
        }
    }
    let _restore = Restore(UNREDACTED.replace(true));
    write()
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if UNREDACTED.get() { &self.0 } else { REDACTED })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TYPE_NAME, Text)
    }
}

struct Text;

impl<'de> de::Visitor<'de> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_only_where_that_is_asked_for() {
        let secret = Secret::from("hunter2");
        let json = || serde_json::to_string(&secret).unwrap();
        assert_eq!(format!("{secret} {secret:?} {}", json()), "[REDACTED] [REDACTED] \"[REDACTED]\"");
        assert_eq!(unredacted(|| unredacted(json) + &json()), "\"hunter2\"\"hunter2\"");
        assert_eq!(json(), "\"[REDACTED]\"");
        let panicked = std::panic::catch_unwind(|| unredacted(|| panic!("as tests do")));
        assert!(panicked.is_err());
        assert_eq!(json(), "\"[REDACTED]\"");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(serde_json::from_str::<Secret>("\"hunter2\"").unwrap(), secret);
    }
}
