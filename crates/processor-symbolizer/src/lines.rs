//! The thread that looks up lines of source, and the functions that were inlined there.
//!
//! Reading debug information takes much longer than reading symbols, and nobody waits for it: the other thread answers
//! names before, which stand in the place of lines that are late. Users have their files read by turns, and each file
//! for no longer than [`TURN`](crate::line_job::TURN).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use foldhash::HashMap;
use procfs::ProcSource;
use tokio::sync::mpsc;

use crate::fair::User;
use crate::line_files::LineFiles;
use crate::line_job::{LineJob, LineSettings};
use crate::progress::Progress;
use crate::request::{Found, NameAnswer, NamesByAddress};

/// Time without work after which the process that reads is ended until it is needed.
const REST_AFTER: Duration = Duration::from_secs(60);

/// The thread's other end. The thread ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct LineThread {
    jobs: Sender<LineJob>,
    progress: Arc<Progress>,
}

impl LineThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub(crate) fn start(
        settings: LineSettings,
        source: ProcSource,
        progress: Arc<Progress>,
        answer: mpsc::Sender<NameAnswer>,
    ) -> io::Result<Self> {
        #[allow(clippy::disallowed_methods, reason = "Progress bounds the jobs that wait")]
        let (jobs, wanted) = channel();
        let files = LineFiles::new(source, settings);
        let shared = Arc::clone(&progress);
        let name = "symbolizer-lines".to_owned();
        thread::Builder::new().name(name).spawn(move || serve(files, &wanted, &shared, &answer))?;
        Ok(Self { jobs, progress })
    }

    /// Passes a job on; false if too many jobs wait.
    pub(crate) fn ask(&self, job: LineJob) -> bool {
        let (ticket, user) = (job.ticket, job.user);
        if !self.progress.begin(ticket, user) {
            return false;
        }
        let sent = self.jobs.send(job).is_ok();
        if !sent {
            // The thread has died: nobody is to wait for it.
            self.progress.abandon();
        }
        sent
    }
}

fn serve(
    mut files: LineFiles,
    wanted: &Receiver<LineJob>,
    progress: &Progress,
    answer: &mpsc::Sender<NameAnswer>,
) {
    let mut queue = Queue::default();
    loop {
        if queue.waiting.is_empty() {
            match wanted.recv_timeout(REST_AFTER) {
                Ok(job) => queue.waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) => {
                    files.rest();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        queue.waiting.extend(wanted.try_iter());
        let Some(job) = queue.next() else { continue };
        let (space, ticket, user) = (job.space, job.ticket, job.user);
        let names: NamesByAddress = files.lines(job);
        progress.end(ticket, user);
        let found = vec![Found::of(space, Ok(names))];
        if answer.blocking_send(NameAnswer { ticket: progress.answered(), found }).is_err() {
            return;
        }
    }
}

/// Jobs that wait, and the turn that each user who waits had last.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<LineJob>,
    served: HashMap<User, u64>,
    turns: u64,
}

impl Queue {
    /// The oldest job of the user whose last turn is the longest ago.
    fn next(&mut self) -> Option<LineJob> {
        self.served.retain(|user, _| self.waiting.iter().any(|job| job.user == *user));
        let served = |job: &LineJob| self.served.get(&job.user).copied().unwrap_or(0);
        let (place, _) = self.waiting.iter().enumerate().min_by_key(|(place, job)| (served(job), *place))?;
        let job = self.waiting.remove(place)?;
        self.turns += 1;
        self.served.insert(job.user, self.turns);
        Some(job)
    }
}
