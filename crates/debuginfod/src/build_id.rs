//! Build IDs that servers can be asked about.

use std::fmt;
use std::ops::RangeInclusive;

/// The lengths of build IDs that are asked about: shorter ones name more than one file, and no linker makes longer
/// ones.
const LENGTHS: RangeInclusive<usize> = 8..=32;

/// A GNU build ID of 8 to 32 bytes, as the linker has put it into a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GnuBuildId {
    bytes: [u8; *LENGTHS.end()],
    length: u8,
}

impl GnuBuildId {
    /// A build ID of these bytes; `None` if it is too short or too long to be asked about.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let length = u8::try_from(bytes.len()).ok().filter(|_| LENGTHS.contains(&bytes.len()))?;
        let mut padded = [0; *LENGTHS.end()];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bytes: padded, length })
    }

    /// The bytes of the build ID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for GnuBuildId {
    /// Lower-case hex, as in the protocol.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GnuBuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GnuBuildId({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A build ID of 8 to 32 bytes is kept as it is, as two lower-case digits for each byte; others are refused.
        #[test]
        fn lengths_decide(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let id = GnuBuildId::new(&bytes);
            prop_assert_eq!(id.is_some(), (8..=32).contains(&bytes.len()));
            if let Some(id) = id {
                prop_assert_eq!(id.as_bytes(), &bytes);
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                prop_assert_eq!(id.to_string(), hex);
            }
        }
    }
}
