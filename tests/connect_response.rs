//! The client receives something else than the 101 it wants: RFC 6455 §4.1.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::io;
use std::time::Duration;

use connect_support::{Tap, accepting, read_head, read_rest, tapped};
use sansocket::handshake::{ClientRequest, HandshakeError, HeadLimits, Headers, ReceivedResponse};
use sansocket::stream::{ConnectError, Connector};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// What comes of an attempt whose request is answered with what `answer` makes of it; the server then closes, or waits
/// for the client to do so.
async fn attempt(answer: impl FnOnce(&[u8]) -> Vec<u8>, server_closes: bool) -> (ConnectError, Tap, Vec<u8>) {
    let (near, mut far, tap) = tapped();
    let server = async {
        let request = read_head(&mut far).await;
        far.write_all(&answer(&request)).await.unwrap();
        if server_closes {
            far.shutdown().await.unwrap();
        }
        // No Close frame, nor any other octet.
        assert_eq!(read_rest(&mut far).await, b"", "the client closes and sends nothing more");
        request
    };
    let connector = Connector::default();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let (connected, request) = tokio::join!(connector.connect_over(near, &request), server);
    // Without a WebSocket there is no report that could call its end clean.
    (connected.map(|_| ()).unwrap_err(), tap, request)
}

fn refusal(error: ConnectError) -> (HandshakeError, ReceivedResponse) {
    match error {
        ConnectError::Handshake(error, Some(response)) => (error, *response),
        other => panic!("{other:?}"),
    }
}

fn replaced(request: &[u8], from: &str, to: &str) -> Vec<u8> {
    let response = String::from_utf8(accepting(request, "")).unwrap();
    assert!(response.contains(from));
    response.replacen(from, to, 1).into_bytes()
}

