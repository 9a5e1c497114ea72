//! The formats that a profile is written in: those of other tools, and the page as one file.

use std::fmt;
use std::io;

use profile_formats::{Format, Profile, Quantity};

/// A format that a profile is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// The page that the exporter `flamegraph` serves, as one file with all its data inside.
    Html,
    /// A format that other tools read.
    Tool(Format),
}

/// The file extensions of the page.
const HTML_EXTENSIONS: &[&str] = &[".html", ".htm"];

impl OutputFormat {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Html].into_iter().chain(Format::ALL.map(Self::Tool))
    }

    /// The format's name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Tool(format) => format.name(),
        }
    }

    /// The names of all formats, with commas between them.
    #[must_use]
    pub fn names() -> String {
        Self::all().map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// The file extensions of the format, the usual one first.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Html => HTML_EXTENSIONS,
            Self::Tool(format) => format.extensions(),
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|format| format.name() == name)
    }

    /// The format of a file, by the extension of its name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let is_html = HTML_EXTENSIONS.iter().any(|end| lower.ends_with(end));
        if is_html { Some(Self::Html) } else { Format::of_file(name).map(Self::Tool) }
    }

    /// True if the format holds instants of samples, and events.
    #[must_use]
    pub fn is_timed(self) -> bool {
        !matches!(self, Self::Tool(Format::Pprof | Format::Folded | Format::Svg | Format::Speedscope))
    }

    /// Encodes a profile in this format. Formats that hold one kind of value hold `quantity`.
    ///
    /// # Errors
    /// An error of the format's encoder; none is expected.
    pub fn encode(self, profile: &Profile, quantity: Quantity) -> io::Result<Vec<u8>> {
        match self {
            Self::Html => Ok(profile_page::html(profile, quantity)?),
            Self::Tool(format) => {
                let mut bytes = Vec::new();
                format.write(profile, quantity, &mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_found_by_its_name_and_by_the_name_of_a_file() {
        for format in OutputFormat::all() {
            assert_eq!(OutputFormat::named(format.name()), Some(format));
            for end in format.extensions() {
                assert_eq!(OutputFormat::of_file(&format!("A{}", end.to_uppercase())), Some(format), "{end}");
            }
        }
        assert_eq!(OutputFormat::of_file("a.txt"), None);
        assert!(OutputFormat::names().starts_with("html, pprof, "));
    }
}
