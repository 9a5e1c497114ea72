use std::path::Path;

use pdata::{
    AttributeValue, Cgroup, CgroupId, Comm, Context, ImageKey, ImageKind, Parent, Pid, ProcessKey, Uid,
    UnixNanos,
};
use proptest::prelude::*;

use std::sync::Arc;

use pdata::{Attribute, Image, Relatives};

use super::*;
use crate::resource_attributes;

const ID: &str = "a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1e2d3c4b5a0f1";

fn everything() -> Config {
    let metadata = vec![
        Metadata::Container,
        Metadata::Unit,
        Metadata::Cgroup,
        Metadata::Service,
        Metadata::Parent,
        Metadata::Ancestors,
        Metadata::Owner,
        Metadata::Session,
        Metadata::Namespaces,
        Metadata::Group,
        Metadata::CommandArgs,
    ];
    Config { metadata, ancestors: 2, ..Config::default() }
}

fn cgroup(path: &str, truncated: bool) -> Cgroup {
    Cgroup { id: CgroupId(1), path: Path::new(path).into(), legacy_path: None, truncated }
}

fn image(cgroup: Cgroup) -> Image {
    let named = |number, name: &[u8; 16]| Parent {
        process: ProcessKey { pid: Pid(number), ..ProcessKey::default() },
        created: UnixNanos::default(),
        kind: Some(ImageKind::Kernel(Comm(*name))),
    };
    let unknown = Parent { process: ProcessKey::default(), created: UnixNanos::default(), kind: None };
    Image {
        parents: [named(7, b"make\0\0\0\0\0\0\0\0\0\0\0\0"), unknown.clone(), unknown].into(),
        context: Some(Context { cgroup: Some(Arc::new(cgroup)), user: Some(Uid(1000)) }),
        ..Image::new(ImageKey::default(), UnixNanos::default(), ImageKind::Kernel(Comm::default()))
    }
}

fn pairs(attributes: &Attributes) -> Vec<String> {
    let pair = |attribute: &Attribute| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => text.to_string(),
            AttributeValue::Int(number) => number.to_string(),
            AttributeValue::Texts(texts) => texts.join(","),
            AttributeValue::Bool(value) => value.to_string(),
        };
        format!("{}={value}", attribute.key)
    };
    attributes.iter().map(pair).collect()
}

fn described(config: &Config, path: &str, environment: &[u8]) -> Vec<String> {
    let mut sources = Sources::new(config, Users::parse(b"ada:x:1000:1000\n"));
    let image = image(cgroup(path, false));
    let relatives = Relatives {
        session: Pid(5),
        group: Pid(6),
        own_pid: Pid(1),
        has_terminal: Some(false),
        group_id: Some(7),
        ..Relatives::default()
    };
    let subject = Subject {
        image: &image,
        relatives: Some(&relatives),
        environment,
        published: None,
        pod: None,
        arguments: &[],
    };
    pairs(&sources.describe(&subject, KTime::ZERO))
}

#[test]
fn each_source_says_what_it_knows() {
    let environment = b"OTEL_RESOURCE_ATTRIBUTES=service.namespace=shop,process.pid=1,host.name=x\0OTEL_SERVICE_NAME=cart\0";
    let path = format!("/system.slice/docker-{ID}.scope");
    assert_eq!(
        described(&everything(), &path, environment),
        [
            format!("container.id={ID}"),
            "container.runtime.name=docker".to_owned(),
            "procinfo.systemd.slice=system.slice".to_owned(),
            format!("process.linux.cgroup={path}"),
            "service.name=cart".to_owned(),
            "service.namespace=shop".to_owned(),
            "process.parent_pid=7".to_owned(),
            "procinfo.ancestors=[make],?".to_owned(),
            "process.owner=ada".to_owned(),
            "process.session_leader.pid=5".to_owned(),
            "process.group_leader.pid=6".to_owned(),
            "process.vpid=1".to_owned(),
            "process.interactive=false".to_owned(),
            "procinfo.group.id=7".to_owned(),
        ]
    );
}

#[test]
fn nothing_is_said_that_nobody_asked_for() {
    let none = Config { metadata: Vec::new(), ..Config::default() };
    assert_eq!(described(&none, &format!("/docker/{ID}"), b"OTEL_SERVICE_NAME=cart\0"), [""; 0]);
    let unit = Config { metadata: vec![Metadata::Unit], ..Config::default() };
    assert_eq!(described(&unit, "/init.scope", b""), ["procinfo.systemd.unit=init.scope"]);
}

#[test]
fn a_path_without_its_beginning_says_nothing() {
    let mut sources = Sources::new(&Config::default(), Users::default());
    let image = image(cgroup(&format!("/docker/{ID}"), true));
    let subject = Subject {
        image: &image,
        relatives: None,
        environment: &[],
        published: None,
        pod: None,
        arguments: &[],
    };
    assert_eq!(sources.describe(&subject, KTime::ZERO).get(names::CONTAINER_ID), None);
}