#[tokio::test(start_paused = true)]
async fn client_receives_a_101_with_one_thing_wrong() {
    // 6455-4.1-31 6455-4.1-32 6455-7.1.4-2 6455-7.1.7-3 6455-7.2.1-1 CM-7
    use HandshakeError as E;
    let table: [(&str, &str, E); 9] = [
        ("HTTP/1.1", "HTTP/1.0", E::ResponseHttpVersion),
        ("Upgrade: websocket\r\n", "", E::ResponseUpgrade),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", E::ResponseUpgrade),
        ("Connection: Upgrade\r\n", "", E::ResponseConnection),
        ("Connection: Upgrade", "Connection: upgraded", E::ResponseConnection),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", E::Accept),
        ("Sec-WebSocket-Accept: ", "X-Accept: ", E::Accept),
        ("\r\nUpgrade", "\r\nSec-WebSocket-Extensions: x\r\nUpgrade", E::ExtensionNotOffered),
        ("\r\nUpgrade", "\r\nSec-WebSocket-Protocol: chat\r\nUpgrade", E::SubprotocolNotOffered),
    ];
    for (from, to, expected) in table {
        let start = Instant::now();
        let (error, tap, request) = attempt(|request| replaced(request, from, to), false).await;
        let (error, response) = refusal(error);
        assert_eq!(error, expected, "{to}");
        assert_eq!((response.status, &response.body_prefix[..]), (101, &b""[..]));
        assert_eq!(tap.record().written, request);
        assert_eq!(start.elapsed(), Duration::ZERO, "a 101 has no body to wait for");
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_another_status() {
    // 6455-4.1-33: with its headers and its body; nothing is followed.
    let reason = |status| match status {
        426 => HandshakeError::VersionRejected { supported: vec![7, 8] },
        status => HandshakeError::Status(status),
    };
    for status in [200, 301, 307, 400, 401, 403, 404, 426, 500, 503] {
        for server_closes in [false, true] {
            let start = Instant::now();
            let answer = format!(
                "HTTP/1.1 {status} Whatever\r\nLocation: /elsewhere\r\nWWW-Authenticate: Basic\r\n\
                 Sec-WebSocket-Version: 8, 7\r\nContent-Length: 4\r\n\r\nwhy?"
            );
            let (error, tap, request) = attempt(|_| answer.into_bytes(), server_closes).await;
            let (error, response) = refusal(error);
            assert_eq!(error, reason(status));
            assert_eq!(response.status, status);
            assert!(response.values_of("location").eq([b"/elsewhere"]));
            assert!(response.values_of("www-authenticate").eq([b"Basic"]));
            assert_eq!(response.body_prefix, b"why?");
            assert_eq!(tap.record().written, request);
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_a_body_of_1_mib_and_keeps_4_kib() {
    // 6455-4.1-33
    let body: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
    for line in ["Content-Length: 1048576\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", ""] {
        let (near, mut far, tap) = tapped();
        let server = async {
            let request = read_head(&mut far).await;
            far.write_all(format!("HTTP/1.1 404 Not Found\r\n{line}\r\n").as_bytes()).await.unwrap();
            // It cannot all be written: the client stops reading.
            let written = far.write_all(&body).await;
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            request
        };
        let connector = Connector::default();
        let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
        let (connected, request) = tokio::join!(connector.connect_over(near, &request), server);
        let (_, response) = refusal(connected.unwrap_err());
        assert_eq!(response.body_prefix, body[..4 << 10]);
        assert_eq!(tap.record().written, request);
        assert!(tap.record().read.len() <= 8 << 10);
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_a_body_that_does_not_come() {
    // What has come is kept; it is waited for for a second.
    for (body, expected) in [("", &b""[..]), ("Content-Length: 10\r\n", b""), ("\r\nsorr", b"sorr")] {
        let start = Instant::now();
        let answer = match body.strip_prefix("\r\n") {
            Some(body) => format!("HTTP/1.1 500 \r\nContent-Length: 10\r\n\r\n{body}"),
            None => format!("HTTP/1.1 500 \r\n{body}\r\n"),
        };
        let (error, ..) = attempt(|_| answer.into_bytes(), false).await;
        assert_eq!(refusal(error).1.body_prefix, expected);
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_a_status_without_a_body() {
    // RFC 9112 §6.3: nothing to wait for.
    for head in ["204 \r\n", "304 \r\n", "199 \r\n", "404 \r\nContent-Length: 0\r\n"] {
        let start = Instant::now();
        let (error, ..) = attempt(|_| format!("HTTP/1.1 {head}\r\n").into_bytes(), false).await;
        assert!(matches!(refusal(error).0, HandshakeError::Status(_)));
        assert_eq!(start.elapsed(), Duration::ZERO, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_a_refusal_just_before_the_deadline() {
    // The refusal is what happened; that its body is late is not.
    let (near, mut far) = duplex(4096);
    let start = Instant::now();
    let server = async {
        read_head(&mut far).await;
        sleep(Duration::from_millis(9500)).await;
        far.write_all(b"HTTP/1.1 401 \r\n\r\nwh").await.unwrap();
        read_rest(&mut far).await
    };
    let connector = Connector::default();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let (connected, _) = tokio::join!(connector.connect_over(near, &request), server);
    let (error, response) = refusal(connected.unwrap_err());
    assert_eq!((error, &response.body_prefix[..]), (HandshakeError::Status(401), &b"wh"[..]));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn client_receives_the_end_of_the_stream_inside_the_response() {
    // 6455-7.2.1-2, state 4
    let len = accepting(b"Sec-WebSocket-Key: x", "").len();
    for taken in 0..len {
        let (error, tap, request) = attempt(|request| accepting(request, "")[..taken].to_vec(), true).await;
        assert!(matches!(error, ConnectError::EndOfStream), "after {taken}");
        assert_eq!(tap.record().written, request);
    }
}

#[tokio::test(start_paused = true)]
async fn client_receives_something_that_is_no_response() {
    let long = format!("HTTP/1.1 101 \r\nX: {}", "x".repeat(33 << 10));
    let many = format!("HTTP/1.1 101 \r\n{}\r\n", "X: y\r\n".repeat(101));
    let table: [(&[u8], HandshakeError); 6] = [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", HandshakeError::ResponseHttpVersion),
        (b"\x16\x03\x03", HandshakeError::MalformedHead),
        (b"HTTP/1.1 101 \n", HandshakeError::MalformedHead),
        (b"HTTP/2.0 101 \r\n\r\n", HandshakeError::ResponseHttpVersion),
        (long.as_bytes(), HandshakeError::HeadTooLarge),
        (many.as_bytes(), HandshakeError::TooManyHeaders),
    ];
    for (answer, expected) in table {
        let start = Instant::now();
        let (error, tap, request) = attempt(|_| answer.to_vec(), false).await;
        match error {
            ConnectError::Handshake(error, None) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
        assert_eq!(tap.record().written, request);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test]
async fn client_receives_a_head_of_exactly_the_limit() {
    for (spare, accepted) in [(0, true), (1, false)] {
        let (near, mut far) = duplex(4096);
        let mut limits = HeadLimits::default();
        limits.max_bytes = accepting(b"Sec-WebSocket-Key: x", "").len() - spare;
        let connector = Connector::default().head_limits(limits);
        let server = async {
            let request = read_head(&mut far).await;
            far.write_all(&accepting(&request, "")).await.unwrap();
        };
        let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
        let (connected, ()) = tokio::join!(connector.connect_over(near, &request), server);
        assert_eq!(connected.is_ok(), accepted);
    }
}

#[tokio::test]
async fn client_receives_a_reset() {
    // 6455-4.1-10 6455-7.2.1-2
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let server = async {
        read_head(&mut far).await;
        far.write_all(b"HTTP/1.1 101 ").await.unwrap();
        far.set_zero_linger().unwrap();
        drop(far);
    };
    let connector = Connector::default();
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    let (connected, ()) = tokio::join!(connector.connect_over(near, &request), server);
    assert!(matches!(connected, Err(ConnectError::Io(_))));
}

#[tokio::test]
async fn client_sends_its_request_over_a_transport_that_has_failed() {
    let (near, far) = duplex(4096);
    drop(far);
    let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
    match Connector::default().connect_over(near, &request).await {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}
