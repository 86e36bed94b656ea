//! Receiving: owned and lent messages, reads of any size, large payloads, and how receiving ends without a Close.
#![cfg(feature = "tokio")]

mod stream_support;

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FusedStream, Stream};
use sansocket::connection::Event;
use sansocket::stream::{Error, WebSocket};
use sansocket::{Failure, Limits, Message, MessageKind, ProtocolError, Role};
use stream_support::*;

// CM-15, CM-16, CM-17
#[test]
fn both_receive_the_same_messages_from_reads_of_any_size() {
    let payloads: Vec<Vec<u8>> = [0, 1, 125, 126, 127, 300].into_iter().map(pattern).collect();
    for role in ROLES {
        let input: Vec<u8> = payloads.iter().flat_map(|payload| to(role, BINARY, payload)).collect();
        for at_most in 1..=input.len() {
            let (mut socket, script) = connect(role);
            script.read_at_most(at_most);
            script.peer_sends(&input);
            for payload in &payloads {
                assert_eq!(now(socket.receive()).unwrap().unwrap().payload(), payload);
            }
            waits(socket.receive());
        }
    }
}

// CM-2
#[test]
fn both_receive_what_was_read_with_the_handshake_first() {
    for role in ROLES {
        for split in 0..10 {
            let input = [to(role, TEXT, b"glued"), to(role, TEXT, b"read")].concat();
            let (unread, later) = input.split_at(split);
            let (mock, script) = mock();
            script.peer_sends(later);
            let mut socket = match role {
                Role::Client => WebSocket::client(mock, &quiet(), unread),
                Role::Server => WebSocket::server(mock, &quiet(), unread),
            };
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("glued")));
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("read")));
        }
        // More than a read buffer of it.
        let unread = to(role, BINARY, &[7; 10_000]).repeat(60);
        let (mock, script) = mock();
        let mut socket = match role {
            Role::Client => WebSocket::client(mock, &quiet(), unread),
            Role::Server => WebSocket::server(mock, &quiet(), unread),
        };
        script.peer_sends(to(role, TEXT, b"read"));
        for _ in 0..60 {
            assert_eq!(now(socket.receive()).unwrap().unwrap().payload(), [7; 10_000]);
        }
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("read")));
    }
}

// CM-15, CM-19
#[test]
fn both_receive_large_messages_into_their_place() {
    for role in ROLES {
        for len in [16 << 10, 64 << 10, 1 << 20, 16 << 20] {
            let (mut socket, script) = connect(role);
            let payload = pattern(len);
            // The second one's end is read exactly, up to the frame behind it.
            script.peer_sends(
                [to(role, BINARY, &payload), to(role, BINARY, &payload), to(role, TEXT, b"x")].concat(),
            );
            for _ in 0..2 {
                let message = now(socket.receive()).unwrap().unwrap();
                assert!(message.payload() == payload, "{role:?}, {len} octets");
            }
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("x")));
        }
    }
}

// CM-23
#[test]
fn both_receive_a_large_text_with_a_future_for_every_read() {
    let text = "\u{1f980}".repeat(50_000);
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.read_at_most(4999);
        let input = to(role, TEXT, text.as_bytes());
        let mut chunks = input.chunks(9973).peekable();
        let message = loop {
            let chunk = chunks.next().expect("the message ends");
            script.peer_sends(chunk);
            match cut_off(socket.receive()) {
                None => assert!(chunks.peek().is_some()),
                Some(message) => break message.unwrap().unwrap(),
            }
        };
        assert_eq!(message.as_text(), Some(&*text));
    }
}

// 6455-7.1.7-5, CM-19
#[test]
fn both_refuse_a_large_message_from_its_header_alone() {
    let limits = Limits::default().max_message_len(100);
    for role in ROLES {
        let runtime = paused();
        let _entered = runtime.enter();
        let (mut socket, script) = connect_with(role, &quiet().limits(limits));
        script.peer_sends(&to(role, BINARY, &[0; 101])[..4]);
        waits(socket.receive());
        script.peer_ends();
        let error = now(socket.receive()).unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig)), "{error}");
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1009, ""))]);
    }
}

#[test]
fn both_keep_a_message_through_later_receives() {
    for role in ROLES {
        for len in [0, 1, 125, 16 << 10, 100 << 10, 1 << 20] {
            let (mut socket, script) = connect(role);
            let mut kept = Vec::new();
            for i in 0..4u8 {
                script.peer_sends(to(role, BINARY, &vec![i; len]));
                kept.push(now(socket.receive()).unwrap().unwrap());
            }
            waits(socket.receive());
            for (i, message) in kept.iter().enumerate() {
                assert!(message.payload() == vec![i as u8; len]);
            }
        }
    }
}

#[test]
fn both_lend_a_message_and_the_way_out_beside_it() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, TEXT, "é".as_bytes()), to(role, BINARY, &[0xff])].concat());
        {
            let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            assert_eq!((message.kind(), message.as_text()), (MessageKind::Text, Some("é")));
            assert_eq!(message.payload(), "é".as_bytes());
            outgoing.feed(&message).unwrap();
            outgoing.feed(message.as_text().unwrap()).unwrap();
            outgoing.ping(b"p").unwrap();
            assert_eq!(message.into_message(), Message::text("é"));
            outgoing.feed("after it was taken").unwrap();
            assert!(outgoing.queued() > 0);
        }
        {
            let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            assert_eq!((message.kind(), message.as_text()), (MessageKind::Binary, None));
            outgoing.feed(&message).unwrap();
        }
        now(socket.flush()).unwrap();
        assert_eq!(
            frames(role, &script.written()),
            [
                Frame(TEXT, "é".as_bytes().to_vec()),
                Frame(TEXT, "é".as_bytes().to_vec()),
                Frame(PING, b"p".to_vec()),
                Frame(TEXT, b"after it was taken".to_vec()),
                Frame(BINARY, vec![0xff]),
            ]
        );
    }
}

