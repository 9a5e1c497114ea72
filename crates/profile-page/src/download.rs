//! Downloads: the shown samples in the formats of other tools.

use std::fmt;
use std::io;

use profile_formats::{Format as FileFormat, Profile, Quantity, diff as difference};
use profile_store::{Query, Store};

use crate::export::profile_within;
use crate::file::html_of_store;
use crate::question::{Format, Question};

/// A file that a browser saves.
pub(crate) struct Download {
    pub body: Vec<u8>,
    pub kind: &'static str,
    pub name: &'static str,
}

/// The fault for which a file cannot be made.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file would take more memory than it may.
    TooLarge,
    /// The format's encoder failed.
    Write(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("This is too much for a file: choose a shorter time, or a filter."),
            Self::Write(error) => error.fmt(f),
        }
    }
}

/// The file that a question asks for, unless it takes more than about `most_bytes` of memory.
pub(crate) fn make(
    store: &Store,
    question: &Question,
    format: Format,
    most_bytes: usize,
) -> Result<Download, Fault> {
    let query = question.query(store);
    let written = |format, with_instants| write(store, &query, format, with_instants, most_bytes);
    let (body, kind, name) = match format {
        Format::Pprof => (written(FileFormat::Pprof, false)?, "application/octet-stream", "profile.pb.gz"),
        Format::Folded => {
            (written(FileFormat::Folded, false)?, "text/plain; charset=utf-8", "profile.folded")
        }
        Format::Svg => (written(FileFormat::Svg, false)?, "image/svg+xml", "profile.svg"),
        Format::Firefox => (written(FileFormat::Firefox, true)?, "application/json", "profile.json"),
        Format::Html => {
            let page = html_of_store(store, &query, most_bytes).map_err(io::Error::from)?;
            (page.ok_or(Fault::TooLarge)?, "text/html; charset=utf-8", "profile.html")
        }
    };
    Ok(Download { body, kind, name })
}

/// Writes the differences of two profiles.
type Compare = fn((&Profile, Quantity), (&Profile, Quantity), &mut Vec<u8>);

/// The samples of a query in a format of another tool. Of two times that are compared, formats without differences get
/// only the first.
fn write(
    store: &Store,
    query: &Query,
    format: FileFormat,
    with_instants: bool,
    most_bytes: usize,
) -> Result<Vec<u8>, Fault> {
    let profile =
        |query: &Query| profile_within(store, query, with_instants, most_bytes).ok_or(Fault::TooLarge);
    let (after, mut body) = (profile(query)?, Vec::new());
    let quantity = after.main_quantity();
    let compare = match format {
        FileFormat::Svg => Some(difference::svg as Compare),
        FileFormat::Folded => Some(difference::folded as Compare),
        _ => None,
    };
    match query.baseline.zip(compare) {
        Some((span, compare)) => {
            let before = profile(&Query { span, baseline: None, ..query.clone() })?;
            compare((&before, before.main_quantity()), (&after, quantity), &mut body);
        }
        None => format.write(&after, quantity, &mut body)?,
    }
    Ok(body)
}
