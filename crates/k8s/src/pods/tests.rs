use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Config;
use crate::extract::PodExtract;

const HOLD: Duration = Duration::from_nanos(10);
const MOST: usize = 6;

fn at(nanos: u64) -> KTime {
    KTime::from_nanos(nanos)
}

/// A pod that goes by a name, which may change.
fn pod(uid: u8, name: u8) -> Pod {
    let object = json!({
        "metadata": { "uid": uid.to_string(), "name": name.to_string() },
        "spec": { "nodeName": "a" },
    });
    let extract = PodExtract::new(&Config::default(), "a", |_| true);
    Pod::of(&serde_json::from_value(object).unwrap(), &extract).unwrap()
}

fn is_known(pods: &mut Pods, uid: u8, now: u64) -> bool {
    matches!(pods.find(&[uid.to_string().into()], &[], at(now)), PodSight::Known(_))
}

#[test]
fn a_deleted_pod_is_known_until_nobody_has_asked_for_long() {
    let mut pods = Pods::new(MOST, HOLD);
    assert_eq!(pods.find(&["1".into()], &[], at(0)), PodSight::NotListed);
    pods.apply(PodChange::ListBegan, at(0));
    pods.apply(PodChange::Present(Box::new(pod(1, 1))), at(0));
    pods.apply(PodChange::ListEnded, at(0));
    assert_eq!(pods.find(&["2".into()], &[], at(0)), PodSight::Unknown);
    pods.apply(PodChange::Deleted(Box::new(pod(1, 1))), at(100));
    pods.expire(at(109));
    assert!(is_known(&mut pods, 1, 105), "something of it has begun");
    pods.expire(at(114));
    assert_eq!(pods.counts(), (1, 1));
    pods.expire(at(115));
    assert_eq!(pods.counts(), (0, 0));
}

#[test]
fn whoever_asks_hears_of_changes_alone() {
    let mut pods = Pods::new(MOST, HOLD);
    let mut changed = |pod: Pod| {
        pods.apply(PodChange::Present(Box::new(pod)), at(0));
        pods.take_changed().len()
    };
    assert_eq!([changed(pod(1, 1)), changed(pod(1, 1)), changed(pod(1, 2))], [1, 0, 1]);
}

#[test]
fn in_a_full_table_deleted_pods_make_room_first() {
    let mut pods = Pods::new(2, HOLD);
    pods.apply(PodChange::Present(Box::new(pod(1, 1))), at(0));
    pods.apply(PodChange::Deleted(Box::new(pod(2, 1))), at(0));
    pods.apply(PodChange::Present(Box::new(pod(3, 1))), at(1));
    assert!(is_known(&mut pods, 1, 1) && !is_known(&mut pods, 2, 1) && is_known(&mut pods, 3, 1));
    pods.apply(PodChange::Present(Box::new(pod(4, 1))), at(1));
    assert!(is_known(&mut pods, 1, 1) && !is_known(&mut pods, 4, 1));
}

/// Whoever keeps the table has all pods listed again once one that did not fit may fit, and not before or twice.
#[test]
fn a_pod_that_did_not_fit_is_asked_for_once_there_is_room() {
    let mut pods = Pods::new(2, HOLD);
    let present = |pods: &mut Pods, uid| pods.apply(PodChange::Present(Box::new(pod(uid, 1))), at(0));
    (1..=2).for_each(|uid| present(&mut pods, uid));
    pods.apply(PodChange::Deleted(Box::new(pod(1, 1))), at(0));
    assert!(!pods.take_room(), "all have fitted");
    present(&mut pods, 3);
    pods.apply(PodChange::ListBegan, at(0));
    (2..=4).for_each(|uid| present(&mut pods, uid));
    pods.apply(PodChange::ListEnded, at(0));
    assert!(!pods.take_room(), "there is no room");
    pods.apply(PodChange::Deleted(Box::new(pod(2, 1))), at(0));
    assert_eq!([pods.take_room(), pods.take_room()], [true, false]);
    pods.apply(PodChange::ListBegan, at(0));
    (3..=4).for_each(|uid| present(&mut pods, uid));
    pods.apply(PodChange::ListEnded, at(0));
    assert!(is_known(&mut pods, 4, 0) && !pods.take_room());
}

