//! The client opens a WebSocket over a raw transport: RFC 6455 §4.1.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::io;
use std::time::Duration;

use connect_support::{Call, HELLO, MASKED_HELLO, Tapped, accepting, contains, read_head, read_rest, tapped};
use sansocket::Message;
use sansocket::handshake::{ClientRequest, Headers, InvalidUri};
use sansocket::stream::{Acceptor, ConnectError, Connector, connect};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

fn chat() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").unwrap()
}

#[tokio::test(start_paused = true)]
async fn client_sends_nothing_between_its_request_and_the_101() {
    // 6455-4.1-1 6455-4.1-15 6455-4.1-31, state 3: the server takes its time.
    let (near, mut far, tap) = tapped();
    let seen = tap.clone();
    let server = async {
        let request = read_head(&mut far).await;
        let response = accepting(&request, "");
        for part in response.chunks(40) {
            sleep(Duration::from_secs(2)).await;
            assert_eq!(seen.record().written, request);
            far.write_all(part).await.unwrap();
        }
        (request, far)
    };
    let (connector, chat) = (Connector::default(), chat());
    let (connected, (request, _far)) = tokio::join!(connector.connect_over(near, &chat), server);
    let (mut socket, response) = connected.unwrap();
    assert_eq!(response.status, 101);
    assert_eq!(tap.record().written, request);
    socket.send("Hello").await.unwrap();
    assert_eq!(tap.record().written[request.len()..][..2], MASKED_HELLO[..2]);
}

#[tokio::test(start_paused = true)]
async fn client_sends_the_request_and_flushes_it_before_it_awaits_the_response() {
    // 6455-4.1-15: a transport that passes nothing on before a flush.
    let (near, mut far, tap) = tapped();
    let (connector, chat) = (Connector::default(), chat());
    let attempt = connector.connect_over(near.buffered(), &chat);
    let server = async {
        let request = read_head(&mut far).await;
        far.write_all(&accepting(&request, "")).await.unwrap();
    };
    let (connected, ()) = tokio::join!(attempt, server);
    assert!(connected.is_ok());
    assert_eq!(tap.record().calls, [Call::Write, Call::Flush]);
}

#[tokio::test]
async fn client_receives_frames_behind_the_101_at_every_split() {
    // 6455-4.1-43 CM-2
    let len = accepting(b"Sec-WebSocket-Key: x", "").len() + HELLO.len();
    for split in 0..=len {
        let (near, mut far) = duplex(4096);
        let server = async {
            let request = read_head(&mut far).await;
            let output = [&accepting(&request, "")[..], HELLO].concat();
            assert_eq!(output.len(), len);
            far.write_all(&output[..split]).await.unwrap();
            yield_now().await;
            far.write_all(&output[split..]).await.unwrap();
            // What is lost is not waited for.
            far.shutdown().await.unwrap();
        };
        let client = async {
            let (mut socket, _) = Connector::default().connect_over(near, &chat()).await.unwrap();
            socket.receive().await.unwrap()
        };
        let (message, ()) = tokio::join!(client, server);
        assert_eq!(message, Some(Message::text("Hello")), "split at {split}");
    }
}

#[tokio::test]
async fn client_receives_the_response_octet_by_octet() {
    let (near, mut far) = duplex(1);
    let server = async {
        let request = read_head(&mut far).await;
        far.write_all(&accepting(&request, "")).await.unwrap();
        far.write_all(HELLO).await.unwrap();
    };
    let client = async {
        let (mut socket, _) = Connector::default().connect_over(near, &chat()).await.unwrap();
        socket.receive().await.unwrap()
    };
    let (message, ()) = tokio::join!(client, server);
    assert_eq!(message, Some(Message::text("Hello")));
}

#[tokio::test]
async fn client_receives_interim_responses_before_the_101() {
    // RFC 9110 §15.2
    let (near, mut far) = duplex(4096);
    let server = async {
        let request = read_head(&mut far).await;
        far.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
        yield_now().await;
        far.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.unwrap();
        far.write_all(&accepting(&request, "Server: a\r\n")).await.unwrap();
        far.write_all(HELLO).await.unwrap();
    };
    let client = async {
        let (mut socket, response) = Connector::default().connect_over(near, &chat()).await.unwrap();
        assert_eq!((response.status, response.values_of("link").count()), (101, 0));
        socket.receive().await.unwrap()
    };
    let (message, ()) = tokio::join!(client, server);
    assert_eq!(message, Some(Message::text("Hello")));
}

#[tokio::test]
async fn client_receives_cookies_and_a_subprotocol_with_the_101() {
    // 6455-4.1-42 6455-4.1-41
    let (near, mut far) = duplex(4096);
    let lines = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nSec-WebSocket-Protocol: chat\r\n";
    let server = async {
        let request = read_head(&mut far).await;
        assert!(contains(&request, b"\r\nSec-WebSocket-Protocol: superchat, chat\r\n"));
        assert!(contains(&request, b"\r\nAuthorization: Bearer x\r\n"));
        far.write_all(&accepting(&request, lines)).await.unwrap();
    };
    let request = chat().subprotocols(["superchat", "chat"]).unwrap();
    let request = request.header("Authorization", "Bearer x").unwrap();
    let connector = Connector::default();
    let (connected, ()) = tokio::join!(connector.connect_over(near, &request), server);
    let (socket, response) = connected.unwrap();
    assert!(response.values_of("set-cookie").eq([b"a=1", b"b=2"]));
    assert_eq!(response.body_prefix, b"");
    assert_eq!(socket.subprotocol(), Some("chat"));
}

