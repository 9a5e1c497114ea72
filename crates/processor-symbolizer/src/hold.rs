//! The task that holds batches until their names are there, and passes them on in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pdata::{Batch, KTime, Watermark};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tower::{Service, ServiceExt as _};

use crate::frames::{FramePosition, name_come, name_known};
use crate::metrics::{self, Tally};
use crate::names::Names;
use crate::request::{Lookup, NameAnswer, Space, Target, Unnamed};
use crate::resolver::Resolver;

/// The most batches that are held: one more makes the oldest leave with the names that it has.
const MOST_HELD: usize = 64;
/// Time between two checks whether names of the kernel still hold.
const CHECK_KERNEL_EVERY: Duration = Duration::from_secs(5);

/// A batch on its way in, and the caller that waits for its ack.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) batch: Batch,
    /// Sender for the watermark that the next stage acks for this very batch; `None` if no caller waits for it.
    pub(crate) reply: Option<oneshot::Sender<Watermark>>,
}

/// The highest watermark that the next stage has acked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acked(Arc<AtomicU64>);

impl Acked {
    pub(crate) fn get(&self) -> Watermark {
        Watermark::before(KTime::from_nanos(self.0.load(Ordering::Relaxed)))
    }

    fn raise(&self, to: Watermark) {
        // Relaxed: the number is all there is to see.
        self.0.fetch_max(to.at().as_nanos(), Ordering::Relaxed);
    }
}

/// The thread that answers lookups, and its answers.
#[derive(Debug)]
pub(crate) struct Lookups {
    pub(crate) resolver: Resolver,
    pub(crate) answers: mpsc::Receiver<NameAnswer>,
}

/// Holds batches and passes them on.
#[derive(Debug)]
pub(crate) struct Hold<S> {
    pub(crate) inner: S,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    /// The thread that looks names up; `None` if there is none.
    pub(crate) lookups: Option<Lookups>,
    pub(crate) names: Names,
    pub(crate) acked: Acked,
    pub(crate) timeout: Duration,
    /// Time of the last check whether names of the kernel still hold.
    pub(crate) kernel_checked: Instant,
}

/// A batch that waits for names.
#[derive(Debug)]
struct Held {
    incoming: Incoming,
    deadline: Instant,
    /// The ticket of the answer after which none of the batch's names will come.
    ticket: u64,
    waiting: Vec<FramePosition>,
    tally: Tally,
}

impl Held {
    /// Names the frames whose names have come; `is_last` if no others will be waited for.
    fn name(&mut self, names: &mut Names, is_last: bool) {
        self.waiting = name_come(&mut self.incoming.batch, names, &self.waiting, &mut self.tally, is_last);
    }
}

impl<S> Hold<S>
where
    S: Service<Batch, Response = Watermark>,
{
    /// Works until the end of the stream, or until the next stage fails, and returns its error then.
    pub(crate) async fn run(&mut self) -> Result<(), S::Error> {
        let mut held: VecDeque<Held> = VecDeque::new();
        let mut answered = 0;
        let mut open = true;
        loop {
            while let Some(first) = held.front()
                && (first.ticket <= answered || first.deadline <= Instant::now() || held.len() > MOST_HELD)
            {
                let Some(first) = held.pop_front() else { break };
                self.pass_on(first).await?;
            }
            if !open && held.is_empty() {
                return Ok(());
            }
            let deadline = held.front().map(|first| first.deadline);
            tokio::select! {
                biased;
                answer = next_answer(&mut self.lookups) => match answer {
                    Some(answer) => {
                        // Two threads answer.
                        answered = answered.max(answer.ticket);
                        if answer.found.iter().any(|found| found.replaced) {
                            // The known names are about to be forgotten, and those frames waited for them.
                            held.iter_mut().for_each(|held| held.name(&mut self.names, false));
                        }
                        answer.found.into_iter().for_each(|found| self.names.insert(found));
                        metrics::names(self.names.bytes());
                    }
                    // The thread has died: names that were asked for will not come.
                    None => self.lookups = None,
                },
                incoming = self.incoming.recv(), if open => match incoming {
                    Some(incoming) => {
                        let taken = self.take(incoming);
                        held.push_back(taken);
                    }
                    None => open = false,
                },
                () = wait(deadline) => {}
            }
        }
    }

    /// Names the frames of a batch whose names are known, and asks for the names of the others.
    fn take(&mut self, mut incoming: Incoming) -> Held {
        let (mut waiting, mut tally) = (Vec::new(), Tally::default());
        let mut asked = name_known(&mut incoming.batch, &mut self.names, &mut waiting, &mut tally);
        if self.kernel_checked.elapsed() >= CHECK_KERNEL_EVERY {
            self.kernel_checked = Instant::now();
            asked.push(Lookup { space: Space::Kernel, target: Target::Kernel, addresses: Vec::new() });
        }
        let last = match &mut self.lookups {
            // The names that the batch waits for have been asked for already.
            Some(Lookups { resolver, .. }) if asked.is_empty() => resolver.last_asked(),
            Some(Lookups { resolver, .. }) => resolver.ask(asked).unwrap_or_else(|refused| {
                refused.iter().for_each(|lookup| self.names.withdraw(lookup.space, &lookup.addresses));
                resolver.last_asked()
            }),
            None => {
                asked.iter().for_each(|lookup| self.names.withdraw(lookup.space, &lookup.addresses));
                0
            }
        };
        let ticket = if waiting.is_empty() { 0 } else { last };
        Held { incoming, deadline: Instant::now() + self.timeout, ticket, waiting, tally }
    }

    async fn pass_on(&mut self, held: Held) -> Result<(), S::Error> {
        let mut held = held;
        held.name(&mut self.names, true);
        held.waiting.iter().for_each(|_late| held.tally.unnamed(Unnamed::Late));
        held.tally.publish();
        let Held { incoming: Incoming { batch, reply }, .. } = held;
        let answer = self.inner.ready().await?.call(batch).await?;
        self.acked.raise(answer);
        if let Some(reply) = reply {
            // The caller may be gone.
            let _gone = reply.send(answer);
        }
        Ok(())
    }
}

async fn next_answer(lookups: &mut Option<Lookups>) -> Option<NameAnswer> {
    match lookups {
        Some(lookups) => lookups.answers.recv().await,
        None => std::future::pending().await,
    }
}

async fn wait(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
