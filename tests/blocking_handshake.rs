//! The opening handshake over a blocking transport: RFC 6455 §4, §10.4.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/blocking.rs"]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{AcceptError, Acceptor, ConnectError, Connector, accept, connect};
use sansocket::handshake::{
    ClientRequest, HandshakeError, HeadLimits, Headers as _, Refusal, ServerOptions, accept_value,
};
use sansocket::{CloseCode, Config, Message};
use support::{Did, Script, Step, frame, frames};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // A test that waits for what never comes fails instead.
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (near, far)
}

fn read_to_end(peer: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    peer.read_to_end(&mut octets).expect("a FIN and no reset");
    String::from_utf8(octets).unwrap()
}

/// Reads the head of a request and gives the answer to its key.
fn read_request(peer: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        peer.read_exact(&mut octet).unwrap();
        request.push(octet[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    accept_value(key.as_bytes()).as_str().to_owned()
}

/// Lets a client shake hands with a server that answers `response`, in which `{accept}` is the right value.
fn shake_hands_with(response: &str, timeout: Duration) -> (Result<(), ConnectError>, Vec<u8>) {
    let (near, mut far) = tcp_pair();
    let response = response.to_owned();
    let server = thread::spawn(move || {
        let accept = read_request(&mut far);
        far.write_all(response.replace("{accept}", &accept).as_bytes()).unwrap();
        let mut rest = Vec::new();
        // A client that leaves without reading everything may reset.
        let _ = far.read_to_end(&mut rest);
        rest
    });
    let request = ClientRequest::new("ws://server.example.com/").unwrap();
    let connected = Connector::default().handshake_timeout(timeout).connect_over(near, &request);
    (connected.map(drop), server.join().unwrap())
}

#[test]
fn client_and_server_shake_hands_and_talk() {
    // 6455-4.1-1 6455-4.1-41 6455-4.1-42 6455-4.2.2-1
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("ws://{}/chat?room=1", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let options = ServerOptions::new().subprotocols(["chat.v2", "chat"]).unwrap();
        let acceptor = Acceptor::default().options(options);
        let incoming = acceptor.receive_request(listener.accept().unwrap().0).unwrap();
        assert_eq!(incoming.request().resource(), "/chat?room=1");
        let mut acceptance = incoming.judge().unwrap();
        acceptance.add_header("Set-Cookie", "session=1").unwrap();
        let mut socket = incoming.accept_as(acceptance).unwrap();
        assert_eq!(socket.subprotocol(), Some("chat"));
        while let Some(message) = socket.receive().unwrap() {
            socket.send(message).unwrap();
        }
    });
    let request = ClientRequest::new(&uri).unwrap().subprotocols(["other", "chat"]).unwrap();
    let (mut client, response) = Connector::default().connect(&request).unwrap();
    assert_eq!(client.subprotocol(), Some("chat"));
    assert_eq!(response.values_of("set-cookie").next(), Some(&b"session=1"[..]));
    client.send("hello").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Message::text("hello")));
    assert!(client.close(CloseCode::NORMAL, "").unwrap().clean);
    server.join().unwrap();
}

#[test]
fn server_takes_frames_behind_the_request_and_flushes_the_101_before_it_waits() {
    // CM-1 CM-2 CM-3
    for max_read in [1, 5, usize::MAX] {
        let wire = [REQUEST, &frame(true, 0x81, b"glued"), &frame(true, 0x88, b"")].concat();
        let script = Script::new([Step::Octets(wire), Step::End]).max_read(max_read).max_write(7);
        let mut socket = accept(script.clone()).unwrap();
        assert_eq!(script.written(), RESPONSE);
        assert_eq!(script.did().last(), Some(&Did::Flush));
        assert_eq!(socket.receive().unwrap(), Some(Message::text("glued")));
        assert_eq!(socket.receive().unwrap(), None);
        assert_eq!(script.written(), [RESPONSE, b"\x88\x00"].concat());
    }
}

#[test]
fn client_takes_frames_behind_the_response() {
    // 6455-4.1-43 CM-2
    let (near, mut far) = tcp_pair();
    let server = thread::spawn(move || {
        let accept = read_request(&mut far);
        let response =
            String::from_utf8(RESPONSE.to_vec()).unwrap().replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &accept);
        let wire = [response.as_bytes(), b"\x81\x05glued", b"\x88\x02\x03\xe8"].concat();
        far.write_all(&wire).unwrap();
        far.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).unwrap();
        rest
    });
    let request = ClientRequest::new("ws://server.example.com/").unwrap();
    let (mut client, _) = Connector::default().connect_over(near, &request).unwrap();
    assert_eq!(client.receive().unwrap(), Some(Message::text("glued")));
    assert_eq!(client.receive().unwrap(), None);
    assert_eq!(frames(&server.join().unwrap()), [(0x88, b"\x03\xe8".to_vec())]);
}

