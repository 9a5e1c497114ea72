//! Peers of the socket: programs that may watch, and agents that a watcher may trust.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use procfs::text;
use rustix::net::UCred;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

/// The peers that may watch: root, the user that the agent runs as, and the members of a group if one is named.
///
/// The socket's mode lets the same users connect, but it may have been changed, and a descriptor can be passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watchers {
    pub(crate) group: Option<u32>,
}

impl Watchers {
    /// Checks whether the peer at the other end of a socket may watch.
    ///
    /// # Errors
    /// The reason for the refusal, as text for the peer.
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

/// True if the process at the other end of the socket at `path` may be trusted to be an agent: it runs as root, as this
/// process's own user, or as the user that root has made the socket's directory for. Another user's process could show
/// any figures.
#[must_use]
pub fn is_trusted(stream: impl AsFd, path: &Path) -> bool {
    socket_peercred(stream).is_ok_and(|peer| {
        let uid = peer.uid.as_raw();
        is_own(uid) || owners(path).is_ok_and(|owners| is_place_of(uid, &owners))
    })
}

/// Owner and mode of the directory that contains `path` and of all its ancestors, the nearest first.
fn owners(path: &Path) -> io::Result<Vec<(u32, u32)>> {
    let directory = path.canonicalize()?;
    let above = directory.ancestors().skip(1);
    above.map(|directory| fs::metadata(directory).map(|found| (found.uid(), found.mode()))).collect()
}

/// True if a directory belongs to the user, and only root could have put another in its place.
fn is_place_of(uid: u32, owners: &[(u32, u32)]) -> bool {
    let Some((&(owner, mode), above)) = owners.split_first() else { return false };
    let is_closed = |mode: u32| mode & 0o022 == 0;
    owner == uid
        && is_closed(mode)
        && !above.is_empty()
        && above.iter().all(|&(owner, mode)| owner == 0 && is_closed(mode))
}

fn is_own(uid: u32) -> bool {
    [0, geteuid().as_raw()].contains(&uid)
}

/// True if the process that connected is in a supplementary group. Another process may have its number by now, but the
/// kernel has checked the socket's mode before, which does not depend on the number.
fn is_member(peer: &UCred, group: u32) -> bool {
    let status = fs::read(format!("/proc/{}/status", peer.pid.as_raw_nonzero()));
    status.ok().and_then(|status| text::groups(&status)).is_some_and(|groups| groups.contains(&group))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An agent as user 990 in `/run/pipeline`, which root has made for it.
    #[test]
    fn a_user_is_believed_in_a_directory_that_root_has_made_for_it() {
        let root = (0, 0o040_755);
        assert!(is_place_of(990, &[(990, 0o040_755), root, root]));
        assert!(!is_place_of(991, &[(990, 0o040_755), root, root]), "another's directory");
        assert!(!is_place_of(990, &[(990, 0o040_775), root, root]), "its group could put a socket there");
        assert!(!is_place_of(990, &[(990, 0o040_700), (0, 0o041_777), root]), "made by itself, as in /tmp");
        assert!(!is_place_of(990, &[(990, 0o040_700), (990, 0o040_700), root]), "made by itself");
        assert!(!is_place_of(990, &[root, root]) && !is_place_of(990, &[(990, 0o040_755)]));
    }

    #[test]
    fn owners_are_those_of_the_directories_above() {
        let owners = owners(Path::new("/proc/self/../version")).unwrap();
        assert_eq!(owners.len(), 2);
        assert!(owners.iter().all(|&(owner, mode)| owner == 0 && mode & 0o040_000 != 0), "{owners:?}");
    }
}
