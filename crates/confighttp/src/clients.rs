//! The clients of a server, and the choice of the one that has to leave when there are too many.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The connections of a server, never more than a bounded number.
///
/// To make room for one more, the peer with the most connections loses the connection that has stood still for the
/// longest: a peer that opens many shuts out itself alone.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    most: usize,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    clients: BTreeMap<u64, Client>,
    next: u64,
    /// Count that rises with each byte that any of the clients has moved: a clock that needs no time.
    moves: u64,
}

#[derive(Debug)]
struct Client {
    peer: IpAddr,
    /// Value of `moves` when the client last moved a byte.
    moved: u64,
    cut: CancellationToken,
}

impl Clients {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, all: Arc::default() }
    }

    /// Adds a client, which is cut off with `cut` at the latest.
    pub(crate) fn admit(&self, peer: IpAddr, cut: &CancellationToken) -> Watched {
        let mut all = lock(&self.all);
        while all.clients.len() >= self.most {
            let Some(victim) = all.victim() else { break };
            if let Some(client) = all.clients.remove(&victim) {
                client.cut.cancel();
            }
        }
        let number = all.next;
        all.next += 1;
        let cut = cut.child_token();
        let moved = all.tick();
        all.clients.insert(number, Client { peer, moved, cut: cut.clone() });
        Watched { slot: Arc::new(ClientSlot { number, all: self.all.clone() }), cut }
    }
}

impl All {
    fn tick(&mut self) -> u64 {
        self.moves += 1;
        self.moves
    }

    fn victim(&self) -> Option<u64> {
        let mut places: HashMap<IpAddr, usize> = HashMap::new();
        for client in self.clients.values() {
            *places.entry(client.peer).or_default() += 1;
        }
        let most = places.values().copied().max()?;
        let candidates = self.clients.iter().filter(|(_, client)| places.get(&client.peer) == Some(&most));
        candidates.min_by_key(|(_, client)| client.moved).map(|(number, _)| *number)
    }
}

/// A client's place, free once this value and the client's stream are gone.
#[derive(Debug)]
pub(crate) struct Watched {
    slot: Arc<ClientSlot>,
    cut: CancellationToken,
}

impl Watched {
    /// A token that is cancelled when the client has to leave.
    pub(crate) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// The stream, whose bytes count as moves.
    pub(crate) fn watch(&self, stream: TcpStream) -> WatchedStream {
        WatchedStream { stream, slot: self.slot.clone() }
    }
}

#[derive(Debug)]
struct ClientSlot {
    number: u64,
    all: Arc<Mutex<All>>,
}

impl ClientSlot {
    fn moved(&self) {
        let mut all = lock(&self.all);
        let now = all.tick();
        if let Some(client) = all.clients.get_mut(&self.number) {
            client.moved = now;
        }
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        lock(&self.all).clients.remove(&self.number);
    }
}

fn lock(all: &Mutex<All>) -> MutexGuard<'_, All> {
    // Nothing in there panics halfway through.
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client's stream.
#[derive(Debug)]
pub(crate) struct WatchedStream {
    stream: TcpStream,
    slot: Arc<ClientSlot>,
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.slot.moved();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.slot.moved();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.slot.moved();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_with_the_most_connections_loses_its_stillest() {
        let (clients, cut) = (Clients::new(3), CancellationToken::new());
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = clients.admit(other, &cut);
        let second = clients.admit(one, &cut);
        let third = clients.admit(one, &cut);
        second.slot.moved();
        let fourth = clients.admit(other, &cut);
        let is_cut = |client: &Watched| client.cut().is_cancelled();
        assert_eq!([&first, &second, &third, &fourth].map(is_cut), [false, false, true, false]);
        drop(first);
        let _fifth = clients.admit(other, &cut);
        assert_eq!([&second, &fourth].map(is_cut), [false, false], "there was room");
    }
}
