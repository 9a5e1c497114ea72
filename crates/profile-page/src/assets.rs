//! The page's own files, inside the binary.

use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;

use crate::answer::{gzip, sum};

/// The page; marks in it stand for the insertions into its head and at its end.
const HTML: &str = include_str!("../page/index.html");
/// The page's style sheet.
pub(crate) const CSS: &str = include_str!("../page/page.css");

/// The scripts, each after those that it imports.
const SCRIPTS: [&str; 15] = [
    include_str!("../page/js/format.js"),
    include_str!("../page/js/dom.js"),
    include_str!("../page/js/colors.js"),
    include_str!("../page/js/state.js"),
    include_str!("../page/js/source.js"),
    include_str!("../page/js/model_tree.js"),
    include_str!("../page/js/model.js"),
    include_str!("../page/js/start.js"),
    include_str!("../page/js/tree.js"),
    include_str!("../page/js/flame.js"),
    include_str!("../page/js/timeline.js"),
    include_str!("../page/js/tables.js"),
    include_str!("../page/js/strip.js"),
    concat!(include_str!("../page/js/filters.js"), "\n", include_str!("../page/js/details.js")),
    include_str!("../page/js/main.js"),
];

/// All scripts as one without modules: a page in a file cannot load modules, and one request is quicker than many.
pub(crate) static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines = SCRIPTS.iter().flat_map(|script| script.lines());
    // Each import is on a line of its own, and all names differ, so imports can be dropped.
    let kept = lines.filter(|line| !line.starts_with("import "));
    let body: String =
        kept.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect();
    format!("\"use strict\";\n(() => {{\n{body}}})();\n")
});

/// The page with `head` inserted into its head and `tail` at its end.
pub(crate) fn page(head: &str, tail: &str) -> String {
    HTML.replace("<!-- head -->", head).replace("<!-- tail -->", tail)
}

/// A file of the page as the server sends it.
#[derive(Debug)]
pub(crate) struct Asset {
    pub kind: &'static str,
    pub tag: String,
    pub plain: Bytes,
    pub gzipped: Bytes,
}

impl Asset {
    fn of(kind: &'static str, text: &str) -> Self {
        let tag = format!("\"{}-{}\"", env!("CARGO_PKG_VERSION"), sum(text.as_bytes()));
        let gzipped = gzip(text.as_bytes(), Compression::default()).into();
        Self { kind, tag, plain: Bytes::copy_from_slice(text.as_bytes()), gzipped }
    }

    fn index(mark: &str) -> Self {
        let head = "<link rel=\"stylesheet\" href=\"page.css\">\n<script src=\"page.js\" defer></script>";
        Self::of("text/html; charset=utf-8", &page(&format!("{head}{mark}"), ""))
    }
}

/// The page over a store that still grows.
pub(crate) static LIVE_INDEX: LazyLock<Asset> = LazyLock::new(|| Asset::index(""));
/// The page over a file, which asks once, since nothing changes.
pub(crate) static FILE_INDEX: LazyLock<Asset> =
    LazyLock::new(|| Asset::index("\n<meta name=\"pipeline-file\" content=\"\">"));
/// The script as the server sends it.
pub(crate) static SCRIPT_FILE: LazyLock<Asset> =
    LazyLock::new(|| Asset::of("text/javascript; charset=utf-8", &SCRIPT));
/// The style sheet as the server sends it.
pub(crate) static CSS_FILE: LazyLock<Asset> = LazyLock::new(|| Asset::of("text/css; charset=utf-8", CSS));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Scripts that are joined in one scope and put into one page have no name twice, and no end tag in them.
    #[test]
    fn scripts_can_be_put_together() {
        let mut names = BTreeSet::new();
        for line in SCRIPT.lines() {
            let declared =
                ["const ", "let ", "class ", "function "].iter().find_map(|kind| line.strip_prefix(kind));
            if let Some(name) = declared.and_then(|rest| rest.split([' ', '(']).next()) {
                assert!(names.insert(name.to_owned()), "{name} is declared twice");
            }
        }
        assert!(names.len() > 30, "{names:?}");
        assert!(!SCRIPT.contains("import ") && !SCRIPT.contains("export "));
        assert!(!SCRIPT.to_ascii_lowercase().contains("</script") && !SCRIPT.contains("<!--"));
        assert!(!CSS.contains("</"));
        assert!(SCRIPT.is_ascii() || SCRIPT.chars().all(|c| !c.is_control() || c == '\n'));
    }

    /// The page escapes the same characters as this program does in terminals and files.
    #[test]
    fn what_is_unseen_is_the_same_set_everywhere() {
        let (_, rest) = SCRIPT.split_once("UNSEEN = /[").unwrap();
        let (set, _) = rest.split_once("]/gu;").unwrap();
        let number = |text: &str| {
            let digits = text.strip_prefix("\\u{").and_then(|text| text.strip_suffix('}')).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let mut escaped = BTreeSet::new();
        for item in set.split_inclusive('}').collect::<String>().replace("}\\u", "} \\u").split(' ') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            escaped.extend((number(first)..=number(last)).filter_map(char::from_u32));
        }
        let unseen = (char::MIN..=char::MAX).filter(|&character| textline::is_unseen(character));
        assert!(escaped == unseen.collect::<BTreeSet<_>>());
        assert!(SCRIPT.matches("UNSEEN").count() == 3 && SCRIPT.contains("folded(base(group))"));
    }

    /// Text from a profile is hostile: no script makes elements of text, or code.
    #[test]
    fn scripts_never_make_elements_or_code_of_text() {
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
        ] {
            assert!(!SCRIPT.contains(banned), "{banned}");
        }
        assert!(!HTML.contains(" style=") && !HTML.contains(" onclick="));
    }
}
