//! What functions share: a Common Information Entry.

use crate::state::State;

/// What the functions of one CIE share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cie {
    pub(crate) code_factor: u64,
    pub(crate) data_factor: i64,
    /// Encoding of the addresses in the entries.
    pub(crate) encoding: u8,
    /// Whether FDEs have a length of augmentation data.
    pub(crate) augmented: bool,
    pub(crate) signal: bool,
    /// State at the first instruction.
    pub(crate) initial: State,
}

impl Cie {
    /// The byte offset of a factored one.
    pub(crate) fn factored(&self, offset: u64) -> Option<i64> {
        i64::try_from(offset).ok()?.checked_mul(self.data_factor)
    }
}
