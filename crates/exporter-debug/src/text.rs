//! Words that agree with numbers.

/// A count with its noun: `1 sample`, `2 samples`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 {
        ""
    } else if noun.ends_with("ss") {
        "es"
    } else {
        "s"
    };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree() {
        assert_eq!(counted(1, "process"), "1 process");
        assert_eq!(counted(0, "process"), "0 processes");
        assert_eq!(counted(2, "sample"), "2 samples");
    }
}
