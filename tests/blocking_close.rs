//! Ending a blocking connection: RFC 6455 §5.5.1, §7.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/blocking.rs"]
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sansocket::blocking::{Error, Plain, WebSocket};
use sansocket::connection::{ClosedBy, MessageKind, ReceivedClose};
use sansocket::{CloseCode, Config, Failure, Message, ProtocolError, Role};
use support::{BOTH_ROLES, frame, frames, from_peer, name};

/// Two ends of a connection: for a WebSocket and for its peer.
fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // A test that waits for what never comes fails instead.
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (near, far)
}

fn socket(role: Role, io: TcpStream, config: &Config) -> WebSocket<TcpStream> {
    WebSocket::negotiated(io, role, Default::default(), config, Vec::new())
}

fn close_timeout(millis: u64) -> Config {
    Config::default().close_timeout(Duration::from_millis(millis))
}

/// What a raw peer reads until the other end has shut down its writing side. A reset is an error.
fn read_to_end(peer: &mut TcpStream) -> Vec<u8> {
    let mut octets = Vec::new();
    peer.read_to_end(&mut octets).expect("a FIN and no reset");
    octets
}

fn read_exactly(peer: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut octets = vec![0; len];
    peer.read_exact(&mut octets).unwrap();
    octets
}

#[test]
fn two_ends_talk_and_close() {
    // 6455-7.1.4-1 6455-7.1.5-1 6455-7.1.6-1 6455-7.1.2-2
    for closer in BOTH_ROLES {
        let (near, far) = tcp_pair();
        let mut closing = socket(closer, near, &Config::default());
        let mut echo = socket(closer.peer(), far, &Config::default());
        let echoing = thread::spawn(move || {
            while let Some((message, mut outgoing)) = echo.receive_ref().unwrap() {
                outgoing.feed(&message).unwrap();
            }
            echo.close_report().unwrap()
        });
        let large = Message::binary((0..1_000_000_u32).map(|n| n as u8).collect::<Vec<_>>());
        for message in [Message::text("hello"), Message::text(""), large, Message::text("grüße")] {
            closing.send(&message).unwrap();
            assert!(closing.receive().unwrap() == Some(message));
        }
        let code = CloseCode::new(4001).unwrap();
        let report = closing.close(code, "bye").unwrap();
        assert!(report.clean, "{report:?}");
        assert_eq!((report.closed_by, report.sent), (ClosedBy::Local, Some(Some(code))));
        assert_eq!(report.received, ReceivedClose::Code(code));
        let report = echoing.join().unwrap();
        assert!(report.clean, "{report:?}");
        assert_eq!((report.closed_by, &*report.received_reason), (ClosedBy::Remote, "bye"));
    }
}

#[test]
fn server_ends_the_transport_first_and_client_waits_for_it() {
    // 6455-5.5.1-11 6455-5.5.1-12 6455-7.1.1-1 6455-7.1.1-3 6455-7.1.1-5 CM-45
    let (near, mut far) = tcp_pair();
    let server = thread::spawn(move || {
        let mut server = socket(Role::Server, near, &Config::default());
        server.close(CloseCode::NORMAL, "").unwrap()
    });
    assert_eq!(read_exactly(&mut far, 4), b"\x88\x02\x03\xe8");
    far.write_all(&frame(true, 0x88, b"\x03\xe8")).unwrap();
    assert_eq!(read_to_end(&mut far), b"", "FIN, while our writing side is open");
    drop(far);
    assert!(server.join().unwrap().clean);

    // 6455-7.1.1-6
    let (near, mut far) = tcp_pair();
    let client = thread::spawn(move || {
        let mut client = socket(Role::Client, near, &Config::default());
        client.close(None, "").unwrap()
    });
    assert_eq!(frames(&read_exactly(&mut far, 6)), [(0x88, vec![])]);
    far.write_all(b"\x88\x00").unwrap();
    far.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let waits = far.read(&mut [0]).unwrap_err();
    assert!(matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut far), b"");
    let report = client.join().unwrap();
    assert_eq!((report.clean, report.received), (true, ReceivedClose::NoStatus));
}

