//! The metrics of the watch and of the table; their names stand here and nowhere else. They are the processor's, which
//! is the component that users know.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const REQUESTS: &str = "otelcol_processor_procinfo_pod_requests_total";
const REFUSED: &str = "otelcol_processor_procinfo_pods_refused_total";
const KNOWN: &str = "otelcol_processor_procinfo_known_pods";
const DELETED: &str = "otelcol_processor_procinfo_deleted_pods";

/// Says what each metric means.
pub(crate) fn describe() {
    describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests to the API server of the cluster, by what was asked for and with what outcome."
    );
    describe_counter!(
        REFUSED,
        Unit::Count,
        "Pods, or events of pods, that the API server reported and that are not kept, by reason."
    );
    describe_gauge!(KNOWN, Unit::Count, "Pods known.");
    describe_gauge!(DELETED, Unit::Count, "Pods that have been deleted and may still be asked about.");
}

/// One request is over.
pub(crate) fn request(what: &'static str, outcome: &'static str) {
    counter!(REQUESTS, "request" => what, "outcome" => outcome).increment(1);
}

/// One pod is not kept.
pub(crate) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

/// Pods known, and of them deleted ones.
pub(crate) fn pods(known: usize, deleted: usize) {
    #[allow(clippy::cast_precision_loss, reason = "counts of pods are far below 2^53")]
    let (known, deleted) = (known as f64, deleted as f64);
    gauge!(KNOWN).set(known);
    gauge!(DELETED).set(deleted);
}
