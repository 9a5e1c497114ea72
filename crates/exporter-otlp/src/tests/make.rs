//! Batches, and readers of the log and the metrics.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use pdata::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// `count` samples at the start of second `second`, and the promise that it has passed.
pub(super) fn second(second: u64, count: u64) -> Batch {
    let start = second * 1_000_000_000;
    let events = (0..count).map(|n| Event::Sample(sample(start + n))).collect();
    Batch { events: Arc::new(events), watermark: after(second), ..Batch::default() }
}

/// The promise that second `second` has passed.
pub(super) fn after(second: u64) -> Watermark {
    Watermark::before(KTime::from_nanos((second + 1) * 1_000_000_000))
}

fn sample(at: u64) -> Sample {
    Sample { at: KTime::from_nanos(at), tid: Tid(1), ..Sample::default() }
}

/// Timestamps in a request.
pub(super) fn samples(request: &ExportProfilesServiceRequest) -> usize {
    let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    let samples = scopes.flat_map(|scope| &scope.profiles).flat_map(|profile| &profile.samples);
    samples.map(|sample| sample.timestamps_unix_nano.len()).sum()
}

/// Collects the log of this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_max_level(tracing::Level::INFO)
            .with_target(false);
        tracing::subscriber::set_default(subscriber.with_writer(move || log.clone()).finish())
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that answers every request, however little of it has come, by HTTP over TLS.
pub(super) async fn http_by_tls(config: rustls::ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _some = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                let _closed = stream.shutdown().await;
            });
        }
    });
    address
}
