//! The client asks a proxy for a tunnel: RFC 6455 §4.1, RFC 9110 §9.3.6.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::time::Duration;

use connect_support::{Tap, Tapped, accepting, contains, read_head, read_rest};
use sansocket::Message;
use sansocket::handshake::{ClientRequest, HandshakeError, InvalidUri};
use sansocket::stream::{ConnectError, ConnectGate, Connector, accept};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const CONNECTED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

async fn proxy() -> (TcpListener, Connector) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::default().proxy("127.0.0.1", port, None).unwrap();
    (listener, connector)
}

/// The next request for a tunnel.
async fn tunnel(listener: &TcpListener) -> (TcpStream, String) {
    let (mut io, _) = timeout(Duration::from_secs(5), listener.accept()).await.expect("an attempt").unwrap();
    let head = read_head(&mut io).await;
    (io, String::from_utf8(head).unwrap())
}

async fn nobody_arrives(listener: &TcpListener) -> bool {
    timeout(Duration::from_millis(20), listener.accept()).await.is_err()
}

fn start(connector: &Connector, uri: &str) -> JoinHandle<Result<(), ConnectError>> {
    let (connector, request) = (connector.clone(), ClientRequest::new(uri).unwrap());
    tokio::spawn(async move { connector.connect(&request).await.map(|_| ()) })
}

#[tokio::test]
async fn client_sends_connect_and_then_its_handshake_through_the_tunnel() {
    // 6455-4.1-7: the name is the proxy's to resolve, and no octet of the handshake comes before its answer.
    for answer in [
        CONNECTED,
        b"HTTP/1.0 200 \r\nProxy-Agent: x\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let (listener, connector) = proxy().await;
        let server = async {
            let (mut io, head) = tunnel(&listener).await;
            assert_eq!(head, "CONNECT chat.invalid:80 HTTP/1.1\r\nHost: chat.invalid:80\r\n\r\n");
            let (first, rest) = answer.split_at(10);
            io.write_all(first).await.unwrap();
            let early = timeout(Duration::from_millis(10), read_rest(&mut io)).await;
            assert!(early.is_err(), "nothing before the whole answer");
            io.write_all(rest).await.unwrap();
            let (io, tap) = Tapped::new(io);
            let mut socket = accept(io).await.unwrap();
            let message = socket.receive().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            tap
        };
        let client = async {
            let request = ClientRequest::new("ws://chat.invalid/room").unwrap();
            let (mut socket, _) = connector.connect(&request).await.unwrap();
            assert!(socket.get_ref().unwrap().tcp().nodelay().unwrap());
            socket.send("Hello").await.unwrap();
            socket.receive().await.unwrap()
        };
        let (message, tap): (_, Tap) = tokio::join!(client, server);
        assert_eq!(message, Some(Message::text("Hello")));
        assert!(tap.record().read.starts_with(b"GET /room HTTP/1.1\r\nHost: chat.invalid\r\n"));
    }
}

#[tokio::test]
async fn client_receives_no_tunnel() {
    // 6455-4.1-7 6455-4.1-10: nothing of the handshake is sent.
    use HandshakeError as E;
    let long = format!("HTTP/1.1 200 \r\nX: {}", "x".repeat(33 << 10));
    let table: [(&[u8], Option<E>); 10] = [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", Some(E::Status(403))),
        (b"HTTP/1.1 407 \r\nProxy-Authenticate: Basic\r\n\r\n", Some(E::Status(407))),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", Some(E::Status(502))),
        (b"HTTP/1.1 301 \r\nLocation: /\r\n\r\n", Some(E::Status(301))),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Some(E::Status(101))),
        (b"\0garbage", Some(E::MalformedHead)),
        (long.as_bytes(), Some(E::HeadTooLarge)),
        // A server that speaks before it is spoken to is none.
        (b"HTTP/1.1 200 \r\n\r\nHTTP/1.1 101 \r\n", Some(E::MalformedHead)),
        (b"HTTP/1.1 200 \r\n", None),
        (b"", None),
    ];
    for (answer, expected) in table {
        let (listener, connector) = proxy().await;
        let attempt = start(&connector, "ws://chat.invalid/");
        let (mut io, _) = tunnel(&listener).await;
        io.write_all(answer).await.unwrap();
        io.shutdown().await.unwrap();
        match (attempt.await.unwrap(), expected) {
            (Err(ConnectError::ProxyHandshake(error)), Some(expected)) => assert_eq!(error, expected),
            (Err(ConnectError::EndOfStream), None) => {}
            other => panic!("{other:?}"),
        }
        let mut rest = Vec::new();
        // A reset, where the client has not read everything.
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut io, &mut rest).await;
        assert_eq!(rest, b"");
    }
}

