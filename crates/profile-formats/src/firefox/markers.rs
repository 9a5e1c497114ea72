//! Markers of the Firefox Profiler's format: exec, fork, exit and loss.

use serde_json::{Value, json};

use super::output::MarkerTable;
use super::symbols::Symbols;
use crate::model::{Marker, MarkerKind, Profile};

/// The schema by which the Firefox Profiler shows each kind of marker.
pub(super) fn schema() -> Value {
    let field = |key: &str, label: &str, format: &str| json!({ "key": key, "label": label, "format": format, "searchable": true });
    let kind = |name: &str, label: &str, fields: &[Value]| {
        json!({
            "name": name,
            "display": ["marker-chart", "marker-table", "timeline-overview"],
            "chartLabel": label,
            "tableLabel": label,
            "tooltipLabel": label,
            "fields": fields,
        })
    };
    let process = || [field("process", "Process", "string"), field("path", "Executable", "string")];
    let [fork_process, fork_path] = process();
    json!([
        kind("Exec", "exec {marker.data.path}", &process()),
        kind(
            "Fork",
            "fork by {marker.data.parent}",
            &[fork_process, fork_path, field("parent", "Parent", "string")]
        ),
        kind("Exit", "exit of {marker.data.process}", &process()),
        kind(
            "Loss",
            "{marker.data.count} lost: {marker.data.reason}",
            &[field("reason", "Reason", "string"), field("count", "Records", "integer")],
        ),
    ])
}

/// Adds a marker to a thread; instants are milliseconds since `start`.
pub(super) fn push(
    table: &mut MarkerTable,
    marker: &Marker,
    profile: &Profile,
    symbols: &mut Symbols,
    millis: impl Fn(pdata::UnixNanos) -> f64,
) {
    let tables = &profile.tables;
    let process = marker.process.and_then(|id| tables.processes.get(id));
    let pid = process.and_then(|process| process.process).map(|process| process.pid);
    let name = tables.text_or_empty(process.and_then(|process| process.name));
    let who = pid.map_or_else(|| name.to_owned(), |pid| format!("{name} ({pid})"));
    let path = tables.text_or_empty(process.and_then(|process| process.path));
    let at = millis(marker.at);
    let (name, data, start, end) = match marker.kind {
        MarkerKind::Exec => ("exec", json!({ "type": "Exec", "process": who, "path": path }), at, None),
        MarkerKind::Fork { parent } => {
            let parent = parent.pid.to_string();
            ("fork", json!({ "type": "Fork", "process": who, "path": path, "parent": parent }), at, None)
        }
        MarkerKind::Exit => ("exit", json!({ "type": "Exit", "process": who, "path": path }), at, None),
        MarkerKind::Loss { reason, count, since } => {
            let data = json!({ "type": "Loss", "reason": tables.text(reason), "count": count });
            ("loss", data, millis(since), Some(at))
        }
    };
    table.length += 1;
    table.category.push(0);
    table.data.push(data);
    table.name.push(symbols.string(name));
    table.phase.push(u8::from(end.is_some()));
    table.start_time.push(Some(start));
    table.end_time.push(end);
}
