use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::tests::api_server::{self, ApiServer, Trick};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use pdata::KTime;
use tokio::sync::mpsc::{self, Receiver};

use super::*;
use crate::authorities::Authorities;
use crate::config::Config;
use crate::connect::ApiEndpoint;
use crate::pods::{PodSight, Pods};

/// Far longer than anything takes, on a machine however busy.
const DEADLINE: Duration = Duration::from_secs(120);

fn reflector(server: &ApiServer) -> (Reflector, Receiver<PodChange>) {
    let (sender, receiver) = mpsc::channel(1024);
    let endpoint = ApiEndpoint::parse(&server.endpoint()).unwrap();
    let authorities = Authorities::in_file(server.ca_file());
    let api = Api { endpoint, token_file: server.token_file(), authorities, node: "a".to_owned() };
    let extract = PodExtract::new(&Config::default(), "a", |_| true);
    (Reflector::new(api, extract, sender, Arc::default()), receiver)
}

/// Waits for something to be so, and lets the reflector work meanwhile.
async fn until(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waited).await.unwrap();
}

fn requests(server: &ApiServer, part: &str) -> usize {
    server.requests().iter().filter(|request| request.contains(part)).count()
}

/// Counts since the last look, by the labels of the counter.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let counted = snapshotter.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        match value {
            DebugValue::Counter(count) if count > 0 => Some((labels.join(" "), count)),
            _ => None,
        }
    });
    counted.collect()
}

fn expected<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(labels, count)| (labels.to_owned(), count)).collect()
}

/// A watch that ends well ends with the end of a line: anything else may have lost an event.
#[tokio::test]
async fn a_watch_that_ends_within_a_line_has_failed() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = ::metrics::set_default_local_recorder(&recorder);
    let server = ApiServer::start();
    server.trick(Trick::Nothing);
    let (mut reflector, _changes) = reflector(&server);
    tokio::select! {
        _ = reflector.watch("0".to_owned()) => unreachable!("the server remembers all versions"),
        () = until(|| requests(&server, " watching") == 1) => {}
    }
    assert_eq!(counted(&snapshotter), expected([("watch invalid", 1)]));
}

/// Events that nobody can take in do not end a watch: it would begin anew with the same ones, for ever.
#[tokio::test]
async fn a_watch_goes_on_after_events_that_are_too_large_or_none() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = ::metrics::set_default_local_recorder(&recorder);
    let server = ApiServer::start();
    server.trick(Trick::Oversized);
    server.apply(api_server::pod("a", "shop", "cart", "1"));
    let (mut reflector, mut changes) = reflector(&server);
    let change = tokio::select! {
        _ = reflector.watch("0".to_owned()) => unreachable!("the server remembers all versions"),
        change = tokio::time::timeout(DEADLINE, changes.recv()) => change.unwrap().unwrap(),
    };
    assert!(matches!(change, PodChange::Present(pod) if **pod.uid() == *"1"));
    assert_eq!(counted(&snapshotter), expected([("invalid", 1), ("too_large", 1)]));
    assert_eq!(requests(&server, " watching"), 1);
}

/// After a failure the server is well with the first event: a watch may go on for minutes.
#[tokio::test]
async fn the_first_event_ends_a_failure() {
    let server = ApiServer::start();
    server.trick(Trick::Status(500));
    server.apply(api_server::pod("a", "shop", "cart", "1"));
    let (mut reflector, mut changes) = reflector(&server);
    tokio::select! {
        _ = reflector.watch("0".to_owned()) => unreachable!("the server remembers all versions"),
        change = tokio::time::timeout(DEADLINE, changes.recv()) => assert!(change.unwrap().is_some()),
    }
    assert_eq!(requests(&server, " 500"), 1);
    assert!(!reflector.failing);
}

