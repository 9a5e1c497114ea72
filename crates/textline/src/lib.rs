//! Texts as one line for people, in logs and at terminals: those that strangers have chosen, and those of errors with
//! their causes.
//!
//! Pure: no I/O, and nothing of this project is known here.

mod causes;
mod line;
mod unseen;

pub use causes::{causes, joined, with_causes};
pub use line::one_line;
pub use unseen::{is_unseen, printable};
