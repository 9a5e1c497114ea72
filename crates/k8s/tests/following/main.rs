//! Pods of a node as they come and go, by a server that speaks the protocol over TLS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod churn;
mod follower;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s::PodSight;
use pdata::KTime;
use tests::api_server::{ApiServer, Gone, Trick, add_container, pod};
use tests::wait;

use self::follower::{Follower, NODE, id, member, requests, text, uid};

#[test]
fn pods_are_listed_page_by_page_and_then_followed() {
    let server = ApiServer::start();
    server.page(100);
    (0..1000).for_each(|number| server.apply(member(NODE, number)));
    (2000..2050).for_each(|number| server.apply(member("node/2", number)));
    let mut follower = Follower::of(&server);
    follower.waits_for((1000, 0));
    assert_eq!((requests(&server, "limit="), requests(&server, "continue=")), (10, 9));
    let facts = follower.knows(&uid(7), &id(7));
    for (key, expected) in [
        ("k8s.pod.name", "cart-6d4b-7"),
        ("k8s.pod.uid", &*uid(7)),
        ("k8s.namespace.name", "shop"),
        ("k8s.node.name", NODE),
        ("k8s.deployment.name", "cart"),
        ("k8s.replicaset.name", "cart-6d4b"),
        ("k8s.container.name", "app"),
        ("service.name", "cart"),
        ("service.namespace", "shop"),
        ("service.version", "v1.2"),
        ("service.instance.id", "shop.cart-6d4b-7.app"),
    ] {
        assert_eq!(text(&facts, key), expected, "{key}");
    }
    server.apply(member(NODE, 1000));
    follower.knows(&uid(1000), &id(1000));
    server.delete(&uid(7));
    follower.waits_for((1001, 1));
    assert_eq!(follower.facts(&uid(7), &id(7)), Some(facts), "it may still be asked about");
    assert_eq!(requests(&server, "continue="), 9, "nothing is listed again");
}

/// A container has no ID before it runs, and another one after each restart.
#[test]
fn containers_are_known_once_they_run_and_by_what_they_were() {
    let server = ApiServer::start();
    let with = |container: Option<&str>| {
        let mut pod = pod(NODE, "shop", "db-0", &uid(1));
        add_container(&mut pod, "db", "postgres", container);
        pod
    };
    server.apply(with(None));
    let mut follower = Follower::of(&server);
    assert!(!follower.knows(&uid(1), &id(1)).in_container);
    follower.pods.take_changed();
    for run in 1..=3 {
        server.apply(with(Some(&id(run))));
        let look = || follower.knows(&uid(1), &id(run));
        wait::until("its container", look, |facts| facts.in_container);
        assert!(follower.pods.take_changed().contains(&*uid(1)), "whoever has asked is to ask again");
    }
    for run in 1..=3 {
        assert_eq!(text(&follower.knows(&uid(1), &id(run)), "k8s.container.name"), "db");
    }
}

/// After a break a watch goes on where it was, by the last bookmark.
#[test]
fn a_watch_that_breaks_goes_on_where_it_was() {
    let server = ApiServer::start();
    server.apply(member(NODE, 1));
    let mut follower = Follower::of(&server);
    follower.knows(&uid(1), &id(1));
    wait::until("a watch", || requests(&server, " watching"), |count| *count == 1);
    server.apply(member("node/2", 2));
    server.bookmark();
    wait::until("a bookmark", || requests(&server, "bookmark sent"), |count| *count == 1);
    server.break_connections();
    wait::until("another watch", || requests(&server, "resourceVersion=3 watching"), |count| *count == 1);
    server.apply(member(NODE, 4));
    follower.knows(&uid(4), &id(4));
    assert_eq!(requests(&server, "limit="), 1, "nothing is listed again: {:?}", server.requests());
}

/// A server that has been away, and does not remember what the agent knows, is asked for all pods again; what happened
/// meanwhile is known then.
#[test]
fn what_the_server_does_not_remember_is_listed_again() {
    for gone in [Gone::Status, Gone::Event] {
        let server = ApiServer::start();
        (0..20).for_each(|number| server.apply(member(NODE, number)));
        let mut follower = Follower::of(&server);
        follower.waits_for((20, 0));
        server.go_away();
        (0..5).for_each(|number| server.delete(&uid(number)));
        (20..23).for_each(|number| server.apply(member(NODE, number)));
        server.compact(gone);
        server.come_back();
        follower.waits_for((23, 5));
        assert_eq!(requests(&server, "limit="), 2, "{:?}", server.requests());
        // A watch that runs, too, may be ended so.
        server.compact(gone);
        server.apply(member(NODE, 30));
        follower.waits_for((24, 5));
    }
}

