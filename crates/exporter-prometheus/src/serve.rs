//! The page that scrapers fetch.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use confighttp::Format;

use crate::config::Config;
use crate::table::Table;
use crate::text::render;

/// Configuration and counters from which the page is made.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub config: Arc<Config>,
    pub table: Arc<Mutex<Table>>,
}

/// The routes of the server: `GET /metrics`, and nothing else.
pub(crate) fn router(page: Page) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(page)
}

async fn metrics(State(page): State<Page>, headers: HeaderMap) -> impl IntoResponse {
    let format = format(&headers, page.config.enable_open_metrics);
    // Copied, and let go of before the text is written: the stream must not wait for who reads it.
    let snapshot = page.table.lock().unwrap_or_else(PoisonError::into_inner).scrape();
    ([(CONTENT_TYPE, format.content_type())], render(&snapshot, &page.config, format))
}

/// The format for a client: OpenMetrics if the client names it and it is enabled, whatever else the client takes, since
/// Prometheus prefers it.
fn format(headers: &HeaderMap, open_metrics: bool) -> Format {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(','));
    let named = kinds.any(|kind| kind.trim_start().starts_with("application/openmetrics-text"));
    if open_metrics && named { Format::OpenMetrics } else { Format::Text }
}
