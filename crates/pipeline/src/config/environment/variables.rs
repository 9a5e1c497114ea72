//! Values of the variables, while they are read.

use confmap::{Defaults, Dict, Environment, Fault, Value};

/// The values that the variables have set so far.
pub(super) struct Variables(pub(super) Defaults);

impl Variables {
    /// Sets the key at `path` to `value`, from the variable `name`.
    pub(super) fn give(&mut self, path: &[&str], name: &str, value: Value) {
        self.0.set(path, value, &named(name));
    }

    /// Adds the fault that the variable `name`, which belongs to `path`, cannot be used.
    pub(super) fn refuse(&mut self, path: &[&str], name: &str, message: String) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.0.refuse(Fault { path, message, source: Some(named(name)) });
    }
}

/// The place of a fault in a variable.
fn named(variable: &str) -> String {
    format!("environment variable {variable}")
}

/// The value of a variable; `None` if it is unset or empty.
pub(super) fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// The value at `path`, if there is one and it is not null.
pub(super) fn present<'v>(root: &'v Dict, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let value = root.get(*first)?;
    match (value, rest) {
        (Value::Empty(..), _) => None,
        (value, []) => Some(value),
        (Value::Dict(_, dict), rest) => present(dict, rest),
        _ => None,
    }
}