#[test]
fn close_throws_away_what_start_close_still_delivers() {
    // 6455-5.5.1-16
    for role in BOTH_ROLES {
        for driven_by_close in [false, true] {
            let (near, mut far) = tcp_pair();
            let wire = [
                from_peer(role, 0x81, b"late"),
                from_peer(role, 0x89, b"ping"),
                from_peer(role, 0x82, b"later"),
                from_peer(role, 0x88, b"\x03\xe8"),
                from_peer(role, 0x81, b"never"),
            ];
            far.write_all(&wire.concat()).unwrap();
            far.shutdown(Shutdown::Write).unwrap();
            let mut socket = socket(role, near, &Config::default());
            socket.start_close(CloseCode::GOING_AWAY, "").unwrap();
            let report = if driven_by_close {
                socket.close(None, "").unwrap()
            } else {
                assert_eq!(socket.receive().unwrap(), Some(Message::text("late")));
                assert_eq!(socket.receive().unwrap(), Some(Message::binary(&b"later"[..])));
                assert_eq!(socket.receive().unwrap(), None);
                socket.close_report().unwrap()
            };
            let thrown_away = if driven_by_close { (2, 9) } else { (0, 0) };
            assert!(report.clean);
            assert_eq!((report.messages_thrown_away, report.octets_thrown_away), thrown_away);
            // 6455-5.5.2-1 6455-5.5.1-15 CM-46
            let sent = [(0x88, b"\x03\xe9".to_vec()), (0x8a, b"ping".to_vec())];
            assert_eq!(frames(&read_to_end(&mut far)), sent, "{role:?}");
        }
    }
}

#[test]
fn both_close_at_the_same_time() {
    // 6455-5.5.1-14
    let (near, far) = tcp_pair();
    let ends = [(Role::Client, near, 4001), (Role::Server, far, 4002)].map(|(role, io, code)| {
        let mut socket = socket(role, io, &Config::default());
        socket.start_close(CloseCode::new(code), "").unwrap();
        socket.flush().unwrap();
        socket
    });
    let [client, server] = ends.map(|mut socket| thread::spawn(move || socket.close(None, "").unwrap()));
    let (client, server) = (client.join().unwrap(), server.join().unwrap());
    assert!(client.clean && server.clean);
    assert_eq!((client.received.number(), server.received.number()), (4002, 4001));
}

#[test]
fn a_mute_peer_is_left_after_the_close_timeout() {
    // CM-49 6455-7.1.4-1
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let mut socket = socket(role, near, &close_timeout(100));
        let start = Instant::now();
        for _ in 0..2 {
            assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "close timeout");
        }
        let elapsed = start.elapsed();
        assert!((Duration::from_millis(100)..Duration::from_millis(300)).contains(&elapsed), "{elapsed:?}");
        let report = socket.close_report().unwrap();
        assert_eq!((report.clean, report.failure), (false, Some(Failure::CloseTimeout)));
        assert!(socket.get_ref().is_none(), "the transport is dropped");
        assert_eq!(frames(&read_to_end(&mut far)).len(), 1);
    }
}

#[test]
fn a_dripping_peer_does_not_extend_the_close_timeout() {
    // CM-49
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let dripping = thread::spawn(move || {
            let pongs = from_peer(role, 0x8a, b"").repeat(100);
            for octet in pongs {
                if far.write_all(&[octet]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let mut socket = socket(role, near, &close_timeout(100));
        let start = Instant::now();
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "close timeout");
        assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
        drop(socket);
        dripping.join().unwrap();
    }
}

#[test]
fn a_peer_that_does_not_read_is_left_after_the_close_timeout() {
    // CM-49 CM-44
    for role in BOTH_ROLES {
        let (near, far) = tcp_pair();
        let mut socket = socket(role, near, &close_timeout(100).high_water_mark(1 << 30));
        socket.feed(vec![0; 32 << 20]).unwrap();
        let start = Instant::now();
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "close timeout");
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
        drop(far);
    }
}

#[test]
fn client_leaves_a_server_that_never_ends_the_transport_and_it_was_clean() {
    // 6455-5.5.1-13 6455-7.1.1-4
    let (near, mut far) = tcp_pair();
    let mut client = socket(Role::Client, near, &close_timeout(100));
    far.write_all(b"\x88\x02\x03\xe8").unwrap();
    let server = thread::spawn(move || {
        let sent = read_to_end(&mut far);
        // Only now does the server end.
        frames(&sent)
    });
    let start = Instant::now();
    assert_eq!(client.receive().unwrap(), None);
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
    assert!(client.close_report().unwrap().clean);
    assert_eq!(server.join().unwrap(), [(0x88, b"\x03\xe8".to_vec())]);
}

#[test]
fn a_broken_protocol_is_answered_by_what_is_owed_then_close_then_fin() {
    // CM-50 CM-44 6455-7.1.7-1 6455-7.1.7-3 6455-7.1.7-5 6455-7.1.1-1
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let wire = [
            from_peer(role, 0x81, b"echo me"),
            from_peer(role, 0xc1, b"reserved bit"),
            from_peer(role, 0x81, b"never"),
            from_peer(role, 0x89, b"never"),
        ];
        far.write_all(&wire.concat()).unwrap();
        let receiving = thread::spawn(move || {
            let mut socket = socket(role, near, &Config::default());
            let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
            outgoing.feed(&message).unwrap();
            for _ in 0..3 {
                let error = socket.receive().unwrap_err();
                assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error}");
            }
            assert!(matches!(socket.send("x"), Err(Error::Protocol(_))));
            socket.close_report().unwrap()
        });
        let sent = [(0x81, b"echo me".to_vec()), (0x88, b"\x03\xea".to_vec())];
        assert_eq!(frames(&read_to_end(&mut far)), sent);
        // More than a socket buffers: it is read and thrown away, so no reset destroyed the Close.
        far.write_all(&vec![0; 1 << 20]).unwrap();
        drop(far);
        let report = receiving.join().unwrap();
        assert_eq!((report.clean, report.received.number()), (false, 1006));
        assert_eq!(report.sent, Some(Some(CloseCode::PROTOCOL_ERROR)));
    }
}

