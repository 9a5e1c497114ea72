//! Addresses that connections lead to.

use std::path::PathBuf;

/// An address that a server or a proxy listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketAddress {
    /// Host name, or address without brackets, and port.
    Tcp(String, u16),
    /// Path of a socket in the file system.
    Unix(PathBuf),
}

impl SocketAddress {
    /// A host, as it stands in a URL, and a port.
    pub(crate) fn tcp(host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Self::Tcp(bare.unwrap_or(host).to_owned(), port)
    }

    /// The name that the server's certificate has to carry, unless the user configures another.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Tcp(host, _) => host,
            Self::Unix(_) => "localhost",
        }
    }
}
