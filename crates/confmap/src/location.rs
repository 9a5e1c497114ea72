//! Locations of configuration: files, environment variables and the command line itself.

use std::fmt;
use std::path::PathBuf;

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::file::read_file;
use crate::flag::SETTING_FLAG;
use crate::scheme::is_scheme;

/// One source of configuration, as `--config` or `--set` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `file:PATH`, or a bare path.
    File(PathBuf),
    /// `env:NAME`: YAML in an environment variable.
    Env(String),
    /// `yaml:TEXT`: YAML in place.
    Yaml(String),
    /// `--set a.b=1`, as the YAML it is short for.
    Set(String),
}

impl Location {
    /// Reads a value of `--config`.
    ///
    /// # Errors
    /// [`ConfigError::Scheme`] for a scheme other than `file`, `env` and `yaml`.
    pub fn parse(uri: &str) -> Result<Self, ConfigError> {
        match uri.split_once(':') {
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(("env", name)) => Ok(Self::Env(name.to_owned())),
            Some(("yaml", text)) => Ok(Self::Yaml(text.to_owned())),
            Some((scheme, _)) if is_scheme(scheme) => Err(ConfigError::Scheme { scheme: scheme.to_owned() }),
            _ => Ok(Self::File(uri.into())),
        }
    }

    /// Reads a value of `--set`: `service.telemetry.logs.level=debug`.
    ///
    /// # Errors
    /// [`ConfigError::Set`] if there is no equal sign.
    pub fn parse_setting(setting: &str) -> Result<Self, ConfigError> {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| ConfigError::Set { setting: Excerpt(setting).to_string() })?;
        Ok(Self::Set(format!("{}: {value}", key.trim().replace('.', "::"))))
    }

    /// The name of a line of the location's `text`, counted from 1: `agent.yaml:12`. A text of one line that is shown
    /// whole has no line number.
    pub(crate) fn place(&self, line: usize, text: &str) -> String {
        match self {
            Self::File(_) | Self::Env(_) => format!("{self}:{line}"),
            Self::Yaml(_) | Self::Set(_) if text.trim().contains('\n') => format!("{self}, line {line}"),
            Self::Yaml(_) | Self::Set(_) => self.to_string(),
        }
    }

    /// The YAML text of the location.
    pub(crate) fn read(&self, environment: Environment<'_>) -> Result<String, ConfigError> {
        match self {
            Self::File(path) => {
                read_file(path).map_err(|source| ConfigError::Read { location: self.to_string(), source })
            }
            Self::Env(name) => {
                environment(name).ok_or_else(|| ConfigError::Variable { name: name.to_owned() })
            }
            Self::Yaml(text) | Self::Set(text) => Ok(text.clone()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Yaml(text) => write!(f, "yaml:{}", Excerpt(text)),
            Self::Set(text) => write!(f, "{SETTING_FLAG} {}", Excerpt(text)),
        }
    }
}

/// The first key of a text, and a mark if there is more: the value may be a secret.
struct Excerpt<'a>(&'a str);

impl Excerpt<'_> {
    const MAX: usize = 80;

    /// Index of the end of the first key, whose parts may have `::` between them.
    fn end(text: &str) -> usize {
        let is_of_key = |at: usize, c: char| {
            let is_delimiter = || {
                let before = text.get(..at).is_some_and(|before| before.ends_with(':'));
                before || text.get(at..).is_some_and(|rest| rest.starts_with("::"))
            };
            c.is_alphanumeric() || "_./-".contains(c) || c == ':' && is_delimiter()
        };
        let ends = text.char_indices().enumerate();
        ends.filter(|&(count, (at, c))| count >= Self::MAX || !is_of_key(at, c))
            .map(|(_, (at, _))| at)
            .next()
            .unwrap_or(text.len())
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim();
        let shown = text.get(..Self::end(text)).unwrap_or_default();
        f.write_str(shown)?;
        f.write_str(if shown.len() < text.len() { " ..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_kind_of_source_and_a_bare_path_is_a_file() {
        assert_eq!(Location::parse("a/b.yaml").unwrap(), Location::File("a/b.yaml".into()));
        assert_eq!(Location::parse("./a:b.yaml").unwrap(), Location::File("./a:b.yaml".into()));
        assert_eq!(Location::parse("file:/a").unwrap(), Location::File("/a".into()));
        assert_eq!(Location::parse("env:A").unwrap(), Location::Env("A".to_owned()));
        assert_eq!(Location::parse("yaml:a::b: 1").unwrap(), Location::Yaml("a::b: 1".to_owned()));
        assert!(matches!(Location::parse("https://x/y"), Err(ConfigError::Scheme { .. })));
    }

    #[test]
    fn a_location_is_shown_on_one_line() {
        let shown = |text: &str| Location::Yaml(text.to_owned()).to_string();
        assert_eq!(shown("\na:\n  b: 1\n"), "yaml:a ...");
        assert_eq!(shown(&"\u{fc}".repeat(90)), format!("yaml:{} ...", "\u{fc}".repeat(80)));
    }

    /// No value of a location is shown: headers hold passwords, and users without a file pass them by `--set`.
    #[test]
    fn no_value_of_a_location_is_shown() {
        for text in
            ["a::b/c: hunter2", "a:hunter2", "a::b:hunter2", "{a: hunter2}", "\"hunter2\"", "- hunter2"]
        {
            let shown = Location::Yaml(text.to_owned()).to_string();
            assert!(!shown.contains("hunter2") && shown.ends_with(" ..."), "{shown}");
        }
        let set = Location::parse_setting("exporters.otlp.headers.x=hunter2").unwrap();
        assert_eq!(set.to_string(), "--set exporters::otlp::headers::x ...");
        for error in [Location::parse("https://me:hunter2@host/x"), Location::parse_setting("a.b: hunter2")] {
            assert!(!error.unwrap_err().to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_line_is_named_unless_all_of_the_text_is_shown() {
        assert_eq!(Location::File("a.yaml".into()).place(3, ""), "a.yaml:3");
        assert_eq!(Location::Yaml("a: 1".to_owned()).place(1, "a: 1"), "yaml:a ...");
        let text = "a:\n  b: 1";
        assert_eq!(Location::Yaml(text.to_owned()).place(2, text), "yaml:a ..., line 2");
    }

    #[test]
    fn a_setting_is_short_for_yaml() {
        let location = Location::parse_setting("exporters.file/a.path=x=y").unwrap();
        assert_eq!(location, Location::Set("exporters::file/a::path: x=y".to_owned()));
        assert!(matches!(Location::parse_setting("a.b"), Err(ConfigError::Set { .. })));
    }
}
