//! The server of the pages.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use componentstatus::Board;
use confighttp::{ListenError, Server};
use stack_quality::{QualityBoard, Watch};
use tracing::info;

use crate::config::Config;
use crate::pages::{About, extensionz, featurez, pipelinez, servicez};
use crate::stacks::stackz;

/// Running pages; dropping them ends them.
#[derive(Debug)]
pub struct ZPages {
    server: Server,
    /// Has stacks counted while the pages are served.
    _watch: Watch,
}

/// The sources of the pages' contents.
pub struct Source {
    /// The board on which stages report.
    pub board: Arc<Board>,
    /// The board of the quality of stacks.
    pub stacks: Arc<QualityBoard>,
    /// Returns the facts of the process, for each page anew.
    pub about: Box<dyn Fn() -> About + Send + Sync>,
}

struct Shown {
    source: Source,
    since: Instant,
}

impl ZPages {
    /// Listens on the endpoint of `config`. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`] if the endpoint cannot be opened.
    pub fn start(config: &Config, source: Source) -> Result<Self, ListenError> {
        let watch = source.stacks.watch();
        let shown = Arc::new(Shown { source, since: Instant::now() });
        let router = Router::new()
            .route("/", get(pipelines))
            .route("/debug/pipelinez", get(pipelines))
            .route("/debug/stackz", get(stacks))
            .route("/debug/servicez", get(service))
            .route("/debug/extensionz", get(extensions))
            .route("/debug/featurez", get(features))
            .with_state(shown);
        let server = Server::start(&config.endpoint, router)?;
        info!(endpoint = %format_args!("http://{}/debug/pipelinez", server.address()), "Serving pages.");
        Ok(Self { server, _watch: watch })
    }

    /// The endpoint that the pages are served at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Ends the pages; done when the port is free again.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        self.server.stop()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

async fn pipelines(State(shown): State<Arc<Shown>>) -> Response {
    answer(pipelinez(&shown.source.board.snapshot()))
}

async fn stacks(State(shown): State<Arc<Shown>>) -> Response {
    answer(stackz(&shown.source.stacks.snapshot()))
}

async fn service(State(shown): State<Arc<Shown>>) -> Response {
    let Shown { source, since } = &*shown;
    answer(servicez(&(source.about)(), source.board.phase(), since.elapsed()))
}

async fn extensions(State(shown): State<Arc<Shown>>) -> Response {
    answer(extensionz(&(shown.source.about)()))
}

async fn features(State(shown): State<Arc<Shown>>) -> Response {
    answer(featurez(&(shown.source.about)()))
}

/// The response with a page, whose headers forbid to run or fetch anything, whatever gets into the
/// page.
fn answer(page: String) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use confighttp::Endpoint;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::html::PAGES;

    #[tokio::test]
    async fn every_page_is_served_until_the_end() {
        let about = Box::new(About::default);
        let config = Config { endpoint: Endpoint::new("localhost", 0) };
        let pages =
            ZPages::start(&config, Source { board: Arc::default(), stacks: Arc::default(), about }).unwrap();
        for path in PAGES.into_iter().chain(["/"]) {
            let mut stream = TcpStream::connect(pages.address()).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
            assert!(answer.contains("content-security-policy: default-src 'none'"), "{path}: {answer}");
            assert!(answer.ends_with("</body></html>\n"), "{path}: {answer}");
        }
        pages.stop().await;
        assert!(TcpStream::connect(pages.address()).await.is_err());
    }
}