#[test]
fn a_service_is_named_by_its_own_variable_before_the_other() {
    let service = Config { metadata: vec![Metadata::Service], ..Config::default() };
    let of = |environment: &[u8]| described(&service, "/", environment);
    assert_eq!(of(b"OTEL_RESOURCE_ATTRIBUTES=service.name=a%20b\0"), ["service.name=a b"]);
    assert_eq!(of(b"OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=b\0"), ["service.name=b"]);
    assert_eq!(of(b"OTEL_SERVICE_NAME=a\0OTEL_SERVICE_NAME=b\0"), ["service.name=a"], "as getenv(3)");
    assert_eq!(of(b"OTEL_SERVICE_NAME=\xff\n\0"), ["service.name=\u{fffd}\n"]);
    assert_eq!(of(b"OTEL_SERVICE_NAMES=a\0"), [""; 0]);
}

#[test]
fn only_variables_that_are_named_are_said() {
    let environment_variables = vec!["TEAM".to_owned(), "HOME".to_owned()];
    let config = Config { metadata: Vec::new(), environment_variables, ..Config::default() };
    let environment = b"TEAMS=x\0TEAM=a=b\0OTEL_SERVICE_NAME=cart\0SECRET=y\0HOME=\0";
    assert_eq!(
        described(&config, "/", environment),
        ["process.environment_variable.TEAM=a=b", "process.environment_variable.HOME="]
    );
}

/// The API server's names of a pod go before the program's, but the program names its own service.
#[test]
fn a_pod_is_named_by_the_api_server_and_a_service_by_whoever_is_nearest_to_it() {
    let k8s = Some(k8s::Config { labels: vec!["tier".to_owned()], ..k8s::Config::default() });
    let metadata = vec![Metadata::Container, Metadata::Service];
    let config = Config { metadata, k8s, ..Config::default() };
    let mut sources = Sources::new(&config, Users::default());
    let of = |sources: &mut Sources, environment: &[u8]| {
        let path = format!("/kubepods/pod2c48913c-b29f-11e7-9350-020968147796/{ID}");
        let image = image(cgroup(&path, false));
        let mut subject = Subject {
            image: &image,
            relatives: None,
            environment,
            published: None,
            pod: None,
            arguments: &[],
        };
        subject.arguments = b"python3\0/srv/job.py\0";
        pairs(&sources.describe(&subject, KTime::ZERO))
    };
    let residence =
        [format!("container.id={ID}"), "k8s.pod.uid=2c48913c-b29f-11e7-9350-020968147796".to_owned()];
    assert_eq!(of(&mut sources, b""), residence);
    let pod = serde_json::json!({
        "metadata": {
            "name": "cart-0", "namespace": "shop", "uid": "2c48913c-b29f-11e7-9350-020968147796",
            "labels": { "tier": "front" },
            "annotations": {
                "resource.opentelemetry.io/k8s.pod.name": "another",
                "resource.opentelemetry.io/k8s.cluster.name": "another",
                "resource.opentelemetry.io/host.name": "another",
            },
        },
        "spec": { "nodeName": "a", "containers": [{ "name": "app" }] },
        "status": { "containerStatuses": [{ "name": "app", "containerID": format!("containerd://{ID}") }] },
    });
    let extract =
        k8s::PodExtract::new(config.k8s.as_ref().unwrap(), "a", resource_attributes::is_of_an_annotation);
    let pod = k8s::Pod::parse(pod.to_string().as_bytes(), &extract).unwrap();
    sources.apply(PodChange::Present(Box::new(pod.clone())), KTime::ZERO);
    assert_eq!(sources.take_changed(KTime::ZERO).into_iter().collect::<Vec<_>>(), [CgroupId(1)]);
    let identity =
        ["k8s.pod.name=cart-0", "k8s.namespace.name=shop", "k8s.node.name=a", "k8s.pod.label.tier=front"];
    let identity =
        [&residence[..], &identity.map(str::to_owned), &["k8s.container.name=app".to_owned()]].concat();
    let service = ["service.name=cart-0", "service.namespace=shop", "service.instance.id=shop.cart-0.app"];
    let service = service.map(str::to_owned);
    assert_eq!(of(&mut sources, b""), [&identity[..], &service].concat());
    let environment =
        b"OTEL_SERVICE_NAME=own\0OTEL_RESOURCE_ATTRIBUTES=k8s.pod.name=mine,service.namespace=x,k8s.pod.label.tier=y\0";
    let own = ["service.name=own", "service.namespace=x", "service.instance.id=shop.cart-0.app"];
    assert_eq!(of(&mut sources, environment), [&identity[..], &own.map(str::to_owned)].concat());
    sources.apply(PodChange::Deleted(Box::new(pod)), KTime::ZERO);
    sources.expire(KTime::from_nanos(u64::MAX));
    assert!(sources.take_changed(KTime::ZERO).is_empty());
    assert_eq!(
        of(&mut sources, b""),
        [&identity[..], &service].concat(),
        "what is known of a group stays known"
    );
}

proptest! {
    /// Any environment is read: no panic, and a program cannot set attributes that the kernel knows better.
    #[test]
    fn any_environment_is_read(
        bytes: Vec<u8>,
        key in "(process|host|procinfo|os|container)\\.(id|name|pid|x)|container\\.runtime\\.name|k8s\\.pod\\.(uid|name)",
    ) {
        let _ = described(&everything(), "/", &bytes);
        let service = Config { metadata: vec![Metadata::Service], ..Config::default() };
        let environment = format!("OTEL_RESOURCE_ATTRIBUTES={key}=spoofed\0");
        let allowed = ["container.pid", "container.x", "k8s.pod.name"].contains(&key.as_str());
        prop_assert_eq!(described(&service, "/", environment.as_bytes()).is_empty(), !allowed);
    }
}
