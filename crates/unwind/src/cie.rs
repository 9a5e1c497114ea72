//! Common Information Entries: the facts that several functions share.

use crate::state::State;

/// The facts that the functions of one CIE share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cie {
    pub(crate) code_factor: u64,
    pub(crate) data_factor: i64,
    /// Encoding of the addresses in the entries.
    pub(crate) encoding: u8,
    /// True if FDEs have a length of augmentation data.
    pub(crate) augmented: bool,
    pub(crate) signal: bool,
    /// The state at the first instruction of each function.
    pub(crate) initial: State,
}

impl Cie {
    /// The byte offset that a factored offset of the entries stands for; `None` if it overflows.
    pub(crate) fn factored(&self, offset: u64) -> Option<i64> {
        i64::try_from(offset).ok()?.checked_mul(self.data_factor)
    }
}
