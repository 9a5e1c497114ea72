//! Small HTTP servers of the agent, the Collector's `confighttp` in small: where they [listen](Endpoint), and a
//! [`Server`] with bounds on what its clients can cost.
//!
//! Plain HTTP/1.1, one request a connection. On the loopback device requests must be for this machine. Whoever needs
//! TLS or authentication puts a proxy before it; the defaults listen on `localhost`.

mod clients;
mod endpoint;
mod format;
mod host;
mod server;

pub use endpoint::{Endpoint, ParseError};
pub use format::Format;
pub use server::{Bounds, ListenError, Server};
