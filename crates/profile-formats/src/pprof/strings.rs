//! The string table; the first string is empty.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Strings {
    indices: HashMap<Box<str>, i64>,
    table: Vec<String>,
}

impl Strings {
    pub(super) fn index(&mut self, text: &str) -> i64 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&index) = self.indices.get(text) {
            return index;
        }
        self.table.push(text.to_owned());
        let index = i64::try_from(self.table.len()).unwrap_or_default();
        self.indices.insert(text.into(), index);
        index
    }

    pub(super) fn finish(self) -> Vec<String> {
        std::iter::once(String::new()).chain(self.table).collect()
    }
}