#[test]
fn server_answers_a_bad_request_with_its_status_then_fin() {
    // 6455-10.7-4 6455-7.2.2-1
    let text = std::str::from_utf8(REQUEST).unwrap();
    let requests = [
        (text.replace("GET", "POST"), 405, HandshakeError::Method),
        (text.replace("websocket", "h2c"), 426, HandshakeError::Upgrade),
        (text.replace(": 13", ": 8"), 426, HandshakeError::UnsupportedVersion(8)),
        (text.replace("Host", "Guest"), 400, HandshakeError::Host),
        (text.replace("/chat HTTP/1.1", "chat"), 400, HandshakeError::MalformedHead),
        (text.replace("Upgrade: websocket", &"x".repeat(40_000)), 431, HandshakeError::HeadTooLarge),
        (text.replace("Upgrade: websocket", &"X: y\r\n".repeat(101)), 431, HandshakeError::TooManyHeaders),
    ];
    for (request, status, reason) in requests {
        let (near, mut far) = tcp_pair();
        let server = thread::spawn(move || accept(near));
        far.write_all(request.as_bytes()).unwrap();
        let answer = read_to_end(&mut far);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        // What still comes is read and thrown away: a reset could destroy an answer that is under way.
        for _ in 0..3 {
            far.write_all(&[b'x'; 300_000]).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        drop(far);
        match server.join().unwrap() {
            Err(AcceptError::Refused(refusal)) => assert_eq!(*refusal.reason(), reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn server_refuses_a_head_above_its_own_limits() {
    // 6455-10.4-1
    let limits = |max_bytes| {
        let mut limits = HeadLimits::default();
        limits.max_bytes = max_bytes;
        Acceptor::default().head_limits(limits)
    };
    let glued = [REQUEST, &frame(true, 0x81, b"does not count")].concat();
    assert!(limits(REQUEST.len()).accept(Script::reading(glued.clone())).is_ok());
    let script = Script::new([Step::Octets(glued), Step::End]);
    let refused = limits(REQUEST.len() - 1).accept(script.clone());
    assert!(matches!(refused, Err(AcceptError::Refused(refusal)) if refusal.status() == 431));
    assert!(script.did().contains(&Did::ShutdownWrite));
}

#[test]
fn server_refuses_by_the_applications_own_judgement() {
    // 6455-4.2.2-3 6455-4.2.2-4 6455-4.2.2-9 CM-9
    let refusals = [
        (
            Refusal::new(401).header("WWW-Authenticate", "Basic").unwrap(),
            "Unauthorized\r\nWWW-Authenticate: Basic",
        ),
        (Refusal::new(404), "Not Found"),
        (Refusal::new(302).header("Location", "/new").unwrap(), "Found\r\nLocation: /new"),
    ];
    for (refusal, line) in refusals {
        let status = refusal.status();
        let (near, mut far) = tcp_pair();
        far.write_all(REQUEST).unwrap();
        let server = thread::spawn(move || {
            let incoming = Acceptor::default().receive_request(near).unwrap();
            assert_eq!(incoming.request().resource(), "/chat");
            incoming.refuse(refusal)
        });
        let answer = read_to_end(&mut far);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} {line}\r\n")), "{answer}");
        drop(far);
        server.join().unwrap().unwrap();
    }
}

#[test]
fn server_says_to_go_on_before_the_101_and_nothing_more_to_head() {
    let text = std::str::from_utf8(REQUEST).unwrap();
    let script = Script::reading(text.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    assert!(accept(script.clone()).is_ok());
    assert_eq!(script.written(), [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], RESPONSE].concat());

    for refuse in [false, true] {
        let script = Script::new([Step::Octets(text.replace("GET", "HEAD").into_bytes()), Step::End]);
        let incoming = Acceptor::default().receive_request(script.clone()).unwrap();
        if refuse {
            incoming.refuse(Refusal::new(404)).unwrap();
        } else {
            assert!(matches!(incoming.accept(), Err(AcceptError::Refused(_))));
        }
        let answer = String::from_utf8(script.written()).unwrap();
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn server_answers_a_dripping_client_with_408_in_time() {
    // CM-14
    let (near, mut far) = tcp_pair();
    let dripping = {
        let mut far = far.try_clone().unwrap();
        thread::spawn(move || {
            for octet in REQUEST {
                if far.write_all(&[*octet]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let server = thread::spawn(move || {
        let start = Instant::now();
        let accepted = Acceptor::default().handshake_timeout(Duration::from_millis(100)).accept(near);
        (accepted, start.elapsed())
    });
    let start = Instant::now();
    let answer = read_to_end(&mut far);
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    far.shutdown(Shutdown::Both).unwrap();
    let (accepted, _) = server.join().unwrap();
    match accepted {
        Err(AcceptError::Refused(refusal)) => assert_eq!(*refusal.reason(), HandshakeError::Timeout),
        other => panic!("{other:?}"),
    }
    dripping.join().unwrap();
}

#[test]
fn server_says_nothing_to_a_client_that_went_away() {
    for request in [&b""[..], &REQUEST[..100]] {
        let script = Script::new([Step::Octets(request.to_vec()), Step::End]);
        // An empty piece would look like the end of the stream itself.
        let script = if request.is_empty() { Script::new([Step::End]) } else { script };
        assert!(matches!(accept(script.clone()), Err(AcceptError::EndOfStream)));
        assert_eq!(script.written(), b"");
    }
    let reset = Script::new([Step::Fails(ErrorKind::ConnectionReset.into())]);
    assert!(matches!(accept(reset), Err(AcceptError::Io(_))));
    let not_blocking = Script::reading(&REQUEST[..100]);
    match accept(not_blocking) {
        Err(AcceptError::Io(error)) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        other => panic!("{other:?}"),
    }
}

#[test]
fn client_leaves_a_server_that_does_not_agree_without_a_frame() {
    // CM-7 6455-7.2.1-1
    let right = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n";
    let patience = Duration::from_secs(5);
    assert!(shake_hands_with(right, patience).0.is_ok());
    let responses = [
        (right.replace("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), HandshakeError::Accept),
        (right.replace("Upgrade: websocket", "Upgrade: h2c"), HandshakeError::ResponseUpgrade),
        (right.replace("Connection: Upgrade\r\n", ""), HandshakeError::ResponseConnection),
        (
            right.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
            HandshakeError::SubprotocolNotOffered,
        ),
    ];
    for (response, reason) in responses {
        let (connected, sent) = shake_hands_with(&response, patience);
        match connected {
            Err(ConnectError::Handshake(error, Some(response))) => {
                assert_eq!((error, response.status), (reason, 101));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(sent, b"", "nothing but the request");
    }
    let (connected, sent) = shake_hands_with("SSH-2.0\n", patience);
    assert!(matches!(connected, Err(ConnectError::Handshake(HandshakeError::MalformedHead, None))));
    assert_eq!(sent, b"");
}

#[test]
fn client_keeps_the_answer_of_a_server_that_refuses() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nX-Reason: closed\r\nContent-Length: 9\r\n\r\n";
    for body in ["no entry\n", "no entry\n and more that does not belong to it"] {
        let (connected, _) = shake_hands_with(&format!("{refusal}{body}"), Duration::from_secs(5));
        match connected {
            Err(ConnectError::Handshake(HandshakeError::Status(403), Some(response))) => {
                assert_eq!(response.status, 403);
                assert_eq!(response.values_of("x-reason").next(), Some(&b"closed"[..]));
                assert_eq!(response.body_prefix, b"no entry\n");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn client_leaves_a_silent_server_in_time() {
    // CM-14
    let start = Instant::now();
    let (connected, _) = shake_hands_with("HTTP/1.1 101 ", Duration::from_millis(100));
    assert!(matches!(connected, Err(ConnectError::Timeout)));
    assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
}

#[test]
fn client_opens_nothing_for_a_uri_it_cannot_serve() {
    // 6455-3-1 6455-4.1-2
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(connect(&format!("wss://{address}/")), Err(ConnectError::TlsNotEnabled)));
    assert!(matches!(connect(&format!("http://{address}/")), Err(ConnectError::Uri(_))));
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(listener);
    assert!(matches!(connect(&format!("ws://{address}/")), Err(ConnectError::Io(_))));
}

#[test]
fn both_give_the_caller_its_own_timeouts_back() {
    let (near, far) = tcp_pair();
    for io in [&near, &far] {
        io.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        io.set_write_timeout(Some(Duration::from_secs(4))).unwrap();
    }
    let config = Config::default();
    let acceptor = Acceptor::default().config(config.clone());
    let server = thread::spawn(move || acceptor.accept(far).unwrap());
    let request = ClientRequest::new("ws://server.example.com/").unwrap();
    let (client, _) = Connector::default().config(config).connect_over(near, &request).unwrap();
    let server = server.join().unwrap();
    for socket in [&client, &server] {
        let io = socket.get_ref().unwrap();
        assert_eq!(io.read_timeout().unwrap(), Some(Duration::from_secs(3)));
        assert_eq!(io.write_timeout().unwrap(), Some(Duration::from_secs(4)));
    }
}
