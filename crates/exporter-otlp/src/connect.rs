//! Makes connections to one server: TCP or a socket in the file system, by a proxy or not, with TLS or not.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tower::{Service, service_fn};

use crate::address::SocketAddress;
use crate::conn::{Conn, Io};
use crate::proxy::Proxy;
use crate::tls::Tls;

/// The longest time to connect if attempts have no bound of their own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which TCP asks whether the other side is still there; as Go does.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);
/// Time after which TCP drops a connection with bytes that nobody acknowledges: a connection to a machine that is gone
/// must not swallow requests for the quarter of an hour that Linux would try.
const TCP_USER_TIMEOUT_MS: u32 = 30_000;

/// The way to one server: its address, TLS, and the proxy between.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) address: SocketAddress,
    pub(crate) tls: Option<(Arc<Tls>, ServerName<'static>)>,
    /// The proxy to connect through, and the destination that a proxy which only passes on bytes is to connect to.
    pub(crate) proxy: Option<(Proxy, Uri)>,
    pub(crate) timeout: Duration,
}

impl Connector {
    async fn connect(self) -> io::Result<Conn> {
        let timeout = if self.timeout.is_zero() { CONNECT_TIMEOUT } else { self.timeout };
        let late =
            |_late| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {timeout:?}"));
        tokio::time::timeout(timeout, self.establish()).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn establish(self) -> io::Result<Conn> {
        let io = match &self.proxy {
            None => dial(&self.address).await?,
            // Asked for each thing in turn.
            Some((proxy, _)) if self.tls.is_none() => {
                return Ok(Conn::new(dial(&proxy.address).await?, false, true));
            }
            Some((proxy, destination)) => tunnel(proxy, destination.clone()).await?,
        };
        let Some((tls, name)) = self.tls else { return Ok(Conn::new(io, false, false)) };
        let stream = TlsConnector::from(tls.current().await).connect(name, io).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Conn::new(Box::new(stream), http2, false))
    }
}

/// A connection of its own to `address`.
async fn dial(address: &SocketAddress) -> io::Result<Box<dyn Io>> {
    match address {
        SocketAddress::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            sockopt::set_socket_keepalive(&stream, true)?;
            sockopt::set_tcp_keepidle(&stream, TCP_KEEPALIVE)?;
            sockopt::set_tcp_keepintvl(&stream, TCP_KEEPALIVE)?;
            sockopt::set_tcp_user_timeout(&stream, TCP_USER_TIMEOUT_MS)?;
            Ok(Box::new(stream))
        }
        SocketAddress::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
    }
}

/// A connection through a proxy, by `CONNECT`.
async fn tunnel(proxy: &Proxy, destination: Uri) -> io::Result<Box<dyn Io>> {
    let address = proxy.address.clone();
    let connector = service_fn(move |_proxy: Uri| {
        let address = address.clone();
        async move { dial(&address).await.map(TokioIo::new) }
    });
    let mut tunnel = Tunnel::new(proxy.url.clone(), connector);
    if let Some(auth) = &proxy.auth {
        tunnel = tunnel.with_auth(auth.clone());
    }
    tunnel.call(destination).await.map(TokioIo::into_inner).map_err(io::Error::other)
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Conn>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Connects. The URI is that of the request: the destination is known already.
    fn call(&mut self, _uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
