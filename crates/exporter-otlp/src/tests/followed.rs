//! A name that stands for several servers, which come and go.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exporterhelper::{DeliverySettings, SendError};
use tokio::task::JoinHandle;
use tower::{Service as _, ServiceExt as _};

use super::grpc::{Fake, config, request};
use crate::GrpcConfig;
use crate::answers::Answers;
use crate::balance::{Followed, Lookup, Resolve};
use crate::grpc::{followed, target};

/// A name service of one name, with a count of its lookups.
#[derive(Clone, Default)]
struct Names {
    answer: Arc<Mutex<Vec<SocketAddr>>>,
    /// True while the name service does not respond.
    down: Arc<Mutex<bool>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn are(&self, addresses: &[SocketAddr]) {
        *self.answer.lock().unwrap() = addresses.to_vec();
    }

    fn resolve(&self) -> Resolve {
        let this = self.clone();
        Arc::new(move || -> Lookup {
            this.asked.fetch_add(1, Ordering::Relaxed);
            let down = *this.down.lock().unwrap();
            let answer = this.answer.lock().unwrap().clone();
            Box::pin(async move { if down { Err(io::Error::other("no name service")) } else { Ok(answer) } })
        })
    }

    /// A transport to the servers of the name `collector`.
    fn follow(&self) -> Followed {
        let address = "127.0.0.1:1".parse().unwrap();
        let config = GrpcConfig { endpoint: "dns:///collector:4317".to_owned(), ..config(address) };
        let target = target::parse(&config.endpoint, true).unwrap();
        let answers = Answers::new(&DeliverySettings::new("otlp_grpc"));
        followed(&config, target, self.resolve(), None, &answers)
    }
}

/// A server on a loopback address of its own.
async fn server(host: u8) -> (Fake, SocketAddr, JoinHandle<()>) {
    let fake = Fake::collector();
    let (address, task) = fake.serve_at(SocketAddr::from(([127, 0, 0, host], 0)), None).await;
    (fake, address, task)
}

async fn send(transport: &mut Followed) -> Result<(), SendError> {
    transport.ready().await.unwrap().call(request(9)).await.map(drop)
}

#[tokio::test]
async fn requests_go_to_each_address_of_a_name_in_turn() {
    let ((first, one, _one), (second, two, _two)) = (server(2).await, server(3).await);
    let names = Names::default();
    names.are(&[two, one, one]);
    let mut transport = names.follow();
    for _ in 0..10 {
        send(&mut transport).await.unwrap();
    }
    assert_eq!((first.count(), second.count()), (5, 5));
    assert_eq!(names.asked.load(Ordering::Relaxed), 1, "the answer is used for a while");
}

/// A server that goes costs no request, and one that comes gets its share: the failure of the first has the name looked
/// up again.
#[tokio::test]
async fn servers_that_come_and_go_are_followed() {
    let ((second, two, _two), (third, three, _three)) = (server(3).await, server(4).await);
    // Dead with all its connections when its runtime is.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (_first, one, _one) = runtime.spawn(server(2)).await.unwrap();
    let names = Names::default();
    names.are(&[one, two]);
    let mut transport = names.follow();
    for _ in 0..2 {
        send(&mut transport).await.unwrap();
    }
    runtime.shutdown_background();
    names.are(&[two, three]);
    let end = Instant::now() + Duration::from_secs(60);
    while third.count() == 0 {
        assert!(Instant::now() < end, "the new server gets nothing");
        send(&mut transport).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = (second.count(), third.count());
    for _ in 0..10 {
        send(&mut transport).await.unwrap();
    }
    assert_eq!((second.count() - before.0, third.count() - before.1), (5, 5));
}

#[tokio::test]
async fn while_the_name_cannot_be_looked_up_its_last_addresses_are_used() {
    let names = Names::default();
    *names.down.lock().unwrap() = true;
    let mut transport = names.follow();
    let error = send(&mut transport).await.unwrap_err();
    assert!(error.to_string().contains("cannot look up collector:4317"), "{error}");
    *names.down.lock().unwrap() = false;
    let error = send(&mut transport).await.unwrap_err();
    assert!(error.to_string().contains("has no address"), "{error}");

    let (first, one, _one) = server(2).await;
    names.are(&[one]);
    send(&mut transport).await.unwrap();
    *names.down.lock().unwrap() = true;
    transport.fail_for_test();
    for _ in 0..3 {
        send(&mut transport).await.unwrap();
    }
    names.are(&[]);
    *names.down.lock().unwrap() = false;
    transport.fail_for_test();
    send(&mut transport).await.unwrap();
    assert_eq!(first.count(), 5);
}

/// The system's own resolver looks up a name that comes from the configuration.
#[tokio::test]
async fn dns_in_an_endpoint_is_looked_up_by_the_system() {
    let fake = Fake::collector();
    let (address, _server) = fake.serve(None).await;
    let config = GrpcConfig { endpoint: format!("dns:///localhost:{}", address.port()), ..config(address) };
    super::grpc::send(&config).await.unwrap();
    assert_eq!(fake.count(), 1);
}
