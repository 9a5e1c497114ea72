//! Names of frames and samples.

use std::borrow::Cow;
use std::path::Path;

use pdata::{Backing, Code, FileState, Frame, Image, ImageKind, Sample};

/// The name that stands for a missing function name.
const UNNAMED: &str = "[unnamed]";

/// A function that a frame is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The function's name, or [`UNNAMED`].
    pub name: &'a str,
    /// The file that holds the function's code, without its directory.
    pub module: Cow<'a, str>,
    /// False if no symbol was found.
    pub is_named: bool,
}

/// The functions that a frame is in, the innermost first: more than one if some were inlined.
pub fn symbols(frame: &Frame) -> impl DoubleEndedIterator<Item = Symbol<'_>> {
    let lines = frame.lines.as_ref().map(|lines| &*lines.0).unwrap_or_default();
    let named = lines.iter().map(|line| &*line.function.name);
    let interpreted = match &frame.code {
        Code::Interpreted(function, _) if lines.is_empty() => Some(&*function.name),
        _ => None,
    };
    let unnamed = (lines.is_empty() && interpreted.is_none()).then_some(UNNAMED);
    let is_named = unnamed.is_none();
    let names = named.chain(interpreted).chain(unnamed);
    names.map(move |name| Symbol { name, module: module(&frame.code), is_named })
}

/// The name of the file or other memory that holds code.
fn module(code: &Code) -> Cow<'_, str> {
    match code {
        Code::Kernel => Cow::Borrowed("[kernel]"),
        Code::Unknown => Cow::Borrowed("[unknown]"),
        Code::Interpreted(function, _) => function.file.as_deref().map_or(Cow::Borrowed(""), last_part),
        Code::Mapped(mapping) => match &mapping.backing {
            Backing::File(file) => file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy(),
            other => other.name(),
        },
    }
}

fn last_part(path: &str) -> Cow<'_, str> {
    Path::new(path).file_name().map_or(Cow::Borrowed(path), |name| name.to_string_lossy())
}

/// The executable of a sample: a path, marked if the file is deleted, or a name in brackets.
#[must_use]
pub fn executable(sample: &Sample) -> Cow<'_, str> {
    match sample.image.as_deref() {
        None => Cow::Owned(sample.unresolved_name()),
        Some(Image { kind: kind @ ImageKind::Kernel(_), .. }) => kind.name(),
        Some(Image { kind: ImageKind::User { executable, .. }, .. }) => match executable.state {
            FileState::Deleted => Cow::Owned(format!("{} (deleted)", executable.path.display())),
            FileState::Linked | FileState::Memfd => executable.path.to_string_lossy(),
        },
    }
}
