//! Keys of `exporters.flamegraph`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use confighttp::Endpoint;
use configtypes::{ByteSize, Fault};
use profile_store::{Limits, TICKS_PER_SECOND};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the live page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to listen on, host:port; a browser shows the page at `http://host:port/`.
    pub endpoint: Endpoint,
    /// Time for which samples are held.
    #[serde(with = "configtypes::GoDuration")]
    pub retention: Duration,
    /// Most memory for them: the oldest go first, and the page says so.
    pub max_memory: ByteSize,
    /// A file whose first line every request must present, as a bearer token or as the password of any user. Needed
    /// where the endpoint is not the loopback device, since other machines can connect then. Without it every user of
    /// this machine, and every container with its network, can read the whole profile: what all users run, and their
    /// stacks.
    pub token_file: Option<PathBuf>,
}

impl Config {
    /// Default of `endpoint`. The port is one of those that IANA has assigned to nobody (4461 to 4483 are), below those
    /// that Linux picks for outgoing connections (from 32768), and no well-known program's: 4040, the port of other
    /// profilers' pages, is Pyroscope's, ngrok's and Spark's.
    pub const ENDPOINT: (&str, u16) = ("localhost", 4470);
    /// Default of `retention`.
    pub const RETENTION: Duration = Duration::from_secs(15 * 60);
    /// Bounds of `retention`.
    pub const RETENTION_BOUNDS: RangeInclusive<Duration> =
        Duration::from_secs(10)..=Duration::from_secs(24 * 3_600);
    /// Default of `max_memory`.
    pub const MAX_MEMORY: ByteSize = ByteSize::from_mib(64);
    /// Bounds of `max_memory`.
    pub const MAX_MEMORY_BOUNDS: RangeInclusive<ByteSize> =
        ByteSize::from_mib(4)..=ByteSize::from_mib(16 * 1_024);

    /// Every fault of the configuration, by its key, with the value that was expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !Self::RETENTION_BOUNDS.contains(&self.retention) {
            faults.push(Fault::at(["retention"], format!("is {:?}, expected 10s to 24h", self.retention)));
        }
        if !Self::MAX_MEMORY_BOUNDS.contains(&self.max_memory) {
            faults.push(Fault::at(["max_memory"], format!("is {}, expected 4MiB to 16GiB", self.max_memory)));
        }
        if self.token_file.is_none() && !self.is_loopback() {
            let fault = format!(
                "is missing, expected a file with a token since others can connect to {}",
                self.endpoint
            );
            faults.push(Fault::at(["token_file"], fault));
        }
        faults
    }

    /// True if only this machine can connect, every user of it.
    fn is_loopback(&self) -> bool {
        let host = &self.endpoint.host;
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    pub(crate) fn limits(&self) -> Limits {
        let seconds = u32::try_from(self.retention.as_secs()).unwrap_or(u32::MAX);
        let max_bytes = usize::try_from(self.max_memory.bytes()).unwrap_or(usize::MAX);
        Limits { max_bytes, retention: seconds.saturating_mul(TICKS_PER_SECOND) }
    }
}

impl Default for Config {
    fn default() -> Self {
        let (host, port) = Self::ENDPOINT;
        Self {
            endpoint: Endpoint::new(host, port),
            retention: Self::RETENTION,
            max_memory: Self::MAX_MEMORY,
            token_file: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_others_refused() {
        let text = r#"{"endpoint": "127.0.0.1:1", "retention": "1h", "max_memory": "128MiB"}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert!(config.validate().is_empty() && Config::default().validate().is_empty());
        assert_eq!(config.limits(), Limits { max_bytes: 128 << 20, retention: 3_600 * 50 });
        assert!(serde_json::from_str::<Config>(r#"{"max_bytes": 1}"#).is_err());
    }

    #[test]
    fn who_lets_others_in_needs_a_token() {
        for (host, is_refused) in [
            ("localhost", false),
            ("127.0.0.9", false),
            ("::1", false),
            ("", true),
            ("0.0.0.0", true),
            ("agent.example", true),
        ] {
            let config = Config { endpoint: Endpoint::new(host, 1), ..Config::default() };
            assert_eq!(!config.validate().is_empty(), is_refused, "{host}");
            let config = Config { token_file: Some("/token".into()), ..config };
            assert!(config.validate().is_empty(), "{host}");
        }
        let config =
            Config { retention: Duration::ZERO, max_memory: ByteSize::from_mib(1), ..Config::default() };
        assert_eq!(config.validate().len(), 2);
    }
}
