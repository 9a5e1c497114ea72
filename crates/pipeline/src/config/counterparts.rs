//! Names that users of a Collector write, and their counterparts here, for faults about names that this agent does not
//! have.
//!
//! `docs/configuration.md` has the same as a table.

/// Advice for components whose work is done behind the agent.
const COLLECTOR: &str = "a Collector does this: send to one with the exporter `otlp_grpc`";

/// Components of the Collector and its contrib that have a counterpart here, by class.
pub(super) const COUNTERPARTS: [(&str, &str, &str); 17] = [
    ("receivers", "profiling", "write `ebpf`, which samples and needs no other key"),
    ("receivers", "ebpf_profiler", "write `ebpf`"),
    (
        "receivers",
        "hostmetrics",
        "run a Collector for it: this agent measures the CPU time of executables alone",
    ),
    ("processors", "batch", "exporters batch: write `sending_queue::batch` below each"),
    (
        "processors",
        "resourcedetection",
        "write `service::telemetry::resource`, or let the Collector behind do it",
    ),
    (
        "processors",
        "resource",
        "a Collector does this; attributes of the agent itself go to `service::telemetry::resource`",
    ),
    (
        "processors",
        "k8sattributes",
        "a Collector does this, by the attribute `container.id`: send to one on the same node",
    ),
    ("processors", "memory_ballast", "leave it out: write the processor `memory_limiter`"),
    ("exporters", "logging", "write `debug`"),
    ("exporters", "pprof", "write `file` with `format: pprof`"),
    (
        "exporters",
        "prometheusremotewrite",
        "write `prometheus`, and let a Prometheus or a Collector scrape it",
    ),
    ("extensions", "pprof", "leave it out: the agent profiles itself like any program"),
    ("extensions", "memory_ballast", "leave it out: write the processor `memory_limiter`"),
    ("extensions", "basicauth", "write `headers::authorization` in the exporter"),
    ("extensions", "bearertokenauth", "write `headers::authorization` in the exporter"),
    ("extensions", "headers_setter", "write `headers` in the exporter"),
    ("extensions", "opamp", "leave it out: the agent reads its configuration again on SIGHUP"),
];

/// Components of the Collector that have no counterpart here, by class.
const COLLECTORS: [(&str, &[&str]); 4] = [
    (
        "receivers",
        &[
            "filelog",
            "jaeger",
            "k8s_cluster",
            "kubeletstats",
            "otlp",
            "prometheus",
            "pyroscope",
            "syslog",
            "zipkin",
        ],
    ),
    (
        "processors",
        &[
            "attributes",
            "cumulativetodelta",
            "filter",
            "groupbyattrs",
            "groupbytrace",
            "metricstransform",
            "probabilistic_sampler",
            "redaction",
            "routing",
            "span",
            "tail_sampling",
            "transform",
        ],
    ),
    (
        "exporters",
        &[
            "awsxray",
            "clickhouse",
            "datadog",
            "elasticsearch",
            "googlecloud",
            "influxdb",
            "jaeger",
            "kafka",
            "loadbalancing",
            "loki",
            "nop",
            "otelarrow",
            "pulsar",
            "signalfx",
            "splunk_hec",
            "zipkin",
        ],
    ),
    ("extensions", &["awsproxy", "host_observer", "k8s_observer", "oauth2client", "oidc", "sigv4auth"]),
];

/// The advice for a component of a Collector's type; `None` if no Collector has that type either.
pub(super) fn component(class: &str, kind: &str) -> Option<&'static str> {
    let own = COUNTERPARTS.iter().find(|(of, name, _)| (*of, *name) == (class, kind));
    let others = || COLLECTORS.iter().any(|(of, names)| *of == class && names.contains(&kind));
    own.map(|(_, _, advice)| *advice).or_else(|| others().then_some(COLLECTOR))
}

/// The advice for a key of a Collector, by its path from the root.
pub(super) fn key(path: &[String]) -> Option<&'static str> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    match *path {
        ["connectors"] => Some(COLLECTOR),
        [
            "exporters",
            _,
            "insecure" | "insecure_skip_verify" | "ca_file" | "cert_file" | "key_file" | "min_version",
        ] => Some("write it below `tls`"),
        ["exporters", _, "loglevel"] => Some("write `verbosity`"),
        ["exporters", _, "queue_size" | "num_consumers"] => Some("write it below `sending_queue`"),
        ["exporters", _, "max_elapsed_time" | "initial_interval" | "max_interval"] => {
            Some("write it below `retry_on_failure`")
        }
        ["service", "telemetry", "metrics", "address"] => {
            Some("write `readers: [{ pull: { exporter: { prometheus: { host: HOST, port: PORT } } } }]`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::components::{EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};

    fn has(class: &str, kind: &str) -> bool {
        match class {
            "receivers" => Factory::find(RECEIVERS, kind).is_some(),
            "processors" => Factory::find(PROCESSORS, kind).is_some(),
            "exporters" => Factory::find(EXPORTERS, kind).is_some(),
            _ => Factory::find(EXTENSIONS, kind).is_some(),
        }
    }

    #[test]
    fn nothing_that_is_here_is_sent_elsewhere() {
        let others =
            COLLECTORS.iter().flat_map(|(class, kinds)| kinds.iter().map(move |kind| (*class, *kind)));
        for (class, kind) in COUNTERPARTS.iter().map(|(class, kind, _)| (*class, *kind)).chain(others) {
            assert!(!has(class, kind) && component(class, kind).is_some(), "{class} {kind}");
        }
        assert_eq!(component("receivers", "nobody_has_it"), None);
    }

    #[test]
    fn the_documentation_has_them_all() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = fs::read_to_string(path).unwrap();
        for (class, kind, advice) in COUNTERPARTS {
            let line = format!("| {} `{kind}` | {advice} |", class.trim_end_matches('s'));
            assert!(text.contains(&line), "{line}");
        }
    }
}
