//! Stacks, as a tree.

use super::code::Location;
use crate::table::Id;

/// A stack: its leaf, and the stack of the leaf's caller.
///
/// Stacks share the callers that they have in common, so that a million of them take little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The stack of the caller, which has a lower number; `None` at the root.
    pub caller: Option<Id<Stack>>,
    /// The location of the leaf.
    pub location: Id<Location>,
}
