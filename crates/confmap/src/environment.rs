//! Environment variables.

/// Looks up an environment variable; `None` if it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;
