//! Errors and their causes.

use std::error::Error;
use std::fmt::Display;

/// The causes of an error, the nearest first.
pub fn causes<'a>(error: &'a dyn Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// The texts of an error and of its causes, in one line.
///
/// A cause whose text is there already is left out: layers of a transport, and errors that show their source, repeat
/// each other.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    joined(error, causes(error))
}

/// A text and those of causes, as [`with_causes`] joins them: for an error that is described in other words than its
/// own.
pub fn joined<'a>(text: impl Display, causes: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    causes.map(lines_joined).fold(lines_joined(text), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The lines of a text in one: the log of the kernel's verifier has many.
fn lines_joined(text: impl Display) -> String {
    text.to_string().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<dyn Error>>,
    }

    /// An error with these texts, the cause of each behind it; an operating system's is the last.
    fn error(texts: &[&'static str]) -> Layer {
        let [text, rest @ ..] = texts else { panic!("no text") };
        let source: Box<dyn Error> = match rest {
            [] => io::Error::from(io::ErrorKind::ConnectionRefused).into(),
            rest => error(rest).into(),
        };
        Layer { text, source: Some(source) }
    }

    #[test]
    fn causes_come_in_their_order_and_the_last_one_is_found() {
        let error = error(&["cannot send", "cannot connect"]);
        let texts: Vec<_> = causes(&error).map(ToString::to_string).collect();
        assert_eq!(texts, ["cannot connect", "connection refused"]);
        assert!(causes(&error).last().unwrap().is::<io::Error>());
        assert_eq!(with_causes(&error), "cannot send: cannot connect: connection refused");
        assert_eq!(with_causes(&Layer { text: "alone", source: None }), "alone");
    }

    #[test]
    fn no_cause_is_there_twice() {
        let shown = error(&["cannot send: connection refused", "connection refused"]);
        assert_eq!(with_causes(&shown), "cannot send: connection refused");
        let repeated = error(&["transport error", "transport error", "client error (connect)", "connect"]);
        assert_eq!(with_causes(&repeated), "transport error: client error (connect): connection refused");
        // A cause that says more than the error is there in full.
        assert_eq!(with_causes(&error(&["cannot", "cannot now"])), "cannot: cannot now: connection refused");
    }

    #[test]
    fn texts_of_many_lines_are_one() {
        let error = error(&["the kernel refuses a program", "0: r1 = 0\n1: exit\r\nbad"]);
        assert_eq!(
            with_causes(&error),
            "the kernel refuses a program: 0: r1 = 0 1: exit bad: connection refused"
        );
    }
}
