//! Symbols that overlap, made ranges that do not.

use crate::SymbolError;

/// The most names that one range has, so that the maker of a file cannot have it take much memory.
const MAX_NAMES: usize = 33;

/// A symbol of a file, with its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<N> {
    pub(crate) start: u64,
    /// The first address after the symbol; `start` if it has no size.
    pub(crate) end: u64,
    /// Preference of the symbol over others at its start; higher counts.
    pub(crate) rank: u8,
    pub(crate) name: N,
}

impl<N> Candidate<N> {
    fn is_sizeless(&self) -> bool {
        self.end <= self.start
    }
}

/// A receiver of ranges, which come in the order of addresses.
pub(crate) trait Ranges<N> {
    /// Returns one name for several symbols that are equally good.
    fn group(&mut self, first: N, others: impl Iterator<Item = N>) -> N;

    /// Takes a range and the name of its symbol.
    ///
    /// # Errors
    /// [`SymbolError::TooLarge`] if there is no room for another range.
    fn push(&mut self, start: u64, end: u64, name: N) -> Result<(), SymbolError>;
}

/// Passes the ranges that `symbols` name to `out`, in the order of addresses, none overlapping another.
///
/// Of symbols that cover an address the one that starts last counts, and of those the one of the highest rank. A symbol
/// without size counts where none with one does: up to the next symbol, and no further than the end that `end_of`
/// returns for the code that it starts in. Beside the symbols, which come into another order, this takes as much memory
/// as symbols are nested.
pub(crate) fn flatten<N: Copy + Ord>(
    symbols: &mut [Candidate<N>],
    end_of: impl Fn(u64) -> Option<u64>,
    out: &mut impl Ranges<N>,
) -> Result<(), SymbolError> {
    symbols.sort_unstable_by_key(|symbol| (symbol.is_sizeless(), symbol.start, symbol.rank, symbol.name));
    let (sized, sizeless) = symbols.split_at(symbols.partition_point(|symbol| !symbol.is_sizeless()));
    let mut gaps = Gaps { sizeless, covered: 0, end_of, out };
    let mut sweep = Sweep { open: Vec::new(), at: 0 };
    for same in sized.chunk_by(|a, b| (a.start, a.rank) == (b.start, b.rank)) {
        let Some(first) = same.first() else { continue };
        sweep.advance(first.start, &mut gaps)?;
        // Other names of the same, which is as long as the longest of them.
        let end = same.iter().map(|symbol| symbol.end).max().unwrap_or(first.end);
        sweep.open.push(Open { end, same, name: None });
    }
    sweep.advance(u64::MAX, &mut gaps)?;
    gaps.fill(u64::MAX)
}

/// A symbol that has begun and not ended.
struct Open<'a, N> {
    end: u64,
    same: &'a [Candidate<N>],
    /// Name of the symbol, set once a part of its range has been passed on: all its parts have one name.
    name: Option<N>,
}

/// Symbols that have begun and not ended, the innermost last.
struct Sweep<'a, N> {
    open: Vec<Open<'a, N>>,
    at: u64,
}

impl<N: Copy> Sweep<'_, N> {
    /// Passes on the ranges of the open symbols up to `to`.
    fn advance<E: Fn(u64) -> Option<u64>, R: Ranges<N>>(
        &mut self,
        to: u64,
        out: &mut Gaps<'_, N, E, R>,
    ) -> Result<(), SymbolError> {
        while self.at < to
            && let Some(top) = self.open.last_mut()
        {
            if top.end <= self.at {
                self.open.pop();
                continue;
            }
            let end = top.end.min(to);
            if let Some(name) = top.name.or_else(|| one_name(top.same, out.out)) {
                top.name = Some(name);
                out.sized(self.at, end, name)?;
            }
            self.at = end;
        }
        self.at = to;
        Ok(())
    }
}

fn one_name<N: Copy>(same: &[Candidate<N>], out: &mut impl Ranges<N>) -> Option<N> {
    match same {
        [] => None,
        [only] => Some(only.name),
        [first, others @ ..] => {
            Some(out.group(first.name, others.iter().take(MAX_NAMES - 1).map(|symbol| symbol.name)))
        }
    }
}

/// Puts symbols without a size into the gaps between the others.
struct Gaps<'a, N, E, R> {
    /// Symbols that are left, by address.
    sizeless: &'a [Candidate<N>],
    /// The end of the last range with a size.
    covered: u64,
    end_of: E,
    out: &'a mut R,
}

