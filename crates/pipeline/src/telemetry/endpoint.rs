//! Metrics, for Prometheus to fetch.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};

use metrics_exporter_prometheus::PrometheusBuilder;
use tracing::{error, info};

use super::TelemetryError;
use crate::config::Prometheus;

/// Where the endpoint is configured.
pub(super) const KEY: &str = "service::telemetry::metrics::readers::0::pull::exporter::prometheus";

/// Opens the endpoint and sends all metrics to it.
pub(super) fn install(config: &Prometheus) -> Result<(), TelemetryError> {
    let address = resolve(config)?;
    let cannot_listen = |reason: String| TelemetryError::Listen {
        address: format!("{}:{}", config.host, config.port),
        reason,
    };
    // Port 0 asks for any: found out here, since the exporter would not tell which.
    let address = match address.port() {
        0 => TcpListener::bind(address)
            .and_then(|listener| listener.local_addr())
            .map_err(|error| cannot_listen(error.to_string()))?,
        _ => address,
    };
    let (recorder, serve) = PrometheusBuilder::new()
        .with_http_listener(address)
        .build()
        .map_err(|error| cannot_listen(reason(&error)))?;
    metrics::set_global_recorder(recorder).map_err(|_installed| TelemetryError::Installed)?;
    tokio::spawn(async move {
        if let Err(error) = serve.await {
            error!(?error, "Metrics endpoint has stopped.");
        }
    });
    info!(endpoint = %format_args!("http://{address}/metrics"), "Serving metrics.");
    Ok(())
}

/// The address to listen on. Of several the first of IPv4, as in the Collector, else the first.
fn resolve(config: &Prometheus) -> Result<SocketAddr, TelemetryError> {
    let refuse = |reason: String| TelemetryError::Resolve { host: config.host.clone(), reason };
    let addresses = (config.host.as_str(), config.port).to_socket_addrs();
    let addresses: Vec<_> = addresses.map_err(|error| refuse(error.to_string()))?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| refuse("it has no address".to_owned()))
}

/// The operating system's reason, without the exporter's words around it.
fn reason(error: &metrics_exporter_prometheus::BuildError) -> String {
    use metrics_exporter_prometheus::BuildError;
    match error {
        BuildError::FailedToCreateHTTPListener(reason) => reason.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_its_ipv4_address_and_an_address_is_itself() {
        let listen =
            |host: &str| resolve(&Prometheus { host: host.to_owned(), port: 1 }).map(|a| a.to_string());
        assert_eq!(listen("localhost").unwrap(), "127.0.0.1:1");
        assert_eq!(listen("0.0.0.0").unwrap(), "0.0.0.0:1");
        assert_eq!(listen("::1").unwrap(), "[::1]:1");
    }
}
