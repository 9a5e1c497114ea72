//! Conversion of a profile to folded stacks.

use std::collections::{BTreeMap, HashMap};

use crate::escape;
use crate::model::{Profile, Quantity, SampleKey, UNKNOWN};

/// Name of the frame that stands for missing outer frames.
pub(crate) const TRUNCATED: &str = "[truncated]";

/// Appends the lines of a profile, sorted; equal stacks of one thread name are added up.
///
/// The names of a group of images are the outermost frames. A frame without a name is shown as its file's name and the
/// address in it; `[truncated]` stands for missing outer frames.
pub fn write(profile: &Profile, quantity: Quantity, out: &mut Vec<u8>) {
    for (stack, value) in stacks(profile, quantity) {
        out.extend_from_slice(format!("{stack} {value}\n").as_bytes());
    }
}

/// The value of each folded stack.
pub(crate) fn stacks(profile: &Profile, quantity: Quantity) -> BTreeMap<String, i64> {
    let mut stacks = BTreeMap::<String, i64>::new();
    // The frames of a stack are written once, however many threads and CPUs the stack was sampled on.
    let mut frames = HashMap::new();
    for (key, amount) in profile.samples.iter() {
        let value = profile.amount_of(quantity, key, amount);
        if value == 0 {
            continue;
        }
        let mut line = String::new();
        for name in group_names(profile, key) {
            escape::folded(if name.is_empty() { UNKNOWN } else { name }, &mut line);
            line.push(';');
        }
        escape::folded(task_name(profile, key), &mut line);
        // The mark stands where the missing outer frames would.
        if key.cut.is_some() {
            line.push(';');
            line.push_str(TRUNCATED);
        }
        line.push_str(frames.entry(key.stack).or_insert_with(|| folded_frames(profile, key)));
        let sum = stacks.entry(line).or_default();
        *sum = sum.saturating_add(value);
    }
    stacks
}

/// The names of the group that a sample's image is part of, outermost first; none if it is by itself.
fn group_names<'a>(profile: &'a Profile, key: &SampleKey) -> impl Iterator<Item = &'a str> {
    let thread = key.thread.and_then(|thread| profile.tables.threads.get(thread));
    let process = thread.and_then(|thread| profile.tables.process_of(thread));
    let names = process.map(|process| &*process.group).unwrap_or_default();
    names.iter().map(|name| profile.tables.text(*name))
}

/// The name of a sample's thread, or of its process if the thread's name is empty.
pub(crate) fn task_name<'a>(profile: &'a Profile, key: &SampleKey) -> &'a str {
    let tables = &profile.tables;
    let thread = key.thread.and_then(|thread| tables.threads.get(thread));
    let process = thread.and_then(|thread| tables.process_of(thread));
    let names = [thread.and_then(|thread| thread.name), process.and_then(|process| process.name)];
    let names = names.into_iter().flatten().map(|name| tables.text(name));
    names.into_iter().find(|name| !name.is_empty()).unwrap_or(UNKNOWN)
}

fn folded_frames(profile: &Profile, key: &SampleKey) -> String {
    let names: Vec<_> = profile.tables.stack_frames(key.stack).map(|frame| frame.name).collect();
    let mut line = String::new();
    for name in names.iter().rev() {
        line.push(';');
        escape::folded(name, &mut line);
    }
    line
}
