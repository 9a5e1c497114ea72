//! The thread that opens files and looks addresses up. Reading blocks, so only this thread does it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use debuginfod::Debuginfod;
use procfs::{ListSymbols, ProcSource};
use tokio::sync::mpsc::{self, Sender};

use crate::backlog::{Backlog, Spaces};
use crate::config::Config;
use crate::files::{FileSettings, Files};
use crate::jit::Jits;
use crate::kernel::Kernel;
use crate::line_job::LineSettings;
use crate::lines::LineThread;
use crate::progress::{MOST_LINE_JOBS, Progress};
use crate::request::{Lookup, NameAnswer, NameRequest};
use crate::vdso::Vdso;

/// The most requests that may wait; the frames of one more stay without names, for now.
const QUEUE: usize = 64;
/// Time without a request after which the process that reads is ended until the next.
const REST_AFTER: Duration = Duration::from_secs(60);
/// Time between two searches for lists that have been open for too long.
const CLOSE_EVERY: Duration = Duration::from_secs(5);
/// Eighths of the memory that tables may take, and that functions compiled at run time may take; names take the rest.
const TABLES_SHARE: usize = 5;
const JIT_SHARE: usize = 1;
/// Eighths of the memory that lines take of the tables' share, where lines are wanted; and the number of all shares.
const LINES_SHARE: usize = 2;
const SHARES: usize = 8;

/// Time between two looks whether files have been fetched, while some are waited for.
const FETCHED_EVERY: Duration = Duration::from_millis(250);

/// The sources of names.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) proc: ProcSource,
    /// The source of the kernel's symbols where `proc` hides them.
    pub(crate) list: Option<Arc<dyn ListSymbols>>,
    /// The source of debug files that this machine does not have.
    pub(crate) debuginfod: Option<Arc<Debuginfod>>,
}

/// The thread's other end. The thread ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    requests: SyncSender<NameRequest>,
    asked: u64,
}

impl Resolver {
    /// Starts the thread; the tickets of its answers never go back.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(crate) fn start(config: &Config, sources: Sources) -> io::Result<(Self, mpsc::Receiver<NameAnswer>)> {
        let Sources { proc: source, list, debuginfod } = sources;
        let (requests, asked) = sync_channel(QUEUE);
        let (answer, answers) = mpsc::channel(QUEUE);
        let lines_share = if config.lines { LINES_SHARE } else { 0 };
        let demangle = config.demangle.into();
        let most_open = config.max_open_files.min(allowed_files() / 2).max(1);
        let settings = FileSettings {
            max_bytes: config.max_memory.as_usize() / SHARES * (TABLES_SHARE - lines_share),
            // Files that make room while their lines are looked up stay open for that long.
            max_open: if config.lines { most_open - (most_open / 4).min(MOST_LINE_JOBS) } else { most_open },
            demangle,
            lines: config.lines,
        };
        let progress = Arc::new(Progress::default());
        let max_bytes = config.max_memory.as_usize() / SHARES * lines_share;
        let lines = config.lines.then(|| {
            let settings = LineSettings { max_bytes, demangle };
            LineThread::start(settings, source.clone(), Arc::clone(&progress), answer.clone())
        });
        let lines = lines.transpose()?;
        let jits = Jits::new(source.clone(), config.max_memory.as_usize() / SHARES * JIT_SHARE);
        let kernel = Kernel::new(Path::new("/proc"), list);
        let files = Files::new(source, settings).fetching_from(debuginfod);
        let spaces = Spaces { files, kernel, vdso: Vdso::default(), jits, lines, progress };
        thread::Builder::new().name("symbolizer".to_owned()).spawn(move || serve(spaces, &asked, &answer))?;
        Ok((Self { requests, asked: 0 }, answers))
    }

    /// A resolver whose requests go to the test.
    #[cfg(test)]
    pub(crate) fn without_thread() -> (Self, Receiver<NameRequest>) {
        let (requests, asked) = sync_channel(QUEUE);
        (Self { requests, asked: 0 }, asked)
    }

    /// Passes lookups on; returns the ticket of their answer.
    ///
    /// # Errors
    /// The lookups, if they cannot be taken now.
    pub(crate) fn ask(&mut self, lookups: Vec<Lookup>) -> Result<u64, Vec<Lookup>> {
        let ticket = self.asked + 1;
        match self.requests.try_send(NameRequest { ticket, lookups }) {
            Ok(()) => {
                self.asked = ticket;
                Ok(ticket)
            }
            Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) => Err(request.lookups),
        }
    }

    /// The ticket of the last lookups that were passed on.
    pub(crate) fn last_asked(&self) -> u64 {
        self.asked
    }
}

/// Names' part of the memory.
pub(crate) fn memory_of_names(config: &Config) -> usize {
    config.max_memory.as_usize() / SHARES * (SHARES - TABLES_SHARE - JIT_SHARE)
}

/// Files that the system lets the agent have open.
fn allowed_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

fn serve(mut spaces: Spaces, asked: &Receiver<NameRequest>, answer: &Sender<NameAnswer>) {
    let mut backlog = Backlog::default();
    let (mut worked, mut closed, mut is_open) = (Instant::now(), Instant::now(), false);
    let mut turned = Instant::now();
    loop {
        if is_open {
            // No turn takes longer by itself.
            spaces.was_stopped(turned.elapsed().saturating_sub(CLOSE_EVERY));
        }
        turned = Instant::now();
        if closed.elapsed() >= CLOSE_EVERY {
            (closed, is_open) = (Instant::now(), spaces.close_old());
        }
        if let Some(changed) = spaces.take_fetched()
            && answer.blocking_send(changed).is_err()
        {
            return;
        }
        if backlog.is_empty() {
            // An idle agent does not wake up for nothing.
            let longest = match is_open {
                _ if spaces.files.awaits_debug_files() => FETCHED_EVERY,
                true => CLOSE_EVERY,
                false => REST_AFTER,
            };
            match asked.recv_timeout(longest) {
                Ok(request) => backlog.push(request),
                Err(RecvTimeoutError::Timeout) => {
                    if worked.elapsed() >= REST_AFTER {
                        spaces.rest();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        while backlog.len() < QUEUE
            && let Ok(request) = asked.try_recv()
        {
            backlog.push(request);
        }
        if answer.blocking_send(backlog.work(&mut spaces)).is_err() {
            return;
        }
        (worked, is_open) = (Instant::now(), true);
    }
}
