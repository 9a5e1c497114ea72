//! The page as one file, with all that it shows inside: it can be mailed, and opened without a server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use profile_formats::Profile;
use profile_store::{Query, Store, model};
use sha2::{Digest as _, Sha256};

use crate::answer::gzip;
use crate::assets::{CSS, SCRIPT, page};

/// The page that shows a profile, as one file.
///
/// Texts of the profile are in it in an encoding in which no character means anything to a browser, and it may run
/// nothing but its own script, by the sum of that.
///
/// # Errors
/// Never in practice: tables can always be written as JSON.
pub fn html(profile: &Profile) -> Result<Vec<u8>, serde_json::Error> {
    let store = crate::import::store(profile);
    html_of_store(&store, &Query { span: store.held(), ..Query::default() })
}

/// The page that shows what a store has of a span of time and a filter, as one file.
///
/// # Errors
/// As [`html`].
pub fn html_of_store(store: &Store, query: &Query) -> Result<Vec<u8>, serde_json::Error> {
    let tables = serde_json::to_vec(&model(store, query))?;
    let data = STANDARD.encode(gzip(&tables, Compression::default()));
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

/// A text's sum as a policy has it.
fn sum(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text.as_bytes())))
}