/// A server that remembers no version at all is asked again ever more seldom.
#[test]
fn a_server_that_remembers_nothing_is_not_asked_without_pause() {
    let server = ApiServer::start();
    server.apply(member(NODE, 1));
    server.forget_all(true);
    let began = Instant::now();
    let mut follower = Follower::of(&server);
    wait::until("five lists", || requests(&server, "limit="), |count| *count >= 5);
    // Four waits, of which up to half is left to chance: of 250, 500, 1000 and 2000 ms.
    assert!(began.elapsed() >= Duration::from_millis(1875), "{:?}: {:?}", began.elapsed(), server.requests());
    follower.knows(&uid(1), &id(1));
    server.forget_all(false);
    wait::until("a watch", || requests(&server, " watching"), |count| *count == 1);
    server.apply(member(NODE, 2));
    follower.knows(&uid(2), &id(2));
}

/// The token is read anew for each request, so that one that the kubelet has replaced in time is never missed, and one
/// that it replaces late is used as soon as it is there.
#[test]
fn tokens_may_change() {
    let server = ApiServer::start();
    server.apply(member(NODE, 1));
    let mut follower = Follower::of(&server);
    follower.knows(&uid(1), &id(1));
    // The watch has its token: no request is made while the file and the server have different ones.
    wait::until("a watch", || requests(&server, " watching"), |count| *count == 1);
    server.rotate_token("second");
    server.break_connections();
    server.apply(member(NODE, 2));
    follower.knows(&uid(2), &id(2));
    assert_eq!(requests(&server, " 401"), 0);
    server.expect_token("third");
    server.break_connections();
    wait::until("a refusal", || requests(&server, " 401"), |count| *count > 0);
    server.apply(member(NODE, 3));
    server.rotate_token("third");
    follower.knows(&uid(3), &id(3));
    assert_eq!(requests(&server, "limit="), 1, "nothing is listed again: {:?}", server.requests());
}

/// Whatever stands in the server's place: each answer is read within bounds, nothing that is known is lost by it, and
/// what the server says once it is back is known.
#[test]
fn answers_that_are_none_change_nothing() {
    let server = ApiServer::start();
    server.apply(member(NODE, 1));
    for trick in [Trick::Garbage, Trick::Nothing, Trick::Endless, Trick::Status(500)] {
        server.trick(trick);
    }
    let mut follower = Follower::of(&server);
    follower.knows(&uid(1), &id(1));
    // The server notices a little later that nobody reads any more.
    wait::until("an end without one", || requests(&server, " endless "), |count| *count == 1);
    let requests_made = server.requests();
    let sent = requests_made.iter().find_map(|request| Some(request.split_once(" endless ")?.1)).unwrap();
    // What is on its way is not in the agent's memory.
    assert!(sent.parse::<usize>().unwrap() < 48 << 20, "{sent} bytes were taken");
    wait::until("a watch", || requests(&server, " watching"), |count| *count == 1);
    for trick in [Trick::Garbage, Trick::Nothing, Trick::Status(403), Trick::Endless] {
        server.trick(trick);
    }
    server.break_connections();
    wait::until("another watch", || requests(&server, " watching"), |count| *count == 2);
    server.apply(member(NODE, 2));
    follower.knows(&uid(2), &id(2));
    assert_eq!(follower.pods.counts(), (2, 0));
    // One after each answer that was none.
    assert_eq!(requests(&server, "limit="), 5, "{:?}", server.requests());
}

/// Of nested pods, as those of a cluster within another, the server's own are the outer ones.
#[test]
fn the_outermost_pod_that_is_known_counts() {
    let server = ApiServer::start();
    server.apply(member(NODE, 1));
    server.apply(member(NODE, 2));
    let mut follower = Follower::of(&server);
    follower.waits_for((2, 0));
    let names = |uids: [usize; 2]| -> [Arc<str>; 2] { uids.map(|number| uid(number).into()) };
    let containers: [Arc<str>; 2] = [id(9).into(), id(2).into()];
    for (uids, expected) in [([1, 2], "cart-6d4b-1"), ([9, 2], "cart-6d4b-2")] {
        let PodSight::Known(facts) = follower.pods.find(&names(uids), &containers, KTime::ZERO) else {
            panic!()
        };
        assert_eq!(text(&facts, "k8s.pod.name"), expected);
        assert_eq!(facts.in_container, expected.ends_with('2'));
    }
    assert_eq!(follower.pods.find(&names([8, 9]), &containers, KTime::ZERO), PodSight::Unknown);
}
