//! The endpoint that Prometheus scrapes.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use confighttp::Format;

use crate::metrics::exposition::render;
use crate::metrics::family::Family;
use crate::metrics::{Registry, Views};
use crate::process::ProcessGauges;

/// Name of the format, among others that a client may ask for.
const OPENMETRICS: &str = "application/openmetrics-text";

/// The source of the served metrics; a clone serves the same.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    registry: Registry,
    /// Gauges of the process; set once the registry is the one that the process records in.
    process: Arc<OnceLock<ProcessGauges>>,
    shown: Arc<RwLock<Shown>>,
}

/// The parts that may change while metrics are served.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) views: Views,
    pub(crate) target_info: Family,
}

impl Source {
    pub(crate) fn new(registry: Registry, shown: Shown) -> Self {
        Self { registry, process: Arc::default(), shown: Arc::new(RwLock::new(shown)) }
    }

    pub(crate) fn show(&self, shown: Shown) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Sets the gauges that are measured for each scrape.
    pub(crate) fn measures(&self, process: ProcessGauges) {
        // Of one process there is one set of them.
        let _first = self.process.set(process);
    }

    /// Returns the metrics as they are now, for one scrape.
    pub(crate) fn scrape(&self, format: Format) -> String {
        if let Some(process) = self.process.get() {
            process.measure();
        }
        let Shown { views, target_info } = self.shown.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut families: Vec<_> =
            self.registry.collect().into_iter().filter_map(|metric| views.apply(metric)).collect();
        families.push(target_info);
        render(&families, format)
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/metrics", get(answer)).with_state(self)
    }
}

async fn answer(State(source): State<Source>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = negotiate(&accept.collect::<Vec<_>>().join(","));
    ([(header::CONTENT_TYPE, format.content_type())], source.scrape(format)).into_response()
}

/// The format that a client with this `accept` header prefers: OpenMetrics 1.0 if the client names it and likes none of
/// our other formats better.
fn negotiate(accept: &str) -> Format {
    let mut quality = [0_u32; 2];
    for part in accept.split(',') {
        let mut parameters = part.split(';').map(str::trim);
        let kind = parameters.next().unwrap_or_default();
        let (mut wanted, mut version) = (1000, None);
        for (key, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
            match key.trim() {
                "q" => wanted = thousandths(value.trim()),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        let [text, openmetrics] = &mut quality;
        match kind {
            OPENMETRICS if version.is_none_or(|version| version == "1.0.0") => {
                *openmetrics = wanted.max(*openmetrics)
            }
            "text/plain" => *text = wanted.max(*text),
            _ => {}
        }
    }
    let [text, openmetrics] = quality;
    if openmetrics > 0 && openmetrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// A quality of RFC 9110, 0 to 1, in thousandths; a text that is none counts as 0, not wanted.
fn thousandths(quality: &str) -> u32 {
    let quality: f64 = quality.parse().unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 1000")]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0).round() as u32;
    thousandths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        // Prometheus 2.42 and 3.0.
        for accept in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4",
            "application/openmetrics-text",
            "application/openmetrics-text; version=\"1.0.0\"",
        ] {
            assert_eq!(negotiate(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain;q=0.3",
            "application/openmetrics-text;q=NaN",
        ] {
            assert_eq!(negotiate(accept), Format::Text, "{accept}");
        }
    }

    proptest! {
        /// Whatever a client asks for, it is answered.
        #[test]
        fn any_header_is_understood(accept in "([a-z/*-]{0,12}[;,=]? ?(q=[0-9.]{0,4})?){0,6}", any: String) {
            let _formats = (negotiate(&accept), negotiate(&any));
        }
    }
}
