//! Settings that an exporter gets beside its configuration.

use std::sync::Arc;

use componentstatus::Status;
use extension_file_storage::FileStorage;

/// Settings that the assembler hands to an exporter's constructor, like the Collector's `exporter.Settings`.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Component id, such as `otlp_grpc/backup`: the label `exporter` in metrics and log lines.
    pub id: Arc<str>,
    /// Status to which the exporter reports.
    pub status: Arc<Status>,
    /// The extension that the exporter's `sending_queue.storage` names, if it names one.
    pub storage: Option<Arc<FileStorage>>,
}

impl DeliverySettings {
    /// Settings of the exporter with this id; nobody else looks at its status yet, and it has no storage.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), status: Arc::default(), storage: None }
    }
}
