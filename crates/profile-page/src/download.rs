//! What is shown, in the formats of other tools.

use std::io;

use profile_formats::Profile;
use profile_store::Store;

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
    let gathered = || profile(store, &query);
    let (body, kind, name) = match format {
        Format::Pprof => (pprof(&gathered())?, "application/octet-stream", "profile.pb.gz"),
        Format::Folded => (folded(&gathered()), "text/plain; charset=utf-8", "profile.folded"),
        Format::Svg => (svg(&gathered())?, "image/svg+xml", "profile.svg"),
        Format::Firefox => (firefox(&gathered())?, "application/json", "profile.json"),
        Format::Html => (html_of_store(store, &query)?, "text/html; charset=utf-8", "profile.html"),
    };
    Ok(Download { body, kind, name })
}

fn pprof(_profile: &Profile) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "pprof is not there yet"))
}

fn folded(_profile: &Profile) -> Vec<u8> {
    Vec::new()
}

fn svg(_profile: &Profile) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "SVG is not there yet"))
}

fn firefox(_profile: &Profile) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Firefox's format is not there yet"))
}
