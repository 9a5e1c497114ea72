//! HTML pages, with all text in them escaped.

use std::fmt::{self, Display, Write as _};

const STYLE: &str = "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}\
th,td{border:1px solid #ccc;padding:.3em .6em;text-align:left}td.n{text-align:right}.bad{color:#b00}";

/// Paths of the pages.
pub(crate) const PAGES: [&str; 5] =
    ["/debug/servicez", "/debug/pipelinez", "/debug/stackz", "/debug/extensionz", "/debug/featurez"];

/// A page that is being written. All text is escaped on its way in.
#[derive(Debug)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Self(String::new());
        page.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
        page.text(title);
        page.raw("</title><style>").raw(STYLE).raw("</style></head><body><p>");
        for path in PAGES {
            page.raw("<a href=\"").raw(path).raw("\">").raw(path).raw("</a> ");
        }
        page.raw("</p><h1>").text(title).raw("</h1>");
        page
    }

    pub(crate) fn heading(&mut self, text: &dyn Display) {
        self.raw("<h2>").text(text).raw("</h2>");
    }

    pub(crate) fn paragraph(&mut self, text: &dyn Display) {
        self.raw("<p>").text(text).raw("</p>");
    }

    /// Begins a table with these columns.
    pub(crate) fn table(&mut self, columns: &[&str]) {
        self.raw("<table><tr>");
        for column in columns {
            self.raw("<th>").text(column).raw("</th>");
        }
        self.raw("</tr>");
    }

    pub(crate) fn row(&mut self, cells: &[Cell]) {
        self.raw("<tr>");
        for cell in cells {
            match cell {
                Cell::Text(text) => self.raw("<td>").text(text),
                Cell::Number(number) => self.raw("<td class=\"n\">").text(number),
                Cell::Bad(text) => self.raw("<td class=\"bad\">").text(text),
            };
            self.raw("</td>");
        }
        self.raw("</tr>");
    }

    pub(crate) fn end_table(&mut self) {
        self.raw("</table>");
    }

    pub(crate) fn finish(mut self) -> String {
        self.raw("</body></html>\n");
        self.0
    }

    /// Appends markup of ours, which is not escaped.
    fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    fn text(&mut self, text: impl Display) -> &mut Self {
        // Nothing that is written to a `String` fails.
        let _written = write!(Escape(&mut self.0), "{text}");
        self
    }
}

/// A cell of a table.
#[derive(Debug)]
pub(crate) enum Cell {
    Text(String),
    Number(String),
    /// A text about something that is wrong.
    Bad(String),
}

/// Writes text so that none of it is markup, in an attribute or outside.
struct Escape<'a>(&'a mut String);

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a text holds, it adds no markup, and a browser shows it as it is.
        #[test]
        fn no_text_is_markup(text in "(.|[<>&\"'])*") {
            let page = |text: &str| {
                let mut page = Page::new("t");
                page.row(&[Cell::Bad(text.to_owned())]);
                page.finish()
            };
            let (empty, written) = (page(""), page(&text));
            prop_assert_eq!(written.matches(['<', '>', '"', '\'']).count(), empty.matches(['<', '>', '"', '\'']).count());
            let (_, rest) = written.split_once("<td class=\"bad\">").unwrap();
            let (shown, _) = rest.split_once("</td>").unwrap();
            let shown = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(shown.replace("&amp;", "&"), text);
        }
    }
}
