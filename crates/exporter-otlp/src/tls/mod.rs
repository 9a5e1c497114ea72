//! TLS with the certificates that the user names: they are read when the exporter starts, and again when a file has
//! changed.

mod load;
mod verify;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Stat, stat};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use crate::config::TlsConfig;
use crate::error::ConnectError;

/// The TLS configuration of connections. Each new connection uses the files as they are then; if these cannot be used,
/// the last ones that could.
#[derive(Debug)]
pub(crate) struct Tls {
    config: TlsConfig,
    /// Protocols offered over TLS, the preferred first.
    alpn: &'static [&'static [u8]],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    client: Arc<ClientConfig>,
    files: Vec<Option<Stamp>>,
    checked: Instant,
}

/// Facts of a file that change when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Tls {
    /// Reads the files that the configuration names. May block.
    ///
    /// # Errors
    /// An error that names the key at fault.
    pub(crate) fn new(config: &TlsConfig, alpn: &'static [&'static [u8]]) -> Result<Self, ConnectError> {
        // Before the files are read, so that a change in between is seen the next time.
        let files = stamps(config);
        let client = Arc::new(load::client(config, alpn)?);
        let state = Mutex::new(State { client, files, checked: Instant::now() });
        Ok(Self { config: config.clone(), alpn, state })
    }

    /// The configuration for all of an exporter's servers, like that of [`new`](Self::new); reads nothing if none of
    /// them is spoken to by TLS.
    ///
    /// # Errors
    /// An error that names the key at fault.
    pub(crate) fn if_needed(
        needed: bool,
        config: &TlsConfig,
        alpn: &'static [&'static [u8]],
    ) -> Result<Option<Arc<Self>>, ConnectError> {
        needed.then(|| Self::new(config, alpn).map(Arc::new)).transpose()
    }

    /// The parts that a connection to `host` needs: this configuration, and the name that the server's certificate must
    /// have.
    ///
    /// # Errors
    /// If `host`, or the name that the user configured in its place, is no name.
    pub(crate) fn for_host(
        self: &Arc<Self>,
        host: &str,
    ) -> Result<(Arc<Self>, ServerName<'static>), ConnectError> {
        Ok((Arc::clone(self), self.server_name(host)?))
    }

    fn server_name(&self, host: &str) -> Result<ServerName<'static>, ConnectError> {
        let name = self.config.server_name_override.as_deref();
        let key = if name.is_some() { "tls::server_name_override" } else { "endpoint" };
        let name = name.unwrap_or(host).to_owned();
        let refuse = format!(
            "{key}: {name:?} is no name that a certificate can have, expected a host name or address"
        );
        ServerName::try_from(name).map_err(|_invalid| ConnectError::Config(refuse))
    }

    /// The configuration for a connection that is made now.
    pub(crate) async fn current(self: Arc<Self>) -> Arc<ClientConfig> {
        let (client, is_due) = self.held();
        if !is_due {
            return client;
        }
        // Reads files.
        tokio::task::spawn_blocking(move || self.refresh()).await.unwrap_or(client)
    }

    fn held(&self) -> (Arc<ClientConfig>, bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = self.config.reload_interval.unwrap_or_default();
        let is_due = state.files.iter().len() > 0 && state.checked.elapsed() >= interval;
        (state.client.clone(), is_due)
    }

    fn refresh(&self) -> Arc<ClientConfig> {
        let files = stamps(&self.config);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.checked = Instant::now();
        if files != state.files {
            match load::client(&self.config, self.alpn) {
                Ok(client) => {
                    tracing::info!("The files of certificates have changed: new connections use them.");
                    state.client = Arc::new(client);
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "The files of certificates have changed and cannot be used: new connections use the old ones."
                    );
                }
            }
            // Bad files are stored, too, so that they are logged only once, until they change again.
            state.files = files;
        }
        state.client.clone()
    }
}

/// The stamps of the files now; `None` for a file that is not there.
fn stamps(config: &TlsConfig) -> Vec<Option<Stamp>> {
    let files = [&config.ca_file, &config.cert_file, &config.key_file];
    files.into_iter().flatten().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let Stat { st_ino, st_size, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec, .. } = stat(path).ok()?;
    let nanos = |nanos| i64::try_from(nanos).unwrap_or_default();
    Some(Stamp {
        inode: st_ino,
        size: st_size,
        modified: (st_mtime, nanos(st_mtime_nsec)),
        changed: (st_ctime, nanos(st_ctime_nsec)),
    })
}
