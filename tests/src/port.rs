//! A TCP port that stays free for whoever it was chosen for. The crate of the workloads has this file too.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A free TCP port of the loopback interface, which the kernel gives to nobody else until this value is dropped.
///
/// A socket that does not listen keeps the port. It shares its address (`SO_REUSEADDR`), as the sockets of the agent,
/// of a Collector and of Prometheus do, which therefore can listen there. Before that a connection is refused. So
/// neither a connection nor another choice gets the port before its user has started.
#[derive(Debug)]
pub(crate) struct KeptPort {
    _socket: OwnedFd,
    number: u16,
}

impl KeptPort {
    /// Chooses a port.
    ///
    /// # Errors
    /// The kernel's, if no port is free or the process may have no more files open.
    pub(crate) fn new() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
        Ok(Self { _socket: socket, number: address.port() })
    }

    /// The port's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}