/// A pod with a container of its own ID, and labels of so many bytes.
fn labelled(uid: usize, bytes: usize) -> Pod {
    let labels: serde_json::Map<_, _> =
        (0..bytes / 500).map(|label| (format!("l{label}"), json!("v".repeat(500)))).collect();
    let object = json!({
        "metadata": { "uid": uid.to_string(), "name": "a", "labels": labels },
        "spec": { "nodeName": "a", "containers": [{ "name": "app" }] },
        "status": { "containerStatuses": [{ "name": "app", "containerID": format!("x://c{uid}") }] },
    });
    let config = Config { labels: vec!["*".to_owned()], ..Config::default() };
    Pod::of(&serde_json::from_value(object).unwrap(), &PodExtract::new(&config, "a", |_| true)).unwrap()
}

/// Whoever asks about a container shares what is known of it, and whoever writes pods cannot make the table larger.
#[test]
fn facts_are_shared_and_bytes_are_bounded() {
    let mut pods = Pods::new(2000, HOLD);
    let find = |pods: &mut Pods, uid: usize| match pods.find(
        &[uid.to_string().into()],
        &[format!("c{uid}").into()],
        at(0),
    ) {
        PodSight::Known(facts) => Some(facts),
        PodSight::Unknown | PodSight::NotListed => None,
    };
    pods.apply(PodChange::Present(Box::new(labelled(0, 1000))), at(0));
    let (first, second) = (find(&mut pods, 0).unwrap(), find(&mut pods, 0).unwrap());
    assert!(first.in_container && Arc::ptr_eq(&first.identity, &second.identity));
    assert!(Arc::ptr_eq(&first.service, &second.service));
    pods.apply(PodChange::Present(Box::new(labelled(0, 2000))), at(0));
    assert_ne!(find(&mut pods, 0).unwrap().identity, first.identity);

    let mut pods = Pods::new(64, HOLD);
    let sum = |pods: &Pods| pods.by_uid.values().map(|held| held.bytes).sum::<usize>();
    for uid in 0..200 {
        let change = if uid % 3 == 0 { PodChange::Deleted } else { PodChange::Present };
        pods.apply(change(Box::new(labelled(uid, 8000))), at(0));
        find(&mut pods, uid);
        assert_eq!(pods.bytes, sum(&pods));
        assert!(pods.bytes <= LEAST_BYTES);
    }
    let known = pods.counts().0;
    assert!((20..64).contains(&known), "{known} pods");
    // The bytes of pods that have been forgotten are free again.
    pods.apply(PodChange::ListBegan, at(0));
    pods.apply(PodChange::ListEnded, at(0));
    pods.expire(KTime::from_nanos(u64::MAX));
    assert_eq!((pods.counts(), pods.bytes), ((0, 0), 0));
}

#[derive(Clone, Debug)]
enum Op {
    Present(u8, u8),
    Deleted(u8),
    Relist(Vec<u8>),
    Wait(u64),
    Find(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..9_u8, 0..3_u8).prop_map(|(uid, name)| Op::Present(uid, name)),
        (0..9_u8).prop_map(Op::Deleted),
        prop::collection::vec(0..9_u8, 0..4).prop_map(Op::Relist),
        (1..6_u64).prop_map(Op::Wait),
        (0..9_u8).prop_map(Op::Find),
    ]
}

