//! The task that takes requests from the queue and has them sent, several at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt as _};
use tracing::error;

use super::items::Taken;
use super::shared::QueueState;
use crate::SendError;
use crate::batch::{Group, Sent};
use crate::config::{BatchConfig, BatchSizer, QueueConfig};

/// Takes requests, alone or in groups, and has each sent by a task of its own.
#[derive(Debug)]
pub(crate) struct Sender<S> {
    service: S,
    shared: Arc<QueueState>,
    consumers: usize,
    gather: Option<Gather>,
}

/// The size from which on a group of requests no longer waits for others, and the longest wait.
#[derive(Clone, Copy, Debug)]
struct Gather {
    within: Duration,
    min_size: u64,
    sizer: BatchSizer,
}

impl Gather {
    fn new(batch: &BatchConfig, queue: &QueueConfig) -> Self {
        Self { within: batch.flush_timeout, min_size: batch.min_size, sizer: batch.sizer(queue) }
    }

    fn size(&self, taken: &Taken) -> u64 {
        match self.sizer {
            BatchSizer::Items => taken.samples,
            BatchSizer::Bytes => taken.bytes,
        }
    }
}

impl<S> Sender<S>
where
    S: Service<Group, Response = Vec<Sent>, Error = SendError> + Clone + Send + 'static,
    S::Future: Send,
{
    pub(crate) fn new(service: S, shared: Arc<QueueState>, config: &QueueConfig) -> Self {
        let consumers = if config.enabled { config.num_consumers.max(1) } else { 1 };
        let gather = config.batch.as_ref().filter(|_| config.enabled);
        Self { service, shared, consumers, gather: gather.map(|batch| Gather::new(batch, config)) }
    }

    /// Sends requests as they come until the stream is over and all that are left have been tried.
    pub(crate) async fn run(self) {
        let consumers = Arc::new(Semaphore::new(self.consumers));
        let mut sends = JoinSet::new();
        // A consumer first: until one is free, requests stay in the queue.
        while let Ok(consumer) = consumers.clone().acquire_owned().await {
            while sends.try_join_next().is_some() {}
            let Some(group) = next_group(&self.shared, self.gather).await else { break };
            let (service, shared) = (self.service.clone(), self.shared.clone());
            sends.spawn(async move {
                send(service, shared, group).await;
                drop(consumer);
            });
        }
        while sends.join_next().await.is_some() {}
        self.shared.end().await;
    }
}

/// The next group to send; `None` at the end.
async fn next_group(shared: &QueueState, gather: Option<Gather>) -> Option<Vec<Taken>> {
    let first = shared.next().await?;
    let Some(gather) = gather else { return Some(vec![first]) };
    let deadline = Instant::now() + gather.within;
    let mut size = gather.size(&first);
    let mut group = vec![first];
    while size < gather.min_size {
        if let Some(next) = shared.try_next() {
            size = size.saturating_add(gather.size(&next));
            group.push(next);
        } else if shared.has_ended() || timeout_at(deadline, shared.news()).await.is_err() {
            break;
        }
    }
    Some(group)
}

async fn send<S>(service: S, shared: Arc<QueueState>, group: Vec<Taken>)
where
    S: Service<Group, Response = Vec<Sent>, Error = SendError>,
{
    let _in_flight = shared.gauges.in_flight();
    let mut over = Over { shared: &shared, keys: Vec::with_capacity(group.len()), samples: 0 };
    let mut requests = Vec::with_capacity(group.len());
    let mut expires = None;
    for taken in group {
        if let Some(request) = shared.load(&taken).await {
            over.keys.push(taken.key);
            over.samples = over.samples.saturating_add(taken.samples);
            requests.push(request);
            // Requests that are merged are given up together, none before its time.
            expires = expires.max(taken.expires);
        }
    }
    if requests.is_empty() {
        return;
    }
    shared.gauges.sending(&requests);
    let samples = over.samples;
    let sent = match service.oneshot(Group { requests, expires }).await {
        Ok(sent) => sent,
        Err(error) => vec![Sent { samples, result: Err(error) }],
    };
    let may_succeed_later =
        sent.iter().any(|sent| matches!(&sent.result, Err(error) if error.is_retryable()));
    if may_succeed_later && shared.has_ended() && shared.has_disk() {
        // The request stays on disk for the next run, or is dropped if it has not been written yet.
        over.keys.clear();
        let taken = sent.iter().filter(|sent| sent.result.is_ok());
        taken.for_each(|sent| report(&shared, sent));
    } else {
        sent.iter().for_each(|sent| report(&shared, sent));
    }
    over.finish();
}

/// Counts the outcome of a request, and logs it if the request was not taken.
fn report(shared: &QueueState, Sent { samples, result }: &Sent) {
    match result {
        Ok(_) => shared.metrics.sent(*samples),
        Err(error) => {
            shared.metrics.send_failed(*samples, error);
            error!(
                exporter = shared.exporter(), %error, dropped_items = samples,
                "Exporting failed. Dropping data."
            );
        }
    }
}

/// Requests that are being sent. The queue lets go of them when `finish` is called, and when sending them panics. If
/// the sending task is ended before that, as at the agent's end, the queue keeps them: requests on disk are to stay
/// there.
struct Over<'a> {
    shared: &'a QueueState,
    keys: Vec<u64>,
    /// Samples in all of the requests.
    samples: u64,
}

impl Over<'_> {
    fn finish(mut self) {
        std::mem::take(&mut self.keys).into_iter().for_each(|key| self.shared.finish(key));
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.keys.is_empty() {
            let result = Err(SendError::permanent("sending has panicked"));
            report(self.shared, &Sent { samples: self.samples, result });
            self.keys.iter().for_each(|&key| self.shared.finish(key));
        }
    }
}
