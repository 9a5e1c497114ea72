//! The number of samples that a program's CPU time stands for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::otlp::Resource;

/// Share by which samples may differ from CPU time times frequency.
const TOLERANCE: f64 = 0.10;

/// Number of standard deviations by which chance may move a number of samples: exceeded once in 15,000 times even if
/// each sample were drawn by itself. A regular timer draws far more evenly.
const DEVIATIONS: f64 = 4.0;

/// Asserts that the executable at `path` has as many samples as `used` CPU time stands for at `rate` samples a second:
/// within a tenth, or within chance for a time so short that chance is more. Samples that the agent reports as lost may
/// be missing.
///
/// # Panics
/// If the number of samples differs by more.
pub fn assert_samples(resources: &[Resource], path: &str, used: Duration, rate: u32) {
    let own = resources.iter().filter(|of| of.text("process.executable.path") == path);
    let found: u64 = own.map(Resource::events).sum();
    let lost = lost(resources);
    let due = used.as_secs_f64() * f64::from(rate);
    let slack = (due * TOLERANCE).max(DEVIATIONS * due.sqrt());
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are small")]
    let (least, most) = ((found + lost) as f64, found as f64);
    let text = format!("{path}: {found} samples, {due:.0} ± {slack:.0} due, {lost} lost on the machine");
    println!("{text}");
    assert!(least >= due - slack && most <= due + slack, "{text}");
}

/// Samples that the agent reports as lost, over all windows.
#[must_use]
pub fn lost(resources: &[Resource]) -> u64 {
    windows(resources).values().map(|window| window.lost).sum()
}

/// The figures of a window of time, over all its profiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Number of samples in the window's profiles.
    pub found: u64,
    /// Number of samples that the agent reports as expected.
    pub expected: u64,
    /// Number of samples that the agent reports as lost.
    pub lost: u64,
}

/// The windows by their end, nanoseconds since the Unix epoch.
#[must_use]
pub fn windows(resources: &[Resource]) -> BTreeMap<u64, Window> {
    let mut windows = BTreeMap::<u64, Window>::new();
    for profile in resources.iter().flat_map(|resource| &resource.profiles) {
        let window = windows.entry(profile.until).or_default();
        let figure = |key| profile.attributes.get(key)?.as_int()?.try_into().ok();
        // Every profile of a window repeats the window's figures.
        window.expected = figure("profile.window.samples.expected").unwrap_or_default();
        window.lost = figure("profile.window.samples.lost").unwrap_or_default();
        window.found += profile.samples.iter().map(|sample| sample.events()).sum::<u64>();
    }
    windows
}
