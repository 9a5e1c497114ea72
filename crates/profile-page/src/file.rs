//! The page as one file with all its data, which can be mailed and opened without a server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use profile_formats::{Profile, Quantity};
use profile_store::{Model, Query, Store, model, model_within};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::answer::gzip;
use crate::assets::{CSS, SCRIPT, page};

/// The page that shows a quantity of a profile, as one file.
///
/// The profile's texts are encoded so that no character in them means anything to a browser, and the page's policy
/// allows only its own script, by the script's sum.
///
/// # Errors
/// None in practice: tables can always be written as JSON.
pub fn html(profile: &Profile, quantity: Quantity) -> Result<Vec<u8>, serde_json::Error> {
    let store = crate::import::store(profile, quantity);
    let query = Query { span: store.held(), ..Query::default() };
    write(&Tables { model: model(&store, &query), parts: Vec::new() })
}

/// The page that compares two profiles, each by its own total, as one file. The page shows the two names.
///
/// # Errors
/// The same as of [`html`].
pub fn html_of_difference(
    before: (&Profile, Quantity, &str),
    after: (&Profile, Quantity, &str),
) -> Result<Vec<u8>, serde_json::Error> {
    let (store, spans) = crate::import::stores((before.0, before.1), (after.0, after.1));
    let query = Query { span: store.held(), ..Query::default() };
    let parts = spans.into_iter().zip([before.2, after.2]).map(|(span, name)| Part {
        from: store.unix_millis(span.from),
        until: store.unix_millis(span.until),
        name: name.to_owned(),
    });
    write(&Tables { model: model(&store, &query), parts: parts.collect() })
}

/// The page that shows a query's span and filter, as one file; `None` if it takes more than about `most_bytes` of
/// memory.
///
/// # Errors
/// The same as of [`html`].
pub(crate) fn html_of_store(
    store: &Store,
    query: &Query,
    most_bytes: usize,
) -> Result<Option<Vec<u8>>, serde_json::Error> {
    let model = model_within(store, query, most_bytes);
    model.map(|model| write(&Tables { model, parts: Vec::new() })).transpose()
}

/// The data of a page that is a file.
#[derive(Serialize)]
struct Tables {
    #[serde(flatten)]
    model: Model,
    /// Profiles that are to be compared; empty if there is only one.
    parts: Vec<Part>,
}

/// The span and name of one of two profiles that are compared.
#[derive(Serialize)]
struct Part {
    /// Start of the span, in Unix milliseconds.
    from: u64,
    until: u64,
    name: String,
}

fn write(tables: &Tables) -> Result<Vec<u8>, serde_json::Error> {
    let data = STANDARD.encode(gzip(&serde_json::to_vec(tables)?, Compression::default()));
    let (script, style) = (sum(&SCRIPT), sum(CSS));
    let policy = format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
    );
    let head =
        format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<style>{CSS}</style>");
    let script = &*SCRIPT;
    let tail = format!(
        "<script type=\"application/octet-stream\" id=\"model\">{data}</script>\n<script>{script}</script>"
    );
    Ok(page(&head, &tail).into_bytes())
}

/// The sum of a text in the form of a content security policy.
fn sum(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
