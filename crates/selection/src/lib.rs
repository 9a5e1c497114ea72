//! The selection of a recording's samples: those of a process tree, of some processes, of a control group, or all.
//!
//! A [`Scope`] describes the selected processes, and the stage that [`SelectionLayer`] makes drops all other samples,
//! before anything is looked up for them. Events of all processes pass, since stages behind need them. The kernel
//! reports a fork before it can report any event of the child, so a set of [`ProcessKey`](pdata::ProcessKey)s is exact.

mod groups;
mod layer;
mod members;
mod observed;
mod scope;

pub use groups::GroupTree;
pub use layer::{Selection, SelectionLayer};
pub use members::Members;
pub use observed::Observed;
pub use scope::Scope;
