//! The thread that asks the API server about pods, and the channel by which it passes on what it learns.

use std::env;
use std::sync::Arc;
use std::thread;

use tokio::sync::{Notify, mpsc};

use crate::api::Api;
use crate::authorities::Authorities;
use crate::config::Config;
use crate::connect::ApiEndpoint;
use crate::error::StartError;
use crate::extract::PodExtract;
use crate::metrics;
use crate::reflector::{PodChange, Reflector};

/// Changes that wait at most; past it the server waits.
const QUEUE: usize = 1024;

/// Changes, in the order in which they happened. The thread ends when this is dropped.
#[derive(Debug)]
pub struct PodChanges {
    receiver: mpsc::Receiver<PodChange>,
    wish: Arc<Notify>,
}

impl PodChanges {
    /// The next change that is there; `None` if there is none yet.
    pub fn try_next(&mut self) -> Option<PodChange> {
        self.receiver.try_recv().ok()
    }

    /// Has all pods listed again, though not more often than each minute: some did not fit, and there is room for them.
    pub fn list_again(&self) {
        self.wish.notify_one();
    }
}

/// Looks whether it is known who is to be asked, and about which node.
///
/// # Errors
/// If it is not.
pub fn check(config: &Config) -> Result<(), StartError> {
    api(config, variable).map(drop)
}

/// A variable of the agent's environment; empty if there is none.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The API server and the node that the configuration names, or else the environment that `variable` reads.
fn api(config: &Config, variable: impl Fn(&str) -> String) -> Result<Api, StartError> {
    let node = if config.node.is_empty() { variable("K8S_NODE_NAME") } else { config.node.clone() };
    if node.is_empty() {
        return Err(StartError::NoNode);
    }
    let endpoint = if config.endpoint.is_empty() {
        ApiEndpoint::of(&variable("KUBERNETES_SERVICE_HOST"), &variable("KUBERNETES_SERVICE_PORT"))
    } else {
        ApiEndpoint::parse(&config.endpoint)
    };
    let endpoint = endpoint.ok_or(StartError::NoEndpoint)?;
    let authorities = Authorities::in_file(config.ca_file.clone());
    Ok(Api { endpoint, token_file: config.token_file.clone(), authorities, node })
}

/// Starts to ask the API server about the pods of this node, on a thread of its own: reading a list of many takes a
/// while. Of annotations only attributes are taken whose keys `may_say` is true for.
///
/// # Errors
/// If nothing says which node this is or where the API server is, or if the system has no thread to give. A server
/// that does not answer is tried again.
pub fn watch(config: &Config, may_say: fn(&str) -> bool) -> Result<PodChanges, StartError> {
    metrics::describe();
    let api = api(config, variable)?;
    let extract = PodExtract::new(config, &api.node, may_say);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let wish = Arc::<Notify>::default();
    let wished = Arc::clone(&wish);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let run = move || {
        runtime.block_on(async {
            let closed = sender.clone();
            tokio::select! {
                () = closed.closed() => {}
                () = Reflector::new(api, extract, sender, wished).run() => {}
            }
        });
    };
    let thread = thread::Builder::new().name("procinfo-pods".to_owned());
    thread.spawn(run).map_err(StartError::Thread)?;
    Ok(PodChanges { receiver, wish })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent without a node or a server to ask is not started.
    #[test]
    fn who_is_asked_about_what_must_be_known() {
        let config = |node: &str, endpoint: &str| Config {
            node: node.to_owned(),
            endpoint: endpoint.to_owned(),
            ..Config::default()
        };
        let fault = |node, endpoint| {
            let unset = |_: &str| String::new();
            api(&config(node, endpoint), unset).unwrap_err().to_string()
        };
        assert!(fault("", "https://127.0.0.1:1").contains("K8S_NODE_NAME"));
        assert!(fault("a", "").contains("KUBERNETES_SERVICE_HOST"));
        let of_pod = |name: &str| {
            match name {
                "K8S_NODE_NAME" => "b",
                "KUBERNETES_SERVICE_HOST" => "::1",
                "KUBERNETES_SERVICE_PORT" => "443",
                _ => "",
            }
            .to_owned()
        };
        let api = api(&config("", ""), of_pod).unwrap();
        assert_eq!((api.node.as_str(), api.endpoint.authority()), ("b", "[::1]:443"));
    }
}
