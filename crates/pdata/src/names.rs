//! Names of attributes that more than one component sets or looks for, by OpenTelemetry's semantic conventions (1.44)
//! wherever those conventions have one. `docs/metadata.md` shows each with an example, its source and its cost.

/// String: the service.
pub const SERVICE_NAME: &str = "service.name";
/// String: the namespace of the service.
pub const SERVICE_NAMESPACE: &str = "service.namespace";
/// String: the version of the service.
pub const SERVICE_VERSION: &str = "service.version";
/// String: the instance of the service.
pub const SERVICE_INSTANCE: &str = "service.instance.id";
/// Int: the process, in the agent's pid namespace.
pub const PID: &str = "process.pid";
/// String: start of the process, RFC 3339 in UTC with nanoseconds.
pub const CREATION_TIME: &str = "process.creation.time";
/// String: path of the executable.
pub const EXECUTABLE_PATH: &str = "process.executable.path";
/// String: last part of the path; `[NAME]` for a kernel thread.
pub const EXECUTABLE_NAME: &str = "process.executable.name";
/// String: path of the executable as the process itself sees it, where its root differs.
pub const EXECUTABLE_OWN_PATH: &str = "procinfo.executable.own_path";
/// String: `deleted` or `memfd`; absent while the path names the file.
pub const EXECUTABLE_STATE: &str = "procinfo.executable.state";
/// Bool, only ever true: the program of the process is not known.
pub const UNRESOLVED: &str = "procinfo.unresolved";
/// Int: the process that forked this one.
pub const PARENT_PID: &str = "process.parent_pid";
/// String: start of the parent process, as [`CREATION_TIME`].
pub const PARENT_CREATION_TIME: &str = "procinfo.parent.creation_time";
/// String: the program that the parent process ran when it forked, as [`EXECUTABLE_NAME`].
pub const PARENT_NAME: &str = "procinfo.parent.executable.name";
/// Int: leader of the session.
pub const SESSION_LEADER: &str = "process.session_leader.pid";
/// String: the innermost container.
pub const CONTAINER_ID: &str = "container.id";
/// String: the container's name, if the runtime names its control group so.
pub const CONTAINER_NAME: &str = "container.name";
/// String: `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `systemd-nspawn`, `runc` or `crun`.
pub const CONTAINER_RUNTIME: &str = "container.runtime.name";
/// String: the outermost container, where containers are nested.
pub const OUTER_CONTAINER_ID: &str = "procinfo.container.outer_id";
/// String: UID of the pod.
pub const POD_UID: &str = "k8s.pod.uid";
/// String: the pod.
pub const K8S_POD: &str = "k8s.pod.name";
/// String: the namespace of the pod.
pub const K8S_NAMESPACE: &str = "k8s.namespace.name";
/// String: the container, as the pod's specification names it.
pub const K8S_CONTAINER: &str = "k8s.container.name";
/// String: the node that the pod runs on.
pub const K8S_NODE: &str = "k8s.node.name";
/// String: the deployment that the pod's replica set belongs to.
pub const K8S_DEPLOYMENT: &str = "k8s.deployment.name";
/// String: the replica set that made the pod.
pub const K8S_REPLICASET: &str = "k8s.replicaset.name";
/// String: the stateful set that made the pod.
pub const K8S_STATEFULSET: &str = "k8s.statefulset.name";
/// String: the daemon set that made the pod.
pub const K8S_DAEMONSET: &str = "k8s.daemonset.name";
/// String: the cron job that the pod's job belongs to.
pub const K8S_CRONJOB: &str = "k8s.cronjob.name";
/// String: the job that made the pod.
pub const K8S_JOB: &str = "k8s.job.name";
/// String: the replication controller that made the pod.
pub const K8S_REPLICATION_CONTROLLER: &str = "k8s.replicationcontroller.name";
/// String: the systemd unit.
pub const UNIT: &str = "procinfo.systemd.unit";
/// String: the unit of a user's own manager.
pub const USER_UNIT: &str = "procinfo.systemd.user_unit";
/// String: the slice that holds the unit.
pub const SLICE: &str = "procinfo.systemd.slice";
/// String: name of the effective user.
pub const OWNER: &str = "process.owner";
/// Int: number of the effective user.
pub const USER_ID: &str = "process.user.id";
