//! Faults of a configuration: what is wrong, where, and what was probably meant.

use std::fmt;

/// Says of a key that is not known, by its path from the root, what to write instead; `None` if there is nothing to
/// say.
pub type Advise = fn(&[String]) -> Option<&'static str>;

/// One thing wrong, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Keys from the root to the place; empty for the configuration as a whole.
    pub path: Vec<String>,
    /// What is wrong and what is expected.
    pub message: String,
    /// Where that is written: `agent.yaml:12`, a flag or an environment variable.
    pub source: Option<String>,
}

impl fmt::Display for Fault {
    /// `exporters::file::path: must not be empty`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("::"))?;
        }
        f.write_str(&self.message)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, " (in {source})"))
    }
}

/// Everything wrong with a configuration. Prints one fault a line.
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

    /// True if something is wrong at `path` or inside it.
    pub fn touches<S: AsRef<str>>(&self, path: &[S]) -> bool {
        self.0.iter().any(|fault| {
            fault.path.len() >= path.len()
                && fault.path.iter().zip(path).all(|(key, other)| key == other.as_ref())
        })
    }

    /// Lets each fault that does not say where it is written say so.
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

    /// `value` if nothing is wrong.
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
