//! Containers, as their control groups name them.

/// A container, as its group is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The ID that the container's runtime has chosen; `None` for a container that only has a name.
    pub id: Option<Box<str>>,
    /// The container's name, if its runtime names groups so (LXC, nspawn).
    pub name: Option<Box<str>>,
    /// The container's runtime, if the group's name shows it.
    pub runtime: Option<&'static str>,
}
