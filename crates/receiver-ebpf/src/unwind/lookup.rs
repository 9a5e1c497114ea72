//! The rows that walks find, read back.

use unwind::Row;

use super::kernel::Kernel;
use super::tables::{Place, Tables};

impl<K: Kernel> Tables<K> {
    fn row(&self, place: Place, at: u32) -> Option<Row> {
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref()?;
        Some(Row::from_word(chunk.memory.word_32((place.first + at) as usize)))
    }

    /// All rows of a page.
    pub(super) fn rows(&self, place: Place) -> Vec<Row> {
        (0..place.rows).filter_map(|at| self.row(place, at)).collect()
    }
}
