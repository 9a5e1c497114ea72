use proptest::prelude::*;

use super::*;

const A: &str = "a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1";
const B: &str = "b0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f2";
const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";
const UID_OF_SLICE: &str = "2c48913c_b29f_11e7_9350_020968147796";

/// The residence by a path in which `<A>`, `<B>`, `<UID>` and `<UID_>` stand for the constants above.
fn of(path: &str) -> Residence {
    let path = path.replace("UID_", UID_OF_SLICE).replace("UID", UID);
    let path = path.split('/').map(|name| {
        let name = name.replace("<A>", A);
        name.replace("<B>", B)
    });
    Residence::of(Path::new(&path.collect::<Vec<_>>().join("/")))
}

fn container(path: &str) -> (Option<&'static str>, Option<&'static str>) {
    let found = of(path).container.unwrap_or_else(|| panic!("no container in {path}"));
    let id = found.id.as_deref().map(|id| {
        if id == A {
            "A"
        } else if id == B {
            "B"
        } else {
            "other"
        }
    });
    (found.runtime, id)
}

/// Each runtime with each of its drivers, as its source code lays out its groups.
#[test]
fn containers_of_each_runtime_are_found() {
    let cases = [
        (Some("docker"), "/docker/<A>"),
        (Some("docker"), "/docker/<A>/init.scope"),
        (Some("docker"), "/system.slice/docker-<A>.scope"),
        (Some("docker"), "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<A>.scope"),
        (Some("docker"), "/batch.slice/docker-<A>.scope"),
        (None, "/batch/<A>"),
        (
            Some("containerd"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-<A>.scope",
        ),
        (
            Some("containerd"),
            "/system.slice/containerd.service/kubepods-besteffort-podUID_.slice:cri-containerd:<A>",
        ),
        (None, "/kubepods/burstable/podUID/<A>"),
        (None, "/kubepods/podUID/<A>/<A>"),
        (Some("containerd"), "/default/<A>"),
        (Some("containerd"), "/system.slice/nerdctl-<A>.scope"),
        (Some("cri-o"), "/kubepods.slice/kubepods-podUID_.slice/crio-<A>.scope/container"),
        (Some("cri-o"), "/kubepods/besteffort/podUID/crio-<A>"),
        (Some("podman"), "/machine.slice/libpod-<A>.scope/container"),
        (Some("podman"), "/machine.slice/machine-libpod_pod_<B>.slice/libpod-<A>.scope"),
        (
            Some("podman"),
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<A>.scope/container",
        ),
        (Some("podman"), "/system.slice/web.service/libpod-payload-<A>"),
        (Some("podman"), "/libpod_parent/libpod-<A>"),
        (Some("docker"), "/ecs/<A>"),
    ];
    for (runtime, path) in cases {
        assert_eq!(container(path), (runtime, Some("A")), "{path}");
        assert_eq!(of(path).outer, None, "{path}");
    }
    assert_eq!(of("/user.slice/runc-web_1.scope").container.unwrap().id.as_deref(), Some("web_1"));
    let fargate = format!("{}-1234567890", &A[..32]);
    let found = of(&format!("/ecs/{}/{fargate}", &A[..32])).container.unwrap();
    assert_eq!(found.id.as_deref(), Some(&*fargate));
}

#[test]
fn containers_that_go_by_a_name_have_it() {
    for (runtime, name, path) in [
        ("lxc", "web", "/lxc.payload.web/system.slice/nginx.service"),
        ("lxc", "101", "/lxc/101/ns"),
        ("systemd-nspawn", "debian", "/machine.slice/systemd-nspawn@debian.service/payload/init.scope"),
        ("systemd-nspawn", "my-box", r"/machine.slice/machine-my\x2dbox.scope/payload"),
    ] {
        let found = of(path);
        let container = found.container.unwrap();
        assert_eq!(
            (container.runtime, container.name.as_deref(), container.id),
            (Some(runtime), Some(name), None)
        );
        assert_eq!(found.user_unit, None, "units inside are the container's own");
    }
}

#[test]
fn what_runs_beside_a_container_is_no_part_of_it() {
    for path in [
        "/kubepods.slice/kubepods-podUID_.slice/crio-conmon-<A>.scope",
        "/machine.slice/libpod-conmon-<A>.scope",
        "/lxc.monitor.web",
        "/machine.slice/systemd-nspawn@debian.service/supervisor",
        "/system.slice/docker.service",
        r"/machine.slice/machine-qemu\x2d1\x2dvm.scope",
        "/",
    ] {
        assert_eq!(of(path).container, None, "{path}");
    }
}

#[test]
fn pods_are_known_by_either_driver() {
    for path in [
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice/cri-containerd-<A>.scope",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice/crio-<A>.scope",
        "/kubepods/burstable/podUID/<A>",
        "/kubepods/podUID/<A>",
        "/system.slice/containerd.service/kubepods-podUID_.slice:cri-containerd:<A>",
    ] {
        assert_eq!(of(path).pod_uid.as_deref(), Some(UID), "{path}");
    }
    let hash = &A[..32];
    assert_eq!(of(&format!("/kubepods/besteffort/pod{hash}/<A>")).pod_uid.as_deref(), Some(hash));
    for path in ["/home.slice/podUID/<A>", "/kubepods/podnothing", "/kubepods.slice/kubepods-pod.slice"] {
        assert_eq!(of(path).pod_uid, None, "{path}");
    }
}

#[test]
fn of_containers_in_containers_the_innermost_counts() {
    let found = of("/docker/<A>/docker/<B>");
    assert_eq!(found.container.unwrap().id.as_deref(), Some(B));
    assert_eq!(found.outer.unwrap().id.as_deref(), Some(A));
    let kind = "/docker/<A>/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID_.slice/cri-containerd-<B>.scope";
    let found = of(kind);
    assert_eq!((found.pod_uid.as_deref(), found.slice, found.unit), (Some(UID), None, None));
    assert_eq!(found.outer_pod_uid, None);
    let other = UID.replace('2', "3");
    let found = of(&format!("/kubepods/podUID/<A>/kubepods/pod{other}/<B>"));
    assert_eq!((found.pod_uid.as_deref(), found.outer_pod_uid.as_deref()), (Some(&*other), Some(UID)));
    assert_eq!(of("/kubepods/podUID/<A>/kubepods/podUID/<B>").outer_pod_uid, None, "the same");
    assert_eq!(container(kind), (Some("containerd"), Some("B")));
    let three = of("/docker/<A>/docker/<B>/docker/<A>");
    assert_eq!(
        (three.container.unwrap().id.as_deref(), three.outer.unwrap().id.as_deref()),
        (Some(A), Some(A))
    );
}

#[test]
fn units_of_systemd_are_found_with_their_slice_session_and_user() {
    let service = of("/system.slice/system-getty.slice/getty@tty1.service/nested");
    assert_eq!(service.unit.as_deref(), Some("getty@tty1.service"));
    assert_eq!(service.slice.as_deref(), Some("system-getty.slice"));
    let session = of("/user.slice/user-1000.slice/session-3.scope");
    assert_eq!((session.session.as_deref(), session.unit.as_deref()), (Some("3"), Some("session-3.scope")));
    let user = of("/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope");
    assert_eq!(user.unit.as_deref(), Some("user@1000.service"));
    assert_eq!(user.user_unit.as_deref(), Some("app-firefox.scope"));
    assert_eq!(user.slice.as_deref(), Some("user-1000.slice"));
    assert_eq!(of("/init.scope").unit.as_deref(), Some("init.scope"));
    assert_eq!(of("/process_api/a1"), Residence::default());
}

#[test]
fn of_two_hierarchies_the_one_that_says_more_of_containers_counts() {
    let docker = Path::new("/docker").join(A);
    let service = Path::new("/system.slice/docker.service");
    let id = |found: Residence| found.container.and_then(|container| container.id);
    assert_eq!(id(Residence::of_either(service, Some(&docker))).as_deref(), Some(A));
    assert_eq!(id(Residence::of_either(&docker, Some(service))).as_deref(), Some(A));
    let nested = docker.join("docker").join(B);
    assert_eq!(id(Residence::of_either(&docker, Some(&nested))).as_deref(), Some(B));
    assert_eq!(Residence::of_either(Path::new("/"), Some(service)).unit.as_deref(), Some("docker.service"));
    assert_eq!(Residence::of_either(service, Some(Path::new("/"))).unit.as_deref(), Some("docker.service"));
}

proptest! {
    /// Any bytes are read: no panic, and an ID is always part of the path.
    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>, names in proptest::collection::vec("[-a-z0-9.:_@\\\\/]{0,80}", 0..6)) {
        let _ = Residence::of(Path::new(std::ffi::OsStr::from_bytes(&bytes)));
        let path = names.join("/");
        let found = Residence::of(Path::new(&path));
        if let Some(id) = found.container.and_then(|container| container.id) {
            prop_assert!(path.contains(&*id));
        }
        prop_assert!(found.unit.is_none_or(|unit| path.contains(&*unit)));
    }

    /// Names that hostile users choose below a container cannot change which container of the host it is.
    #[test]
    fn what_is_below_a_container_does_not_change_the_outermost(below in "[-a-z0-9.:_@/]{0,200}") {
        let found = of(&format!("/docker/<A>/{below}"));
        let outermost = found.outer.or(found.container).unwrap();
        prop_assert_eq!(outermost.id.as_deref(), Some(A));
        prop_assert_eq!((found.unit, found.slice), (None, None));
    }

    /// An ID in a name is found whatever group the host's administrator has put it below.
    #[test]
    fn the_parent_does_not_matter(above in "(/[a-z]{1,20}(\\.slice)?){0,5}", id in "[0-9a-f]{64}") {
        for name in [format!("docker-{id}.scope"), format!("libpod-{id}"), id.clone(), format!("crio-{id}.scope")] {
            let found = Residence::of(Path::new(&format!("{above}/{name}")));
            let found = found.container.and_then(|container| container.id);
            prop_assert_eq!(found.as_deref(), Some(&*id));
        }
    }
}
