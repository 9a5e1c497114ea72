//! The header `Retry-After`.

use std::time::{Duration, SystemTime};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// Least time to wait that the server asks for, in seconds or up to a date; `None` if the header is neither.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    // A date that has passed means now.
    Some(until.duration_since(now(headers)).unwrap_or_default())
}

/// The server's current time, from its `Date` header; ours if it sent none.
fn now(headers: &HeaderMap) -> SystemTime {
    let date = text(headers, DATE).and_then(|text| httpdate::parse_http_date(text).ok());
    #[expect(clippy::disallowed_methods, reason = "compared with the time of day of another machine")]
    date.unwrap_or_else(SystemTime::now)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn after(text: &str) -> Option<Duration> {
        let date = HeaderValue::from_static("Tue, 24 Nov 2026 18:00:00 GMT");
        let text = HeaderValue::from_bytes(text.as_bytes()).ok()?;
        read(&[(DATE, date), (RETRY_AFTER, text)].into_iter().collect())
    }

    #[test]
    fn both_forms_are_read() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(after("120"), seconds(120));
        assert_eq!(after(" 0 "), seconds(0));
        assert_eq!(after("Tue, 24 Nov 2026 18:01:30 GMT"), seconds(90));
        assert_eq!(after("Tue, 24 Nov 2026 17:00:00 GMT"), seconds(0), "it has passed");
        for text in ["", "-1", "1.5", "soon", "Tue, 99 Nov 2026 18:01:30 GMT", "99999999999999999999"] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_compared_with_our_clock_if_the_server_does_not_tell_its_own() {
        let header = (RETRY_AFTER, HeaderValue::from_static("Tue, 24 Nov 2099 18:00:00 GMT"));
        assert!(read(&[header].into_iter().collect()).unwrap() > Duration::from_secs(3600));
    }

    proptest! {
        /// Any text is a time or is none.
        #[test]
        fn any_text_is_read_or_not(text in "[ -~]{0,40}") {
            let _any = after(&text);
        }
    }
}
