//! The tables of rows and the walks that read them, in one process.

use pdata::{BuildId, FileIdentity};
use unwind::Rule;

use super::kernel::{FakeKernel, memory};
use super::program::{Program, RuleWords};
use crate::abi;
use crate::memory::SharedMemory;
use crate::unwind::kernel::{PAGES_BYTES, RULES_BYTES};
use crate::unwind::tables::{FileFacts, TableError, Tables};

/// Tables, and the maps as walks see them.
pub(super) struct World {
    pub(super) tables: Tables<FakeKernel>,
    pub(super) maps: FakeKernel,
    rules: SharedMemory,
    directory: SharedMemory,
    pub(super) program: Program,
}

impl World {
    /// Empty tables that may take `max_bytes` bytes.
    pub(super) fn new(max_bytes: u64) -> Self {
        let ([rules, rules_seen], [directory, directory_seen]) = (memory(RULES_BYTES), memory(PAGES_BYTES));
        let maps = FakeKernel::default();
        Self {
            tables: Tables::new(maps.clone(), rules, directory, max_bytes),
            maps,
            rules: rules_seen,
            directory: directory_seen,
            program: Program::new(),
        }
    }

    /// A file with the contents of this program.
    pub(super) fn add(&mut self, file: FileIdentity) {
        self.tables.add_file(file, facts(None, self.program.file.pages())).unwrap();
    }

    /// Builds a page.
    pub(super) fn publish(&mut self, file: FileIdentity, page: u64) -> Result<(), TableError> {
        let number = self.tables.number(file, page).unwrap();
        assert_eq!(self.tables.owner(number), Some((file, page)));
        let rows = self.program.file.page(&*self.program.bytes, page, self.tables.rules()).unwrap();
        self.tables.publish(number, &rows)
    }

    /// The rule that a walk finds for a byte of a file, as `find_rule` of `ebpf/rows.bpf.h` does; `None` if it asks
    /// for the page.
    pub(super) fn walk(&self, file: FileIdentity, offset: u64) -> Option<RuleWords> {
        let maps = self.maps.0.borrow();
        let rows = maps.files.get(&file)?;
        let page = u32::try_from(offset >> abi::ROW_PAGE_SHIFT).unwrap();
        assert!(page < rows.pages);
        let place = self.directory.word_64((rows.first_page + page) as usize * 2);
        if place >> 48 != abi::PAGE_BUILT {
            return None;
        }
        let (first, count, chunk) = (place & 0xffff, place >> 16 & 0xffff, place >> 32 & 0xffff);
        let rows = (first..first + count)
            .map(|at| maps.chunks[&u32::try_from(chunk).unwrap()].word_32(at.try_into().unwrap()));
        let row = rows.take_while(|row| u64::from(row & 0xffff) <= offset & 0xffff).last();
        let Some(row) = row else { return Some(zerocopy::transmute!(Rule::GAP)) };
        Some([0, 1, 2, 3].map(|word| self.rules.word_32((row >> 16) as usize * 4 + word)))
    }

    /// Makes a page as if no walk had used it for long.
    pub(super) fn age(&self, file: FileIdentity, page: u64) {
        let number = self.tables.number(file, page).unwrap();
        self.directory.write(number as usize * 4 + 2, std::iter::once(0));
    }
}

/// The facts of a file with a build ID and a number of pages.
pub(super) fn facts(build_id: Option<BuildId>, pages: u64) -> FileFacts {
    FileFacts { build_id, pages, ..FileFacts::default() }
}

/// The identity of a file by its inode number alone.
pub(super) fn identity(inode: u64) -> FileIdentity {
    FileIdentity { inode, ..FileIdentity::default() }
}
