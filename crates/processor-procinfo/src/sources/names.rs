//! Names of the sources' attributes, by OpenTelemetry's semantic conventions (1.44) wherever those have one.
//! `docs/metadata.md` shows each with an example, its source and its cost.

pub(crate) use pdata::names::{
    CONTAINER_ID, CONTAINER_NAME, CONTAINER_RUNTIME, OUTER_CONTAINER_ID, OWNER, PARENT_PID, POD_UID,
    SERVICE_NAME, SESSION_LEADER, SLICE, UNIT, USER_ID, USER_UNIT,
};

/// String: the login session.
pub(crate) const SESSION: &str = "procinfo.systemd.session";
/// String: the path of the control group, of version 2 or, where that is the root, of version 1.
pub(crate) const CGROUP: &str = "process.linux.cgroup";
/// Strings: prefix of a variable of the environment, whose name follows.
pub(crate) const ENVIRONMENT_VARIABLE: &str = "process.environment_variable.";
/// Strings: the arguments, without those that look like secrets.
pub(crate) const COMMAND_ARGS: &str = "process.command_args";
/// Bool: whether the process's session has a controlling terminal.
pub(crate) const INTERACTIVE: &str = "process.interactive";
/// Int: number of the effective group.
pub(crate) const GROUP_ID: &str = "procinfo.group.id";
/// Strings: names of the programs that the parents ran, nearest first.
pub(crate) const ANCESTORS: &str = "procinfo.ancestors";
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
