//! Lines of a program's source.

/// A line of a program's source, and the function that it is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Name of the function in the form that the file has.
    pub function: String,
    /// The source file; `None` if it is not known.
    pub file: Option<String>,
    /// The line of the file, or 0 if it is not known.
    pub line: u32,
    /// The line at which the function starts, or 0 if it is not known.
    pub start_line: u32,
}
