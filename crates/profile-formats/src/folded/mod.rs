//! Folded stacks, for flame graphs: a line for each stack, `thread;outermost;...;innermost number`.

#[cfg(test)]
mod tests;
mod write;

pub use write::write;
pub(crate) use write::{TRUNCATED, stacks, task_name};
