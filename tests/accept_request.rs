//! The server reads the opening handshake from a raw transport: RFC 6455 §4.2.1.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::time::Duration;

use connect_support::{
    MASKED_HELLO, REQUEST, RESPONSE, contains, read_head, read_rest, request_with, tapped,
};
use sansocket::handshake::{HandshakeError, HeadLimits, Request, ServerOptions, Version};
use sansocket::stream::{AcceptError, Acceptor, WebSocket, accept};
use sansocket::{Config, Message, handshake};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

fn reason<T>(accepted: Result<T, AcceptError>) -> HandshakeError {
    match accepted.map(|_| ()) {
        Err(AcceptError::Refused(refusal)) => refusal.reason().clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn server_receives_frames_behind_the_request_at_every_split() {
    // 6455-4.2.2-22 6455-4.2.2-1 CM-2
    let input = [REQUEST, MASKED_HELLO].concat();
    for split in 0..=input.len() {
        let (near, mut far) = duplex(4096);
        let sending = async {
            far.write_all(&input[..split]).await.unwrap();
            yield_now().await;
            far.write_all(&input[split..]).await.unwrap();
            // What is lost is not waited for.
            far.shutdown().await.unwrap();
        };
        let receiving = async {
            let mut socket = accept(near).await.unwrap();
            socket.receive().await.unwrap()
        };
        let (message, ()) = tokio::join!(receiving, sending);
        assert_eq!(message, Some(Message::text("Hello")), "split at {split}");
    }
}

#[tokio::test]
async fn server_receives_the_request_octet_by_octet() {
    let (near, mut far) = duplex(1);
    let sending = async {
        far.write_all(REQUEST).await.unwrap();
        let response = read_head(&mut far).await;
        far.write_all(MASKED_HELLO).await.unwrap();
        response
    };
    let receiving = async {
        let mut socket = accept(near).await.unwrap();
        socket.receive().await.unwrap()
    };
    let (message, response) = tokio::join!(receiving, sending);
    assert_eq!(response, RESPONSE);
    assert_eq!(message, Some(Message::text("Hello")));
}

#[tokio::test]
async fn server_receives_a_head_above_the_limit() {
    // 6455-10.4-1: 431, however much of it comes.
    let long = [&REQUEST[..REQUEST.len() - 2], b"X: ", &vec![b'x'; 32 << 10], b"\r\n\r\n"].concat();
    let many = [&REQUEST[..REQUEST.len() - 2], &b"X: x\r\n".repeat(96), b"\r\n"].concat();
    let endless = [&b"GET /"[..], &vec![b'x'; 40 << 10]].concat();
    let table = [
        (long, HandshakeError::HeadTooLarge),
        (many, HandshakeError::TooManyHeaders),
        (endless, HandshakeError::HeadTooLarge),
    ];
    for (request, expected) in table {
        let (near, mut far) = duplex(64 << 10);
        far.write_all(&request).await.unwrap();
        far.shutdown().await.unwrap();
        let (accepted, response) = tokio::join!(accept(near), read_rest(&mut far));
        assert_eq!(reason(accepted), expected);
        assert!(response.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    }
}

#[tokio::test]
async fn server_receives_a_head_of_exactly_the_limit() {
    // 6455-10.4-1: inclusive, and frames behind the head do not count.
    for (max_bytes, accepted) in [(REQUEST.len(), true), (REQUEST.len() - 1, false)] {
        let (near, mut far) = duplex(64 << 10);
        far.write_all(&[REQUEST, MASKED_HELLO].concat()).await.unwrap();
        far.shutdown().await.unwrap();
        let mut limits = HeadLimits::default();
        limits.max_bytes = max_bytes;
        let result = Acceptor::default().head_limits(limits).accept(near).await;
        assert_eq!(result.is_ok(), accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn server_receives_one_octet_a_second_and_gives_up_after_ten() {
    // CM-14, state 5: the time runs from the call, and no octet extends it.
    let (near, far) = duplex(4096);
    let (mut far_reads, mut far_writes) = tokio::io::split(far);
    let start = Instant::now();
    let dripping = tokio::spawn(async move {
        for octet in REQUEST {
            if far_writes.write_all(&[*octet]).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    });
    let answered = async {
        let response = read_head(&mut far_reads).await;
        (start.elapsed(), response)
    };
    let (accepted, (after, response)) = tokio::join!(accept(near), answered);
    assert_eq!(reason(accepted), HandshakeError::Timeout);
    assert!(response.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(after.as_secs(), 10);
    // The client goes on dripping, and is listened to for two seconds more.
    assert_eq!(start.elapsed().as_secs(), 12);
    dripping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn server_receives_nothing_and_gives_up_when_it_was_told_to() {
    // CM-14
    let (near, mut far) = duplex(4096);
    let start = Instant::now();
    let acceptor = Acceptor::default().handshake_timeout(Duration::from_secs(3));
    let answered = async {
        let response = read_rest(&mut far).await;
        drop(far);
        (start.elapsed(), response)
    };
    let (accepted, (after, response)) = tokio::join!(acceptor.accept(near), answered);
    assert_eq!(reason(accepted), HandshakeError::Timeout);
    assert!(response.starts_with(b"HTTP/1.1 408 "));
    assert_eq!(after.as_secs(), 3);
    assert_eq!(start.elapsed().as_secs(), 3, "a client that has closed is not waited for");
}

#[tokio::test]
async fn server_receives_the_end_of_the_stream_inside_the_request() {
    // 6455-7.2.2-1, state 4: just closed.
    for len in 0..REQUEST.len() {
        let (near, mut far, tap) = tapped();
        far.write_all(&REQUEST[..len]).await.unwrap();
        far.shutdown().await.unwrap();
        let accepted = accept(near).await;
        assert!(matches!(accepted, Err(AcceptError::EndOfStream)), "after {len}");
        assert_eq!(read_rest(&mut far).await, b"");
        assert_eq!(tap.record().calls, []);
    }
}

#[tokio::test]
async fn server_receives_an_error_of_the_transport() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut far = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    far.write_all(b"GET ").await.unwrap();
    far.set_zero_linger().unwrap();
    drop(far);
    assert!(matches!(accept(near).await, Err(AcceptError::Io(_))));
}

#[tokio::test]
async fn server_receives_a_request_that_its_http_server_has_read() {
    // CM-1 6455-4.2.2-22: the request is not read again, nor is what came behind it.
    let (mut near, mut far, tap) = tapped();
    let headers = [
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let request = Request { method: b"GET", version: Version::Http11, headers: &headers };
    let acceptance = handshake::accept(&request, &ServerOptions::new()).unwrap();
    near.write_all(&acceptance.to_bytes()).await.unwrap();
    near.flush().await.unwrap();
    assert_eq!(timeout(Duration::from_secs(1), read_head(&mut far)).await.unwrap(), RESPONSE);
    assert_eq!(tap.record().reads, 0);

    let mut socket = WebSocket::server(near, &Config::default(), MASKED_HELLO);
    assert_eq!(socket.receive().await.unwrap(), Some(Message::text("Hello")));
    assert_eq!(tap.record().reads, 0, "the message was there already");
    far.write_all(MASKED_HELLO).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Some(Message::text("Hello")));
}

#[tokio::test]
async fn server_receives_a_plain_request_and_passes_on_every_octet() {
    let plain = b"POST /form HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello";
    for split in [0, 1, plain.len() - 6, plain.len() - 5, plain.len() - 4, plain.len()] {
        let (near, mut far, tap) = tapped();
        let sending = async {
            far.write_all(&plain[..split]).await.unwrap();
            yield_now().await;
            far.write_all(&plain[split..]).await.unwrap();
            far.shutdown().await.unwrap();
        };
        let acceptor = Acceptor::default();
        let (incoming, ()) = tokio::join!(acceptor.receive_request(near), sending);
        let incoming = incoming.unwrap();
        assert_eq!((incoming.request().method(), incoming.request().resource()), ("POST", "/form"));
        let (mut io, mut octets) = incoming.into_parts();
        octets.extend_from_slice(&read_rest(&mut io).await);
        assert_eq!(octets, plain, "split at {split}");
        io.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(read_head(&mut far).await, b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(tap.record().written, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn server_receives_a_request_through_a_proxy_that_strips_the_upgrade() {
    // CM-11: the answer names what is missing, at once.
    let mut stripped = request_with("Upgrade", None);
    let at = stripped.windows(10).position(|window| window == b"Connection").unwrap();
    stripped.drain(at..at + b"Connection: Upgrade\r\n".len());
    let http10 = String::from_utf8(REQUEST.to_vec()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let table: [(&[u8], &[u8], HandshakeError); 2] = [
        (&stripped, b"HTTP/1.1 426 Upgrade Required\r\n", HandshakeError::Upgrade),
        (http10.as_bytes(), b"HTTP/1.1 400 Bad Request\r\n", HandshakeError::HttpVersion),
    ];
    for (request, status, expected) in table {
        let (near, mut far) = duplex(4096);
        let start = Instant::now();
        far.write_all(request).await.unwrap();
        let client = async {
            let response = read_rest(&mut far).await;
            drop(far);
            response
        };
        let (accepted, response) = tokio::join!(accept(near), client);
        assert_eq!(reason(accepted), expected);
        assert!(response.starts_with(status));
        let names_the_upgrade = contains(&response, b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
        assert_eq!(names_the_upgrade, expected == HandshakeError::Upgrade);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
