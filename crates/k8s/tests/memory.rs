//! The memory that a node's pods take.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::time::Duration;

use k8s::{Config, Pod, PodChange, PodExtract, Pods};
use pdata::KTime;
use serde_json::json;
use tests::api_server::{add_container, pod};

const PODS: u64 = 1000;
/// Bytes of a pod with two containers, five labels that are asked for and as many that are not.
const MOST: u64 = 6000;

#[test]
fn a_pod_takes_a_few_kilobytes() {
    let config = Config { labels: vec!["wanted*".to_owned()], ..Config::default() };
    let extract = PodExtract::new(&config, "a", |_| true);
    let text = |number: u64| {
        let uid = format!("2c48913c-b29f-11e7-9350-{number:012}");
        let mut pod = pod("a", "shop", &format!("cart-6d4b-{number}"), &uid);
        let labels = (0..5).flat_map(|label| [format!("wanted{label}"), format!("other{label}")]);
        let labels = labels.map(|key| (key, json!("value")));
        pod.as_object_mut().unwrap()["metadata"]["labels"] = labels.collect();
        for container in ["app", "proxy"] {
            add_container(&mut pod, container, "registry:5000/cart:v1", Some(&format!("{number:064}")));
        }
        pod.to_string()
    };
    let texts: Vec<_> = (0..PODS).map(text).collect();
    let mut pods = Pods::new(2000, Duration::from_secs(1));
    let measured = allocation_counter::measure(|| {
        for text in &texts {
            let pod = Pod::parse(text.as_bytes(), &extract).unwrap();
            pods.apply(PodChange::Present(Box::new(pod)), KTime::ZERO);
        }
        pods.take_changed();
    });
    assert_eq!(pods.counts().0, 1000);
    let each = u64::try_from(measured.bytes_current).unwrap() / PODS;
    println!("{each} bytes a pod, of {} of JSON", texts.iter().map(String::len).sum::<usize>() / texts.len());
    assert!(each < MOST, "{each} bytes a pod");
}
