//! Kept files: opened once, to be read again by others.

use std::fs::File;

use crate::message::Found;
use crate::origin::Origin;
use crate::serve::facts;

/// An open file of this machine's own disks or memory, and the facts found of it before it was opened.
///
/// As long as the file is open, its file system cannot be unmounted.
#[derive(Debug)]
pub struct Kept {
    file: File,
    found: Found,
    origin: Origin,
}

impl Kept {
    pub(crate) fn new(file: &File, found: Found, origin: &Origin) -> Option<Self> {
        Some(Self { file: file.try_clone().ok()?, found, origin: origin.clone() })
    }

    /// The same file once more; `None` if it has been written to since it was found.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let again = Self::new(&self.file, self.found, &self.origin)?;
        (facts(&again.file).ok()? == self.found).then_some(again)
    }

    pub(crate) fn into_parts(self) -> (File, Found, Origin) {
        (self.file, self.found, self.origin)
    }
}
