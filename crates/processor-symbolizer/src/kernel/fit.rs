//! The fit of a list of the kernel's symbols to the addresses that samples have.
//!
//! The kernel is elsewhere after each boot (KASLR), and the list of another kernel or of another boot would name each
//! address wrongly. Wherever the kernel is, it is entered through its own text: each stack has an address there.

use std::ops::Range;

use symbolize::KernelSymbols;

/// Number of addresses, none of them in the text of the kernel that the symbols are of, that show them to be another
/// kernel's.
pub(super) const ENOUGH_ELSEWHERE: usize = 64;

/// The fit of the list that names are taken from.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// The kernel's text by the list.
    text: Option<Range<u64>>,
    /// True if an address was in the text.
    is_certain: bool,
    /// Number of addresses before that one.
    elsewhere: usize,
    has_warned: bool,
}

impl Fit {
    /// Takes account of addresses that samples have had.
    pub(super) fn take(&mut self, symbols: &KernelSymbols, addresses: &[u64]) {
        if self.text != symbols.text() {
            *self = Self { text: symbols.text(), has_warned: self.has_warned, ..Self::default() };
        }
        let Some(text) = self.text.as_ref().filter(|_| !self.is_certain) else { return };
        self.is_certain = addresses.iter().any(|address| text.contains(address));
        self.elsewhere = self.elsewhere.saturating_add(addresses.len());
        if self.is_other() && !self.has_warned {
            self.has_warned = true;
            tracing::warn!(
                text = ?self.text,
                "No address of the kernel is in the text of its symbols: they are another kernel's. Kernel frames have no names."
            );
        }
    }

    /// True if the list is another kernel's, as far as is known by now.
    pub(super) fn is_other(&self) -> bool {
        !self.is_certain && self.elsewhere >= ENOUGH_ELSEWHERE
    }
}