proptest! {
    /// Whatever happens: the table is bounded, each pod that there is and for which there was room is known, each that
    /// has been deleted at most `HOLD` ago is unless it had to make room, and none is later.
    #[test]
    fn the_table_is_as_its_model(ops in prop::collection::vec(op(), 0..60)) {
        let mut pods = Pods::new(MOST, HOLD);
        // When each pod that is known may be forgotten, if it has been deleted.
        let mut model: BTreeMap<u8, Option<u64>> = BTreeMap::new();
        let mut now = 0;
        let enter = |model: &mut BTreeMap<u8, Option<u64>>, uid: u8| {
            if model.contains_key(&uid) || model.len() < MOST {
                model.insert(uid, None);
                return;
            }
            let oldest = model.iter().filter_map(|(&uid, until)| Some(((*until)?, uid.to_string(), uid))).min();
            if let Some((_, _, oldest)) = oldest {
                model.remove(&oldest);
                model.insert(uid, None);
            }
        };
        for op in ops {
            match op {
                Op::Present(uid, name) => {
                    pods.apply(PodChange::Present(Box::new(pod(uid, name))), at(now));
                    enter(&mut model, uid);
                }
                Op::Deleted(uid) => {
                    pods.apply(PodChange::Deleted(Box::new(pod(uid, 0))), at(now));
                    enter(&mut model, uid);
                    if let Some(until) = model.get_mut(&uid) {
                        *until = Some(now + 10);
                    }
                }
                Op::Relist(uids) => {
                    pods.apply(PodChange::ListBegan, at(now));
                    for &uid in &uids {
                        pods.apply(PodChange::Present(Box::new(pod(uid, 0))), at(now));
                        enter(&mut model, uid);
                    }
                    pods.apply(PodChange::ListEnded, at(now));
                    for (uid, until) in &mut model {
                        if !uids.contains(uid) && until.is_none() {
                            *until = Some(now + 10);
                        }
                    }
                }
                Op::Wait(time) => {
                    now += time;
                    pods.expire(at(now));
                    model.retain(|_, until| until.is_none_or(|until| until > now));
                }
                Op::Find(uid) => {
                    prop_assert_eq!(is_known(&mut pods, uid, now), model.contains_key(&uid));
                    if let Some(Some(until)) = model.get_mut(&uid) {
                        *until = (*until).max(now + 10);
                    }
                }
            }
            let deleted = model.values().filter(|until| until.is_some()).count();
            prop_assert_eq!(pods.counts(), (model.len(), deleted));
            prop_assert!(model.len() <= MOST);
        }
    }

    /// Whatever happens: if all pods are listed again whenever there is room, the table lacks none of those that there
    /// are unless it is full of others that there are.
    #[test]
    fn no_pod_is_missed_while_there_is_room(ops in prop::collection::vec(op(), 0..60)) {
        let mut pods = Pods::new(MOST, HOLD);
        let mut there: BTreeMap<u8, u8> = BTreeMap::new();
        let mut now = 0;
        let list = |pods: &mut Pods, there: &BTreeMap<u8, u8>, now| {
            pods.apply(PodChange::ListBegan, at(now));
            for (&uid, &name) in there {
                pods.apply(PodChange::Present(Box::new(pod(uid, name))), at(now));
            }
            pods.apply(PodChange::ListEnded, at(now));
        };
        for op in ops {
            match op {
                Op::Present(uid, name) => {
                    there.insert(uid, name);
                    pods.apply(PodChange::Present(Box::new(pod(uid, name))), at(now));
                }
                Op::Deleted(uid) => {
                    there.remove(&uid);
                    pods.apply(PodChange::Deleted(Box::new(pod(uid, 0))), at(now));
                }
                Op::Relist(uids) => {
                    there = uids.into_iter().map(|uid| (uid, 0)).collect();
                    list(&mut pods, &there, now);
                }
                Op::Wait(time) => {
                    now += time;
                    pods.expire(at(now));
                }
                Op::Find(uid) => drop(pods.find(&[uid.to_string().into()], &[], at(now))),
            }
            let mut lists = 0;
            while lists < 4 && pods.take_room() {
                list(&mut pods, &there, now);
                lists += 1;
            }
            prop_assert!(lists < 4, "the room is never used up");
            let known = |uid: &u8| pods.by_uid.get(&*uid.to_string()).is_some_and(|held| held.until.is_none());
            let (known, missed): (Vec<u8>, Vec<u8>) = there.keys().copied().partition(known);
            prop_assert!(missed.is_empty() || known.len() == MOST, "{missed:?} are missed beside {known:?}");
        }
    }
}
