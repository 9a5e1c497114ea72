//! Several servers that take the same profiles.
//!
//! ```text
//! request --> failover --> balance (p2c) --+--> server   set aside for a while after it has failed
//!                ^  at once to another     +--> server
//!                +---- has failed ---------+
//! ```
//!
//! A name that stands for several servers (`dns:///`) is [`Followed`]: all this, over the addresses that it has now.

mod failover;
mod followed;
mod server;

use std::sync::Arc;

use exporterhelper::{Delivered, SendError};
use otlp_profiles::ProfilesRequest;
use tower::Service;
use tower::balance::p2c::Balance;
use tower::buffer::Buffer;
use tower::discover::ServiceList;
use tower::util::BoxCloneService;

use self::failover::Failover;
pub(crate) use self::followed::{Dial, Followed, Lookup, Resolve};
use self::server::{Server, Servers};

/// Requests on their way to a server: no more than there are consumers of a queue, in practice.
const BUFFER: usize = 64;

/// The service that carries a request to one server, by gRPC or HTTP.
pub(crate) type Transport = BoxCloneService<ProfilesRequest, Delivered, SendError>;

/// One transport that spreads requests over several, or the only one as it is.
///
/// Must be called within a Tokio runtime.
pub(crate) fn balance<S>(transports: Vec<S>) -> Transport
where
    S: Service<ProfilesRequest, Response = Delivered, Error = SendError> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut transports = transports;
    if transports.len() == 1
        && let Some(only) = transports.pop()
    {
        // A server that has failed is not set aside if there is no other: `retry_on_failure` decides when to try again.
        return BoxCloneService::new(only);
    }
    let servers = Arc::new(Servers::new(transports.len()));
    let list =
        transports.into_iter().enumerate().map(|(index, transport)| Server::new(transport, &servers, index));
    let balance = Balance::new(ServiceList::new(list.collect::<Vec<_>>()));
    BoxCloneService::new(Failover::new(Buffer::new(balance, BUFFER), servers))
}
