//! The server refuses over a raw transport: RFC 6455 §4.2.2, §7.2.2, §10.2.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::collections::HashMap;
use std::time::Duration;

use connect_support::{Call, REQUEST, contains, read_rest, request_with, tapped};
use sansocket::handshake::{HandshakeError, NotOffered, OriginPolicy, Refusal, ServerOptions};
use sansocket::stream::{AcceptError, Acceptor, accept};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, sleep};

/// The status, the headers, of which all lines of one are joined, and the body.
fn parsed(response: &[u8]) -> (u16, HashMap<String, String>, Vec<u8>) {
    let mut headers = [httparse::EMPTY_HEADER; 20];
    let mut head = httparse::Response::new(&mut headers);
    let len = head.parse(response).unwrap().unwrap();
    let mut fields = HashMap::new();
    for field in head.headers.iter() {
        let value = str::from_utf8(field.value).unwrap();
        let joined: &mut String = fields.entry(field.name.to_owned()).or_default();
        joined.push_str(if joined.is_empty() { "" } else { ", " });
        joined.push_str(value);
    }
    (head.code.unwrap(), fields, response[len..].to_vec())
}

#[tokio::test(start_paused = true)]
async fn server_receives_a_request_to_refuse() {
    // 6455-4.2.1-1 6455-4.2.2-8 6455-10.2-1 6455-10.2-2 6455-10.7-4, state 2
    use HandshakeError as E;
    let options = ServerOptions::new().origins(OriginPolicy::allow_list(["https://good.example"]).unwrap());
    let acceptor = Acceptor::default().options(options);
    let text = |from: &str, to: &str| {
        String::from_utf8(REQUEST.to_vec()).unwrap().replacen(from, to, 1).into_bytes()
    };
    let table: [(Vec<u8>, u16, E); 10] = [
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc".to_vec(), 400, E::MalformedHead),
        (text("\r\n", "\n"), 400, E::MalformedHead),
        (text("/chat", "chat"), 400, E::Target),
        (text("HTTP/1.1", "HTTP/2.0"), 400, E::HttpVersion),
        (request_with("Sec-WebSocket-Key", None), 400, E::Key),
        // 6455-4.2.2-6
        (request_with("Origin", Some("https://good.example.evil.com")), 403, E::OriginNotAllowed),
        (text("GET", "POST"), 405, E::Method),
        (request_with("Upgrade", Some("h2c")), 426, E::Upgrade),
        (request_with("Sec-WebSocket-Version", Some("8")), 426, E::UnsupportedVersion(8)),
        (text("/chat", &"/x".repeat(20 << 10)), 431, E::HeadTooLarge),
    ];
    for (request, status, reason) in table {
        let (near, mut far) = duplex(64 << 10);
        let (near, tap) = connect_support::Tapped::new(near);
        let near = near.buffered();
        let start = Instant::now();
        far.write_all(&request).await.unwrap();
        let client = async {
            let response = read_rest(&mut far).await;
            drop(far);
            response
        };
        let (accepted, response) = tokio::join!(acceptor.accept(near), client);
        let Err(AcceptError::Refused(refusal)) = accepted else { panic!("{reason:?}") };
        assert_eq!((refusal.status(), refusal.reason()), (status, &reason));
        // 6455-7.2.2-1: the answer and not one octet more.
        assert_eq!(response, refusal.to_bytes(), "{reason:?}");
        assert_eq!(tap.record().calls, [Call::Write, Call::Flush, Call::ShutDown]);
        assert_eq!(start.elapsed(), Duration::ZERO, "the client has closed");

        let (found, fields, body) = parsed(&response);
        assert_eq!(found, status);
        assert_eq!(fields["Content-Length"], body.len().to_string());
        assert_eq!(fields["Connection"], if status == 426 { "Upgrade, close" } else { "close" });
        assert_eq!(fields.get("Allow").map(String::as_str), (status == 405).then_some("GET"));
        assert_eq!(fields.get("Upgrade").map(String::as_str), (status == 426).then_some("websocket"));
        let version = (reason == E::UnsupportedVersion(8)).then_some("13");
        assert_eq!(fields.get("Sec-WebSocket-Version").map(String::as_str), version);
    }
}

