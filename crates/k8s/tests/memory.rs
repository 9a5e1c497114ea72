//! The memory that a node's pods take.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use std::time::Duration;

use k8s::{Config, Pod, PodChange, PodExtract, PodSight, Pods};
use pdata::KTime;
use serde_json::json;
use tests::api_server::{add_container, pod};

const PODS: u64 = 1000;
/// Bytes of a pod with two containers, five labels that are asked for and as many that are not.
const MOST: u64 = 6000;

fn extract() -> PodExtract {
    let config = Config { labels: vec!["wanted*".to_owned()], ..Config::default() };
    PodExtract::new(&config, "a", |_| true)
}

fn uid(number: u64) -> String {
    format!("2c48913c-b29f-11e7-9350-{number:012}")
}

fn id(container: &str, number: u64) -> String {
    format!("{container}{number:060}")
}

fn text(number: u64) -> String {
    let mut pod = pod("a", "shop", &format!("cart-6d4b-{number}"), &uid(number));
    let labels = (0..5).flat_map(|label| [format!("wanted{label}"), format!("other{label}")]);
    let labels = labels.map(|key| (key, json!("value")));
    pod.as_object_mut().unwrap()["metadata"]["labels"] = labels.collect();
    for container in ["app", "proxy"] {
        add_container(&mut pod, container, "registry:5000/cart:v1", Some(&id(container, number)));
    }
    pod.to_string()
}

#[test]
fn a_pod_takes_a_few_kilobytes() {
    let extract = extract();
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

/// However many pods come and go, the table takes no more bytes than it counts, and what it counts is of the pods that
/// there are and those that went a minute ago.
#[test]
fn after_any_churn_memory_is_what_is_counted() {
    let extract = extract();
    let texts: Vec<_> = (0..4 * PODS).map(text).collect();
    let mut pods = Pods::new(1500, Duration::from_secs(60));
    let parse = |number: u64| {
        let text = &texts[usize::try_from(number).unwrap()];
        Box::new(Pod::parse(text.as_bytes(), &extract).unwrap())
    };
    let measured = allocation_counter::measure(|| {
        for number in 0..4 * PODS {
            let now = KTime::from_nanos(number * 20_000_000);
            pods.apply(PodChange::Present(parse(number)), now);
            if let Some(oldest) = number.checked_sub(PODS) {
                pods.apply(PodChange::Deleted(parse(oldest)), now);
            }
            // A sample of each of its containers.
            for container in ["app", "proxy"] {
                let sight = pods.find(&[uid(number).into()], &[id(container, number).into()], now);
                assert!(matches!(sight, PodSight::Known(facts) if facts.in_container));
            }
            pods.expire(now);
            pods.take_changed();
        }
    });
    let counted = u64::try_from(pods.bytes()).unwrap();
    let current = u64::try_from(measured.bytes_current).unwrap();
    println!("{current} bytes of {:?} pods, {counted} of them counted", pods.counts());
    assert_eq!(pods.counts().0, 1500);
    assert!(current >= counted / 2, "what is counted is there");
    assert!(current <= counted, "{current} bytes, {counted} counted");
}