#[test]
fn a_failing_end_makes_way_for_a_peer_that_writes_before_it_reads() {
    // 6455-7.1.7-3 CM-44
    for role in BOTH_ROLES {
        let (near, mut far) = tcp_pair();
        let peer = thread::spawn(move || {
            // More than the buffers between us hold, in both directions.
            far.write_all(&vec![0; 16 << 20]).unwrap();
            frames(&read_to_end(&mut far))
        });
        // The bad frame has been read before, so that nothing of the output leaves before the failure.
        let config = Config::default().high_water_mark(1 << 30);
        let unread = from_peer(role, 0xc1, b"");
        let mut socket = WebSocket::negotiated(near, role, Default::default(), &config, unread);
        socket.feed(vec![7; 16 << 20]).unwrap();
        let start = Instant::now();
        assert_eq!(name(&socket.receive().unwrap_err()), "protocol");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        drop(socket);
        let sent = peer.join().unwrap();
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[1], (0x88, b"\x03\xea".to_vec()));
    }
}

#[test]
fn the_peer_that_vanishes_is_an_error() {
    // CM-43 6455-7.1.5-3 6455-7.2.1-2
    for role in BOTH_ROLES {
        let (near, far) = tcp_pair();
        drop(far);
        let mut socket = socket(role, near, &Config::default());
        for _ in 0..2 {
            assert_eq!(name(&socket.receive().unwrap_err()), "end of stream");
        }
        assert_eq!(socket.close_report().unwrap().received.number(), 1006);
    }
}

#[test]
fn abort_ends_the_transport_without_a_close() {
    // 6455-7.1.1-2
    let (near, mut far) = tcp_pair();
    let mut server = socket(Role::Server, near, &Config::default());
    server.feed("never leaves").unwrap();
    server.abort();
    assert_eq!((server.queued(), read_to_end(&mut far)), (0, vec![]));
    match server.receive() {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionAborted),
        other => panic!("{other:?}"),
    }
    assert!(!server.close_report().unwrap().clean);
}

#[test]
fn abort_reports_the_message_that_it_has_cut_off() {
    // 6455-7.1.1-2
    let (near, mut far) = tcp_pair();
    near.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut server = socket(Role::Server, near, &Config::default());
    far.write_all(&from_peer(Role::Server, 0x01, b"never")).unwrap();
    assert!(matches!(server.receive(), Err(Error::WouldBlock)));
    server.abort();
    let cut_off = server.close_report().unwrap().cut_off.unwrap();
    assert_eq!((cut_off.kind, cut_off.octets), (MessageKind::Text, 5));
}

