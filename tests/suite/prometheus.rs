//! The agent's own metrics, read by a real Prometheus and its tools.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::metrics::Metrics;
use tests::overlay::merge;
use tests::program::{self, Burner, Step};
use tests::prometheus::{INTERVAL, JOB, Prometheus, promtool};
use tests::{http, wait, workspace};

use crate::alone;

const RULES: &str = "../config/monitoring/prometheus-rules.yaml";
const DASHBOARD: &str = "../config/monitoring/grafana-dashboard.json";

/// Time for which Prometheus scrapes.
const MINUTE: Duration = Duration::from_secs(60);

/// An agent with every component that has metrics: every processor, an exporter with a queue, and the extensions.
fn agent(telemetry: &Value) -> (Agent, [u16; 2]) {
    let nobody = format!("localhost:{}", workspace::free_port());
    let ports = [workspace::free_port(), workspace::free_port()];
    let [health, pages] = ports.map(|port| format!("localhost:{port}"));
    let setup = Setup::new().otlp(&nobody);
    let agent = setup.with(json!({
        "processors": { "memory_limiter": { "limit_mib": 2048 } },
        "extensions": { "health_check": { "endpoint": health }, "zpages": { "endpoint": pages } },
        "service": {
            "extensions": ["health_check", "zpages"],
            "pipelines": { "profiles": { "processors": ["memory_limiter", "procinfo"] } },
            "telemetry": telemetry,
        },
    }));
    (agent.start(), ports)
}

/// For a minute each scrape succeeds, in the format that Prometheus asks for (OpenMetrics); its API then shows that
/// samples are taken and sent, and the agent's resource; the shipped rules are evaluated without fault, and those that
/// watch over a healthy agent are silent.
#[test]
#[ignore = "needs root and Prometheus: loads BPF programs, see tests/setup.sh"]
fn a_real_prometheus_scrapes_the_agent_for_a_minute() {
    let _alone = alone();
    let port = workspace::free_port();
    let reader = json!({ "pull": { "exporter": { "prometheus": { "port": port } } } });
    let telemetry = json!({ "metrics": { "level": "detailed", "readers": [reader] } });
    let (_agent, [health, pages]) = agent(&telemetry);
    let rules = workspace::file(RULES);
    let prometheus = Prometheus::start(port, &[&rules]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("burn");
    program::compile(&path, "0123456789abcdef");
    let start = Instant::now();
    while start.elapsed() < MINUTE {
        assert_eq!(Burner::start(&path, &[Step::Cpu(Duration::from_secs(1))]).finish().len(), 1);
    }

    // Half of the scrapes at least: the first and the last are a matter of chance, and Prometheus may be late, too.
    let scrapes = one(&prometheus, &format!("count_over_time(up{{job=\"{JOB}\"}}[1m])"));
    let due = MINUTE.as_secs_f64() / INTERVAL.as_secs_f64();
    assert!(scrapes >= due / 2.0, "only {scrapes} scrapes of {due} in a minute");
    assert_eq!(
        one(&prometheus, &format!("min_over_time(up{{job=\"{JOB}\"}}[1m])")),
        1.0,
        "a scrape has failed"
    );
    let target = &prometheus.api("targets")["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")));
    for rising in [
        "otelcol_receiver_accepted_profile_samples{receiver=\"ebpf\",transport=\"ebpf\"}",
        "otelcol_exporter_sent_profile_samples{exporter=\"file\"}",
        "otelcol_process_uptime",
        "otelcol_process_cpu_seconds",
        "otelcol_processor_internal_duration_count{processor=\"procinfo\"}",
        "sum(otelcol_receiver_ebpf_program_runs_total)",
        "sum(otelcol_receiver_ebpf_program_run_seconds_total)",
    ] {
        assert!(one(&prometheus, rising) > 0.0, "{rising}");
        assert!(one(&prometheus, &format!("delta(({rising})[40s:1s])")) > 0.0, "{rising} does not rise");
    }
    let [(info, value)] = <[_; 1]>::try_from(prometheus.query("target_info")).expect("one agent");
    assert_eq!(value, 1.0);
    assert_eq!(info.get("service_name").map(String::as_str), Some("pipeline"));
    assert!(info.contains_key("service_version") && info.contains_key("service_instance_id"), "{info:?}");

    let rules = prometheus.api("rules");
    let rules: Vec<_> = rules["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|group| group["rules"].as_array())
        .flatten()
        .collect();
    assert!(rules.len() >= 10, "{rules:?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        let quiet =
            ["PipelineDown", "PipelineReceiverStalled", "PipelineWatermarkLag", "PipelineMemoryLimit"];
        if quiet.iter().any(|name| rule["name"] == *name) {
            assert_eq!(rule["state"], "inactive", "{rule}");
        }
    }

    let healthy = http::get(health, "/").expect("the health check answers");
    assert_eq!(healthy.status, 200, "{}", healthy.body);
    assert!(
        healthy.body.starts_with("{\"status\":\"Server available\",\"upSince\":\"20"),
        "{}",
        healthy.body
    );
    let page = http::get(pages, "/debug/pipelinez").expect("the pages are served").body;
    for component in ["ebpf", "memory_limiter", "procinfo", "file", "otlp"] {
        assert!(page.contains(&format!("<td>{component}")), "{component} is not on the page: {page}");
    }
    let page = http::get(pages, "/debug/stackz").expect("the pages are served").body;
    let row = page.split("<tr>").find(|row| row.contains(&format!("<td>{}</td>", path.display())));
    let row = row.unwrap_or_else(|| panic!("the burner is not on the page: {page}"));
    let [stacks, whole] =
        [1, 2].map(|column| row.split("</td>").nth(column).and_then(|cell| cell.rsplit('>').next()));
    assert!(stacks.and_then(|stacks| stacks.parse::<u64>().ok()).is_some_and(|stacks| stacks > 0), "{row}");
    assert!(whole.is_some_and(|whole| whole.ends_with(" %")), "none of its stacks is whole: {row}");
}

