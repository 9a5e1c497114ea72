//! What the path of a control group says of who runs in it: container, pod, unit.
//!
//! Paths are read from the root down, by the ways in which docker, containerd, CRI-O, podman, runc and crun, the
//! kubelet, LXC, systemd-nspawn and systemd lay out their groups. Whoever may make groups below one of their own may
//! give them any name: what a path says below the first container, or below a user's own manager, is the word of those
//! who run there. Of containers in containers the innermost counts, and the outermost is kept beside it.

mod container;
mod names;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

pub use self::container::Container;
use self::names::Group;

/// The container or unit that a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residence {
    /// The innermost container.
    pub container: Option<Container>,
    /// The container in which that one runs, if there is one: the outermost.
    pub outer: Option<Container>,
    /// UID of the pod, with hyphens; that of a static pod is a hash without any.
    pub pod_uid: Option<Box<str>>,
    /// The systemd unit of the host, a service or a scope, outside of all containers.
    pub unit: Option<Box<str>>,
    /// The unit of a user's own manager, outside of all containers.
    pub user_unit: Option<Box<str>>,
    /// The slice that holds the unit, unless it is the root of all slices.
    pub slice: Option<Box<str>>,
    /// The login session.
    pub session: Option<Box<str>>,
}

impl Residence {
    /// Reads a path. Names that are not UTF-8 are no names that the above give.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut reader = CgroupReader::default();
        for name in path.as_os_str().as_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            reader.step(std::str::from_utf8(name).unwrap_or_default());
        }
        reader.found
    }

    /// Reads the paths that a thread has in two hierarchies, and keeps the one that says more of containers: on hosts
    /// with both, some runtimes put containers into one of them alone, and what the other says there is of the
    /// runtime itself.
    #[must_use]
    pub fn of_either(path: &Path, legacy: Option<&Path>) -> Self {
        let found = Self::of(path);
        match legacy.map(Self::of) {
            Some(other) if other.depth() > found.depth() => other,
            Some(other) if found == Self::default() => other,
            _ => found,
        }
    }

    fn depth(&self) -> usize {
        usize::from(self.container.is_some()) + usize::from(self.outer.is_some())
    }
}

/// Goes down a path.
#[derive(Debug, Default)]
struct CgroupReader {
    found: Residence,
    /// The name above.
    above: Box<str>,
    /// How far systemd has said what there is to say.
    systemd: Systemd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Systemd {
    /// In slices, and looking for a unit.
    #[default]
    System,
    /// In the manager of a user, and looking for its unit.
    User,
    /// Below a unit, where groups have names of their own, or where systemd is not.
    Done,
}

impl CgroupReader {
    fn step(&mut self, name: &str) {
        // `<slice>:<runtime>:<id>`, where the kubelet's driver is systemd and the runtime's is not: both in one.
        if let Some((slice, _)) = name.split_once(".slice:")
            && let Some(uid) = names::pod(&format!("{slice}.slice"), "")
        {
            self.found.pod_uid = Some(uid);
        }
        match names::read(name, &self.above) {
            Group::Container(container) => self.container(container),
            Group::Pod(uid) => {
                self.found.pod_uid = Some(uid);
                self.systemd(name);
            }
            // What watches a container is no part of it.
            Group::Other if name == "supervisor" && self.is_in_nspawn() => self.found.container = None,
            Group::Monitor | Group::Other => self.systemd(name),
        }
        self.above = name.into();
    }

    fn is_in_nspawn(&self) -> bool {
        self.found.container.as_ref().is_some_and(|container| container.runtime == Some("systemd-nspawn"))
    }

    fn container(&mut self, container: Container) {
        self.systemd = Systemd::Done;
        let found = &mut self.found;
        // `pod<uid>/<id>/<id>`: a group that repeats the name above it is part of it.
        if found.container.as_ref().is_some_and(|above| above.id.is_some() && above.id == container.id) {
            return;
        }
        if let Some(above) = found.container.replace(container)
            && found.outer.is_none()
        {
            found.outer = Some(above);
        }
    }

    /// systemd.unit(5), and how `cg_path_get_unit` of systemd reads a path: slices, then a unit.
    fn systemd(&mut self, name: &str) {
        let name = name.strip_prefix('_').unwrap_or(name);
        let slice = name.ends_with(".slice");
        match self.systemd {
            Systemd::Done => {}
            Systemd::System if slice => self.found.slice = Some(name.into()),
            Systemd::User if slice => {}
            Systemd::System if names::is_unit(name) => {
                self.found.unit = Some(name.into());
                let session = name.strip_prefix("session-").and_then(|rest| rest.strip_suffix(".scope"));
                self.found.session = session.map(Into::into);
                self.systemd = if name.starts_with("user@") { Systemd::User } else { Systemd::Done };
            }
            Systemd::User if names::is_unit(name) => {
                self.found.user_unit = Some(name.into());
                self.systemd = Systemd::Done;
            }
            Systemd::System | Systemd::User => self.systemd = Systemd::Done,
        }
    }
}

#[cfg(test)]
mod tests;
