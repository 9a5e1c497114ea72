//! The stacks of a generation.

use std::borrow::Cow;

use crate::packed::{Reader, put, put_step};
use crate::table::{Table, number};

/// The root of all stacks.
pub(crate) const ROOT: u32 = 0;

/// A frame below its caller's row: a stack is the number of its leaf's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StackRow {
    /// Number of the caller's row, which is less than this row's.
    pub parent: u32,
    pub frame: u32,
}

impl StackRow {
    const ROOT: Self = Self { parent: ROOT, frame: u32::MAX };
}

/// Stacks that are each held once, as a tree: callers come before their callees.
///
/// Sealed, a row takes two to three bytes: a stack that is new to the table is a chain of rows, each the child of the
/// row before it.
#[derive(Debug)]
pub(crate) struct Stacks {
    rows: Table<StackRow>,
    packed: Box<[u8]>,
    /// Number of the packed rows.
    len: usize,
}

impl Stacks {
    pub(crate) fn new() -> Self {
        let mut rows = Table::new();
        rows.add(StackRow::ROOT);
        Self { rows, packed: Box::default(), len: 0 }
    }

    /// The number of the stack that is `stack` and one more frame, its new leaf.
    pub(crate) fn push(&mut self, stack: u32, frame: u32) -> u32 {
        self.rows.add(StackRow { parent: stack, frame })
    }

    /// The innermost frame of a stack that is not packed; `None` for the root.
    pub(crate) fn leaf(&self, stack: u32) -> Option<u32> {
        self.rows.items().get(stack as usize).filter(|_| stack != ROOT).map(|row| row.frame)
    }

    /// The rows; the first is the root.
    pub(crate) fn rows(&self) -> Cow<'_, [StackRow]> {
        if self.len == 0 {
            return Cow::Borrowed(self.rows.items());
        }
        let mut rows = Vec::with_capacity(self.len);
        rows.push(StackRow::ROOT);
        let mut reader = Reader(&self.packed);
        rows.extend((0..number(self.len - 1)).map(|before| {
            let marked = reader.number();
            let frame = u32::try_from(marked >> 1).unwrap_or(u32::MAX);
            let parent = if marked & 1 == 0 { before } else { reader.step(before) };
            StackRow { parent, frame }
        }));
        Cow::Owned(rows)
    }

    /// Packs the rows; none may be added afterwards.
    pub(crate) fn seal(&mut self) {
        let rows = self.rows.items();
        let mut packed = Vec::new();
        for (before, row) in (0..).zip(rows.iter().skip(1)) {
            put(&mut packed, u64::from(row.frame) << 1 | u64::from(row.parent != before));
            if row.parent != before {
                put_step(&mut packed, before, row.parent);
            }
        }
        (self.len, self.packed, self.rows) = (rows.len(), packed.into(), Table::new());
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes() + self.packed.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packed rows are the rows that were packed.
        #[test]
        fn packed_rows_are_the_same(paths in prop::collection::vec(prop::collection::vec(0u32..300, 0..9), 0..40)) {
            let mut stacks = Stacks::new();
            for path in paths {
                path.into_iter().fold(ROOT, |stack, frame| stacks.push(stack, frame));
            }
            let before = stacks.rows().into_owned();
            stacks.seal();
            prop_assert_eq!(&*stacks.rows(), &*before);
        }
    }
}
