//! Small HTTP servers of the agent, like the Collector's `confighttp` in small: the [address](Endpoint) that they
//! listen on, and a [`Server`] with bounds on the cost of its clients.
//!
//! The servers speak plain HTTP/1.1, one request a connection. On the loopback device requests must be for this
//! machine. Users who need TLS or authentication put a proxy before them; the defaults listen on `localhost`.

mod clients;
mod endpoint;
mod format;
mod host;
mod server;

pub use endpoint::{Endpoint, ParseError};
pub use format::Format;
pub use server::{Bounds, ListenError, Server};
