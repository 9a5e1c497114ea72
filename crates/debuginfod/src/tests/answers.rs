//! Answers of servers, honest and other.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tests::debuginfod::{Answer, DebuginfodServer};

use super::scene::{MAX_FILE, bytes, elf, fetch, id, names};
use crate::cache::Cache;
use crate::connect::Tls;

/// Longer than an honest server takes, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_file_is_fetched_whole_whether_its_length_is_known_or_not() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    for (number, answer) in [(1, Answer::File as fn(Vec<u8>) -> Answer), (2, Answer::Chunked)] {
        let (id, file) = (id(number), elf(&id(number), 10_000));
        server.answer(&id.to_string(), answer(file.clone()));
        assert_eq!(fetch((&server.url(), Tls::default()), id, &cache, PATIENCE).await, Ok(true));
        assert_eq!(bytes(cache.file(&id).unwrap()), file);
    }
    assert_eq!(fetch((&server.url(), Tls::default()), id(3), &cache, PATIENCE).await, Ok(false));
    assert_eq!(server.requests()[2], format!("/buildid/{}/debuginfo", "03".repeat(20)));
    assert_eq!(names(dir.path()).len(), 2);
}

/// Whatever a server answers that is not the file, it has a reason, and nothing of it stays in the directory.
#[tokio::test]
async fn an_answer_that_is_not_the_file_is_refused_with_its_reason_and_leaves_nothing() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    let whole = elf(&id(1), 10_000);
    let truncated = whole[..whole.len() - 1].to_vec();
    let too_large = elf(&id(1), usize::try_from(MAX_FILE).unwrap());
    for (answer, reason) in [
        (Answer::Status(500), "refused"),
        (Answer::Status(403), "refused"),
        (Answer::Cut(whole.clone()), "broken"),
        (Answer::File(truncated.clone()), "invalid"),
        (Answer::Chunked(truncated[..200].to_vec()), "invalid"),
        (Answer::File(b"<html>Welcome</html>".to_vec()), "invalid"),
        (Answer::File(Vec::new()), "invalid"),
        (Answer::File(elf(&id(2), 10_000)), "other_build_id"),
        (Answer::File(too_large.clone()), "too_large"),
        (Answer::Chunked(too_large), "too_large"),
        (Answer::Endless(whole), "too_large"),
        (Answer::Redirect("http://localhost:1/buildid/x".to_owned()), "redirected"),
        (Answer::Redirect(format!("/buildid/{}/debuginfo", id(1))), "redirected"),
    ] {
        server.answer(&id(1).to_string(), answer.clone());
        let fetched = fetch((&server.url(), Tls::default()), id(1), &cache, PATIENCE).await;
        assert_eq!(fetched, Err(reason), "{answer:?}");
        assert_eq!(names(dir.path()), [""; 0], "{answer:?}");
    }
}

/// A server that sends a byte now and then has no more time for its whole answer than any other.
#[tokio::test]
async fn an_answer_that_trickles_is_given_up_at_the_deadline() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    server.answer(&id(1).to_string(), Answer::Trickle);
    let within = Duration::from_millis(500);
    assert_eq!(fetch((&server.url(), Tls::default()), id(1), &cache, within).await, Err("timeout"));
    assert_eq!(names(dir.path()), [""; 0]);
}

#[tokio::test]
async fn redirections_are_followed_on_the_same_server_within_bounds() {
    let (server, dir) = (DebuginfodServer::start(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    server.answer(&id(1).to_string(), Answer::Redirect("/step/1".to_owned()));
    server.answer_path("/step/1", Answer::Redirect(format!("{}/step/2", server.url())));
    server.answer_path("/step/2", Answer::File(elf(&id(1), 100)));
    assert_eq!(fetch((&server.url(), Tls::default()), id(1), &cache, PATIENCE).await, Ok(true));
    assert_eq!(server.connections(), 1, "one connection serves all");
    server.answer_path("/step/2", Answer::Redirect("/step/1".to_owned()));
    server.answer(&id(2).to_string(), Answer::Redirect("/step/1".to_owned()));
    assert_eq!(fetch((&server.url(), Tls::default()), id(2), &cache, PATIENCE).await, Err("redirected"));
    assert_eq!(server.requests().len(), 3 + 5);
}

#[tokio::test]
async fn a_server_by_https_must_be_the_one_that_is_named() {
    let (server, dir) = (DebuginfodServer::start_tls(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path(), 1 << 20).unwrap();
    server.answer(&id(1).to_string(), Answer::File(elf(&id(1), 10_000)));
    let trusting = |pem: &str| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        Tls::trusting(roots)
    };
    let other = DebuginfodServer::start_tls();
    let fetched = fetch((&server.url(), trusting(other.authority())), id(1), &cache, PATIENCE).await;
    assert_eq!(fetched, Err("unreachable"));
    let fetched = fetch((&server.url(), trusting(server.authority())), id(1), &cache, PATIENCE).await;
    assert_eq!(fetched, Ok(true));
}
