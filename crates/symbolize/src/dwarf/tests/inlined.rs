//! A program of iterators and generics that are inlined into each other, with all of the standard
//! library behind them.

use std::collections::BTreeMap;

fn mix(value: u64) -> u64 {
    (0..5).fold(value, |sum, step| sum.rotate_left(step) ^ 0x9e37_79b9)
}

#[inline(never)]
fn words(text: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for word in text.split_whitespace().filter(|word| word.len() > 1) {
        *all.entry(word.to_lowercase()).or_insert(0) += mix(word.len() as u64);
    }
    all
}

fn main() {
    let text = std::env::args().collect::<Vec<_>>().join(" and ");
    let mut all: Vec<_> = words(&text).into_iter().collect();
    all.sort_by_key(|(word, sum)| (mix(*sum), word.clone()));
    println!("{all:?}");
}
