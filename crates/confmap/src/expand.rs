//! `${env:VAR}`, `${env:VAR:-default}` and the like in one configuration value.
//!
//! The Collector's rules (confmap `expand.go`): `${VAR}` is short for `${env:VAR}`; the innermost reference is expanded
//! first, and its value may hold more; an odd number of `$` before a `${` escapes it; a bare `$VAR` stays as it is.
//! Each `$$` that is left becomes `$` at the very end, see [`unescape`].
//!
//! The one addition to the Collector's rules: `${raw:env:VAR}` and `${raw:file:PATH}` are text, byte for byte, and
//! nothing in it is expanded.

use thiserror::Error;

use crate::environment::Environment;
use crate::file::read_file;
use crate::scheme::is_scheme;

/// The most references that one value may expand: it stops a reference that leads to itself.
pub(crate) const MAX_EXPANSIONS: usize = 1000;
/// The most bytes that all expansions of a configuration may make: it stops references that double.
pub(crate) const MAX_EXPANDED_BYTES: usize = 64 * 1024 * 1024;

/// Bytes charged for an expansion beside those it makes, so that many small ones end soon, too.
const EXPANSION_COST: usize = 1024;

/// First character of the two that stand for a character of a raw value until all of the value is expanded. No
/// environment variable holds it.
const RAW_MARK: char = '\0';
/// The characters that references are made of, and the characters that stand for them.
const RAW: [(&str, &str); 2] = [("$", "\0d"), ("}", "\0b")];
/// Text that errors show for a reference that came with the value of another: it may be a piece of a secret.
const HIDDEN: &str = "[REDACTED]";

/// A reason why a reference cannot be expanded.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub(crate) enum ExpandError {
    /// The name is none that the shell would take.
    #[error("environment variable {name:?} has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$")]
    Name { name: String },
    /// The scheme is none of `env`, `file` and `yaml`.
    #[error("scheme {scheme:?} is not supported for uri {uri:?} (valid values: [env, file, yaml, raw])")]
    Scheme {
        /// The scheme of the reference.
        scheme: String,
        /// The whole reference without its braces.
        uri: String,
    },
    /// A `raw:` stands before something else than `env:NAME` and `file:PATH`.
    #[error("invalid uri: {uri:?}: expected raw:env:NAME or raw:file:PATH")]
    Raw {
        /// The whole reference without its braces.
        uri: String,
    },
    /// The file has a NUL byte, so it is no text, and the value must be one.
    #[error("the file {path:?} holds a NUL byte, so it is no text")]
    Nul { path: String },
    /// The reference has a colon, and no scheme before it.
    #[error("invalid uri: {uri:?}")]
    Uri {
        /// The whole reference without its braces.
        uri: String,
    },
    /// The reference has a dollar sign inside.
    #[error("the uri {uri:?} contains unsupported characters ('$')")]
    Dollar {
        /// The whole reference without its braces.
        uri: String,
    },
    /// The file of a `${file:...}` cannot be read.
    #[error("unable to read the file {path:?}: {reason}")]
    Read {
        path: String,
        /// The reason why the file cannot be read.
        reason: std::io::Error,
    },
    /// A reference leads to itself.
    #[error("too many recursive expansions: more than {MAX_EXPANSIONS}")]
    TooMany,
    /// References make too much text.
    #[error("references expand to more than {MAX_EXPANDED_BYTES} bytes")]
    TooLarge,
}

/// The result of expanding a value with references.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expanded {
    /// Text with the references replaced: a string.
    Text(String),
    /// Text of any YAML value, for a value that was one reference and nothing else. The text may hold references
    /// itself.
    Reference(String),
}

