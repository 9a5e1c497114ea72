//! The bodies of the answers.

use std::time::Duration;

use configtypes::GoDuration;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Go's zero time, which the Collector answers before it is up.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The Collector's JSON object, the reason for which the agent is not healthy, and the failures of its stages, healthy
/// or not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body<'a> {
    status: &'static str,
    up_since: String,
    uptime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    degraded: &'a [String],
}

impl<'a> Body<'a> {
    /// The body of an answer. `since` is the time since the Unix epoch when the agent first was healthy, and the time
    /// that has passed since.
    pub(crate) fn new(
        error: Option<&'a str>,
        degraded: &'a [String],
        since: Option<(Duration, Duration)>,
    ) -> Self {
        let (up_since, uptime) = since.map_or((NEVER.to_owned(), String::new()), |(at, ago)| {
            (rfc3339(at), GoDuration(ago).to_string())
        });
        let status = if error.is_none() { "Server available" } else { "Server not available" };
        Self { status, up_since, uptime, error, degraded }
    }
}

/// Time since the Unix epoch as a date; [`NEVER`] if the year has more than four digits.
fn rfc3339(since_epoch: Duration) -> String {
    let time = i128::try_from(since_epoch.as_nanos()).ok();
    let time = time.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| NEVER.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(body: &Body<'_>) -> String {
        serde_json::to_string(body).unwrap()
    }

    #[test]
    fn the_body_is_the_collectors() {
        let since = (Duration::new(1_700_000_000, 123_000_000), Duration::from_millis(61_500));
        assert_eq!(
            json(&Body::new(None, &[], Some(since))),
            r#"{"status":"Server available","upSince":"2023-11-14T22:13:20.123Z","uptime":"1m1.5s"}"#
        );
        assert_eq!(
            json(&Body::new(
                Some("the \"agent\" is stopping"),
                &["exporter otlp: no route".to_owned()],
                None
            )),
            r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":"","error":"the \"agent\" is stopping","degraded":["exporter otlp: no route"]}"#
        );
    }

    proptest! {
        /// Any time can be formatted.
        #[test]
        fn any_time_is_told(seconds: u64) {
            prop_assert!(rfc3339(Duration::from_secs(seconds)).ends_with('Z'));
        }
    }
}
