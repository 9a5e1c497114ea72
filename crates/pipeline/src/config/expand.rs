//! `${env:VAR}`, `${env:VAR:-default}` and `$$` in configuration values.
//!
//! The Collector's rules: `${VAR}` is short for `${env:VAR}`, references nest, `$$` is a dollar sign, and
//! a bare `$VAR` is left as it is. Keys are never expanded.

use std::fs;

use thiserror::Error;

/// How often one configuration may expand something: stops a reference that leads to itself.
pub(super) const MAX_EXPANSIONS: usize = 1000;

/// Looks up an environment variable; `None` if it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a reference cannot be expanded.
#[derive(Debug, Error)]
pub(super) enum ExpandError {
    /// Not a name the shell would take.
    #[error("environment variable {name:?} has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$")]
    Name {
        /// The name.
        name: String,
    },
    /// A scheme other than `env`, `file` and `yaml`.
    #[error("scheme {scheme:?} is not supported for uri {uri:?} (valid values: [env, file, yaml])")]
    Scheme {
        /// What was given as the scheme.
        scheme: String,
        /// The whole reference without its braces.
        uri: String,
    },
    /// The file of a `${file:...}` cannot be read.
    #[error("unable to read the file {path:?}: {reason}")]
    Read {
        /// Path as written.
        path: String,
        /// Why.
        reason: std::io::Error,
    },
    /// A reference leads to itself.
    #[error("too many recursive expansions: more than {MAX_EXPANSIONS}")]
    TooMany,
}

/// What a value with references stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expanded {
    /// Text with the references replaced: a string.
    Text(String),
    /// The value was one reference and nothing else: this is what it refers to, any YAML value.
    Reference(String),
    /// One reference to an environment variable that is not set and has no default.
    Unset,
}

/// Expands references, within a budget.
pub(super) struct Expander<'a> {
    environment: Environment<'a>,
    left: usize,
    /// Variables that were referred to, are not set and have no default.
    pub(super) unset: Vec<String>,
}

impl<'a> Expander<'a> {
    pub(super) fn new(environment: Environment<'a>) -> Self {
        Self { environment, left: MAX_EXPANSIONS, unset: Vec::new() }
    }

    /// Expands a string value.
    pub(super) fn expand(&mut self, text: &str) -> Result<Expanded, ExpandError> {
        match text.strip_prefix("${").and_then(reference) {
            Some((body, "")) => Ok(self.retrieve(body)?.map_or(Expanded::Unset, Expanded::Reference)),
            _ => self.replace(text).map(Expanded::Text),
        }
    }

    /// Replaces every reference in `text` by its own expansion.
    fn replace(&mut self, text: &str) -> Result<String, ExpandError> {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let after = from.strip_prefix('$').unwrap_or_default();
            rest = if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                after
            } else if let Some((body, tail)) = after.strip_prefix('{').and_then(reference) {
                let found = self.retrieve(body)?.unwrap_or_default();
                out.push_str(&self.replace(&found)?);
                tail
            } else {
                out.push('$');
                after
            };
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The text that the inside of a reference stands for, not yet expanded itself; `None` if unset.
    fn retrieve(&mut self, body: &str) -> Result<Option<String>, ExpandError> {
        self.left = self.left.checked_sub(1).ok_or(ExpandError::TooMany)?;
        let uri = self.replace(body)?;
        let (scheme, value) = match uri.split_once(':') {
            // A default belongs to a bare name: `${VAR:-x}`.
            Some((_, value)) if value.starts_with('-') => ("env", uri.as_str()),
            Some((scheme, value)) => (scheme, value),
            None => ("env", uri.as_str()),
        };
        match scheme {
            "env" => self.variable(value),
            "yaml" => Ok(Some(value.to_owned())),
            "file" => match fs::read_to_string(value) {
                Ok(text) => Ok(Some(text)),
                Err(reason) => Err(ExpandError::Read { path: value.to_owned(), reason }),
            },
            _ => Err(ExpandError::Scheme { scheme: scheme.to_owned(), uri: uri.clone() }),
        }
    }

    fn variable(&mut self, reference: &str) -> Result<Option<String>, ExpandError> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable_name(name) {
            return Err(ExpandError::Name { name: name.to_owned() });
        }
        let value = (self.environment)(name).or_else(|| default.map(str::to_owned));
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        Ok(value)
    }
}

/// Splits what follows `${` at the brace that closes it; `None` if none does.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut previous) = (0_usize, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => depth += 1,
            '}' if depth == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "HOST" => "localhost",
            "PORT" => "4317",
            "EMPTY" => "",
            "NAME" => "HOST",
            "NESTED" => "${env:HOST}:1",
            "LOOP" => "x${env:LOOP}",
            "MONEY" => "a$$b",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn expand(text: &str) -> Result<Expanded, ExpandError> {
        Expander::new(&environment).expand(text)
    }

    #[test]
    fn references_expand_as_in_the_collector() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${env:HOST}:${PORT}", "localhost:4317"),
            ("a${env:EMPTY}b", "ab"),
            ("a${env:EMPTY:-x}b", "ab"),
            ("a${env:UNSET:-x}b", "axb"),
            ("a${env:UNSET:-}b", "ab"),
            ("a${env:UNSET}b", "ab"),
            ("a${env:${env:NAME}}", "alocalhost"),
            ("a${env:NESTED}", "alocalhost:1"),
            ("a${env:MONEY}", "aa$b"),
            ("$HOST $", "$HOST $"),
            ("$$", "$"),
            ("$${env:HOST}", "${env:HOST}"),
            ("$$${env:HOST}", "$localhost"),
            ("${env:HOST", "${env:HOST"),
            ("a${yaml:b}", "ab"),
        ] {
            assert_eq!(expand(text).unwrap(), Expanded::Text(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_one_reference_keeps_what_it_refers_to_whole() {
        assert_eq!(expand("${env:PORT}").unwrap(), Expanded::Reference("4317".to_owned()));
        assert_eq!(expand("${UNSET:-[a, b]}").unwrap(), Expanded::Reference("[a, b]".to_owned()));
        assert_eq!(expand("${UNSET}").unwrap(), Expanded::Unset);
    }

    #[test]
    fn an_unset_variable_is_noted_once_for_each_reference() {
        let mut expander = Expander::new(&environment);
        expander.expand("${UNSET} ${HOST} ${UNSET:-x} ${OTHER}").unwrap();
        assert_eq!(expander.unset, ["UNSET", "OTHER"]);
    }

    #[test]
    fn what_cannot_be_expanded_is_refused_with_its_name() {
        for (text, message) in [
            ("${env:a-b}", "environment variable \"a-b\" has invalid name"),
            ("${http://x}", "scheme \"http\" is not supported for uri \"http://x\""),
            ("${file:/does/not/exist}", "unable to read the file \"/does/not/exist\""),
            ("a${env:LOOP}", "too many recursive expansions"),
        ] {
            let error = expand(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    proptest! {
        /// Any text expands or is refused; text without a dollar sign stays as it is.
        #[test]
        fn any_text_expands_or_is_refused(text in "[a${}:_\\-]{0,40}|.{0,40}") {
            let expanded = Expander::new(&|_| Some("${x}$".to_owned())).expand(&text);
            if !text.contains('$') {
                prop_assert_eq!(expanded.unwrap(), Expanded::Text(text));
            }
        }
    }
}
