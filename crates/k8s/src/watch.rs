//! The thread that asks.

use std::env;
use std::thread;

use tokio::sync::mpsc;

use crate::api::Api;
use crate::config::Config;
use crate::connect::Endpoint;
use crate::error::StartError;
use crate::extract::Extract;
use crate::metrics;
use crate::reflector::{Change, Reflector};

/// Changes that wait at most; past it the server waits.
const QUEUE: usize = 1024;

/// Changes, in the order in which they happened. The thread ends when this is dropped.
#[derive(Debug)]
pub struct Changes(mpsc::Receiver<Change>);

impl Changes {
    /// The next change that is there; `None` if there is none yet.
    pub fn try_next(&mut self) -> Option<Change> {
        self.0.try_recv().ok()
    }
}

/// Looks whether it is known who is to be asked, and about which node.
///
/// # Errors
/// If it is not.
pub fn check(config: &Config) -> Result<(), StartError> {
    api(config).map(drop)
}

fn api(config: &Config) -> Result<Api, StartError> {
    let variable = |name| env::var(name).unwrap_or_default();
    let node = if config.node.is_empty() { variable("K8S_NODE_NAME") } else { config.node.clone() };
    if node.is_empty() {
        return Err(StartError::NoNode);
    }
    let endpoint = if config.endpoint.is_empty() {
        Endpoint::of(&variable("KUBERNETES_SERVICE_HOST"), &variable("KUBERNETES_SERVICE_PORT"))
    } else {
        Endpoint::parse(&config.endpoint)
    };
    let endpoint = endpoint.ok_or(StartError::NoEndpoint)?;
    let (token_file, ca_file) = (config.token_file.clone(), config.ca_file.clone());
    Ok(Api { endpoint, token_file, ca_file, node })
}

/// Starts to ask the API server about the pods of this node, on a thread of its own: reading a list of many takes a
/// while. Of annotations only attributes are taken whose keys `may_say` is true for.
///
/// # Errors
/// If nothing says which node this is or where the API server is, or if the system has no thread to give. A server
/// that does not answer is tried again.
pub fn watch(config: &Config, may_say: fn(&str) -> bool) -> Result<Changes, StartError> {
    metrics::describe();
    let api = api(config)?;
    let extract = Extract::new(config, &api.node, may_say);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let run = move || {
        runtime.block_on(async {
            let closed = sender.clone();
            tokio::select! {
                () = closed.closed() => {}
                () = Reflector::new(api, extract, sender).run() => {}
            }
        });
    };
    let thread = thread::Builder::new().name("procinfo-pods".to_owned());
    thread.spawn(run).map_err(StartError::Thread)?;
    Ok(Changes(receiver))
}
