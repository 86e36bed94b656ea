//! Failing the connection over a transport, and transports that fail on one side (RFC 6455 §7.1.7, §7.2.1).
#![cfg(feature = "tokio")]

mod stream_support;

use std::io;

use sansocket::stream::Error;
use sansocket::{CloseCode, Failure, Message, ProtocolError, Role};
use stream_support::*;

/// What breaks a rule, which one, and the code with which the connection is failed.
fn violations(role: Role) -> Vec<(Vec<u8>, ProtocolError, u16)> {
    let with = |first, payload: &[u8]| to(role, first, payload);
    let other = if role == Role::Server { Role::Client } else { Role::Server };
    let mask = match role {
        Role::Server => ProtocolError::UnmaskedFrame,
        Role::Client => ProtocolError::MaskedFrame,
    };
    vec![
        (with(0xf1, b""), ProtocolError::ReservedBits, 1002),
        (with(0x83, b""), ProtocolError::UnknownOpcode(3), 1002),
        (with(0x09, b""), ProtocolError::FragmentedControlFrame, 1002),
        (with(LAST, b""), ProtocolError::UnexpectedContinuation, 1002),
        (with(TEXT, b"\xff"), ProtocolError::InvalidUtf8, 1007),
        (with(CLOSE, b"\x03"), ProtocolError::HalfCloseCode, 1002),
        (with(CLOSE, &close_payload(1005, "")), ProtocolError::InvalidCloseCode(1005), 1002),
        (with(CLOSE, b"\x03\xe8\xff"), ProtocolError::InvalidCloseReason, 1007),
        (to(other, TEXT, b"m"), mask, 1002),
    ]
}

// 6455-7.1.7-1, 6455-7.1.7-2, 6455-7.1.7-3, 6455-7.1.7-5, 6455-7.2.1-1, CM-29, CM-50
#[tokio::test(start_paused = true)]
async fn both_fail_with_the_right_code_and_deliver_nothing_more() {
    for role in ROLES {
        for (violation, expected, code) in violations(role) {
            for split in [false, true] {
                let (socket, script) = connect(role);
                script.peer_sends(
                    [
                        to(role, TEXT, b"m"),
                        to(role, PING, b"owed"),
                        violation.clone(),
                        to(role, TEXT, b"never delivered"),
                        to(role, PING, b"never answered"),
                        to(role, CLOSE, &close_payload(1000, "never seen")),
                    ]
                    .concat(),
                );
                script.peer_sends(to(role, TEXT, b"drained"));
                script.peer_ends();
                script.hesitate(2);
                script.hesitate_to_flush(2);
                let (error, report) = if split {
                    let (mut receiver, sender) = socket.split();
                    assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("m")));
                    sender.feed("echo owed").await.unwrap();
                    let error = receiver.receive().await.unwrap_err();
                    assert!(matches!(receiver.receive().await, Err(Error::Protocol(e)) if e == expected));
                    assert!(matches!(sender.send("late").await, Err(Error::Protocol(e)) if e == expected));
                    (error, receiver.close_report().unwrap())
                } else {
                    let mut socket = socket;
                    assert_eq!(socket.receive().await.unwrap(), Some(Message::text("m")));
                    drop(socket.feed("echo owed"));
                    let error = socket.receive().await.unwrap_err();
                    assert!(matches!(socket.receive().await, Err(Error::Protocol(e)) if e == expected));
                    assert!(matches!(socket.send("late").await, Err(Error::Protocol(e)) if e == expected));
                    assert!(matches!(socket.ping(b"late").await, Err(Error::Protocol(e)) if e == expected));
                    assert!(socket.get_ref().is_none());
                    (error, socket.close_report().unwrap())
                };
                assert!(
                    matches!(error, Error::Protocol(error) if error == expected),
                    "{error}, not {expected}"
                );
                assert_eq!(
                    frames(role, &script.written()),
                    [
                        Frame(TEXT, b"echo owed".to_vec()),
                        Frame(PONG, b"owed".to_vec()),
                        Frame(CLOSE, close_payload(code, "")),
                    ]
                );
                assert!(script.is_flushed());
                assert!(script.was_shut_down());
                assert!(script.is_dropped());
                assert_eq!(script.unread(), 0, "drained, so that the peer gets our Close and no reset");
                assert_eq!(report.failure, Some(Failure::Protocol(expected)));
                assert_eq!(report.received.number(), 1006);
                assert!(!report.clean);
            }
        }
    }
}