/// The only value of an expression.
fn one(prometheus: &Prometheus, expression: &str) -> f64 {
    let found = prometheus.query(expression);
    let [(_, value)] = found.as_slice() else { panic!("{expression} is {found:?}") };
    *value
}

/// `promtool` finds no fault with the metrics at any level and with any style of names. The metrics that the dashboard
/// and the rules refer to exist at level detailed.
#[test]
#[ignore = "needs root and Prometheus: loads BPF programs, see tests/setup.sh"]
fn promtool_finds_no_fault_with_the_metrics() {
    let _alone = alone();
    for level in ["basic", "normal", "detailed"] {
        let names = clean(level, &json!({}));
        assert!(
            names.contains("otelcol_receiver_accepted_profile_samples") && names.contains("target_info"),
            "{names:?}"
        );
        assert_eq!(names.contains("otelcol_receiver_ebpf_ticks_total"), level != "basic", "{names:?}");
        assert_eq!(
            names.contains("otelcol_processor_internal_duration_bucket"),
            level == "detailed",
            "{names:?}"
        );
        if level == "detailed" {
            let missing: Vec<_> = asked_for().into_iter().filter(|name| !names.contains(name)).collect();
            assert!(missing.is_empty(), "asked for and not exposed: {missing:?}");
        }
    }
    let style = json!({ "without_type_suffix": false, "without_units": false, "without_scope_info": false });
    let names = clean("normal", &style);
    assert!(names.contains("otelcol_receiver_accepted_profile_samples_total"), "{names:?}");
    assert!(names.contains("otelcol_process_uptime_seconds_total"), "{names:?}");
}

/// Names of all series that an agent exposes at this level, with names of this style.
fn clean(level: &str, style: &Value) -> BTreeSet<String> {
    let port = workspace::free_port();
    let mut endpoint = json!({ "port": port });
    merge(&mut endpoint, style);
    let reader = json!({ "pull": { "exporter": { "prometheus": endpoint } } });
    let (agent, _ports) = agent(&json!({ "metrics": { "level": level, "readers": [reader] } }));
    let look = || {
        let text = Metrics::text(port).expect("the agent serves metrics");
        promtool(&["check", "metrics"], &text)
            .unwrap_or_else(|fault| panic!("{level}, {style}: {fault}{text}"));
        Metrics::parse(&text).names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let asked_for = if level == "detailed" { asked_for() } else { BTreeSet::new() };
    let what = format!("all of {asked_for:?} to be exposed");
    let names = wait::until(&what, look, |names| asked_for.is_subset(names));
    drop(agent);
    names
}

/// Every metric that the dashboard and the rules refer to.
fn asked_for() -> BTreeSet<String> {
    let read = |path: &str| fs::read_to_string(workspace::file(path)).expect("it is text");
    let text = [read(RULES), read(DASHBOARD)].concat();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("otelcol_") || *word == "target_info").map(str::to_owned).collect()
}

/// Every panel of the dashboard has a query, a position and a name of its own.
#[test]
fn the_dashboard_is_whole() {
    let text = fs::read_to_string(workspace::file(DASHBOARD)).expect("it is text");
    let dashboard: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let (rows, panels): (Vec<_>, Vec<_>) = panels.iter().partition(|panel| panel["type"] == "row");
    assert!(rows.len() >= 3 && panels.len() >= 10, "{} rows, {} panels", rows.len(), panels.len());
    for panel in &panels {
        let targets = panel["targets"].as_array().expect("a panel asks for something");
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let expr = target["expr"].as_str().unwrap_or_default();
            assert!(
                expr.contains("instance=~\"$instance\""),
                "{}: {expr} is of all instances",
                panel["title"]
            );
        }
    }
    for key in ["id", "title", "gridPos"] {
        let values: BTreeSet<_> = panels.iter().map(|panel| panel[key].to_string()).collect();
        assert_eq!(values.len(), panels.len(), "two panels have the same {key}");
    }
}

/// `promtool` finds no fault with the rules, and they fire when they should and not otherwise.
#[test]
#[ignore = "needs Prometheus, see tests/setup.sh"]
fn promtool_finds_no_fault_with_the_rules() {
    let check = |args: &[&str], path: PathBuf| {
        let path = path.to_str().expect("a path of ours is text");
        promtool(&[args, &[path]].concat(), "").unwrap_or_else(|fault| panic!("{path}: {fault}"));
    };
    check(&["check", "rules"], workspace::file(RULES));
    check(&["test", "rules"], workspace::file("fixtures/prometheus-rules-test.yaml"));
}