#[tokio::test]
async fn client_receives_no_answer_of_the_proxy() {
    // State 5: the tunnel counts in the handshake's time.
    let (_listener, connector) = proxy().await;
    let connector = connector.handshake_timeout(Duration::from_millis(20));
    assert!(matches!(start(&connector, "ws://a.invalid/").await.unwrap(), Err(ConnectError::Timeout)));
}

#[tokio::test]
async fn client_connects_through_a_proxy_that_is_not_there() {
    // 6455-4.1-10: in either notation of an address, which are no names to resolve.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for host in ["127.0.0.1", "::1", "[::1]"] {
        let connector = Connector::default().proxy(host, port, None).unwrap();
        match start(&connector, "ws://chat.invalid/").await.unwrap() {
            Err(ConnectError::Io(error)) => assert!(error.raw_os_error().is_some(), "{host}: {error}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn client_sends_the_target_and_its_authorization() {
    // 6455-4.1-7: always with the port, an IPv6 address in brackets; the credentials go to the proxy alone.
    let (listener, _) = proxy().await;
    let port = listener.local_addr().unwrap().port();
    let connector = Connector::default().proxy("127.0.0.1", port, Some("Basic eDp5")).unwrap();
    let table = [
        ("ws://chat.invalid/", "chat.invalid:80"),
        ("ws://chat.invalid:8080/", "chat.invalid:8080"),
        ("ws://[2001:db8::1]/", "[2001:db8::1]:80"),
        ("ws://192.0.2.1:9/", "192.0.2.1:9"),
    ];
    for (uri, target) in table {
        let attempt = start(&connector, uri);
        let (mut io, head) = tunnel(&listener).await;
        let expected =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
        assert_eq!(head, expected);
        io.write_all(CONNECTED).await.unwrap();
        let request = read_head(&mut io).await;
        assert!(!contains(&request, b"Authorization"));
        io.write_all(&accepting(&request, "")).await.unwrap();
        attempt.await.unwrap().unwrap();
    }
}

#[test]
fn client_is_given_a_proxy_that_cannot_be_one() {
    // CM-13 6455-4.1-2
    let table = [
        ("proxy\r\nX: y", 80, None, InvalidUri::Host),
        ("proxy.invalid", 80, Some("Basic x\r\nX: y"), InvalidUri::Character),
        ("proxy.invalid", 80, Some("Basic x\n"), InvalidUri::Character),
        ("proxy.invalid", 80, Some("Basic \0"), InvalidUri::Character),
        ("proxy.invalid", 80, Some("Basic \u{e9}"), InvalidUri::Character),
        ("proxy.invalid", 0, None, InvalidUri::Port),
        ("proxy.invalid/path", 80, None, InvalidUri::Host),
        ("proxy.invalid?", 80, None, InvalidUri::Host),
        ("proxy.invalid#", 80, None, InvalidUri::Fragment),
        ("me@proxy.invalid", 80, None, InvalidUri::Userinfo),
        ("", 80, None, InvalidUri::Host),
        ("[::1", 80, None, InvalidUri::Host),
        ("\u{e9}.invalid", 80, None, InvalidUri::NonAsciiHost),
    ];
    for (host, port, authorization, expected) in table {
        let error = Connector::default().proxy(host, port, authorization).map(|_| ()).unwrap_err();
        assert_eq!(error, expected, "{host:?} {port} {authorization:?}");
    }
}

#[tokio::test]
async fn client_connects_to_one_name_at_a_time_through_a_proxy() {
    // 6455-4.1-5 6455-4.1-6: each name and port is a host of its own, whatever it resolves to; letters without case.
    let (listener, connector) = proxy().await;
    let connector = connector.gate(ConnectGate::new(1));
    let first = start(&connector, "ws://a.invalid/1");
    let (mut io, head) = tunnel(&listener).await;
    assert!(head.starts_with("CONNECT a.invalid:80 "));
    let second = start(&connector, "ws://A.Invalid/2");
    assert!(nobody_arrives(&listener).await, "the same name waits");
    let refused = start(&connector, "ws://a.invalid/3").await.unwrap();
    assert!(matches!(refused, Err(ConnectError::TooManyPending)));

    let mut others = Vec::new();
    for uri in ["ws://b.invalid/", "ws://a.invalid:81/"] {
        let attempt = start(&connector, uri);
        others.push((tunnel(&listener).await.0, attempt));
    }
    others.push((io, first));
    for (mut io, attempt) in others.drain(..) {
        io.write_all(CONNECTED).await.unwrap();
        let request = read_head(&mut io).await;
        assert!(!request.starts_with(b"GET /2 "));
        io.write_all(&accepting(&request, "")).await.unwrap();
        attempt.await.unwrap().unwrap();
    }
    (io, _) = tunnel(&listener).await;
    io.write_all(b"HTTP/1.1 403 \r\n\r\n").await.unwrap();
    assert!(matches!(second.await.unwrap(), Err(ConnectError::ProxyHandshake(_))));
}
