//! Faults that a component finds in its own configuration.

use std::fmt;

/// One problem with a component's configuration, as its `validate` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Keys from the component's section to the value; empty for the section as a whole.
    pub keys: Vec<String>,
    /// The problem, and the value that is expected.
    pub message: String,
}

impl Fault {
    /// The fault that `message` describes, in the value at `keys`.
    pub fn at<K: Into<String>>(keys: impl IntoIterator<Item = K>, message: impl Into<String>) -> Self {
        Self { keys: keys.into_iter().map(Into::into).collect(), message: message.into() }
    }

    /// The same fault as seen from further out: its section stands at `keys`.
    #[must_use]
    pub fn within<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.splice(..0, keys.into_iter().map(Into::into));
        self
    }
}

impl fmt::Display for Fault {
    /// Writes a fault like `rotation::max_megabytes: is 0, expected at least 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.keys.is_empty() {
            write!(f, "{}: ", self.keys.join("::"))?;
        }
        f.write_str(&self.message)
    }
}

/// A fault equals a text that reads the same: for tests of the texts that users see.
impl PartialEq<&str> for Fault {
    fn eq(&self, text: &&str) -> bool {
        let shown = self.to_string();
        shown == *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_with_its_keys_first() {
        let fault = Fault::at(["max_megabytes"], "is 0, expected at least 1");
        assert_eq!(fault.clone().within(["rotation"]), "rotation::max_megabytes: is 0, expected at least 1");
        assert_eq!(fault.within(["a", "b"]).keys, ["a", "b", "max_megabytes"]);
        assert_eq!(Fault::at([""; 0], "is nothing"), "is nothing");
    }
}
