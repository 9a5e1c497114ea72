//! Who may watch, and whom a watcher may believe.

use std::fs;
use std::os::fd::AsFd;

use procfs::text;
use rustix::net::UCred;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

/// Who may watch: root, the user that the agent runs as, and the members of a group if one is named.
///
/// The mode of the socket says the same, but somebody may have changed it, and a descriptor can be passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchers {
    pub(crate) group: Option<u32>,
}

impl Watchers {
    /// Looks whether whoever connected may watch.
    ///
    /// # Errors
    /// The reason why not, for them.
    pub(crate) fn admit(self, stream: impl AsFd) -> Result<(), String> {
        let peer = socket_peercred(stream).map_err(|error| format!("cannot see who you are: {error}"))?;
        let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
        if is_own(uid) || self.group.is_some_and(|group| group == gid || is_member(&peer, group)) {
            return Ok(());
        }
        let group = if self.group.is_some() { " and members of its group" } else { "" };
        Err(format!("user {uid} may not watch this agent: only root, the agent's user{group} may; use sudo"))
    }
}

/// True if the process at the other end of a socket runs as root or as this process's own user, and may be believed to
/// be an agent. Anybody else could show whatever they like.
#[must_use]
pub fn is_trusted(stream: impl AsFd) -> bool {
    socket_peercred(stream).is_ok_and(|peer| is_own(peer.uid.as_raw()))
}

fn is_own(uid: u32) -> bool {
    [0, geteuid().as_raw()].contains(&uid)
}

/// True if the process that connected is in a supplementary group. Another process may have its number by now: the
/// kernel, which knows, has looked at the mode of the socket before.
fn is_member(peer: &UCred, group: u32) -> bool {
    let status = fs::read(format!("/proc/{}/status", peer.pid.as_raw_nonzero()));
    status.ok().and_then(|status| text::groups(&status)).is_some_and(|groups| groups.contains(&group))
}