/// Expands references, within a budget of references and bytes.
pub(crate) struct Expander<'a> {
    environment: Environment<'a>,
    /// References that the value at hand may still take.
    turns: usize,
    /// Bytes that all values may still take.
    bytes: usize,
    /// The value at hand as the configuration has it. References that are not in it came with the value of another, and
    /// are not shown.
    written: String,
    /// True if the value at hand has taken in a raw value.
    raw: bool,
    /// Variables that were referred to, are not set and have no default.
    pub(crate) unset: Vec<String>,
    /// Variables whose values differ from their texts: dollar signs in them were references, or escaped each other.
    pub(crate) changed: Vec<String>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(environment: Environment<'a>) -> Self {
        Self {
            environment,
            turns: MAX_EXPANSIONS,
            bytes: MAX_EXPANDED_BYTES,
            written: String::new(),
            raw: false,
            unset: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// Begins another value, which is `written` in the configuration: it has the whole number of references for itself.
    pub(crate) fn next_value(&mut self, written: &str) {
        self.turns = MAX_EXPANSIONS;
        self.raw = false;
        self.written.clear();
        self.written.push_str(written);
    }

    /// The value of an expanded text, without the dollar signs that escape others.
    pub(crate) fn finish(&self, text: &str) -> String {
        let text = unescape(text);
        if self.raw { RAW.iter().fold(text, |text, (plain, mark)| text.replace(mark, plain)) } else { text }
    }

    /// Charges the budget for an expansion that made `bytes` bytes. Once the budget is overdrawn it is gone.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), ExpandError> {
        let left = self.bytes.checked_sub(bytes.saturating_add(EXPANSION_COST));
        self.bytes = left.unwrap_or(0);
        left.map(|_left| ()).ok_or(ExpandError::TooLarge)
    }

    /// Expands a string value, up to where it is one reference, whose value may be no string.
    pub(crate) fn expand(&mut self, text: &str) -> Result<Expanded, ExpandError> {
        let mut text = text.to_owned();
        while let Some(reference) = find(&text) {
            self.turns = self.turns.checked_sub(1).ok_or(ExpandError::TooMany)?;
            let is_written = self.written.contains(reference);
            let found = self.retrieve(reference).map_err(|error| error.hide_unless(is_written))?;
            if reference.len() == text.len() {
                self.charge(found.len())?;
                // A raw value is text, whatever it looks like.
                return Ok(if is_raw(reference) {
                    Expanded::Text(found)
                } else {
                    Expanded::Reference(found)
                });
            }
            // Weighed before it is made, since every occurrence is replaced.
            let times = text.matches(reference).count();
            self.charge(text.len().saturating_add(times.saturating_mul(found.len())))?;
            text = text.replace(reference, &found);
        }
        Ok(Expanded::Text(text))
    }

    /// The text that a reference, `${` and `}` included, stands for.
    fn retrieve(&mut self, reference: &str) -> Result<String, ExpandError> {
        let uri = reference.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let (scheme, value) = match uri.split_once(':') {
            None => ("env", uri),
            // Beside the Collector's `${env:VAR:-x}`, the shell's `${VAR:-x}`.
            Some((_, value)) if value.starts_with('-') => ("env", uri),
            Some((scheme, value)) => (scheme, value),
        };
        let owned = || uri.to_owned();
        if !is_scheme(scheme) {
            return Err(ExpandError::Uri { uri: owned() });
        }
        if value.contains('$') {
            return Err(ExpandError::Dollar { uri: owned() });
        }
        match scheme {
            "env" => self.variable(value),
            "raw" => self.raw_value(value),
            "yaml" => Ok(value.to_owned()),
            "file" => read_file(value.as_ref())
                .map_err(|reason| ExpandError::Read { path: value.to_owned(), reason }),
            _ => Err(ExpandError::Scheme { scheme: scheme.to_owned(), uri: owned() }),
        }
    }

    fn variable(&mut self, reference: &str) -> Result<String, ExpandError> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable_name(name) {
            return Err(ExpandError::Name { name: name.to_owned() });
        }
        // A name that is part of another value may be a piece of a secret.
        let is_shown = self.written.contains(reference);
        if let Some(value) = (self.environment)(name) {
            if is_shown && (value.contains("$$") || find(&value).is_some()) {
                self.changed.push(name.to_owned());
            }
            return Ok(value);
        }
        if default.is_none() && is_shown {
            self.unset.push(name.to_owned());
        }
        Ok(default.unwrap_or_default().to_owned())
    }

    /// The value of `raw:env:NAME` or `raw:file:PATH`, with its dollar signs out of reach.
    fn raw_value(&mut self, value: &str) -> Result<String, ExpandError> {
        let found = match value.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => {
                let found = (self.environment)(name);
                if found.is_none() && self.written.contains(name) {
                    self.unset.push(name.to_owned());
                }
                found.unwrap_or_default()
            }
            Some(("env", name)) => return Err(ExpandError::Name { name: name.to_owned() }),
            Some(("file", path)) => {
                let path = || path.to_owned();
                let text = read_file(path().as_ref())
                    .map_err(|reason| ExpandError::Read { path: path(), reason })?;
                if text.contains(RAW_MARK) {
                    return Err(ExpandError::Nul { path: path() });
                }
                text
            }
            _ => return Err(ExpandError::Raw { uri: format!("raw:{value}") }),
        };
        self.raw = true;
        Ok(RAW.iter().fold(found, |text, (plain, mark)| text.replace(plain, mark)))
    }
}

impl ExpandError {
    /// Hides the text of the reference in an error, unless the configuration itself has the reference.
    fn hide_unless(self, is_written: bool) -> Self {
        if is_written {
            return self;
        }
        let hidden = || HIDDEN.to_owned();
        match self {
            Self::Name { .. } => Self::Name { name: hidden() },
            Self::Scheme { .. } => Self::Scheme { scheme: hidden(), uri: hidden() },
            Self::Raw { .. } => Self::Raw { uri: hidden() },
            Self::Nul { .. } => Self::Nul { path: hidden() },
            Self::Uri { .. } => Self::Uri { uri: hidden() },
            Self::Dollar { .. } => Self::Dollar { uri: hidden() },
            Self::Read { reason, .. } => Self::Read { path: hidden(), reason },
            Self::TooMany | Self::TooLarge => self,
        }
    }
}

fn is_raw(reference: &str) -> bool {
    reference.starts_with("${raw:")
}

/// The first reference that can be expanded: from the first `}` that has a `${` before it back to the last such `${`.
/// `None` if that one is escaped, whatever comes after it, as in the Collector.
fn find(text: &str) -> Option<&str> {
    let mut start = 0;
    loop {
        let rest = text.get(start..)?;
        let end = rest.find('}')? + 1;
        let inside = rest.get(..end)?;
        let Some(open) = inside.rfind("${") else {
            start += end;
            continue;
        };
        let dollars = inside.get(..open)?.bytes().rev().take_while(|byte| *byte == b'$').count();
        return if dollars % 2 == 1 { None } else { inside.get(open..) };
    }
}

/// The text without the dollar signs that escape others.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("$$", "$")
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
