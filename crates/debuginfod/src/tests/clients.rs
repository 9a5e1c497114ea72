//! Clients, which ask servers on a thread of their own.

use std::time::Duration;

use tests::debuginfod::{Answer, DebuginfodServer};
use tests::wait;

use super::scene::{client, config, elf, id, names, wait_for};
use crate::client::{Debuginfod, Fetch};
use crate::connect::Tls;

#[test]
fn a_file_is_fetched_once_and_found_again_after_a_restart() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let file = elf(&id(1), 10_000);
    server.answer(&id(1).to_string(), Answer::File(file.clone()));
    let config = config(dir.path(), &[server.url()]);
    let first = client(&config);
    assert!(matches!(first.file(id(1), None), Fetch::Waiting), "nobody waits for a server");
    assert_eq!(wait_for(&first, id(1)), Some(file.clone()));
    drop(first);
    let second = client(&config);
    let Fetch::Here(_) = second.file(id(1), None) else { panic!("it is in the directory") };
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_that_no_server_has_is_not_asked_for_again_until_some_time_has_passed() {
    let (servers, dir) =
        ([DebuginfodServer::start(), DebuginfodServer::start()], tempfile::tempdir().unwrap());
    let asked = || servers.iter().map(|server| server.requests().len()).collect::<Vec<_>>();
    let config = config(dir.path(), &servers.each_ref().map(DebuginfodServer::url));
    let patient = client(&config);
    assert_eq!(wait_for(&patient, id(1)), None);
    assert_eq!(wait_for(&patient, id(2)), None);
    assert!((0..100).all(|_| matches!(patient.file(id(1), None), Fetch::Absent)));
    assert_eq!(asked(), [2, 2]);
    let hasty = crate::Config { retry_missing_after: Duration::from_millis(1), ..config };
    let hasty = client(&hasty);
    let ask = || {
        let _absent_or_waiting = hasty.file(id(1), None);
        asked()
    };
    wait::until("it is asked for again", ask, |asked| *asked >= vec![4, 4]);
    // The server has it by now.
    servers[1].answer(&id(1).to_string(), Answer::File(elf(&id(1), 100)));
    wait::until("the file", || hasty.file(id(1), None), |found| matches!(found, Fetch::Here(_)));
}

/// Two stages of one configuration share a client; those of two configurations may share the directory.
#[test]
fn two_stages_at_once_share_what_is_fetched() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let file = elf(&id(1), 60_000);
    server.answer(&id(1).to_string(), Answer::Chunked(file.clone()));
    let mut config = config(dir.path(), &[server.url()]);
    let (one, same) = (Debuginfod::start(&config).unwrap(), Debuginfod::start(&config).unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &same));
    config.timeout *= 2;
    let other = Debuginfod::start(&config).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&one, &other));
    for client in [&one, &same, &other] {
        let _waits = client.file(id(1), None);
    }
    for client in [&one, &same, &other] {
        assert_eq!(wait_for(client, id(1)), Some(file.clone()));
    }
    assert!(server.requests().len() <= 2);
    assert_eq!(names(dir.path()).len(), 1);
}

/// A server that cannot be reached is left alone, and the others are asked all the same.
#[test]
fn the_next_server_is_asked_when_one_fails() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let gone = DebuginfodServer::start().url();
    let failing = DebuginfodServer::start();
    let client = client(&config(dir.path(), &[gone, failing.url(), server.url()]));
    for number in 1..=2 {
        failing.answer(&id(number).to_string(), Answer::Status(503));
        server.answer(&id(number).to_string(), Answer::File(elf(&id(number), 100)));
        assert!(wait_for(&client, id(number)).is_some());
    }
    assert_eq!(failing.requests().len(), 1, "it is left alone after a failure");
}

/// A client that is dropped while a server trickles ends, and nothing of the file is left.
#[test]
fn a_client_that_is_dropped_leaves_nothing_half_written() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    server.answer(&id(1).to_string(), Answer::Trickle);
    let client = client(&config(dir.path(), &[server.url()]));
    let _waits = client.file(id(1), None);
    wait::until("a part", || names(dir.path()), |names| !names.is_empty());
    drop(client);
    wait::until("the part is removed", || names(dir.path()), Vec::is_empty);
}

#[test]
fn a_directory_that_cannot_be_used_keeps_the_client_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let config = config(&file, &["http://127.0.0.1:1".to_owned()]);
    let error = Debuginfod::with(&config, "", Tls::default()).unwrap_err();
    assert!(error.to_string().contains("cache_directory"), "{error}");
}
