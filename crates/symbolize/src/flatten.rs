//! Symbols that overlap, made ranges that do not.

/// The most other names that one range has: each part of a range that others interrupt has them all.
const MAX_ALIASES: usize = 32;

/// A symbol as a file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate<N> {
    pub(crate) start: u64,
    /// The first address after it; `start` if the symbol has no size.
    pub(crate) end: u64,
    /// How much it is to be preferred to others at its start; higher counts.
    pub(crate) rank: u8,
    pub(crate) name: N,
}

/// A range of addresses and the symbols that name it, all at one start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<N> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) name: N,
    /// Names that are as good.
    pub(crate) aliases: Vec<N>,
}

/// The ranges that `symbols` name, in the order of addresses, none overlapping another.
///
/// Of symbols that cover an address the one that starts last counts, and of those the one of the highest rank. A symbol
/// without size counts where none with one does: up to the next symbol, and no further than `end_of` says that the code
/// which it starts in goes.
pub(crate) fn flatten<N: Copy>(
    mut symbols: Vec<Candidate<N>>,
    end_of: impl Fn(u64) -> Option<u64>,
) -> Vec<Named<N>> {
    // Names as good as each other stay in the order of the file.
    symbols.sort_by_key(|symbol| (symbol.start, symbol.rank));
    let sizeless: Vec<_> = symbols.extract_if(.., |symbol| symbol.end <= symbol.start).collect();
    let sized = sweep(&symbols);
    drop(symbols);
    fill(sized, &sizeless, end_of)
}

/// Symbols that have begun and not ended, the innermost last.
struct Sweep<N> {
    open: Vec<Named<N>>,
    out: Vec<Named<N>>,
    at: u64,
}

impl<N: Copy> Sweep<N> {
    /// Writes what the open symbols name up to `to`.
    fn advance(&mut self, to: u64) {
        while self.at < to
            && let Some(top) = self.open.last()
        {
            if top.end <= self.at {
                self.open.pop();
                continue;
            }
            let end = top.end.min(to);
            self.out.push(Named { start: self.at, end, ..top.clone() });
            self.at = end;
        }
        self.at = to;
    }
}

fn sweep<N: Copy>(symbols: &[Candidate<N>]) -> Vec<Named<N>> {
    let mut sweep = Sweep { open: Vec::new(), out: Vec::new(), at: 0 };
    let mut before: Option<Candidate<N>> = None;
    for &symbol in symbols {
        let Candidate { start, end, rank, name } = symbol;
        match (before, sweep.open.last_mut()) {
            (Some(before), Some(top)) if (before.start, before.rank) == (start, rank) => {
                // As good as the one before it: another name of the same, which is as long as the longer of both.
                if top.aliases.len() < MAX_ALIASES {
                    top.aliases.push(name);
                }
                top.end = top.end.max(end);
            }
            _ => {
                sweep.advance(start);
                sweep.open.push(Named { start, end, name, aliases: Vec::new() });
            }
        }
        before = Some(symbol);
    }
    sweep.advance(u64::MAX);
    sweep.out
}

/// Puts symbols without a size into the gaps.
fn fill<N: Copy>(
    sized: Vec<Named<N>>,
    sizeless: &[Candidate<N>],
    end_of: impl Fn(u64) -> Option<u64>,
) -> Vec<Named<N>> {
    if sizeless.is_empty() {
        return sized;
    }
    let mut out = Vec::with_capacity(sized.len() + sizeless.len());
    let mut sized = sized.into_iter().peekable();
    let mut groups = sizeless.chunk_by(|a, b| a.start == b.start).peekable();
    let mut covered = 0;
    while let Some(group) = groups.next() {
        // The best stand last.
        let Some(best) = group.last() else { continue };
        let start = best.start;
        while let Some(range) = sized.next_if(|range| range.start <= start) {
            covered = range.end;
            out.push(range);
        }
        let Some(end) = end_of(start).filter(|_| covered <= start) else { continue };
        let next = groups.peek().and_then(|next| next.first()).map_or(end, |next| next.start);
        let end = end.min(next).min(sized.peek().map_or(end, |range| range.start));
        if end > start {
            let mut names = group.iter().filter(|symbol| symbol.rank == best.rank).map(|symbol| symbol.name);
            let Some(name) = names.next() else { continue };
            out.push(Named { start, end, name, aliases: names.collect() });
        }
    }
    out.extend(sized);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn flat(symbols: &[(u64, u64, u8)]) -> Vec<(u64, u64, usize)> {
        let symbols = symbols.iter().enumerate();
        let candidates = symbols.map(|(name, &(start, end, rank))| Candidate { start, end, rank, name });
        let ranges = flatten(candidates.collect(), |start| (start < 1000).then_some(1000));
        ranges.into_iter().map(|range| (range.start, range.end, range.name)).collect()
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

    /// Whoever makes a file chooses how many names one address has, and how often they are interrupted.
    #[test]
    fn a_range_has_few_of_its_names_in_each_of_its_parts() {
        let aliases = (0..1000).map(|name| Candidate { start: 0, end: 1000, rank: 1, name });
        let inner = (1..500).map(|at| Candidate { start: 2 * at, end: 2 * at + 1, rank: 1, name: 0 });
        let ranges = flatten(aliases.chain(inner).collect(), |_| None);
        assert!(ranges.len() > 900 && ranges.iter().all(|range| range.aliases.len() <= MAX_ALIASES));
    }

    /// What names an address, found the slow way.
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
