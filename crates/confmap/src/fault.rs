//! Faults of a configuration: the problem, its place, and the key or value that was probably meant.

use std::fmt;

/// Advice for a key that is not known, by the key's path from the root: the key to write instead; `None` if there is no
/// advice.
pub type Advise = fn(&[String]) -> Option<&'static str>;

/// One problem at one place of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Keys from the root to the place; empty for the configuration as a whole.
    pub path: Vec<String>,
    /// The problem, and the value that is expected.
    pub message: String,
    /// The place where the value is written: `agent.yaml:12`, a flag or an environment variable.
    pub source: Option<String>,
}

impl fmt::Display for Fault {
    /// Writes a fault like `exporters::file::path: must not be empty`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("::"))?;
        }
        f.write_str(&self.message)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " (in {source})"))
    }
}

/// All faults of a configuration. Prints one fault a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Notes that `message` holds at `path`.
    pub fn add(&mut self, path: &[&str], message: impl Into<String>) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.push(Fault { path, message: message.into(), source: None });
    }

    /// Notes a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// True if there is a fault at `path` or inside it.
    pub fn touches<S: AsRef<str>>(&self, path: &[S]) -> bool {
        self.0.iter().any(|fault| {
            fault.path.len() >= path.len()
                && fault.path.iter().zip(path).all(|(key, other)| key == other.as_ref())
        })
    }

    /// Adds a place from `place` to each fault without one.
    pub fn locate(&mut self, place: impl Fn(&[String]) -> Option<String>) {
        for fault in &mut self.0 {
            fault.source = fault.source.take().or_else(|| place(&fault.path));
        }
    }

    /// The faults in the order they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }

    /// Returns `value` if there are no faults.
    ///
    /// # Errors
    /// The faults, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = self.0.iter();
        if let Some(first) = faults.next() {
            write!(f, "{first}")?;
        }
        faults.try_for_each(|fault| write!(f, "\n       {fault}"))
    }
}

impl std::error::Error for Faults {}

/// ` (did you mean "path"?)`, or the choices if nothing comes close; to be put after a fault. Empty if
/// there is nothing to choose from.
pub fn hint<'a>(found: &str, choices: impl IntoIterator<Item = &'a str> + Clone) -> String {
    // Regardless of case, since `INFO` means `info`.
    let found = found.to_lowercase();
    let near = choices
        .clone()
        .into_iter()
        .map(|choice| (strsim::damerau_levenshtein(&found, &choice.to_lowercase()), choice))
        .min()
        .filter(|&(distance, choice)| distance <= (choice.len() / 3).max(1));
    match near {
        Some((_, choice)) => format!(" (did you mean {choice:?}?)"),
        None if choices.clone().into_iter().next().is_none() => String::new(),
        None => format!(" (valid values: [{}])", choices.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_choice_is_offered_and_all_of_them_if_none_is_near() {
        assert_eq!(hint("pth", ["path", "window"]), " (did you mean \"path\"?)");
        assert_eq!(hint("ednpoint", ["endpoint", "tls"]), " (did you mean \"endpoint\"?)");
        assert_eq!(hint("INFO", ["info", "warn"]), " (did you mean \"info\"?)");
        assert_eq!(hint("colour", ["path", "window"]), " (valid values: [path, window])");
        assert_eq!(hint("colour", []), "");
    }

    #[test]
    fn faults_print_their_place_first_one_a_line() {
        let mut faults = Faults::default();
        faults.add(&["exporters", "file"], "a");
        faults.add(&[], "b");
        assert_eq!(faults.to_string(), "exporters::file: a\n       b");
    }
}