impl<N: Copy, E: Fn(u64) -> Option<u64>, R: Ranges<N>> Gaps<'_, N, E, R> {
    fn sized(&mut self, start: u64, end: u64, name: N) -> Result<(), SymbolError> {
        self.fill(start)?;
        self.covered = end;
        self.out.push(start, end, name)
    }

    /// Passes on the symbols that start before `limit`.
    fn fill(&mut self, limit: u64) -> Result<(), SymbolError> {
        while let Some(start) =
            self.sizeless.first().map(|symbol| symbol.start).filter(|start| *start < limit)
        {
            let count = self.sizeless.partition_point(|symbol| symbol.start == start);
            let Some((group, rest)) = self.sizeless.split_at_checked(count) else { break };
            self.sizeless = rest;
            let Some(end) = (self.end_of)(start).filter(|_| self.covered <= start) else { continue };
            let end = rest.first().map_or(end, |next| end.min(next.start)).min(limit);
            // The best stand last.
            let best = group.last().map_or(0, |best| best.rank);
            let group = group.split_at(group.partition_point(|symbol| symbol.rank < best)).1;
            if let Some(name) = one_name(group, self.out).filter(|_| end > start) {
                self.out.push(start, end, name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ranges, those of several names with the first, and the number of names in each group.
    #[derive(Debug, Default)]
    struct Flat {
        ranges: Vec<(u64, u64, usize)>,
        grouped: Vec<usize>,
    }

    impl Ranges<usize> for Flat {
        fn group(&mut self, first: usize, others: impl Iterator<Item = usize>) -> usize {
            self.grouped.push(1 + others.count());
            first
        }

        fn push(&mut self, start: u64, end: u64, name: usize) -> Result<(), SymbolError> {
            self.ranges.push((start, end, name));
            Ok(())
        }
    }

    fn flat(symbols: &[(u64, u64, u8)]) -> Vec<(u64, u64, usize)> {
        let symbols = symbols.iter().enumerate();
        let candidates = symbols.map(|(name, &(start, end, rank))| Candidate { start, end, rank, name });
        let mut flat = Flat::default();
        let end_of = |start| (start < 1000).then_some(1000);
        flatten(&mut candidates.collect::<Vec<_>>(), end_of, &mut flat).unwrap();
        flat.ranges
    }

    #[test]
    fn an_inner_symbol_interrupts_an_outer_one() {
        assert_eq!(flat(&[(0, 100, 1), (20, 40, 1)]), [(0, 20, 0), (20, 40, 1), (40, 100, 0)]);
        assert_eq!(flat(&[(0, 100, 1), (50, 150, 1)]), [(0, 50, 0), (50, 150, 1)]);
    }

    #[test]
    fn of_symbols_at_one_start_the_higher_rank_counts_and_the_rest_of_a_longer_one_stays() {
        assert_eq!(flat(&[(0, 100, 2), (0, 40, 5)]), [(0, 40, 1), (40, 100, 0)]);
        assert_eq!(flat(&[(0, 40, 2), (0, 100, 5)]), [(0, 100, 1)]);
    }

    #[test]
    fn a_symbol_without_size_reaches_to_the_next_one_and_no_further_than_its_section() {
        assert_eq!(flat(&[(0, 0, 1), (20, 0, 1), (50, 60, 1)]), [(0, 20, 0), (20, 50, 1), (50, 60, 2)]);
        assert_eq!(flat(&[(900, 900, 1)]), [(900, 1000, 0)]);
        assert_eq!(
            flat(&[(0, 50, 1), (20, 20, 1), (1000, 1000, 1)]),
            [(0, 50, 0)],
            "inside another, outside code"
        );
    }

    /// The maker of a file chooses the number of names of one address, and how often they are interrupted.
    #[test]
    fn a_range_has_few_names_and_its_parts_share_them() {
        let aliases = (0..1000).map(|name| Candidate { start: 0, end: 1000, rank: 1, name });
        let inner = (1..500).map(|at| Candidate { start: 2 * at, end: 2 * at + 1, rank: 1, name: 0 });
        let mut flat = Flat::default();
        flatten(&mut aliases.chain(inner).collect::<Vec<_>>(), |_| None, &mut flat).unwrap();
        assert!(flat.ranges.len() > 900);
        assert_eq!(flat.grouped, [MAX_NAMES]);
    }

    /// The symbol that names an address, found the slow way.
    fn model(symbols: &[(u64, u64, u8)], at: u64) -> Option<(u64, u8)> {
        let covers = |&&(start, end, _): &&(u64, u64, u8)| end > start && start <= at && at < end;
        // Names as good as each other are as long as the longest of them.
        let longest = |&(start, end, rank): &(u64, u64, u8)| {
            let same =
                symbols.iter().filter(|other| (other.0, other.2) == (start, rank) && other.1 > other.0);
            (start, if end > start { same.map(|other| other.1).max().unwrap_or(end) } else { end }, rank)
        };
        let symbols: Vec<_> = symbols.iter().map(longest).collect();
        let sized = symbols.iter().filter(covers).map(|&(start, _, rank)| (start, rank)).max();
        sized.or_else(|| {
            let (start, rank) = symbols
                .iter()
                .filter(|(start, end, _)| end <= start && *start <= at && at < 1000)
                .map(|&(start, _, rank)| (start, rank))
                .max()?;
            // Another symbol with a size stands between, or at its start.
            let between = symbols.iter().any(|(other, end, _)| end > other && *other <= at && *end > start);
            (!between).then_some((start, rank))
        })
    }

    proptest! {
        /// Each address has the name that looking through all symbols finds, and ranges do not overlap.
        #[test]
        fn every_address_is_named_as_by_looking_through_all(
            symbols in prop::collection::vec((0u64..60, 0u64..30, 0u8..4), 0..20),
        ) {
            let symbols: Vec<_> =
                symbols.into_iter().map(|(start, size, rank)| (start, start + size.saturating_sub(10), rank)).collect();
            let ranges = flat(&symbols);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            prop_assert!(ranges.iter().all(|range| range.0 < range.1));
            for at in 0..120 {
                let found = ranges.iter().find(|range| range.0 <= at && at < range.1);
                let found = found.map(|range| (symbols[range.2].0, symbols[range.2].2));
                prop_assert_eq!(found, model(&symbols, at), "address {}", at);
            }
        }
    }
}
