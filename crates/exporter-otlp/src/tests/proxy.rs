//! Exports through a proxy.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::http::{self, answer};
use super::rude::Rude;
use super::tls::Authority;
use super::{grpc, make};
use crate::{HttpConfig, TlsConfig};

#[tokio::test]
async fn a_plain_request_is_given_to_the_proxy_as_a_whole() {
    let proxy = Rude::start(vec![answer("200 OK", "", b"")]).await;
    let config = HttpConfig {
        endpoint: "http://collector.invalid:4318".to_owned(),
        proxy_url: Some(format!("http://me:secret@{}", proxy.address).as_str().into()),
        ..HttpConfig::default()
    };
    http::send(&config).await.unwrap();
    let head = proxy.requests()[0].head.clone();
    assert!(head.starts_with("POST http://collector.invalid:4318/v1development/profiles HTTP/1.1"), "{head}");
    assert!(head.contains("proxy-authorization: Basic bWU6c2VjcmV0"), "{head}");
}

#[tokio::test]
async fn a_request_by_tls_goes_through_the_proxy_unseen() {
    let authority = Authority::new();
    let server = make::http_by_tls(authority.server_config("collector.invalid", None)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        String::from_utf8(head).unwrap()
    });
    let config = HttpConfig {
        endpoint: "https://collector.invalid:4318".to_owned(),
        proxy_url: Some(format!("http://{proxy}").as_str().into()),
        tls: TlsConfig { ca_file: Some(authority.ca_file()), ..TlsConfig::default() },
        ..HttpConfig::default()
    };
    http::send(&config).await.unwrap();
    let head = asked.await.unwrap();
    assert!(head.starts_with("CONNECT collector.invalid:4318 HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn grpc_goes_by_no_proxy() {
    // The gRPC exporter has no key for a proxy, and does not look at the environment.
    let error = grpc::send(&grpc::config("127.0.0.1:1".parse().unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
