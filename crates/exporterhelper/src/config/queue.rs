//! Keys of `sending_queue`.

use std::time::Duration;

use configtypes::{ByteSize, Fault};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const NUM_CONSUMERS: usize = 10;
const QUEUE_SIZE: u64 = 1000;
const MAX_BYTES: ByteSize = ByteSize::from_gib(1);
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);
const MIN_SIZE: u64 = 8192;

/// Holds requests until they are sent, so that a slow server costs nothing but room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Whether there is a queue. Without one, a request is sent while the next window waits.
    pub enabled: bool,
    /// Most requests sent at a time. Above 1 they may arrive in another order.
    pub num_consumers: usize,
    /// The most that the queue holds, including requests that are being sent, in units of the sizer.
    pub queue_size: u64,
    /// The unit that the queue's size is counted in.
    pub sizer: Sizer,
    /// Whether a request that does not fit waits for room; false to drop it.
    pub block_on_overflow: bool,
    /// Whether the next window waits until this one has been sent. Not with a storage.
    pub wait_for_result: bool,
    /// Extension that keeps the queue on disk, such as `file_storage`; absent for a queue in memory.
    pub storage: Option<String>,
    /// The most bytes of requests that the storage keeps, whatever the sizer; 0 for no bound.
    pub max_bytes: ByteSize,
    /// The longest time for which the storage keeps a request; older ones are dropped. 0 for ever.
    #[serde(with = "configtypes::GoDuration")]
    pub max_age: Duration,
    /// Settings for sending several requests as one; absent to send each by itself.
    #[serde(deserialize_with = "configtypes::section", skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchConfig>,
}

/// The unit that a queue's size is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// The number of requests.
    #[default]
    Requests,
    /// The number of samples, as the kernel took them.
    Items,
    /// Bytes of protobuf before compression.
    Bytes,
}

/// Settings for sending several requests as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Longest that a request waits for others.
    #[serde(with = "configtypes::GoDuration")]
    pub flush_timeout: Duration,
    /// Size from which on requests no longer wait for others.
    pub min_size: u64,
    /// The largest size of a request made of several, only with the sizer bytes; 0 for the exporter's own bound.
    pub max_size: u64,
    /// The unit that sizes are counted in; absent for the sizer of the queue, or items if that is requests.
    pub sizer: Option<BatchSizer>,
}

/// The unit that a batch's size is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchSizer {
    /// The number of samples, as the kernel took them.
    Items,
    /// Bytes of protobuf before compression.
    Bytes,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: NUM_CONSUMERS,
            queue_size: QUEUE_SIZE,
            sizer: Sizer::default(),
            block_on_overflow: false,
            wait_for_result: false,
            storage: None,
            max_bytes: MAX_BYTES,
            max_age: MAX_AGE,
            batch: None,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { flush_timeout: FLUSH_TIMEOUT, min_size: MIN_SIZE, max_size: 0, sizer: None }
    }
}

impl QueueConfig {
    /// True if the queue keeps requests on disk.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.enabled && self.storage.is_some()
    }

    /// Every fault, in the Collector's words where the Collector has such a fault. A disabled queue has none, as in the
    /// Collector.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        if !self.enabled {
            return Vec::new();
        }
        let faults = [
            (self.num_consumers == 0, "`num_consumers` must be positive"),
            (self.queue_size == 0, "`queue_size` must be positive"),
            (
                self.wait_for_result && self.storage.is_some(),
                "`wait_for_result` is not supported with a persistent queue configured with `storage`",
            ),
        ];
        let found = faults.into_iter().filter(|(is_fault, _)| *is_fault);
        let mut faults: Vec<_> = found.map(|(_, fault)| Fault::at(["sending_queue"], fault)).collect();
        if let Some(batch) = &self.batch {
            let found = batch.faults(self).into_iter().filter(|(is_fault, _)| *is_fault);
            faults.extend(found.map(|(_, fault)| Fault::at(["sending_queue", "batch"], fault)));
        }
        faults
    }
}

impl BatchConfig {
    /// The unit that sizes of batches are counted in, behind that queue.
    #[must_use]
    pub fn sizer(&self, queue: &QueueConfig) -> BatchSizer {
        self.sizer.unwrap_or(match queue.sizer {
            Sizer::Bytes => BatchSizer::Bytes,
            Sizer::Items | Sizer::Requests => BatchSizer::Items,
        })
    }

    fn faults(&self, queue: &QueueConfig) -> [(bool, &'static str); 4] {
        let sizer = self.sizer(queue);
        let same = matches!(
            (sizer, queue.sizer),
            (BatchSizer::Items, Sizer::Items) | (BatchSizer::Bytes, Sizer::Bytes)
        );
        [
            (self.flush_timeout.is_zero(), "`flush_timeout` must be positive"),
            (
                self.max_size != 0 && self.max_size < self.min_size,
                "`max_size` must be greater or equal to `min_size`",
            ),
            (
                self.max_size != 0 && sizer != BatchSizer::Bytes,
                "`max_size` is supported only with the sizer bytes",
            ),
            (
                same && self.min_size > queue.queue_size,
                "`min_size` must be less than or equal to `queue_size`",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_collectors() {
        let all = serde_json::to_value(QueueConfig::default()).unwrap();
        assert_eq!(
            all,
            serde_json::json!({
                "enabled": true, "num_consumers": 10, "queue_size": 1000, "sizer": "requests",
                "block_on_overflow": false, "wait_for_result": false, "storage": null,
                "max_bytes": "1GiB", "max_age": "24h0m0s",
            })
        );
        let batch: QueueConfig = serde_json::from_str(r#"{"batch": {}}"#).unwrap();
        assert_eq!(
            serde_json::to_value(batch.batch).unwrap(),
            serde_json::json!({"flush_timeout": "200ms", "min_size": 8192, "max_size": 0, "sizer": null})
        );
        assert!(QueueConfig::default().validate().is_empty());
    }

    #[test]
    fn faults_are_reported_together_unless_disabled() {
        let batch = BatchConfig { flush_timeout: Duration::ZERO, max_size: 1, ..BatchConfig::default() };
        let config = QueueConfig {
            num_consumers: 0,
            queue_size: 0,
            sizer: Sizer::Items,
            wait_for_result: true,
            storage: Some("file_storage".to_owned()),
            batch: Some(batch),
            ..QueueConfig::default()
        };
        assert_eq!(
            config.validate(),
            [
                "sending_queue: `num_consumers` must be positive",
                "sending_queue: `queue_size` must be positive",
                "sending_queue: `wait_for_result` is not supported with a persistent queue configured with `storage`",
                "sending_queue::batch: `flush_timeout` must be positive",
                "sending_queue::batch: `max_size` must be greater or equal to `min_size`",
                "sending_queue::batch: `max_size` is supported only with the sizer bytes",
                "sending_queue::batch: `min_size` must be less than or equal to `queue_size`",
            ]
        );
        assert!(QueueConfig { enabled: false, ..config }.validate().is_empty());
    }
}
