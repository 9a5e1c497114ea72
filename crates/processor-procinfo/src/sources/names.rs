//! Names of the attributes that sources give, by OpenTelemetry's semantic conventions (1.44) wherever those have one.
//! `docs/metadata.md` shows each with an example, its source and its cost.

/// String: the innermost container.
pub(crate) const CONTAINER_ID: &str = "container.id";
/// String: the container's name, of runtimes that name its control group so.
pub(crate) const CONTAINER_NAME: &str = "container.name";
/// String: `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `systemd-nspawn`, `runc` or `crun`.
pub(crate) const CONTAINER_RUNTIME: &str = "container.runtime.name";
/// String: the outermost container, where containers are nested.
pub(crate) const OUTER_CONTAINER_ID: &str = "procinfo.container.outer_id";
/// String: UID of the pod.
pub(crate) const POD_UID: &str = "k8s.pod.uid";
/// String: the systemd unit.
pub(crate) const UNIT: &str = "procinfo.systemd.unit";
/// String: the unit of a user's own manager.
pub(crate) const USER_UNIT: &str = "procinfo.systemd.user_unit";
/// String: the slice that holds the unit.
pub(crate) const SLICE: &str = "procinfo.systemd.slice";
/// String: the login session.
pub(crate) const SESSION: &str = "procinfo.systemd.session";
/// String: the path of the control group, of version 2 or, where that is the root, of version 1.
pub(crate) const CGROUP: &str = "process.linux.cgroup";
/// Int: the process that forked this one.
pub(crate) const PARENT_PID: &str = "process.parent_pid";
/// Strings: names of what the parents ran, nearest first.
pub(crate) const ANCESTORS: &str = "procinfo.ancestors";
/// String: name of the effective user.
pub(crate) const OWNER: &str = "process.owner";
/// Int: number of the effective user.
pub(crate) const USER_ID: &str = "process.user.id";
/// Int: leader of the session.
pub(crate) const SESSION_LEADER: &str = "process.session_leader.pid";
/// Int: leader of the process group.
pub(crate) const GROUP_LEADER: &str = "process.group_leader.pid";
/// Int: the process's number in its own pid namespace.
pub(crate) const OWN_PID: &str = "process.vpid";
/// Int: inode number of the pid namespace.
pub(crate) const PID_NAMESPACE: &str = "procinfo.namespace.pid";
/// Int: inode number of the mount namespace.
pub(crate) const MOUNT_NAMESPACE: &str = "procinfo.namespace.mount";
/// Int: inode number of the network namespace.
pub(crate) const NETWORK_NAMESPACE: &str = "procinfo.namespace.network";
/// String: the service.
pub(crate) const SERVICE_NAME: &str = "service.name";
