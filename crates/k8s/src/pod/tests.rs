use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, ServiceSource};

const UID: &str = "2c48913c-b29f-11e7-9350-020968147796";

fn cart() -> Value {
    json!({
        "metadata": {
            "name": "cart-6d4b-x", "namespace": "shop", "uid": UID,
            "labels": {
                "pod-template-hash": "6d4b", "tier": "front", "empty": "",
                "app.kubernetes.io/name": "by label", "app.kubernetes.io/version": "7",
            },
            "annotations": {
                "team": "checkout", "long": "x".repeat(2000),
                "resource.opentelemetry.io/service.name": "by annotation",
                "resource.opentelemetry.io/service.version": "",
                "resource.opentelemetry.io/process.pid": "1",
                "resource.opentelemetry.io/": "no key",
            },
            "ownerReferences": [{ "kind": "ReplicaSet", "name": "cart-6d4b", "controller": true }],
        },
        "spec": {
            "nodeName": "a",
            "containers": [{ "name": "app", "image": "cart:v1" }, { "name": "proxy", "image": "envoy" }],
            "initContainers": [{ "name": "migrate", "image": "cart:v1" }],
        },
        "status": {
            "containerStatuses": [
                {
                    "name": "app", "containerID": "containerd://c1",
                    "lastState": { "terminated": { "containerID": "containerd://c0" } },
                },
                { "name": "proxy", "containerID": "" },
            ],
            "initContainerStatuses": [
                { "name": "migrate", "state": { "terminated": { "containerID": "cri-o://m" } } },
                { "name": "nobody", "containerID": "containerd://n" },
            ],
        },
    })
}

fn config() -> Config {
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    Config {
        labels: keys(&["tier", "emp*", "other"]),
        annotations: keys(&["team", "long"]),
        ..Config::default()
    }
}

fn read(object: Value, config: &Config) -> Option<Pod> {
    let extract = PodExtract::new(config, "a", |key| !key.starts_with("process."));
    Pod::of(&serde_json::from_value(object).unwrap(), &extract)
}

