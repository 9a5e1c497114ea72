//! Connections to the API server: TCP and TLS, verified by the authority that the cluster names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authorities::Authorities;
use crate::error::ApiError;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which TCP asks whether the other side is still there: a watch is silent for minutes.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Time after which TCP gives up on bytes that nobody acknowledges.
const USER_TIMEOUT_MS: u32 = 30_000;

/// A connection, ready for HTTP.
pub(crate) type ApiConnection = TokioIo<TlsStream<TcpStream>>;

/// The address of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiEndpoint {
    /// Host and port, as the request's `Host` has them.
    authority: String,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl ApiEndpoint {
    /// Reads `https://HOST` or `https://HOST:PORT`; `None` if it is neither. A token is never shown without TLS.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        if uri.scheme_str() != Some("https") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return None;
        }
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(':') => return None,
            None => 443,
        };
        let name = ServerName::try_from(host.clone()).ok()?;
        Some(Self { authority: authority.as_str().to_owned(), host, port, name })
    }

    /// The endpoint of a host, which may be an address of version 6, and a port.
    pub(crate) fn of(host: &str, port: &str) -> Option<Self> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self::parse(&format!("https://{host}:{port}"))
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// A new connection, by the certificates that the authorities have now.
    ///
    /// # Errors
    /// If there are none, or the server cannot be reached or is not the one that it should be.
    pub(crate) async fn connect(&self, authorities: &Authorities) -> Result<ApiConnection, ApiError> {
        let tls = TlsConnector::from(Arc::new(client(authorities).await?));
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.establish(&tls)).await;
        connected.map_err(|_elapsed| ApiError::Late(CONNECT_TIMEOUT))?.map_err(ApiError::Connect)
    }

    async fn establish(&self, tls: &TlsConnector) -> io::Result<ApiConnection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
        sockopt::set_tcp_keepintvl(&stream, KEEPALIVE)?;
        sockopt::set_tcp_user_timeout(&stream, USER_TIMEOUT_MS)?;
        Ok(TokioIo::new(tls.connect(self.name.clone(), stream).await?))
    }
}

async fn client(authorities: &Authorities) -> Result<ClientConfig, ApiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(ApiError::Tls)?;
    Ok(builder.with_root_certificates(authorities.read().await?).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_or_refused() {
        let of = |text: &str| ApiEndpoint::parse(text).map(|found| (found.host, found.port));
        assert_eq!(of("https://10.96.0.1"), Some(("10.96.0.1".to_owned(), 443)));
        assert_eq!(of("https://api.example:6443/"), Some(("api.example".to_owned(), 6443)));
        assert_eq!(of("https://[fd00::1]:6443"), Some(("fd00::1".to_owned(), 6443)));
        for fault in
            ["", "http://a:1", "https://", "https://a/b", "https://a:", "https://u@a", "a:1", "https://a?b"]
        {
            assert_eq!(of(fault), None, "{fault}");
        }
        assert_eq!(
            ApiEndpoint::of("fd00::1", "443").map(|found| found.authority),
            Some("[fd00::1]:443".to_owned())
        );
    }
}