#[tokio::test]
async fn server_sends_a_refusal_of_the_application_and_no_101() {
    // 6455-4.2.2-3 6455-4.2.2-4 6455-4.2.2-9 6455-10.5-1 CM-9
    let own = |status, name: &str, value: &str| Refusal::new(status).header(name, value).unwrap();
    let table = [
        (own(401, "WWW-Authenticate", "Basic"), "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n"),
        (own(302, "Location", "/chat/v2"), "HTTP/1.1 302 Found\r\nLocation: /chat/v2\r\n"),
        (Refusal::new(404), "HTTP/1.1 404 Not Found\r\n"),
        (own(503, "Retry-After", "9"), "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\n"),
        // 6455-4.2.2-10: a mistake of the application's own.
        (NotOffered.into(), "HTTP/1.1 500 Internal Server Error\r\n"),
    ];
    for (refusal, expected) in table {
        let (near, mut far, tap) = tapped();
        far.write_all(REQUEST).await.unwrap();
        let incoming = Acceptor::default().receive_request(near).await.unwrap();
        assert!(incoming.judge().is_ok(), "nothing is wrong with the request");
        let client = async {
            let response = read_rest(&mut far).await;
            drop(far);
            response
        };
        let (refused, response) = tokio::join!(incoming.refuse(refusal), client);
        refused.unwrap();
        assert!(response.starts_with(expected.as_bytes()), "{expected}");
        assert_eq!(parsed(&response).1["Connection"], "close");
        assert!(!contains(&response, b"101"));
        assert_eq!(tap.record().calls, [Call::Write, Call::Flush, Call::ShutDown]);
    }
}

#[tokio::test]
async fn server_sends_no_body_to_a_head_request() {
    // RFC 9110 §9.3.2: neither when the handshake refuses it nor when the application does.
    let head = String::from_utf8(REQUEST.to_vec()).unwrap().replace("GET", "HEAD");
    for by_application in [false, true] {
        let (near, mut far, tap) = tapped();
        far.write_all(head.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        let incoming = Acceptor::default().receive_request(near).await.unwrap();
        if by_application {
            incoming.refuse(Refusal::new(404)).await.unwrap();
        } else {
            assert!(matches!(incoming.accept().await, Err(AcceptError::Refused(_))));
        }
        let (status, fields, body) = parsed(&tap.record().written);
        assert_eq!(status, if by_application { 404 } else { 405 });
        assert_ne!(fields["Content-Length"], "0");
        assert_eq!(body, b"");
    }
}

#[tokio::test(start_paused = true)]
async fn server_receives_more_after_a_refusal_and_discards_a_bounded_part() {
    // Drain: 4 MiB …
    let (near, mut far, tap) = tapped();
    let start = Instant::now();
    let bad = request_with("Upgrade", None);
    let flooding = async {
        far.write_all(&bad).await.unwrap();
        for _ in 0..6000 {
            if far.write_all(&[b'x'; 1000]).await.is_err() {
                return;
            }
        }
        panic!("the server takes everything");
    };
    let (accepted, ()) = tokio::join!(accept(near), flooding);
    assert!(matches!(accepted, Err(AcceptError::Refused(_))));
    assert!(start.elapsed() < Duration::from_secs(2));
    let discarded = tap.record().read.len() - bad.len();
    // What came with the request was read before the drain.
    assert!((4 << 20..(4 << 20) + (8 << 10)).contains(&discarded), "{discarded}");
}

#[tokio::test(start_paused = true)]
async fn server_receives_more_after_a_refusal_for_a_bounded_time() {
    // … or 2 s, whether the client says nothing or something now and then.
    for dripping in [false, true] {
        let (near, mut far, tap) = tapped();
        let start = Instant::now();
        far.write_all(&request_with("Upgrade", None)).await.unwrap();
        let client = tokio::spawn(async move {
            let response = read_rest(&mut far).await;
            while dripping && far.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(300)).await;
            }
            (response, far)
        });
        assert!(matches!(accept(near).await, Err(AcceptError::Refused(_))));
        assert_eq!(start.elapsed().as_millis() / 10, 200);
        let (response, _far) = client.await.unwrap();
        assert_eq!(response, tap.record().written);
    }
}

#[tokio::test(start_paused = true)]
async fn server_sends_a_refusal_to_a_client_that_never_takes_it() {
    // The reason is what the caller wants to know, whatever became of the answer.
    let (near, mut far) = duplex(16);
    let start = Instant::now();
    let request = request_with("Upgrade", None);
    let (accepted, ()) = tokio::join!(accept(near), async { far.write_all(&request).await.unwrap() });
    assert!(matches!(accepted, Err(AcceptError::Refused(refusal)) if refusal.status() == 426));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn server_sends_a_refusal_to_a_client_that_has_gone() {
    let (near, mut far) = duplex(4096);
    far.write_all(&request_with("Upgrade", None)).await.unwrap();
    drop(far);
    let start = Instant::now();
    let accepted = accept(near).await;
    assert!(matches!(accepted, Err(AcceptError::Refused(refusal)) if refusal.status() == 426));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn server_sends_a_refusal_that_no_reset_destroys() {
    // The client's unread octets would make TCP answer a close with a reset.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut far = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    let serving = tokio::spawn(accept(near));
    let request = [request_with("Content-Length", Some("1000000")), vec![b'x'; 1_000_000]].concat();
    far.write_all(&request).await.unwrap();
    let mut response = Vec::new();
    far.read_to_end(&mut response).await.expect("no reset");
    drop(far);
    assert!(response.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    match serving.await.unwrap() {
        Err(AcceptError::Refused(refusal)) => assert_eq!(refusal.reason(), &HandshakeError::Body),
        other => panic!("{other:?}"),
    }
}
