//! `type[/name]`, the names of components and pipelines in the configuration.

use std::fmt;

/// Name of a component or pipeline: a type, and a name that distinguishes two of a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    kind: String,
    name: Option<String>,
}

impl ComponentId {
    /// Longest type, in characters.
    pub const MAX_TYPE: usize = 63;
    /// Longest name, in characters.
    pub const MAX_NAME: usize = 1024;

    /// Reads `type` or `type/name`; blanks around either part are dropped.
    ///
    /// # Errors
    /// A fault of the text, in the Collector's words where it has them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        match (kind, name) {
            ("", None) => return Err("id must not be empty".to_owned()),
            ("", Some(_)) => return Err(format!("in {text:?} id: the part before / should not be empty")),
            (_, Some("")) => return Err(format!("in {text:?} id: the part after / should not be empty")),
            _ => {}
        }
        if !is_type(kind) {
            return Err(format!("invalid character(s) in type {kind:?}"));
        }
        match name {
            Some(name) if !is_name(name) => Err(format!("invalid character(s) in name {name:?}")),
            name => Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) }),
        }
    }

    /// The id of a component of a built-in pipeline, whose type no configuration has.
    pub(crate) fn of(kind: &'static str) -> Self {
        Self { kind: kind.to_owned(), name: None }
    }

    /// The part before the slash.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}/{name}", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// True for a letter, then letters, digits and underscores.
fn is_type(text: &str) -> bool {
    text.len() <= ComponentId::MAX_TYPE
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// True for printable characters other than blanks and symbols. Of symbols only those of ASCII are refused: the others
/// cannot be recognised without a Unicode table, and do no harm.
fn is_name(text: &str) -> bool {
    let refused = |c: char| c.is_whitespace() || c.is_control() || "$+<=>^`|~".contains(c);
    text.chars().count() <= ComponentId::MAX_NAME && !text.chars().any(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_type_and_perhaps_a_name() {
        for (text, kind, shown) in [
            ("file", "file", "file"),
            (" file / a.b-1 ", "file", "file/a.b-1"),
            ("otlp/x/y", "otlp", "otlp/x/y"),
        ] {
            let id = ComponentId::parse(text).unwrap();
            assert_eq!((id.kind(), id.to_string().as_str()), (kind, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused_in_the_collectors_words() {
        for (text, message) in [
            ("", "id must not be empty"),
            ("/x", "in \"/x\" id: the part before / should not be empty"),
            ("x/", "in \"x/\" id: the part after / should not be empty"),
            ("9x", "invalid character(s) in type \"9x\""),
            ("x-y", "invalid character(s) in type \"x-y\""),
            ("x/a b", "invalid character(s) in name \"a b\""),
        ] {
            assert_eq!(ComponentId::parse(text).unwrap_err(), message);
        }
    }
}
