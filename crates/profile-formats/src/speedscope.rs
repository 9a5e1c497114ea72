//! speedscope's own format: `https://www.speedscope.app/file-format-schema.json`.
//!
//! The file has one profile of all tasks for each kind of value: a stack is a sample, with its task as the root.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use indexmap::IndexSet;
use serde::Serialize;

use crate::frames::{PlainFrame, root_first};
use crate::model::{Profile, Quantity};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    shared: SharedTables<'a>,
    profiles: Vec<Sampled>,
    name: &'a str,
    active_profile_index: usize,
    exporter: &'a str,
}

#[derive(Serialize)]
struct SharedTables<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    start_value: i64,
    end_value: i64,
    samples: Vec<Vec<usize>>,
    weights: Vec<i64>,
}

/// Appends a profile in speedscope's format.
///
/// # Errors
/// An error of the JSON encoder; none is expected while memory suffices.
pub fn write(profile: &Profile, out: &mut Vec<u8>) -> io::Result<()> {
    let mut frames = IndexSet::<PlainFrame>::new();
    let kinds = profile.kinds();
    let kinds = kinds.iter().map(|&(kind, unit)| Quantity::Kind(kind, unit));
    let mut profiles: Vec<_> = kinds.map(|kind| sampled(profile, kind, &mut frames)).collect();
    if profiles.is_empty() {
        profiles.push(sampled(profile, Quantity::Captures, &mut frames));
    }
    let (name, _) = profile.quantity_name(profile.main_quantity());
    let active = profiles.iter().position(|profile| profile.name == name).unwrap_or_default();
    let frames = frames.iter().map(|frame| Frame { name: &frame.name, file: &frame.file, line: frame.line });
    let file = File {
        schema: SCHEMA,
        shared: SharedTables { frames: frames.collect() },
        profiles,
        name: "pipeline",
        active_profile_index: active,
        exporter: concat!("pipeline ", env!("CARGO_PKG_VERSION")),
    };
    serde_json::to_writer(out, &file).map_err(io::Error::other)
}

fn sampled(profile: &Profile, quantity: Quantity, frames: &mut IndexSet<PlainFrame>) -> Sampled {
    let mut stacks = BTreeMap::<Vec<usize>, i64>::new();
    for (key, amount) in profile.samples.iter() {
        let value = profile.amount_of(quantity, key, amount);
        // A negative value has no place in a flame graph.
        if value > 0 {
            let stack = root_first(profile, key).into_iter().map(|frame| frames.insert_full(frame).0);
            let sum = stacks.entry(stack.collect()).or_default();
            *sum = sum.saturating_add(value);
        }
    }
    let (name, unit) = profile.quantity_name(quantity);
    let unit = match unit {
        "nanoseconds" => "nanoseconds",
        "microseconds" => "microseconds",
        "milliseconds" => "milliseconds",
        "seconds" => "seconds",
        "bytes" => "bytes",
        _ => "none",
    };
    let end_value = stacks.values().fold(0, |sum: i64, &value| sum.saturating_add(value));
    let (samples, weights) = stacks.into_iter().unzip();
    Sampled { r#type: "sampled", name: name.to_owned(), unit, start_value: 0, end_value, samples, weights }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