#[test]
fn both_lend_a_message_that_was_assembled() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let frames = [to(role, FIRST_TEXT, b"Hel"), to(role, PING, b""), to(role, LAST, b"lo")];
        frames.iter().for_each(|frame| script.peer_sends(frame));
        let (message, _) = now(socket.receive_ref()).unwrap().unwrap();
        assert_eq!(message.as_text(), Some("Hello"));
        assert_eq!(message.into_message(), Message::text("Hello"));
    }
}

// 6455-5.5.3-3
#[test]
fn both_receive_control_frames_as_events() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, PING, b"a"), to(role, PONG, b"b"), to(role, TEXT, b"c")].concat());
        assert_eq!(now(socket.receive_event()).unwrap().unwrap().0, Event::Ping(b"a"));
        assert_eq!(now(socket.receive_event()).unwrap().unwrap().0, Event::Pong(b"b"));
        assert_eq!(now(socket.receive_event()).unwrap().unwrap().0, Event::Text("c"));
        waits(socket.receive_event());
        assert_eq!(frames(role, &script.written()), [Frame(PONG, b"a".to_vec())]);
    }
}

/// Receives until an error, and again: the same error, and what was received before.
fn until_error(mut receive: impl FnMut() -> Result<Option<Message>, Error>) -> (Vec<Message>, Error) {
    let mut messages = Vec::new();
    let error = loop {
        match receive() {
            Ok(message) => messages.push(message.expect("an error, and never None")),
            Err(error) => break error,
        }
    };
    for _ in 0..3 {
        assert_eq!(receive().map_err(|error| error.to_string()), Err(error.to_string()), "the same for ever");
    }
    (messages, error)
}

// CM-43, 6455-7.1.5-3, 6455-7.2.1-2
#[test]
fn both_receive_an_error_when_the_transport_ends_without_a_close() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let message = to(role, TEXT, b"whole");
        for cut in [&[][..], &message[..1], &message[..2], &message[..message.len() - 1]] {
            let (mut socket, script) = connect(role);
            script.peer_sends([&message, cut].concat());
            script.peer_ends();
            let (messages, error) = until_error(|| now(socket.receive()));
            assert_eq!(messages, [Message::text("whole")]);
            assert!(matches!(error, Error::EndOfStream), "{error}");
            let report = socket.close_report().unwrap();
            assert!(!report.clean);
            assert_eq!(report.received.number(), 1006);
            assert_eq!(report.failure, Some(Failure::EndOfStream));
            assert!(script.is_dropped());
            assert!(socket.get_ref().is_none());

            let (socket, script) = connect(role);
            let (mut receiver, _sender) = socket.split();
            script.peer_sends([&message, cut].concat());
            script.peer_ends();
            let (messages, error) = until_error(|| now(receiver.receive()));
            assert_eq!(messages, [Message::text("whole")]);
            assert!(matches!(error, Error::EndOfStream), "{error}");
            assert!(script.is_dropped());
        }
    }
}

// CM-43, 6455-7.2.1-2
#[test]
fn both_receive_the_transports_error_when_it_is_reset() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, TEXT, b"whole"));
        script.read_fails(io::ErrorKind::ConnectionReset);
        let (messages, error) = until_error(|| now(socket.receive()));
        assert_eq!(messages.len(), 1);
        assert!(
            matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset),
            "{error}"
        );
        assert_eq!(socket.close_report().unwrap().failure, Some(Failure::Transport));
        for error in [now(socket.send("late")), now(socket.flush()), now(socket.ping(b"late"))] {
            let error = error.unwrap_err();
            assert!(
                matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionReset),
                "{error}"
            );
        }
        assert!(script.is_dropped());
    }
}

fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    match pin!(stream).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(item) => item,
        Poll::Pending => panic!("the stream had to be ready"),
    }
}

// CM-43
#[test]
fn both_yield_a_failure_once_as_a_stream() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, TEXT, b"m"));
        script.peer_ends();
        assert!(!socket.is_terminated());
        assert_eq!(next(&mut socket).unwrap().unwrap(), Message::text("m"));
        assert!(!socket.is_terminated());
        assert!(matches!(next(&mut socket), Some(Err(Error::EndOfStream))));
        assert!(socket.is_terminated());
        assert!(next(&mut socket).is_none());
        assert!(next(&mut socket).is_none());
        assert!(matches!(now(socket.receive()), Err(Error::EndOfStream)), "receive still tells it");

        let (socket, script) = connect(role);
        let (mut receiver, _sender) = socket.split();
        script.peer_sends(to(role, TEXT, b"m"));
        script.peer_ends();
        assert_eq!(next(&mut receiver).unwrap().unwrap(), Message::text("m"));
        assert!(matches!(next(&mut receiver), Some(Err(Error::EndOfStream))));
        assert!(receiver.is_terminated());
        assert!(next(&mut receiver).is_none());
    }
}

#[test]
fn both_print_no_payload_for_debugging() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, TEXT, b"secret one"));
        script.peer_sends(&to(role, TEXT, b"secret two")[..10]);
        assert!(now(socket.receive()).is_ok());
        drop(socket.feed("secret three"));
        let printed = format!("{socket:?}");
        assert!(printed.len() < 4096 && !printed.contains("115, 101, 99"), "{printed}");
        let (receiver, sender) = socket.split();
        assert!(!format!("{receiver:?}{sender:?}").contains("115, 101, 99"));
    }
}
