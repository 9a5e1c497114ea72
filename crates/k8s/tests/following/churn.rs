//! Pods that come and go, as many as a busy node has of them and more.
//!
//! Time is that of the events, which the tests themselves move: each change takes a fiftieth of a second of it, however
//! long the machine takes for that.

use std::time::Duration;

use k8s::PodSight;
use pdata::KTime;
use tests::api_server::{ApiServer, Gone};
use tests::wait;

use super::follower::{Follower, HOLD, MAX_PODS, NODE, id, member, requests, text, uid};

/// Pods that there are at any time.
const PODS: usize = 1000;
/// Pods that come, and pods that go, in a second.
const PAIRS: usize = 25;
/// The seconds in which the server is there, in which it is away, and in which it is there again.
const BEFORE: usize = 70;
const AWAY: usize = 30;
const AFTER: usize = 70;
/// Bytes that are counted for such a pod, with its container's facts.
const POD_BYTES: usize = 4000;

/// Pods that come and go leave nothing behind but what may still be asked about, within bounds.
#[test]
fn churn_leaves_nothing_behind() {
    let server = ApiServer::start();
    (0..1000).for_each(|number| server.apply(member(NODE, number)));
    let mut follower = Follower::of(&server);
    follower.waits_for((1000, 0));
    for number in 1000..4000 {
        server.apply(member(NODE, number));
        server.delete(&uid(number - 1000));
        if number % 50 == 0 {
            // Both the one that has just come and the one that has just gone.
            assert!(follower.knows(&uid(number), &id(number)).in_container);
            assert!(follower.knows(&uid(number - 1000), &id(number - 1000)).in_container);
        }
        assert!(follower.pods.counts().0 <= MAX_PODS);
    }
    follower.waits_for((MAX_PODS, MAX_PODS - 1000));
    follower.pods.expire(follower.now.saturating_add(HOLD));
    assert_eq!(follower.pods.counts(), (1000, 0));
}

/// Pods of which the oldest goes for each that comes.
struct Churn {
    server: ApiServer,
    follower: Follower,
    /// Pods so far: the last [`PODS`] of them are there.
    come: usize,
    seconds: u64,
}

impl Churn {
    fn start() -> Self {
        let server = ApiServer::start();
        (0..PODS).for_each(|number| server.apply(member(NODE, number)));
        let mut follower = Follower::with_room_for(4 * PODS, &server);
        follower.waits_for((PODS, 0));
        Self { server, follower, come: PODS, seconds: 0 }
    }

    /// Lets a second pass. Returns the pods that have gone in it.
    fn second(&mut self) -> std::ops::Range<usize> {
        for _ in 0..PAIRS {
            self.server.apply(member(NODE, self.come));
            self.server.delete(&uid(self.come - PODS));
            self.come += 1;
        }
        self.seconds += 1;
        self.follower.now = KTime::from_nanos(self.seconds * 1_000_000_000);
        self.come - PODS - PAIRS..self.come - PODS
    }

    /// Waits until all is known that has happened.
    fn settle(&mut self) {
        self.follower.knows(&uid(self.come - 1), &id(self.come - 1));
        let gone = self.come - PODS - 1;
        let is_deleted = || {
            self.follower.catch_up();
            let (known, deleted) = self.follower.pods.counts();
            known - deleted
        };
        wait::until("the last pod to have gone", is_deleted, |there| *there == PODS);
        assert!(self.follower.facts(&uid(gone), &id(gone)).is_some());
    }

    fn assert_right(&mut self, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            let facts = self.follower.facts(&uid(number), &id(number));
            let facts =
                facts.unwrap_or_else(|| panic!("pod {number} of {}, second {}", self.come, self.seconds));
            assert!(facts.in_container);
            for (key, expected) in [
                ("k8s.pod.name", format!("cart-6d4b-{number}")),
                ("k8s.pod.uid", uid(number)),
                ("service.instance.id", format!("shop.cart-6d4b-{number}.app")),
            ] {
                assert_eq!(text(&facts, key), expected);
            }
        }
    }

    /// Forgets what nobody asks about any more, and asserts that no more is held than that.
    fn assert_bounded(&mut self) {
        let now = self.follower.now;
        self.follower.pods.expire(now);
        let (known, deleted) = self.follower.pods.counts();
        // Those that have gone within `HOLD`, which for those that went while the server was away begins at its return.
        let held = PAIRS * (usize::try_from(HOLD.as_secs()).unwrap() + AWAY);
        assert!(known <= PODS + held && deleted <= held, "{known} pods, {deleted} of them deleted");
        let bytes = self.follower.pods.bytes();
        assert!(bytes <= known * POD_BYTES && bytes <= self.follower.pods.most_bytes(), "{bytes} of {known}");
    }
}

/// A thousand pods, fifty changes a second, and a server that is away for thirty seconds and remembers nothing of them:
/// whatever samples come of pods that there are, or have just gone, they have the attributes of their own pod.
#[test]
fn churn_and_a_server_that_is_away_confuse_no_pod() {
    let mut churn = Churn::start();
    for _ in 0..BEFORE {
        let gone = churn.second();
        churn.settle();
        churn.assert_right(gone.chain([churn.come - PODS, churn.come - PODS / 2]));
        churn.assert_bounded();
    }
    churn.server.go_away();
    let known = churn.come;
    for _ in 0..AWAY {
        let gone = churn.second();
        // What was known of those that have gone meanwhile is right; of those that have come nothing is.
        churn.assert_right(gone.chain(churn.come - PODS..known).filter(|number| *number < known));
        let sight = |number: usize| {
            churn.follower.pods.find(&[uid(number).into()], &[id(number).into()], churn.follower.now)
        };
        assert!([known, churn.come - 1].map(sight).iter().all(|sight| *sight == PodSight::Unknown));
        churn.assert_bounded();
    }
    churn.server.compact(Gone::Status);
    churn.server.come_back();
    churn.settle();
    let away_for = AWAY * PAIRS;
    churn.assert_right(known - PODS..known - PODS + away_for.min(PODS));
    churn.assert_right(churn.come - PODS..churn.come);
    assert_eq!(
        requests(&churn.server, "limit="),
        2 * PODS.div_ceil(500),
        "listed at the start and once more"
    );
    for _ in 0..AFTER {
        let gone = churn.second();
        churn.settle();
        churn.assert_right(gone);
        churn.assert_bounded();
    }
    churn.follower.now = churn.follower.now.saturating_add(HOLD + Duration::from_secs(1));
    churn.follower.pods.expire(churn.follower.now);
    assert_eq!(churn.follower.pods.counts(), (PODS, 0), "nothing is left of those that have gone");
}