fn pairs(attributes: &[Attribute]) -> Vec<String> {
    let pair = |attribute: &Attribute| match &attribute.value {
        AttributeValue::Text(text) => format!("{}={text}", attribute.key),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(pair).collect()
}

#[test]
fn a_pod_has_what_was_asked_for() {
    let pod = read(cart(), &config()).unwrap();
    let facts = pod.facts(["c1"]);
    assert_eq!(
        pairs(&facts.identity),
        [
            "k8s.pod.name=cart-6d4b-x",
            &format!("k8s.pod.uid={UID}"),
            "k8s.namespace.name=shop",
            "k8s.node.name=a",
            "k8s.deployment.name=cart",
            "k8s.replicaset.name=cart-6d4b",
            "k8s.pod.label.empty=",
            "k8s.pod.label.tier=front",
            "k8s.pod.annotation.team=checkout",
            "k8s.container.name=app",
        ]
    );
    let little = Config { metadata: vec![PodMetadata::Namespace], ..Config::default() };
    assert_eq!(pairs(&read(cart(), &little).unwrap().facts(["c1"]).identity), ["k8s.namespace.name=shop"]);
}

#[test]
fn containers_are_known_by_each_of_their_ids() {
    let pod = read(cart(), &config()).unwrap();
    let name = |id: &str| {
        let facts = pod.facts([id]);
        let name = pairs(&facts.identity)
            .iter()
            .find_map(|pair| Some(pair.strip_prefix("k8s.container.name=")?.to_owned()));
        assert_eq!(facts.in_container, name.is_some());
        name
    };
    assert_eq!(name("c1").as_deref(), Some("app"));
    assert_eq!(name("c0").as_deref(), Some("app"), "the run before");
    assert_eq!(name("m").as_deref(), Some("migrate"));
    assert_eq!((name("n"), name("x"), name("")), (None, None, None));
    assert_eq!(pod.facts(["x", "m"]), pod.facts(["m"]), "the first that is the pod's");
}

/// For each attribute the first that is there, by OpenTelemetry's conventions.
#[test]
fn a_service_is_named_by_annotations_then_labels_then_workload() {
    let service = |service_from: &[ServiceSource], object: Value| {
        let config = Config { service_from: service_from.to_vec(), ..config() };
        pairs(&read(object, &config).unwrap().facts(["c1"]).service)
    };
    let all = [ServiceSource::Annotations, ServiceSource::Labels, ServiceSource::Workload];
    let workload = "service.instance.id=shop.cart-6d4b-x.app";
    assert_eq!(
        service(&all, cart()),
        ["service.name=by annotation", "service.version=7", "service.namespace=shop", workload]
    );
    assert_eq!(
        service(&all[1..], cart()),
        ["service.name=by label", "service.version=7", "service.namespace=shop", workload]
    );
    assert_eq!(
        service(&all[2..], cart()),
        ["service.name=cart", "service.namespace=shop", "service.version=v1", workload]
    );
    assert_eq!(service(&all[..1], cart()), ["service.name=by annotation"]);
    assert_eq!(service(&[], cart()), [""; 0]);
    let mut object = cart();
    object["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("blue");
    assert_eq!(service(&all[1..2], object)[0], "service.name=blue", "an instance goes before a name");
    let mut object = cart();
    object["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(service(&all[2..], object)[0], "service.name=cart-6d4b-x", "a pod of its own");
}

#[test]
fn a_static_pod_is_known_as_the_kubelet_names_it_and_no_annotation_takes_anothers_place() {
    let owned = |mirror: &str, owner: Value| {
        let mut object = cart();
        object["metadata"]["ownerReferences"] = json!([owner]);
        object["metadata"]["annotations"]["kubernetes.io/config.mirror"] = json!(mirror);
        read(object, &config()).unwrap().uid().to_string()
    };
    let with = |mirror: &str| owned(mirror, json!({ "kind": "Node", "name": "a", "controller": true }));
    let hash = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(with(hash), hash);
    assert_eq!(with("3c48913c-b29f-11e7-9350-020968147796"), UID, "the UID of another pod");
    assert_eq!(with(""), UID);
    for other in [
        json!({ "kind": "ReplicaSet", "name": "a", "controller": true }),
        json!({ "kind": "Node", "name": "b", "controller": true }),
        json!({ "kind": "Node", "name": "a", "controller": false }),
        json!({ "kind": "Node", "name": "a" }),
        json!({}),
    ] {
        assert_eq!(owned(hash, other.clone()), UID, "{other}");
    }
}

#[test]
fn pods_of_other_nodes_and_without_an_id_are_none() {
    for (place, value) in [
        ("/spec/nodeName", json!("b")),
        ("/spec", json!(null)),
        ("/metadata/uid", json!("")),
        ("/metadata", json!(null)),
    ] {
        let mut object = cart();
        *object.pointer_mut(place).unwrap() = value;
        assert_eq!(read(object, &config()), None, "{place}");
    }
}

/// A pod's author cannot make the agent hold more than so much of it.
#[test]
fn what_is_kept_of_a_pod_is_bounded() {
    let mut object = cart();
    let many: serde_json::Map<String, Value> =
        (0..3000).map(|number| (format!("key{number}"), json!("v".repeat(500)))).collect();
    object["metadata"]["labels"] = Value::Object(many.clone());
    object["metadata"]["annotations"] =
        many.into_iter().map(|(key, value)| (format!("resource.opentelemetry.io/{key}"), value)).collect();
    let image = format!("registry/cart:{}", "v".repeat(1000));
    let container = |number| json!({ "name": format!("c{number}"), "image": image });
    object["spec"]["containers"] = (0..3000).map(container).collect();
    let config =
        Config { labels: vec!["*".to_owned()], annotations: vec!["*".to_owned()], ..Config::default() };
    let pod = read(object.clone(), &config).unwrap();
    let bytes = |attributes: &[Attribute]| attributes.iter().map(Attribute::footprint).sum::<usize>();
    assert!(bytes(&pod.identity) < 40_000, "{}", bytes(&pod.identity));
    assert!(bytes(&pod.service) < 20_000, "{}", bytes(&pod.service));
    let containers = |pod: &Pod| pod.containers.iter().map(PodContainer::footprint).sum::<usize>();
    assert!(containers(&pod) <= MAX_CONTAINER_BYTES, "{}", containers(&pod));
    assert!(containers(&pod) > MAX_CONTAINER_BYTES - 2048, "as many as there is room for");
    assert!(pod.footprint() < 80_000, "{}", pod.footprint());
    let without_service = Config { service_from: Vec::new(), metadata: Vec::new(), ..config };
    let mut pod = read(object.clone(), &without_service).unwrap();
    for run in 0..10 {
        let id = |number| format!("containerd://{}{run}{number}", "i".repeat(100));
        let status = |number| json!({ "name": format!("c{number}"), "containerID": id(number) });
        object["status"]["containerStatuses"] = (0..200).map(status).collect();
        let mut newer = read(object.clone(), &without_service).unwrap();
        newer.remember_runs_of(&pod);
        pod = newer;
        assert!(containers(&pod) <= MAX_CONTAINER_BYTES, "{}", containers(&pod));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z:/@.-]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z]{1,8}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever stands in the place of any part of a pod, it is a pod or none: no panic.
    #[test]
    fn any_object_is_read_or_refused(place in 0..10_usize, value in value()) {
        let places = [
            "/metadata", "/metadata/labels", "/metadata/annotations", "/metadata/ownerReferences/0", "/metadata/uid",
            "/spec/containers", "/spec/containers/0", "/status", "/status/containerStatuses/0",
            "/status/containerStatuses/0/containerID",
        ];
        let mut object = cart();
        *object.pointer_mut(places[place]).unwrap() = value;
        let extract = PodExtract::new(&config(), "a", |_| true);
        if let Ok(object) = serde_json::from_value::<PodObject>(object) {
            let pod = Pod::of(&object, &extract);
            let _facts = pod.map(|pod| pod.facts(["c1"]));
        }
    }
}
