//! The server accepts over a raw transport: RFC 6455 §4.2.2.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod connect_support;

use std::io;
use std::time::Duration;

use connect_support::{
    Call, HELLO, MASKED_HELLO, REQUEST, RESPONSE, contains, read_head, request_with, tapped,
};
use sansocket::connection::ReceivedClose;
use sansocket::handshake::{Refusal, ServerOptions};
use sansocket::stream::{AcceptError, Acceptor, accept};
use sansocket::{CloseCode, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn server_sends_the_101_and_flushes_it_before_it_awaits_a_frame() {
    // CM-3 6455-4.2.2-21, state 1: a transport that passes nothing on before a flush, a client that waits for the 101.
    let (near, mut far, tap) = tapped();
    far.write_all(REQUEST).await.unwrap();
    let mut socket = accept(near.buffered()).await.unwrap();
    assert_eq!(tap.record().calls, [Call::Write, Call::Flush]);
    let client = async {
        let response = read_head(&mut far).await;
        far.write_all(MASKED_HELLO).await.unwrap();
        response
    };
    let talk = async { tokio::join!(socket.receive(), client) };
    let (message, response) = timeout(Duration::from_secs(1), talk).await.unwrap();
    assert_eq!(response, RESPONSE);
    assert_eq!(message.unwrap(), Some(Message::text("Hello")));
}

#[tokio::test]
async fn server_sends_a_message_right_behind_the_101() {
    // 6455-4.2.2-21: the client has sent nothing but its request.
    let (near, mut far, tap) = tapped();
    far.write_all(REQUEST).await.unwrap();
    let mut socket = accept(near.buffered()).await.unwrap();
    socket.send("Hello").await.unwrap();
    assert_eq!(tap.record().written, [RESPONSE, HELLO].concat());
    let mut received = vec![0; RESPONSE.len() + HELLO.len()];
    far.read_exact(&mut received).await.unwrap();
    assert_eq!(received, [RESPONSE, HELLO].concat());
}

#[tokio::test]
async fn server_sends_nothing_before_the_application_has_decided() {
    // 6455-4.2.2-3 6455-10.5-1 CM-9
    let (near, mut far, tap) = tapped();
    far.write_all(REQUEST).await.unwrap();
    let incoming = Acceptor::default().receive_request(near).await.unwrap();
    let request = incoming.request();
    assert_eq!((request.method(), request.resource()), ("GET", "/chat"));
    let acceptance = incoming.judge().unwrap();
    assert_eq!(acceptance.to_bytes(), RESPONSE);
    assert_eq!(tap.record().calls, []);
    let socket = incoming.accept_as(acceptance).await.unwrap();
    assert_eq!(socket.close_report(), None);
    assert_eq!(tap.record().written, RESPONSE);
}

#[tokio::test]
async fn server_sends_the_subprotocol_that_the_application_selected() {
    let options = ServerOptions::new().subprotocols(["chat", "superchat"]).unwrap();
    let acceptor = Acceptor::default().options(options);
    // What the options select, the application's own choices, and none.
    for selected in ["superchat", "chat", "own", ""] {
        let (near, mut far, _) = tapped();
        far.write_all(&request_with("Sec-WebSocket-Protocol", Some("own, superchat, chat"))).await.unwrap();
        let incoming = acceptor.receive_request(near).await.unwrap();
        let mut acceptance = incoming.judge().unwrap();
        match selected {
            "superchat" => {}
            "" => acceptance.decline_subprotocols(),
            name => acceptance.select_subprotocol(name).unwrap(),
        }
        let socket = incoming.accept_as(acceptance).await.unwrap();
        let response = String::from_utf8(read_head(&mut far).await).unwrap();
        let line = response.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(line.unwrap_or(""), selected);
        assert_eq!(socket.subprotocol().unwrap_or(""), selected);
    }
}

#[tokio::test]
async fn server_sends_headers_of_the_options_and_of_the_application() {
    let options = ServerOptions::new().header("Server", "sansocket").unwrap();
    let (near, mut far, _) = tapped();
    far.write_all(REQUEST).await.unwrap();
    let incoming = Acceptor::default().options(options).receive_request(near).await.unwrap();
    let mut acceptance = incoming.judge().unwrap();
    acceptance.add_header("Set-Cookie", "session=1").unwrap();
    // CM-13
    assert!(acceptance.add_header("Set-Cookie", "a\r\nX: y").is_err());
    incoming.accept_as(acceptance).await.unwrap();
    let expected =
        [&RESPONSE[..RESPONSE.len() - 2], b"Server: sansocket\r\nSet-Cookie: session=1\r\n\r\n"].concat();
    assert_eq!(read_head(&mut far).await, expected);
}

#[tokio::test]
async fn server_sends_100_before_the_101_to_a_client_that_expects_it() {
    // RFC 9110 §7.8
    let continues = [b"HTTP/1.1 100 Continue\r\n\r\n", RESPONSE].concat();
    let table: [(&str, &[u8]); 4] = [
        ("100-continue", &continues),
        ("x, 100-Continue", &continues),
        ("200-ok", RESPONSE),
        ("x100-continue", RESPONSE),
    ];
    for (expectation, expected) in table {
        let (near, mut far, tap) = tapped();
        far.write_all(&request_with("Expect", Some(expectation))).await.unwrap();
        accept(near).await.unwrap();
        assert_eq!(tap.record().written, expected, "{expectation}");
    }
    // Who is refused needs not send a body first.
    let (near, mut far, tap) = tapped();
    far.write_all(&request_with("Expect", Some("100-continue"))).await.unwrap();
    drop(far);
    let incoming = Acceptor::default().receive_request(near).await.unwrap();
    let _ = incoming.refuse(Refusal::new(404)).await;
    assert!(!contains(&tap.record().written, b" 100 "));
}

#[tokio::test(start_paused = true)]
async fn server_sends_the_101_to_a_client_that_never_takes_it() {
    // State 5
    let (near, mut far) = duplex(RESPONSE.len() - 1);
    let start = Instant::now();
    let (accepted, ()) = tokio::join!(accept(near), async {
        far.write_all(REQUEST).await.unwrap();
    });
    assert!(matches!(accepted, Err(AcceptError::Timeout)), "{accepted:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
    // 6455-7.2.2-1: as much of the 101 as fitted, and no Close frame.
    let mut response = Vec::new();
    far.read_to_end(&mut response).await.unwrap();
    assert_eq!(response, RESPONSE[..RESPONSE.len() - 1]);
}

#[tokio::test]
async fn server_sends_the_101_over_a_transport_that_has_failed() {
    let (near, mut far) = duplex(4096);
    far.write_all(REQUEST).await.unwrap();
    drop(far);
    match accept(near).await {
        Err(AcceptError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn server_sends_over_tcp_what_a_client_awaits() {
    // The whole life of a connection, with the octets of RFC 6455 §1.2 and §5.7 from the other end.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut far = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    let serving = tokio::spawn(async move {
        let mut socket = accept(near).await.unwrap();
        while let Some(message) = socket.receive().await.unwrap() {
            socket.send(message).await.unwrap();
        }
        socket.close_report().unwrap()
    });
    far.write_all(REQUEST).await.unwrap();
    assert_eq!(read_head(&mut far).await, RESPONSE);
    far.write_all(MASKED_HELLO).await.unwrap();
    let mut echo = [0; HELLO.len()];
    far.read_exact(&mut echo).await.unwrap();
    assert_eq!(echo, HELLO);
    far.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
    assert_eq!(connect_support::read_rest(&mut far).await, b"\x88\x02\x03\xe8");
    drop(far);
    let report = serving.await.unwrap();
    assert!(report.clean);
    assert_eq!(report.received, ReceivedClose::Code(CloseCode::NORMAL));
}
