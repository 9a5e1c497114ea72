//! A container.

/// A container, as its group is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The ID that its runtime gave it; `None` for one that only has a name.
    pub id: Option<Box<str>>,
    /// Its name, where groups are named so (LXC, nspawn).
    pub name: Option<Box<str>>,
    /// What runs it, where the name says so.
    pub runtime: Option<&'static str>,
}
