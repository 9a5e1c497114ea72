//! The names in the path of a control group.

use super::container::Container;

/// The kind of a group, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Container(Container),
    /// The group of a pod, by its UID.
    Pod(Box<str>),
    /// The group of a helper process that a runtime runs beside a container, and names after it.
    Monitor,
    Other,
}

/// Digits of an ID as docker, containerd, CRI-O and podman choose them.
const ID_DIGITS: usize = 64;
/// Longest ID of a container whose user names it (`runc run NAME`): as `NAME_MAX`.
const MAX_ID: usize = 255;

/// Prefixes that runtimes put before an ID, with the names of those runtimes.
const PREFIXES: [(&str, Option<&str>); 7] = [
    ("docker-", Some("docker")),
    ("cri-containerd-", Some("containerd")),
    ("nerdctl-", Some("containerd")),
    ("crio-", Some("cri-o")),
    ("libpod-payload-", Some("podman")),
    ("libpod-", Some("podman")),
    ("containerd-", Some("containerd")),
];
/// Runtimes that name scopes after containers whose IDs their users choose freely.
const FREE_PREFIXES: [(&str, &str); 2] = [("runc-", "runc"), ("crun-", "crun")];
/// Prefixes of the groups of helper processes beside a container.
const MONITORS: [&str; 4] = ["crio-conmon-", "libpod-conmon-", "lxc.monitor", "conmon-"];
/// Groups below which a bare ID is a container's, with the runtimes of those containers.
const PARENTS: [(&str, &str); 6] = [
    ("docker", "docker"),
    ("ecs", "docker"),
    ("libpod_parent", "podman"),
    ("default", "containerd"),
    ("k8s.io", "containerd"),
    ("moby", "docker"),
];

/// The kind of the group called `name`, below one called `above`.
pub(super) fn read(name: &str, above: &str) -> Group {
    if MONITORS.iter().any(|monitor| name.starts_with(monitor)) {
        return Group::Monitor;
    }
    if let Some(uid) = pod(name, above) {
        return Group::Pod(uid);
    }
    match container(name, above) {
        Some(container) => Group::Container(container),
        None => Group::Other,
    }
}

/// True for the name of a unit that can hold processes.
pub(super) fn is_unit(name: &str) -> bool {
    let suffixes = [".service", ".scope", ".socket", ".mount", ".swap"];
    is_name(name) && suffixes.iter().any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

fn container(name: &str, above: &str) -> Option<Container> {
    named(name, above).or_else(|| {
        // `kubepods-...slice:cri-containerd:ID`, where a systemd driver meets a runtime without one.
        let (runtime, id) = match name.rsplit_once(':') {
            Some((before, id)) => (before.rsplit_once(':').map_or(before, |(_, runtime)| runtime), id),
            None => ("", name.strip_suffix(".scope").unwrap_or(name)),
        };
        let known = |(prefix, runtime): &(&str, Option<&'static str>)| {
            let id = id.strip_prefix(prefix).filter(|id| is_id(id))?;
            Some(with_id(id, *runtime))
        };
        if let Some(container) = PREFIXES.iter().find_map(known) {
            return Some(container);
        }
        if is_id(id) {
            let colon = PREFIXES.iter().find(|(prefix, _)| prefix.strip_suffix('-') == Some(runtime));
            let parent = PARENTS.iter().find(|(parent, _)| *parent == above);
            return Some(with_id(id, colon.and_then(|(_, of)| *of).or(parent.map(|(_, of)| *of))));
        }
        let scope = name.strip_suffix(".scope")?;
        FREE_PREFIXES.iter().find_map(|(prefix, runtime)| {
            let id = scope.strip_prefix(prefix).filter(|id| is_free_id(id))?;
            Some(with_id(id, Some(runtime)))
        })
    })
}

/// A container that goes by a name: LXC and nspawn. Fargate's IDs have a shape of their own.
fn named(name: &str, above: &str) -> Option<Container> {
    let lxc = name.strip_prefix("lxc.payload.").or_else(|| {
        let parent = above == "lxc" || above == "lxc.payload";
        parent.then_some(name)
    });
    if let Some(lxc) = lxc.filter(|lxc| is_name(lxc)) {
        return Some(with_name(lxc, "lxc"));
    }
    let nspawn = name.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    let machine = nspawn.or_else(|| {
        let machine = name.strip_prefix("machine-").and_then(|rest| rest.strip_suffix(".scope"))?;
        // Virtual machines are no containers, and their emulator runs outside of them.
        (!machine.starts_with("qemu")).then_some(machine)
    });
    if let Some(machine) = machine {
        let machine = unescape(machine);
        return is_name(&machine).then(|| with_name(&machine, "systemd-nspawn"));
    }
    let (task, container) = name.split_once('-')?;
    let fargate = task == above && hexadecimal(task, 32) && !container.is_empty();
    (fargate && container.bytes().all(|byte| byte.is_ascii_digit())).then(|| with_id(name, None))
}

fn with_id(id: &str, runtime: Option<&'static str>) -> Container {
    Container { id: Some(id.into()), name: None, runtime }
}

fn with_name(name: &str, runtime: &'static str) -> Container {
    Container { id: None, name: Some(name.into()), runtime: Some(runtime) }
}

/// The UID of a pod: `pod<uid>` below a group of the kubelet's, or the slice that the kubelet's systemd driver makes of
/// that.
pub(super) fn pod(name: &str, above: &str) -> Option<Box<str>> {
    let uid = match name.strip_suffix(".slice") {
        Some(slice) if slice.starts_with("kubepods") || slice.contains("-kubepods") => {
            slice.rsplit_once("-pod")?.1
        }
        Some(_) => return None,
        None => {
            let classes = ["kubepods", "burstable", "besteffort", "guaranteed"];
            classes.contains(&above).then(|| name.strip_prefix("pod")).flatten()?
        }
    };
    let uid = uid.replace('_', "-");
    let groups: Vec<&str> = uid.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (digits && (lengths == [8, 4, 4, 4, 12] || lengths == [32])).then(|| uid.into())
}

fn is_id(id: &str) -> bool {
    hexadecimal(id, ID_DIGITS)
}

fn hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// True if runc accepts the text as the ID of a container.
fn is_free_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte))
}

/// A name that can be shown as it is.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

/// Undoes systemd's escapes, such as `\x2d`.
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(|digits| digits.split_at_checked(2));
        let value = escaped.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = value.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
