//! An API server of a Kubernetes cluster, as far as lists and watches of pods go: over TLS, for those who show its
//! token, with pages, bookmarks, and versions that it does not remember any more.
//!
//! It shares no code with the agent: HTTP and the protocol are written here anew, from the documentation of the
//! Kubernetes API ("Kubernetes API Concepts": efficient detection of changes, retrieving large results sets in chunks).

mod cluster;
mod exchange;
pub(crate) mod identity;

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::cluster::Cluster;
pub use self::cluster::{Gone, Trick};
use self::identity::Identity;
use crate::wait;

/// A running API server; gone once it is dropped.
#[derive(Debug)]
pub struct ApiServer {
    dir: TempDir,
    port: u16,
    tls: Arc<ServerConfig>,
    cluster: Arc<Cluster>,
    /// The listener of now; none while the server is away.
    listening: Mutex<Option<Listening>>,
}

#[derive(Debug)]
struct Listening {
    stop: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    thread: JoinHandle<()>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::start()
    }
}

impl ApiServer {
    /// A server without any pod, on a free port of the loopback interface.
    ///
    /// # Panics
    /// If the system has no port, thread or file to give.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let Identity { authority, server } = identity::create();
        std::fs::write(dir.path().join("ca.crt"), authority).expect("the certificate is written");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let cluster = Arc::new(Cluster::default());
        let server = Self { dir, port, tls: Arc::new(server), cluster, listening: Mutex::default() };
        server.rotate_token("first");
        *server.listening() = Some(server.listen(listener));
        server
    }

    /// `https://HOST:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The certificate that it is verified by, in PEM.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// The token that it takes, as the kubelet provides it to a pod.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    /// The keys of the agent's configuration to ask it about the pods of `node`.
    #[must_use]
    pub fn configuration(&self, node: &str) -> Value {
        let (ca_file, token_file) = (self.ca_file(), self.token_file());
        json!({ "node": node, "endpoint": self.endpoint(), "ca_file": ca_file, "token_file": token_file })
    }

    /// Makes a pod, or changes the one that has its UID.
    ///
    /// # Panics
    /// If it has none.
    pub fn apply(&self, pod: Value) {
        self.cluster.apply(pod);
    }

    /// Deletes the pod of that UID.
    pub fn delete(&self, uid: &str) {
        self.cluster.delete(uid);
    }

    /// Forgets all versions but the newest: watches from others, and lists that have begun, are answered by 410.
    pub fn compact(&self, gone: Gone) {
        self.cluster.compact(gone);
    }

    /// Begins, or ceases, to answer every watch by 410, from whatever version.
    pub fn forget_all(&self, forgetful: bool) {
        self.cluster.forget_all(forgetful);
    }

    /// Sends a bookmark to every watch.
    pub fn bookmark(&self) {
        self.cluster.bookmark();
    }

    /// Gives at most so many pods at once, whatever is asked for.
    pub fn page(&self, most: usize) {
        self.cluster.page(most);
    }

    /// Takes another token than before; the file has the new one.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn rotate_token(&self, token: &str) {
        // As the kubelet does it: whoever reads the file sees one token or the other.
        let new = self.dir.path().join("token.new");
        std::fs::write(&new, format!("{token}\n")).expect("the token is written");
        std::fs::rename(&new, self.token_file()).expect("the token takes its place");
        self.cluster.take_token(token);
    }

    /// Takes another token than before, which the file does not have.
    pub fn expect_token(&self, token: &str) {
        self.cluster.take_token(token);
    }

    /// Answers the next request in a way that no API server does; several in turn.
    pub fn trick(&self, trick: Trick) {
        self.cluster.add_trick(trick);
    }

    /// Breaks all connections that there are.
    pub fn break_connections(&self) {
        if let Some(listening) = &*self.listening() {
            listening.break_connections();
        }
    }

    /// Goes away: connections break, and new ones are refused.
    ///
    /// # Panics
    /// If its thread has.
    pub fn go_away(&self) {
        let Some(listening) = self.listening().take() else { return };
        listening.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        let Listening { connections, thread, .. } = listening;
        thread.join().expect("the server has no fault");
        break_all(&connections);
    }

    /// Comes back on the same port.
    ///
    /// # Panics
    /// If somebody else has that now.
    pub fn come_back(&self) {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, self.port));
        let listener = wait::until("the port of the server", bind, Result::is_ok).expect("it has just been");
        *self.listening() = Some(self.listen(listener));
    }

    /// The requests that were made so far: path, query and the status of the answer; and `bookmark sent` for each
    /// bookmark of a watch.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.cluster.requests()
    }

    fn listening(&self) -> MutexGuard<'_, Option<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, listener: TcpListener) -> Listening {
        let (stop, connections) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (tls, cluster) = (Arc::clone(&self.tls), Arc::clone(&self.cluster));
        let (stopped, open) = (Arc::clone(&stop), Arc::clone(&connections));
        let accept = move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let other = stream.try_clone().expect("a descriptor");
                open.lock().unwrap_or_else(PoisonError::into_inner).push(other);
                let (tls, cluster) = (Arc::clone(&tls), Arc::clone(&cluster));
                // A client that breaks off is no fault of the server's.
                thread::spawn(move || drop(serve(stream, tls, &cluster)));
            }
        };
        Listening { stop, connections, thread: thread::spawn(accept) }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.go_away();
        self.cluster.end();
    }
}

impl Listening {
    fn break_connections(&self) {
        break_all(&self.connections);
    }
}

fn break_all(connections: &Mutex<Vec<TcpStream>>) {
    let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that have ended already are not there to be broken.
    connections.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, cluster: &Cluster) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    exchange::serve(StreamOwned::new(connection, stream), cluster)
}

/// A pod of `node`, as the API has it.
#[must_use]
pub fn pod(node: &str, namespace: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "creationTimestamp": "2026-11-28T07:00:30Z",
            "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:status": {} } }],
        },
        "spec": { "nodeName": node, "containers": [] },
        "status": { "phase": "Running", "containerStatuses": null },
    })
}

/// Adds a container to a pod, which runs by that ID if there is one.
///
/// # Panics
/// If that is no pod.
pub fn add_container(pod: &mut Value, name: &str, image: &str, id: Option<&str>) {
    let mut add = |place: &str, entry: Value| {
        let list = pod.pointer_mut(place).expect("it is a pod");
        match list.as_array_mut() {
            Some(list) => list.push(entry),
            None => *list = Value::Array(vec![entry]),
        }
    };
    add("/spec/containers", json!({ "name": name, "image": image }));
    let id = id.map(|id| format!("containerd://{id}"));
    add("/status/containerStatuses", json!({ "name": name, "image": image, "containerID": id, "state": {} }));
}
