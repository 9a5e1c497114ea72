//! Texts of the pages, made of snapshots of the agent's state.

use std::collections::BTreeSet;
use std::time::Duration;

use componentstatus::{Phase, StageView};
use configtypes::GoDuration;

use crate::html::{Cell, Page};

/// Facts of the process: version, start time and the like.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Version of the agent.
    pub version: String,
    /// Ids of the extensions that run.
    pub extensions: Vec<String>,
    /// Feature gates that are known, and whether they are on.
    pub features: Vec<(String, bool)>,
}

const COLUMNS: [&str; 10] = [
    "stage",
    "component",
    "samples/s",
    "samples",
    "batches",
    "queue",
    "dropped",
    "watermark lag",
    "acked lag",
    "last error",
];

/// The page about the pipelines, each with its stages.
pub(crate) fn pipelinez(stages: &[StageView]) -> String {
    let mut page = Page::new("Pipelines");
    let pipelines: BTreeSet<_> = stages.iter().flat_map(|stage| &stage.pipelines).collect();
    if pipelines.is_empty() {
        page.paragraph(&"No pipeline runs.");
    }
    for pipeline in pipelines {
        page.heading(pipeline);
        page.table(&COLUMNS);
        for stage in stages.iter().filter(|stage| stage.pipelines.contains(pipeline)) {
            page.row(&row(stage));
        }
        page.end_table();
    }
    page.finish()
}

fn row(stage: &StageView) -> [Cell; 10] {
    let lag = |lag: Option<Duration>| Cell::Number(lag.map_or_else(|| "-".to_owned(), short));
    let queue = stage
        .queue
        .map(|queue| format!("{} of {} KiB", queue.used_bytes / 1024, queue.capacity_bytes / 1024));
    let failure = stage.last_failure.as_ref().map(|failure| {
        let text = format!("{} ago: {}", short(failure.at.elapsed()), failure.error);
        if failure.persists { Cell::Bad(text) } else { Cell::Text(format!("(over) {text}")) }
    });
    [
        Cell::Text(stage.kind.to_string()),
        Cell::Text(stage.id.to_string()),
        Cell::Number(format!("{:.1}", stage.samples_per_second)),
        Cell::Number(stage.samples.to_string()),
        Cell::Number(stage.batches.to_string()),
        Cell::Number(queue.unwrap_or_else(|| "-".to_owned())),
        Cell::Number(stage.dropped.to_string()),
        lag(stage.watermark_lag),
        lag(stage.acked_lag),
        failure.unwrap_or(Cell::Text("-".to_owned())),
    ]
}

/// The page about the process.
pub(crate) fn servicez(about: &About, phase: Phase, uptime: Duration) -> String {
    let mut page = Page::new("Service");
    page.table(&["", ""]);
    let phase = match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Stopping => "stopping",
    };
    let uptime = GoDuration(Duration::from_secs(uptime.as_secs())).to_string();
    for (what, value) in [("version", about.version.clone()), ("phase", phase.to_owned()), ("uptime", uptime)]
    {
        page.row(&[Cell::Text(what.to_owned()), Cell::Text(value)]);
    }
    page.end_table();
    page.finish()
}

/// The page about the extensions.
pub(crate) fn extensionz(about: &About) -> String {
    let mut page = Page::new("Extensions");
    page.table(&["extension"]);
    for id in &about.extensions {
        page.row(&[Cell::Text(id.clone())]);
    }
    page.end_table();
    page.finish()
}

/// The page about the feature gates.
pub(crate) fn featurez(about: &About) -> String {
    let mut page = Page::new("Feature gates");
    page.table(&["gate", "state"]);
    for (gate, on) in &about.features {
        page.row(&[Cell::Text(gate.clone()), Cell::Text(if *on { "on" } else { "off" }.to_owned())]);
    }
    page.end_table();
    page.finish()
}

/// A duration as text, to the millisecond.
fn short(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    GoDuration(Duration::from_millis(millis)).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use componentstatus::{Board, Kind, Queue, Stage};
    use pdata::Watermark;

    use super::*;

    /// A board, and its stages, which it shows for as long as somebody has them.
    fn board() -> (Board, [Arc<Stage>; 2]) {
        let board = Board::default();
        let both = ["profiles".to_owned(), "profiles/b".to_owned()];
        let receiver = board.stage(Kind::Receiver, "ebpf", &both);
        receiver.forwarded(7, Watermark::END);
        let exporter = board.stage(Kind::Exporter, "otlp/<b>", &both[1..]);
        exporter.queue(Queue { used_bytes: 2048, capacity_bytes: 4096 });
        exporter.dropped(3);
        exporter.status().failed(&"<script>alert(1)</script>");
        (board, [receiver, exporter])
    }

    /// Texts of the cells, row by row.
    fn cells(page: &str) -> Vec<Vec<&str>> {
        let rows = page.split("<tr>").skip(1).filter(|row| row.contains("<td"));
        rows.map(|row| {
            row.split("<td")
                .skip(1)
                .map(|cell| &cell[cell.find('>').unwrap() + 1..cell.find("</td>").unwrap()])
                .collect()
        })
        .collect()
    }

    #[test]
    fn each_pipeline_shows_its_stages_with_queue_lag_and_error() {
        let (board, _stages) = board();
        let page = pipelinez(&board.snapshot());
        let headings: Vec<_> =
            page.split("<h2>").skip(1).map(|rest| rest.split("</h2>").next().unwrap()).collect();
        assert_eq!(headings, ["profiles", "profiles/b"]);
        let rows = cells(&page);
        let ids: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
        assert_eq!(ids, [("receiver", "ebpf"), ("receiver", "ebpf"), ("exporter", "otlp/&lt;b&gt;")]);
        assert_eq!(rows[0][3..7], ["7", "1", "-", "0"]);
        assert_eq!(rows[0][7..], ["-", "-", "-"], "its stream has ended, and it has never failed");
        assert_eq!(rows[2][5..7], ["2 of 4 KiB", "3"]);
        assert!(rows[2][9].ends_with("ago: &lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(page.contains("<td class=\"bad\">") && !page.contains("<script>"), "{page}");
        assert!(pipelinez(&[]).contains("No pipeline runs."));
    }

    #[test]
    fn the_other_pages_list_what_they_are_given() {
        let about = About {
            version: "1.2.3".to_owned(),
            extensions: vec!["zpages".to_owned()],
            features: vec![("service.profilesSupport".to_owned(), true)],
        };
        assert_eq!(
            cells(&servicez(&about, Phase::Running, Duration::from_millis(61_900))),
            [["version", "1.2.3"], ["phase", "running"], ["uptime", "1m1s"]]
        );
        assert_eq!(cells(&extensionz(&about)), [["zpages"]]);
        assert_eq!(cells(&featurez(&about)), [["service.profilesSupport", "on"]]);
    }
}
