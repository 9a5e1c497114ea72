//! An exporter's end of its file.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::inbox::{Append, Inbox};
use crate::record::Record;
use crate::stored::{Appended, Handle, Unavailable};

/// Keeps an exporter's requests in its file. No call blocks: a thread does the work.
///
/// Once the client is dropped, the work that it was asked to do is done, and the file is free for the next client.
#[derive(Debug)]
pub struct Client {
    inbox: Arc<Inbox>,
    clock: Clock,
}

impl Client {
    pub(crate) fn new(inbox: Arc<Inbox>, clock: Clock) -> Self {
        Self { inbox, clock }
    }

    /// Adds a request of `samples` samples. The thread calls `then` when it knows the outcome.
    pub fn append(
        &self,
        request: Bytes,
        samples: u64,
        then: impl FnOnce(Appended) + Send + 'static,
    ) -> Handle {
        let record = Record { samples, created: self.clock.now(), request };
        let then = Box::new(|is_there| then(if is_there { Appended::Durably } else { Appended::Not }));
        self.inbox.ask(|asked| {
            let handle = asked.handle();
            asked.touch();
            asked.appends.push(Append { handle, record, then });
            handle
        })
    }

    /// Reads a request; `None` if it is lost, which is counted and logged.
    ///
    /// # Errors
    /// [`Unavailable`] if the file cannot be read now.
    pub fn read(&self, handle: Handle) -> impl Future<Output = Result<Option<Bytes>, Unavailable>> + use<> {
        let (sender, answer) = oneshot::channel();
        self.inbox.ask(|asked| asked.reads.push((handle, sender)));
        async {
            let record = answer.await.map_err(|_thread_is_gone| Unavailable)??;
            Ok(record.map(|record| record.request))
        }
    }

    /// Removes a request. If the agent is killed soon after, it may be there again.
    pub fn remove(&self, handle: Handle) {
        self.inbox.ask(|asked| {
            asked.touch();
            asked.removes.push(handle);
        });
    }

    /// Resolves once all the work asked for so far has been done, or could not be.
    pub fn flush(&self) -> impl Future<Output = ()> + use<> {
        let (sender, done) = oneshot::channel();
        self.inbox.ask(|asked| asked.flushes.push(sender));
        async {
            // An error means that the thread is gone: nothing more will be done.
            let _done = done.await;
        }
    }
}

impl Client {
    /// Ends the client; resolves once all work asked for has been done, or could not be, and the file is free for the
    /// next client.
    pub fn close(self) -> impl Future<Output = ()> {
        let done = self.inbox.ask(|asked| {
            asked.is_closed = true;
            let (sender, done) = oneshot::channel();
            asked.flushes.push(sender);
            done
        });
        async {
            let _done = done.await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.inbox.ask(|asked| asked.is_closed = true);
    }
}
