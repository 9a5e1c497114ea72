//! Samples whose pod is learnt of late.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s::{Pod, PodChange, PodExtract};
use pdata::{
    Batch, BootTime, Cgroup, CgroupId, ClockOffset, Context, Event, Image, ImageKey, KTime, Measure, Sample,
    UnixNanos, Watermark,
};

use super::scene::{self, image};
use crate::config::Config;
use crate::request::Refuse;
use crate::sources::Users;
use crate::tracker::Tracker;

fn uid(number: u32) -> String {
    format!("2c48913c-b29f-11e7-9350-{number:012}")
}

fn key(pid: u32) -> ImageKey {
    image(pid, 1, 1)
}

/// A sample of the process of that number, in the pod of the same number.
fn sample(at: u64, number: u32) -> Event {
    let path = format!("/kubepods/pod{}/{number:064}", uid(number));
    let cgroup =
        Cgroup { id: CgroupId(number), path: Path::new(&path).into(), legacy_path: None, truncated: false };
    let context = Context { cgroup: Some(Arc::new(cgroup)), user: None };
    let measure = Measure::OnCpu { period: Duration::from_millis(10) };
    Event::Sample(Sample {
        measure,
        at: KTime::from_nanos(at),
        key: key(number),
        context,
        ..Sample::default()
    })
}

fn seen(number: u32) -> Event {
    scene::seen(1, key(number), "/bin/app")
}

/// The images that samples of these processes get.
fn images(tracker: &mut Tracker, at: u64, numbers: &[u32], before: Vec<Event>) -> Vec<Arc<Image>> {
    let events = before.into_iter().chain(numbers.iter().map(|&number| sample(at, number))).collect();
    let clock = ClockOffset::from_readings(KTime::ZERO, BootTime::from_nanos(0), UnixNanos::from_nanos(0));
    let mut batch = Batch::new(events, Watermark::before(KTime::from_nanos(at + 1)), clock);
    tracker.apply(&mut batch, &mut Refuse);
    tracker.limit();
    let described = |event| match event {
        Event::Sample(sample) => sample.image,
        _ => None,
    };
    batch.into_events().into_iter().filter_map(described).collect()
}

#[test]
fn a_pod_that_is_learnt_of_late_is_on_the_next_sample_of_its_own_images_and_no_others() {
    let config = Config { k8s: Some(k8s::Config::default()), ..Config::default() };
    let mut tracker = Tracker::new(&config, Users::default());
    let pod = |number: u32, name: &str| {
        let object = serde_json::json!({
            "metadata": { "uid": uid(number), "name": name },
            "spec": { "nodeName": "a" },
        });
        let extract = PodExtract::new(&k8s::Config::default(), "a", |_| true);
        Box::new(Pod::parse(object.to_string().as_bytes(), &extract).unwrap())
    };
    let names = |images: &[Arc<Image>]| -> Vec<Option<String>> {
        images.iter().map(|image| image.attributes.text("k8s.pod.name").map(str::to_owned)).collect()
    };
    let first = images(&mut tracker, 10, &[1, 2], vec![seen(1), seen(2)]);
    assert_eq!(names(&first), [None, None]);
    let changes = [PodChange::ListBegan, PodChange::Present(pod(1, "cart")), PodChange::ListEnded];
    tracker.learn_of_pods(changes, KTime::from_nanos(11));
    let second = images(&mut tracker, 20, &[1, 2], Vec::new());
    assert_eq!(names(&second), [Some("cart".to_owned()), None]);
    assert!(Arc::ptr_eq(&first[1], &second[1]), "nothing else is known of the other one");
    // What is the same as before changes nothing; a deleted pod's samples keep its name, long after.
    tracker.learn_of_pods(
        [PodChange::Present(pod(1, "cart")), PodChange::Deleted(pod(1, "cart"))],
        KTime::from_nanos(21),
    );
    let late = Duration::from_secs(3600).as_nanos().try_into().unwrap();
    let third = images(&mut tracker, late, &[1, 2], Vec::new());
    assert!(Arc::ptr_eq(&second[0], &third[0]));
    tracker.learn_of_pods([PodChange::Present(pod(1, "renamed"))], KTime::from_nanos(late));
    assert_eq!(
        names(&images(&mut tracker, late + 1, &[1, 2], Vec::new())),
        [Some("renamed".to_owned()), None]
    );
}
