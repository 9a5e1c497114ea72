//! A line of small bars.

/// Bars from the lowest to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as a line of bars, the highest of which stands for `most`; a blank stands for zero.
pub(crate) fn bars(values: &[u64], most: u64) -> String {
    let most = most.max(1);
    let bar = |&value: &u64| {
        if value == 0 {
            return ' ';
        }
        // The step is 7 at most, since the value is cut to `most`.
        let step = u128::from(value.min(most)) * 7 / u128::from(most);
        usize::try_from(step).ok().and_then(|step| BARS.get(step)).copied().unwrap_or('█')
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_rise_with_their_values_and_nothing_is_blank() {
        assert_eq!(bars(&[0, 1, 50, 100, 200], 100), " ▁▄██");
        assert_eq!((bars(&[0, 0], 0), bars(&[u64::MAX], u64::MAX)), ("  ".into(), "█".into()));
    }
}