// CM-46
#[tokio::test(start_paused = true)]
async fn both_fail_after_their_close_without_a_second_one() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        socket.start_close(CloseCode::NORMAL, "").unwrap();
        script.peer_sends([to(role, TEXT, b"m"), to(role, 0xf1, b"")].concat());
        script.peer_ends();
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("m")));
        assert!(matches!(socket.receive().await, Err(Error::Protocol(ProtocolError::ReservedBits))));
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1000, ""))]);
    }
}

// 6455-7.1.7-4
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_takes_no_close() {
    for role in ROLES {
        for broken in [false, true] {
            let (mut socket, script) = connect(role);
            if broken {
                script.write_fails(io::ErrorKind::BrokenPipe);
            } else {
                script.window(0);
            }
            script.peer_sends(to(role, 0xf1, b""));
            let error = socket.receive().await.unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::ReservedBits)), "{error}");
            assert!(script.is_dropped());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_receive_what_has_come_when_writing_fails() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.write_fails(io::ErrorKind::BrokenPipe);
        for message in ["one", "two"] {
            script.peer_sends(to(role, TEXT, message.as_bytes()));
        }
        script.peer_sends(to(role, CLOSE, &close_payload(4000, "why")));
        let error = socket.send("lost").await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe));
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("one")));
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("two")));
        let error = socket.receive().await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error}");
        let report = socket.close_report().unwrap();
        assert_eq!((report.received.number(), &*report.received_reason, report.clean), (4000, "why", false));
        assert!(script.is_dropped());
    }
}

// 6455-7.1.4-1
#[tokio::test(start_paused = true)]
async fn both_close_after_writing_has_failed_and_report_how_it_ended() {
    for role in ROLES {
        for peer_closes in [false, true] {
            let (mut socket, script) = connect(role);
            script.write_fails(io::ErrorKind::BrokenPipe);
            script.peer_sends(to(role, TEXT, b"late"));
            if peer_closes {
                script.peer_sends(to(role, CLOSE, &close_payload(4000, "why")));
            }
            socket.send("lost").await.unwrap_err();
            assert_eq!(socket.close_report(), None, "what has come can still be received");
            let error = socket.close(CloseCode::NORMAL, "").await.unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe),
                "{error}"
            );
            let report = socket.close_report().unwrap();
            assert_eq!((report.clean, report.messages_thrown_away), (false, 1));
            assert_eq!(report.received.number(), if peer_closes { 4000 } else { 1006 });
            assert!(script.is_dropped());
        }
    }
}

// 6455-7.1.4-1 6455-7.1.5-1
#[tokio::test(start_paused = true)]
async fn both_end_uncleanly_when_their_close_cannot_be_written() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        socket.start_close(CloseCode::NORMAL, "").unwrap();
        script.write_fails(io::ErrorKind::BrokenPipe);
        script.peer_sends(to(role, CLOSE, &close_payload(4000, "")));
        let error = socket.receive().await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::BrokenPipe), "{error}");
        let report = socket.close_report().unwrap();
        assert_eq!((report.received.number(), report.clean), (4000, false));
        assert!(script.is_dropped());
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_when_writing_fails_and_nothing_more_comes() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, TEXT, b"m"));
        script.write_fails(io::ErrorKind::ConnectionReset);
        drop(socket.feed("lost"));
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("m")));
        for _ in 0..2 {
            let error = socket.receive().await.unwrap_err();
            assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
        }
        assert!(script.is_dropped());

        let (socket, script) = connect(role);
        let (mut receiver, sender) = socket.split();
        let receive = tokio::spawn(async move { receiver.receive().await });
        tokio::task::yield_now().await;
        script.write_fails(io::ErrorKind::ConnectionReset);
        let error = sender.send("lost").await.unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
        let error = receive.await.unwrap().unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset));
        assert!(script.is_dropped());
    }
}

#[test]
fn both_fail_when_the_transport_takes_nothing() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.take_nothing();
        assert!(matches!(now(socket.send("m")), Err(Error::Io(e)) if e.kind() == io::ErrorKind::WriteZero));
    }
}

// 6455-7.1.5-3
#[tokio::test(start_paused = true)]
async fn both_send_what_is_owed_when_the_peer_has_ended_its_stream() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, TEXT, b"m"), to(role, PING, b"p")].concat());
        script.peer_ends();
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("m")));
        drop(socket.feed("reply"));
        script.hesitate(1);
        assert!(matches!(socket.receive().await, Err(Error::EndOfStream)));
        assert_eq!(
            frames(role, &script.written()),
            [Frame(TEXT, b"reply".to_vec()), Frame(PONG, b"p".to_vec())]
        );
        assert!(script.was_shut_down());
    }
}
