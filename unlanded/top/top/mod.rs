//! The screens of `top`: what happened in the last minute, by executable, function, process and call.
//!
//! ```text
//! batches --> History: a minute of seconds --\
//! keys ----> View: what is looked at ---------+--> draw --> Canvas
//! Gauges: how the agent fares ---------------/
//! ```

mod calls;
mod draw;
mod history;
mod icicle;
mod keys;
mod processes;
mod rows;
mod second;
mod spark;
#[cfg(test)]
mod tests;
mod view;

pub use draw::{Gauges, draw};
pub use history::History;
pub use keys::{Key, Keys};
pub use view::{Outcome, Tab, View};