#[test]
fn the_callers_own_timeout_interrupts_and_is_kept() {
    // CM-23
    let (near, mut far) = tcp_pair();
    near.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // As the kernel has rounded it.
    let own = near.read_timeout().unwrap();
    let mut server = socket(Role::Server, near, &Config::default());
    let start = Instant::now();
    assert_eq!(name(&server.receive().unwrap_err()), "would block");
    assert!(start.elapsed() >= Duration::from_millis(40), "{:?}", start.elapsed());

    let hello = frame(true, 0x81, b"Hello");
    far.write_all(&hello[..4]).unwrap();
    assert_eq!(name(&server.receive().unwrap_err()), "would block");
    far.write_all(&hello[4..]).unwrap();
    assert_eq!(server.receive().unwrap(), Some(Message::text("Hello")));
    assert_eq!(server.get_ref().unwrap().read_timeout().unwrap(), own);

    // While the close timeout runs the shorter one counts.
    let start = Instant::now();
    assert_eq!(name(&server.close(None, "").unwrap_err()), "would block");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    far.write_all(&frame(true, 0x88, b"")).unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    assert!(server.close(None, "").unwrap().clean);
}

#[test]
fn after_a_write_that_timed_out_reads_wait_again_as_long_as_they_did() {
    let (near, mut far) = tcp_pair();
    near.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let config = Config::default().ping_interval(None).write_timeout(None);
    let mut server = socket(Role::Server, near, &config);
    let large = vec![1; 32 << 20];
    assert_eq!(name(&server.send(large.clone()).unwrap_err()), "would block");
    assert_eq!(name(&server.receive().unwrap_err()), "would block");
    let peer = thread::spawn(move || {
        let sent = read_exactly(&mut far, 10 + (32 << 20));
        thread::sleep(Duration::from_millis(100));
        far.write_all(&frame(true, 0x81, b"late")).unwrap();
        frames(&sent)
    });
    while server.queued() > 0 {
        // Until the peer reads this may block again; nothing of it is written twice.
        let _ = server.flush();
    }
    assert_eq!(server.receive().unwrap(), Some(Message::text("late")));
    assert_eq!(server.get_ref().unwrap().read_timeout().unwrap(), None);
    assert!(peer.join().unwrap() == [(0x82, large)]);
}

#[test]
fn a_nonblocking_transport_works_by_calling_again() {
    // CM-23
    for role in BOTH_ROLES {
        let (near, far) = tcp_pair();
        near.set_nonblocking(true).unwrap();
        let peer = thread::spawn(move || {
            let mut peer = socket(role.peer(), far, &Config::default());
            while let Some(message) = peer.receive().unwrap() {
                peer.send(message).unwrap();
            }
            peer.close_report().unwrap()
        });
        fn again<T>(mut call: impl FnMut() -> Result<T, Error>) -> T {
            let start = Instant::now();
            loop {
                match call() {
                    Err(Error::WouldBlock) => thread::sleep(Duration::from_millis(1)),
                    result => return result.unwrap(),
                }
                assert!(start.elapsed() < Duration::from_secs(10), "nothing goes on");
            }
        }
        let mut socket = socket(role, near, &Config::default());
        let large = Message::binary(vec![3; 8 << 20]);
        if let Err(Error::WouldBlock) = socket.send(&large) {
            assert!(socket.queued() > 0);
        }
        assert!(again(|| socket.receive()) == Some(large));
        assert!(again(|| socket.close(CloseCode::NORMAL, "")).clean);
        assert!(peer.join().unwrap().clean);
    }
}

#[test]
fn a_plain_transport_ends_by_being_dropped() {
    for role in BOTH_ROLES {
        let (near, far) = tcp_pair();
        let peer = thread::spawn(move || {
            let mut peer = socket(role.peer(), far, &Config::default());
            while let Some(message) = peer.receive().unwrap() {
                peer.send(message).unwrap();
            }
            peer.close_report().unwrap()
        });
        let mut socket =
            WebSocket::negotiated(Plain(near), role, Default::default(), &Config::default(), Vec::new());
        socket.send("x").unwrap();
        assert_eq!(socket.receive().unwrap(), Some(Message::text("x")));
        assert!(socket.close(CloseCode::NORMAL, "").unwrap().clean);
        assert!(peer.join().unwrap().clean, "{role:?}");
    }
}

#[cfg(unix)]
#[test]
fn unix_sockets_and_boxes_are_transports() {
    use std::os::unix::net::UnixStream;

    use sansocket::blocking::Transport;

    let (near, far) = UnixStream::pair().unwrap();
    let echoing = thread::spawn(move || {
        let mut server = WebSocket::server(far, &Config::default(), Vec::new());
        while let Some(message) = server.receive().unwrap() {
            server.send(message).unwrap();
        }
    });
    let near: Box<dyn Transport> = Box::new(near);
    let mut client = WebSocket::client(near, &close_timeout(5000), Vec::new());
    client.send("boxed").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Message::text("boxed")));
    assert!(client.close(None, "").unwrap().clean);
    echoing.join().unwrap();
}