/// Only where the server does not remember, or answers with too much, something newer than it has at hand is asked for;
/// fewer pods at once only where it answers with too much, and only for that list.
#[tokio::test]
async fn the_newest_list_and_small_pages_are_for_those_who_need_them() {
    let asked_after = async |trick: Trick, query: &str| {
        let server = ApiServer::start();
        server.trick(trick);
        let (mut reflector, _changes) = reflector(&server);
        tokio::time::timeout(DEADLINE, reflector.list(PodPage::Any)).await.unwrap().unwrap();
        assert_eq!(reflector.limit, PAGE);
        assert_eq!(requests(&server, &format!("{query} 200")), 1, "{trick:?}: {:?}", server.requests());
    };
    asked_after(Trick::Status(500), "limit=500&resourceVersion=0").await;
    asked_after(Trick::Status(410), "limit=500").await;
    asked_after(Trick::Endless, "limit=125").await;
}

/// A pod for which there was no room is asked for once there is some, by a list that is no older than what is known.
#[tokio::test]
async fn a_pod_that_did_not_fit_is_known_once_there_is_room() {
    let server = ApiServer::start();
    let member = |uid: &str| api_server::pod("a", "shop", "cart", uid);
    ["1", "2", "3"].iter().for_each(|uid| server.apply(member(uid)));
    let (mut reflector, mut changes) = reflector(&server);
    reflector.list_pause = Duration::ZERO;
    let wish = Arc::clone(&reflector.wish);
    let mut pods = Pods::new(2, Duration::from_secs(60));
    let knows =
        |pods: &mut Pods, uid: &str| matches!(pods.find(&[uid.into()], &[], KTime::ZERO), PodSight::Known(_));
    let follow = async {
        let mut lists = 0;
        while lists < 2 {
            let change = tokio::time::timeout(DEADLINE, changes.recv()).await.unwrap().unwrap();
            let has_ended = change == PodChange::ListEnded;
            pods.apply(change, KTime::ZERO);
            lists += usize::from(has_ended);
            if has_ended && lists == 1 {
                let known = ["1", "2", "3"].map(|uid| knows(&mut pods, uid));
                assert_eq!(known.iter().filter(|known| **known).count(), 2, "{known:?}");
                let kept = ["1", "2", "3"].iter().zip(known).find_map(|(uid, known)| known.then_some(uid));
                server.delete(kept.unwrap());
            }
            if pods.take_room() {
                wish.notify_one();
            }
        }
    };
    tokio::select! {
        () = reflector.run() => unreachable!("somebody wants to know"),
        () = follow => {}
    }
    assert_eq!(["1", "2", "3"].iter().filter(|uid| knows(&mut pods, uid)).count(), 2);
    assert_eq!(pods.counts(), (2, 0), "both that there are");
    let query = "limit=500&resourceVersion=4&resourceVersionMatch=NotOlderThan 200";
    assert_eq!(requests(&server, query), 1, "{:?}", server.requests());
}

/// A wish is granted once the pause since the last list is over, also if watches end meanwhile.
#[tokio::test]
async fn lists_that_are_wished_for_are_not_made_without_pause() {
    let server = ApiServer::start();
    let (mut reflector, mut changes) = reflector(&server);
    reflector.list_pause = DEADLINE * 10;
    reflector.wish.notify_one();
    tokio::select! {
        () = reflector.run() => unreachable!("somebody wants to know"),
        () = async {
            until(|| requests(&server, " watching") == 1).await;
            server.break_connections();
            until(|| requests(&server, " watching") == 2).await;
        } => {}
    }
    assert_eq!(requests(&server, "limit="), 1, "{:?}", server.requests());
    assert_eq!(changes.recv().await, Some(PodChange::ListBegan));
}

/// A list takes so long and no longer, also where each of its parts would have more time.
#[tokio::test(start_paused = true)]
async fn a_list_that_takes_too_long_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = ApiServer::start();
    let (mut reflector, _changes) = reflector(&server);
    reflector.api.endpoint =
        ApiEndpoint::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    reflector.list_time = Duration::from_secs(3);
    let listed = reflector.pages(PodPage::Any).await.unwrap();
    assert!(matches!(listed, Err(ApiError::Late(time)) if time == reflector.list_time), "{listed:?}");
}
