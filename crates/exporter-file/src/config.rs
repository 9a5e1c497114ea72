//! Keys of `exporters.file`.

use std::path::PathBuf;
use std::time::Duration;

use otlp_profiles::{DEFAULT_WINDOW, window_fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of the file exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File to write; required. Created if it does not exist, readable by its owner alone; its
    /// directory is not created.
    pub path: PathBuf,
    /// Length of a profile. Each window becomes a line, or several if it is large.
    #[serde(with = "confmap::GoDuration")]
    pub window: Duration,
    /// Keep what the file already holds. As in the Collector the default is to start it anew.
    pub append: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: PathBuf::new(), window: DEFAULT_WINDOW, append: false }
    }
}

impl Config {
    /// Every fault, each as `key: what is wrong, what is expected`.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let path = self.path.as_os_str().is_empty();
        let path =
            path.then(|| "path: is missing, expected a file to write, like ./profiles.jsonl".to_owned());
        path.into_iter().chain(window_fault(self.window)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_reported_together() {
        let config = Config { window: Duration::ZERO, ..Config::default() };
        assert_eq!(
            config.validate(),
            [
                "path: is missing, expected a file to write, like ./profiles.jsonl",
                "window: is 0ns, expected 100ms to 600s",
            ]
        );
        assert!(Config { path: "p.jsonl".into(), ..Config::default() }.validate().is_empty());
    }

    #[test]
    fn keys_are_as_documented_and_others_are_refused() {
        let config: Config =
            serde_json::from_str(r#"{"path": "p.jsonl", "window": "1m", "append": true}"#).unwrap();
        assert_eq!(config, Config { path: "p.jsonl".into(), window: Duration::from_secs(60), append: true });
        assert!(serde_json::from_str::<Config>(r#"{"rotation": {}}"#).is_err());
    }
}
