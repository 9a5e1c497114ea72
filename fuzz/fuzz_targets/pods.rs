//! Any bytes are a page of a list or lines of a watch, as an API server answers with them, or are refused: no panic,
//! and no more of pods is kept than there is room for, whatever pods they are.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use k8s::{Config, PodChange, PodExtract, Pods, ServiceSource, changes_of_list, changes_of_watch};
use libfuzzer_sys::fuzz_target;
use pdata::KTime;

/// Most pods of the table, and longest line of a watch: few, so that small inputs reach both.
const MOST_PODS: usize = 4;
const MOST_LINE: usize = 2048;
const HOLD: Duration = Duration::from_nanos(3);

/// All labels and annotations, which is what most can be kept by.
static ALL: LazyLock<PodExtract> = LazyLock::new(|| {
    let any = vec!["*".to_owned()];
    let service_from = vec![ServiceSource::Annotations, ServiceSource::Labels, ServiceSource::Workload];
    let config = Config { labels: any.clone(), annotations: any, service_from, ..Config::default() };
    PodExtract::new(&config, "a", |_| true)
});

fn keep(changes: Vec<PodChange>) {
    let mut pods = Pods::new(MOST_PODS, HOLD);
    let mut now = 0;
    for change in changes {
        now += 1;
        let uid = match &change {
            PodChange::Present(pod) | PodChange::Deleted(pod) => Some(Arc::clone(pod.uid())),
            PodChange::ListBegan | PodChange::ListEnded => None,
        };
        pods.apply(change, KTime::from_nanos(now));
        if let Some(uid) = uid {
            let _sight = pods.find(&[uid], &["c".into()], KTime::from_nanos(now));
        }
        assert!(pods.counts().0 <= MOST_PODS && pods.bytes() <= pods.most_bytes());
        pods.expire(KTime::from_nanos(now));
        pods.take_room();
    }
    pods.expire(KTime::from_nanos(u64::MAX));
    assert!(pods.counts().1 == 0, "no deleted pod is kept for ever");
}

fuzz_target!(|answer: &[u8]| {
    keep(changes_of_list(answer, &ALL));
    // The size of the parts is left to the input, too.
    let part = answer.first().map_or(1, |byte| usize::from(*byte) + 1);
    let in_parts = changes_of_watch(answer.chunks(part), MOST_LINE, &ALL);
    assert_eq!(in_parts, changes_of_watch([answer], MOST_LINE, &ALL), "parts do not matter");
    keep(in_parts);
});
