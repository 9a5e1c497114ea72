//! The other end of the thread that fetches, for those who ask.

use std::env;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use pdata::Uid;
use tokio::sync::oneshot;

use crate::address::Url;
use crate::build_id::GnuBuildId;
use crate::cache::Cache;
use crate::config::Config;
use crate::connect::Tls;
use crate::error::StartError;
use crate::fetch::Fetcher;
use crate::metrics;
use crate::state::State;
use crate::worker::Worker;

/// Variable of the environment that names servers, as elfutils has it: separated by blanks.
const VARIABLE: &str = "DEBUGINFOD_URLS";
/// Beginning of words of that variable that are no servers, but say which signatures elfutils checks.
const POLICY: &str = "ima:";
/// The most threads that look up names of hosts.
const LOOKUP_THREADS: usize = 1;

/// The clients of this process: stages of one configuration share a client, so that each file is fetched once.
static RUNNING: Mutex<Vec<(Config, Weak<Debuginfod>)>> = Mutex::new(Vec::new());

/// A debug file that was asked for.
#[derive(Debug)]
pub enum Fetch {
    /// The file, which stays in the cache while it is open. It was fetched as the file of that build ID.
    Here(File),
    /// The file has been asked for, and may be here later.
    Waiting,
    /// The file is not to be had, for now.
    Absent,
}

/// Files of build IDs, from a directory or from servers. The thread that asks servers ends when this value is dropped.
#[derive(Debug)]
pub struct Debuginfod {
    state: Arc<State>,
    cache: Arc<Cache>,
    _running: oneshot::Sender<()>,
}

impl Debuginfod {
    /// The client of a configuration, which is validated: the one that is running, or a new one.
    ///
    /// # Errors
    /// If no server is named, the directory cannot be used, or the system has no thread left. A server that cannot be
    /// reached is no error.
    pub fn start(config: &Config) -> Result<Arc<Self>, StartError> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, client)| client.strong_count() > 0);
        let same = running.iter().find(|(other, _)| other == config);
        if let Some(client) = same.and_then(|(_, client)| client.upgrade()) {
            return Ok(client);
        }
        let client = Arc::new(Self::with(config, &env::var(VARIABLE).unwrap_or_default(), Tls::default())?);
        running.push((config.clone(), Arc::downgrade(&client)));
        Ok(client)
    }

    /// A client of its own; `variable` is the value of the variable that names servers.
    pub(crate) fn with(config: &Config, variable: &str, tls: Tls) -> Result<Self, StartError> {
        metrics::describe();
        let urls = servers(config, variable)?;
        let path = config.cache_directory.clone();
        let cache = Cache::open(&path, config.max_cache.bytes());
        let cache = Arc::new(cache.map_err(|source| StartError::Directory { path, source })?);
        let state = Arc::new(State::default());
        let fetcher = Fetcher {
            tls,
            timeout: config.timeout,
            max_file_size: config.max_file_size,
            kept: None,
            has_answered: false,
        };
        let shared = (Arc::clone(&state), Arc::clone(&cache));
        let retry = config.retry_missing_after;
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(LOOKUP_THREADS).build();
        let runtime = runtime.map_err(StartError::Thread)?;
        let (running, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async { Worker::new(shared, fetcher, urls, retry).run(stopped).await });
            // A name server that does not answer is not waited for.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("debuginfod".to_owned());
        thread.spawn(work).map_err(StartError::Thread)?;
        Ok(Self { state, cache, _running: running })
    }

    /// The debug file of a build ID, if it is there; else it is asked for, unless it was in vain lately. `user` is the
    /// user whose program needs the file. Waits for no server.
    pub fn file(&self, id: GnuBuildId, user: Option<Uid>) -> Fetch {
        match self.state.is_pending(&id) {
            Some(true) => return Fetch::Waiting,
            Some(false) => return Fetch::Absent,
            None => {}
        }
        match self.cache.file(&id) {
            Some(file) => Fetch::Here(file),
            None if self.state.ask(id, user) => Fetch::Waiting,
            None => Fetch::Absent,
        }
    }
}

/// The servers of the configuration, or else of the variable.
fn servers(config: &Config, variable: &str) -> Result<Vec<Url>, StartError> {
    let urls: Result<Vec<_>, _> = if config.urls.is_empty() {
        let words = variable.split_whitespace().filter(|word| !word.starts_with(POLICY));
        words.map(Url::of_server).collect()
    } else {
        config.urls.iter().map(|url| Url::of_server(url)).collect()
    };
    match urls {
        Ok(urls) if urls.is_empty() => Err(StartError::NoServer),
        Ok(urls) => Ok(urls),
        Err(fault) => Err(StartError::Variable(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_those_of_the_configuration_or_else_of_the_environment() {
        let hosts = |urls: &[&str], variable: &str| {
            let urls = urls.iter().map(|url| (*url).to_owned()).collect();
            let found = servers(&Config { urls, ..Config::default() }, variable);
            found.map(|urls| urls.into_iter().map(|url| url.host).collect::<Vec<_>>())
        };
        assert_eq!(hosts(&["https://a"], "https://b").unwrap(), ["a"]);
        assert_eq!(hosts(&[], " https://b\thttp://c:1/x ima:enforcing ").unwrap(), ["b", "c"]);
        assert!(matches!(hosts(&[], "ima:ignore"), Err(StartError::NoServer)));
        let error = hosts(&[], "https://b file:///srv").unwrap_err().to_string();
        assert!(error.starts_with("DEBUGINFOD_URLS: \"file:///srv\""), "{error}");
    }
}
