//! Connections to servers: TCP, with TLS for `https`.

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::address::Url;
use crate::error::FetchError;

/// The authorities that may vouch for a server.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    /// The configuration for connections, made when the first is.
    client: OnceLock<Arc<ClientConfig>>,
    /// Certificates in the place of the system's.
    #[cfg(test)]
    roots: Option<RootCertStore>,
}

/// A connection that may be used for one request after another.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) url: Url,
    sender: SendRequest<Empty<Bytes>>,
    _driven: Driven,
}

/// The task that moves a connection's bytes; the task ends when this value is dropped.
#[derive(Debug)]
struct Driven(JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// A new connection to the server of a URL.
    ///
    /// # Errors
    /// If the server cannot be reached, or is not the one that it should be.
    pub(crate) async fn open(url: &Url, tls: &Tls) -> Result<Self, FetchError> {
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(FetchError::Connect)?;
        stream.set_nodelay(true).map_err(FetchError::Connect)?;
        if !url.is_tls {
            return Self::over(url, stream).await;
        }
        let name = ServerName::try_from(url.host.clone());
        let name = name.map_err(|_invalid| FetchError::Connect(io::ErrorKind::InvalidInput.into()))?;
        let connector = TlsConnector::from(tls.client().map_err(FetchError::Connect)?);
        Self::over(url, connector.connect(name, stream).await.map_err(FetchError::Connect)?).await
    }

    async fn over(
        url: &Url,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, FetchError> {
        let (sender, driver) = http1::handshake(TokioIo::new(io)).await.map_err(FetchError::Broken)?;
        // Whoever reads the answer sees what becomes of the connection.
        let driven = Driven(tokio::spawn(async move { drop(driver.await) }));
        Ok(Self { url: url.clone(), sender, _driven: driven })
    }

    /// True if the connection can be used for another request.
    pub(crate) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request and returns the head of the answer.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(crate) async fn get(&mut self, url: &Url) -> Result<Response<Incoming>, FetchError> {
        let request = Request::get(url.path.as_str())
            .header(HOST, url.authority.as_str())
            .header(ACCEPT, "*/*")
            .header(USER_AGENT, concat!("pipeline/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new());
        // A path that was read from a URL is one.
        let request = request.map_err(|_invalid| FetchError::Redirection)?;
        self.sender.send_request(request).await.map_err(FetchError::Broken)
    }
}

impl Tls {
    /// A configuration that trusts these certificates alone.
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { roots: Some(roots), ..Self::default() }
    }

    fn client(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?;
        let client = builder.with_root_certificates(self.roots()?).with_no_client_auth();
        Ok(Arc::clone(self.client.get_or_init(|| Arc::new(client))))
    }

    fn roots(&self) -> io::Result<RootCertStore> {
        #[cfg(test)]
        if let Some(roots) = &self.roots {
            return Ok(roots.clone());
        }
        let mut store = RootCertStore::empty();
        let (added, _ignored) =
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(io::Error::other("the system has no certificates to verify servers by"));
        }
        Ok(store)
    }
}
