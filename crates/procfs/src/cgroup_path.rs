//! Residences: the container, pod and unit that the path of a control group names.
//!
//! Paths are read from the root down, by the ways in which docker, containerd, CRI-O, podman, runc and crun, the
//! kubelet, LXC, systemd-nspawn and systemd lay out their groups. Those who may make groups below one of their own may
//! give them any name: the names in a path below the first container, or below a user's own manager, are the word of
//! those who run there. Of containers in containers the innermost counts, and the outermost is kept beside it.

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
    /// UID of the pod in which that one runs, if there is one: the outermost.
    pub outer_pod_uid: Option<Box<str>>,
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
    /// Reads a path. Names that are not UTF-8 are none that these runtimes choose.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut reader = CgroupReader::default();
        for name in path.as_os_str().as_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
            reader.step(std::str::from_utf8(name).unwrap_or_default());
        }
        reader.found
    }

    /// Reads the paths that a thread has in two hierarchies, and keeps the residence that says more of containers: on
    /// hosts with both hierarchies, some runtimes put containers into one alone, and the path in the other is that of
    /// the runtime itself.
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

/// A reader that goes down a path name by name.
#[derive(Debug, Default)]
struct CgroupReader {
    found: Residence,
    /// The name above the current one.
    above: Box<str>,
    /// The state of reading the names that systemd has chosen.
    systemd: Systemd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Systemd {
    /// The path is in slices, and its unit is still to come.
    #[default]
    System,
    /// The path is in the manager of a user, and the unit of that manager is still to come.
    User,
    /// The path is below a unit, where groups have names of their own, or outside of systemd's groups.
    Done,
}

impl CgroupReader {
    fn step(&mut self, name: &str) {
        // `<slice>:<runtime>:<id>`, where the kubelet's driver is systemd and the runtime's is not: one name holds
        // both.
        if let Some((slice, _)) = name.split_once(".slice:")
            && let Some(uid) = names::pod(&format!("{slice}.slice"), "")
        {
            self.pod(uid);
        }
        match names::read(name, &self.above) {
            Group::Container(container) => self.container(container),
            Group::Pod(uid) => {
                self.pod(uid);
                self.systemd(name);
            }
            // The process that watches a container is no part of it.
            Group::Other if name == "supervisor" && self.is_in_nspawn() => self.found.container = None,
            Group::Monitor | Group::Other => self.systemd(name),
        }
        self.above = name.into();
    }

    fn pod(&mut self, uid: Box<str>) {
        let found = &mut self.found;
        if let Some(above) = found.pod_uid.replace(uid)
            && found.outer_pod_uid.is_none()
            && found.pod_uid.as_ref() != Some(&above)
        {
            found.outer_pod_uid = Some(above);
        }
    }

    fn is_in_nspawn(&self) -> bool {
        self.found.container.as_ref().is_some_and(|container| container.runtime == Some("systemd-nspawn"))
    }

    fn container(&mut self, container: Container) {
        self.systemd = Systemd::Done;
        let found = &mut self.found;
        // `pod<uid>/<id>/<id>`: a group that repeats the name above it is part of the same container.
        if found.container.as_ref().is_some_and(|above| above.id.is_some() && above.id == container.id) {
            return;
        }
        if let Some(above) = found.container.replace(container)
            && found.outer.is_none()
        {
            found.outer = Some(above);
        }
    }

    /// Reads a name as systemd.unit(5) and `cg_path_get_unit` of systemd do: slices, then a unit.
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