#[tokio::test(start_paused = true)]
async fn client_receives_no_response_and_gives_up_after_ten_seconds() {
    // CM-14, state 5: no octet extends it, and no Close frame follows.
    for dripping in [false, true] {
        let (near, mut far) = duplex(4096);
        let start = Instant::now();
        let server = tokio::spawn(async move {
            let request = read_head(&mut far).await;
            let mut response = accepting(&request, "").into_iter();
            while dripping && far.write_all(&[response.next().unwrap()]).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            read_rest(&mut far).await
        });
        let connected = Connector::default().connect_over(near, &chat()).await;
        assert!(matches!(connected, Err(ConnectError::Timeout)));
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(server.await.unwrap(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn client_sends_a_request_that_nobody_takes() {
    let (near, _far) = duplex(16);
    let start = Instant::now();
    // The longest timeout is none, not an overflow.
    let connector = Connector::default().handshake_timeout(Duration::MAX);
    let connected = timeout(Duration::from_secs(86_400), connector.connect_over(near, &chat())).await;
    assert!(connected.is_err());
    let (near, _far) = duplex(16);
    let connector = Connector::default().handshake_timeout(Duration::from_secs(3));
    assert!(matches!(connector.connect_over(near, &chat()).await, Err(ConnectError::Timeout)));
    assert_eq!(start.elapsed().as_secs(), 86_403);
}

#[tokio::test]
async fn client_gives_the_attempt_up_by_dropping_it() {
    // State 7: the transport is closed without a Close frame.
    let (near, mut far, tap) = tapped();
    let attempt = tokio::spawn(async move { Connector::default().connect_over(near, &chat()).await.is_ok() });
    let request = read_head(&mut far).await;
    attempt.abort();
    assert_eq!(read_rest(&mut far).await, b"");
    assert_eq!(tap.record().written, request);
}

#[tokio::test]
async fn client_connects_over_tcp() {
    // 6455-4.1-8 6455-4.1-1: directly, when no proxy is configured.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (io, tap) = Tapped::new(listener.accept().await.unwrap().0);
        let mut socket = Acceptor::default().accept(io).await.unwrap();
        while let Some(message) = socket.receive().await.unwrap() {
            socket.send(message).await.unwrap();
        }
        (socket.close_report().unwrap(), tap)
    });
    // By its name, which may have an address more than the server listens on.
    let mut socket = connect(&format!("WS://localhost:{port}/chat?x=1")).await.unwrap();
    let transport = socket.get_ref().unwrap();
    assert!(!transport.is_secure());
    assert!(transport.tcp().nodelay().unwrap());
    socket.send("Hello").await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(Message::text("Hello")));
    assert!(socket.close(None, "").await.unwrap().clean);
    let (report, tap) = server.await.unwrap();
    assert!(report.clean);
    let host = format!("GET /chat?x=1 HTTP/1.1\r\nHost: localhost:{port}\r\n");
    assert!(tap.record().read.starts_with(host.as_bytes()));
}

#[tokio::test]
async fn client_connects_to_a_port_where_nobody_listens() {
    // 6455-4.1-10
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    match connect(&format!("ws://127.0.0.1:{port}/")).await {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn client_connects_to_a_server_that_never_answers() {
    // State 5: the deadline holds for TCP too.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("ws://{}/", listener.local_addr().unwrap());
    let connector = Connector::default().handshake_timeout(Duration::from_millis(20));
    let connected = connector.connect(&ClientRequest::new(&uri).unwrap()).await;
    assert!(matches!(connected, Err(ConnectError::Timeout)));
}

#[tokio::test]
async fn client_connects_to_nothing_with_a_bad_uri() {
    // 6455-4.1-2
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let table = [
        (format!("http://{address}/"), InvalidUri::Scheme),
        (format!("ws://{address}/#here"), InvalidUri::Fragment),
        (format!("ws://me@{address}/"), InvalidUri::Userinfo),
        (format!("ws://{address}/a b"), InvalidUri::Character),
        // CM-13
        (format!("ws://{address}/a\r\nX: y"), InvalidUri::Character),
        ("ws://127.0.0.1:0/".to_owned(), InvalidUri::Port),
        (format!("ws://\u{e9}{address}/"), InvalidUri::NonAsciiHost),
    ];
    for (uri, expected) in table {
        match connect(&uri).await {
            Err(ConnectError::Uri(error)) => assert_eq!(error, expected, "{uri}"),
            other => panic!("{uri}: {other:?}"),
        }
    }
    assert!(timeout(Duration::from_millis(20), listener.accept()).await.is_err(), "nobody has connected");
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn client_connects_to_nothing_with_a_wss_uri_and_no_tls() {
    // 6455-10.6-1 is the feature `rustls`; without it nothing is ever sent in the clear instead.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connected = connect(&format!("wss://{}/", listener.local_addr().unwrap())).await;
    assert!(matches!(connected, Err(ConnectError::TlsNotEnabled)));
    assert!(timeout(Duration::from_millis(20), listener.accept()).await.is_err(), "nobody has connected");
}

#[test]
fn client_and_server_attempts_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let (connector, acceptor, chat) = (Connector::default(), Acceptor::default(), chat());
    is_send(&connector.connect(&chat));
    is_send(&connector.connect_over(duplex(1).0, &chat));
    is_send(&acceptor.accept(duplex(1).0));
}
