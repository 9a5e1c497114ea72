//! What is shown, in the formats of other tools.

use std::io;

use profile_formats::{Format as FileFormat, Profile, Quantity, diff as difference};
use profile_store::{Query, Store};

use crate::export::profile;
use crate::file::html_of_store;
use crate::question::{Format, Question};

/// A file to be saved.
pub(crate) struct Download {
    pub body: Vec<u8>,
    pub kind: &'static str,
    pub name: &'static str,
}

/// What a question asks for as a file.
pub(crate) fn make(store: &Store, question: &Question, format: Format) -> io::Result<Download> {
    let query = question.query(store);
    let written = |format| write(store, &query, format);
    let (body, kind, name) = match format {
        Format::Pprof => (written(FileFormat::Pprof)?, "application/octet-stream", "profile.pb.gz"),
        Format::Folded => (written(FileFormat::Folded)?, "text/plain; charset=utf-8", "profile.folded"),
        Format::Svg => (written(FileFormat::Svg)?, "image/svg+xml", "profile.svg"),
        Format::Firefox => (written(FileFormat::Firefox)?, "application/json", "profile.json"),
        Format::Html => (html_of_store(store, &query)?, "text/html; charset=utf-8", "profile.html"),
    };
    Ok(Download { body, kind, name })
}

/// Writes how two profiles differ.
type Compare = fn((&Profile, Quantity), (&Profile, Quantity), &mut Vec<u8>);

/// All that is asked for, in a format of another tool. Two times that are compared stay so in the formats that can say
/// it; in the others the first of them is alone.
fn write(store: &Store, query: &Query, format: FileFormat) -> io::Result<Vec<u8>> {
    let (after, mut body) = (profile(store, query), Vec::new());
    let quantity = after.main_quantity();
    let compare = match format {
        FileFormat::Svg => Some(difference::svg as Compare),
        FileFormat::Folded => Some(difference::folded as Compare),
        _ => None,
    };
    match query.baseline.zip(compare) {
        Some((span, compare)) => {
            let before = profile(store, &Query { span, baseline: None, ..query.clone() });
            compare((&before, before.main_quantity()), (&after, quantity), &mut body);
        }
        None => format.write(&after, quantity, &mut body)?,
    }
    Ok(body)
}
