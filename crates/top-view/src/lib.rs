//! The screens of `pipeline top`: a minute of seconds as tables, a tree and an icicle. Pure: no I/O, no clocks.
//!
//! ```text
//! Report --> History: a minute of seconds --\
//! Key -----> View: state of the view --------+--> draw --> ratatui's Buffer
//! Source: name of the source ---------------/ \--> plain --> lines of text
//! ```
//!
//! Start reading at [`History`]. Users choose names, so those that are shown have passed `text.rs`.

mod calls;
mod draw;
mod history;
mod icicle;
mod minute;
mod plain;
mod press;
mod processes;
mod rows;
mod series;
mod stages;
mod text;
mod tree;
mod view;

#[cfg(test)]
mod tests;

pub use draw::{Screen, draw};
pub use history::History;
pub use minute::SECONDS;
pub use plain::plain;
pub use press::{Key, Outcome};
pub use view::{Sort, Tab, View};
