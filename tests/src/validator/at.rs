//! Places in a request.

use std::fmt;

/// A place in a request. It lives on the stack beside the value that it names, and becomes text only if a rule is
/// broken there: a request has tens of thousands of places.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    parent: Option<&'a At<'a>>,
    key: &'static str,
    index: Option<usize>,
}

impl<'a> At<'a> {
    /// Field `key` of the request.
    pub(super) const fn root(key: &'static str) -> Self {
        Self { parent: None, key, index: None }
    }

    /// Field `key` of the value at this place.
    pub(super) const fn key(&'a self, key: &'static str) -> Self {
        Self { parent: Some(self), key, index: None }
    }

    /// Entry `index` of the list at this place.
    pub(super) const fn item(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.key)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}
