//! Receiving over a blocking transport: RFC 6455 §5, §6.2, §7.1.5, §8.1.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/blocking.rs"]
mod support;

use std::io::{Error as IoError, ErrorKind};

use sansocket::blocking::{Error, WebSocket};
use sansocket::connection::{Event, ReceivedClose};
use sansocket::{CloseCode, Config, Message, ProtocolError, Role};
use support::{BOTH_ROLES, Did, Script, Step, frames, from_peer, name, socket};

/// Everything that can be received, with the answers that it asks for.
fn conversation(role: Role) -> Vec<u8> {
    [
        from_peer(role, 0x01, b"Hel"),
        from_peer(role, 0x89, b"ping"),
        from_peer(role, 0x80, b"lo"),
        from_peer(role, 0x82, &[7; 300]),
        from_peer(role, 0x82, &[8; 70_000]),
        from_peer(role, 0x81, b""),
        from_peer(role, 0x88, b"\x03\xe8bye"),
    ]
    .concat()
}

fn expected() -> Vec<Message> {
    vec![
        Message::text("Hello"),
        Message::binary(vec![7; 300]),
        Message::binary(vec![8; 70_000]),
        Message::text(""),
    ]
}

/// Receives to the end. How often the transport would have blocked comes with it.
fn receive_all(socket: &mut WebSocket<Script>) -> (Vec<Message>, usize) {
    let (mut messages, mut blocked) = (Vec::new(), 0);
    loop {
        match socket.receive() {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, blocked),
            Err(Error::WouldBlock) => blocked += 1,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn both_receive_a_conversation_in_pieces_of_any_size() {
    // CM-15 CM-16 6455-5.5.2-1 6455-5.5.3-1 6455-5.5.1-7 6455-5.5.1-10
    for role in BOTH_ROLES {
        for max_read in [1, 2, 3, 7, 1000, usize::MAX] {
            let script = Script::new([Step::Octets(conversation(role)), Step::End]).max_read(max_read);
            let mut socket = socket(role, &script, &Config::default());
            let (messages, _) = receive_all(&mut socket);
            assert!(messages == expected(), "{role:?}, {max_read} octets at a time");
            let answers = [(0x8a, b"ping".to_vec()), (0x88, b"\x03\xe8".to_vec())];
            assert_eq!(frames(&script.written()), answers, "{role:?}, {max_read} octets at a time");
            let report = socket.close_report().unwrap();
            assert!(report.clean);
            assert_eq!(report.received, ReceivedClose::Code(CloseCode::NORMAL));
            assert_eq!(&*report.received_reason, "bye");
            assert!(matches!(socket.receive(), Ok(None)), "for ever");
            assert!(socket.get_ref().is_none());
        }
    }
}

#[test]
fn both_resume_after_would_block_and_interruptions_and_lose_nothing() {
    // CM-23
    for role in BOTH_ROLES {
        let wire = conversation(role);
        let pieces = wire.chunks(97).flat_map(|piece| {
            [
                Step::Octets(piece.to_vec()),
                Step::Fails(ErrorKind::WouldBlock.into()),
                Step::Fails(ErrorKind::Interrupted.into()),
                Step::Fails(ErrorKind::TimedOut.into()),
            ]
        });
        let script = Script::new(pieces.chain([Step::End]));
        let mut socket = socket(role, &script, &Config::default());
        let (messages, blocked) = receive_all(&mut socket);
        assert!(messages == expected(), "{role:?}");
        assert_eq!(blocked, 2 * wire.chunks(97).count(), "{role:?}: an interruption is no error");
    }
}

#[test]
fn both_receive_large_messages_of_both_kinds() {
    // 6455-6.2-4
    for role in BOTH_ROLES {
        let text = "grüße, ".repeat(400_000);
        let binary: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
        let wire = [
            from_peer(role, 0x81, text.as_bytes()),
            from_peer(role, 0x02, &binary[..1_000_000]),
            from_peer(role, 0x80, &binary[1_000_000..]),
        ];
        let script = Script::reading(wire.concat());
        let mut socket = socket(role, &script, &Config::default());
        let message = socket.receive().unwrap().unwrap();
        assert!(message.as_text() == Some(&text));
        let message = socket.receive().unwrap().unwrap();
        assert!(message.payload() == binary);
    }
}

#[test]
fn server_fails_at_the_first_bad_octet_of_an_unfinished_text() {
    // The frame claims more than comes, and half of what is there was read to its place.
    let mut text = vec![b'a'; 200_000];
    text[150_000] = 0xff;
    let mut wire = from_peer(Role::Server, 0x81, &text);
    wire.truncate(150_100);
    let script = Script::reading(wire);
    let mut socket = socket(Role::Server, &script, &Config::default());
    assert_eq!(name(&socket.receive().unwrap_err()), "would block", "it waits for the peer to end");
    assert_eq!(script.written(), b"\x88\x02\x03\xef", "1007");
    script.push(Step::End);
    for _ in 0..2 {
        let error = socket.receive().unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::InvalidUtf8)), "{error}");
    }
}

#[test]
fn queued_output_is_written_and_flushed_before_every_read() {
    // 6455-2.1-1 6455-5.5.2-2
    let ping = |payload| from_peer(Role::Server, 0x89, payload);
    let script = Script::new([ping(b"a"), ping(b"b")].map(Step::Octets));
    let mut socket = socket(Role::Server, &script, &Config::default());
    socket.feed("fed").unwrap();
    assert_eq!(name(&socket.receive().unwrap_err()), "would block");
    let pass = [Did::Write(3), Did::Flush];
    let expected =
        [&[Did::Write(5), Did::Flush, Did::Read(7)][..], &pass, &[Did::Read(7)], &pass, &[Did::ReadNothing]];
    assert_eq!(script.did(), expected.concat());
    assert_eq!(script.written(), b"\x81\x03fed\x8a\x01a\x8a\x01b");
}

#[test]
fn server_parses_on_after_replies_above_the_high_water_mark() {
    // All requests come in one read, and their replies do not fit the queue at once.
    let wire = from_peer(Role::Server, 0x81, b"request").repeat(50);
    let script = Script::reading(wire);
    let mut socket = socket(Role::Server, &script, &Config::default().high_water_mark(1000));
    for n in 0..50 {
        let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
        assert_eq!(message.as_text(), Some("request"), "{n}");
        outgoing.feed(&[0; 300]).unwrap();
        assert!(outgoing.queued() < 1000 + 300 + 4);
    }
    assert_eq!(name(&socket.receive().unwrap_err()), "would block");
    assert_eq!(frames(&script.written()).len(), 50);
}

#[test]
fn both_receive_what_was_read_behind_the_handshake_first() {
    // CM-2
    for role in BOTH_ROLES {
        let glued = from_peer(role, 0x81, b"glued");
        let (unread, rest) = glued.split_at(3);
        let script = Script::reading(rest);
        let mut socket = WebSocket::negotiated(script, role, Default::default(), &Config::default(), unread);
        assert_eq!(socket.receive().unwrap(), Some(Message::text("glued")));
    }
    let many = from_peer(Role::Server, 0x81, b"glued").repeat(20_000);
    let mut socket = WebSocket::server(Script::new([]), &Config::default(), many);
    for _ in 0..20_000 {
        assert_eq!(socket.receive().unwrap(), Some(Message::text("glued")));
    }
    assert_eq!(name(&socket.receive().unwrap_err()), "would block");
}

#[test]
fn end_of_stream_without_close_is_an_error_for_ever() {
    // CM-43 CM-32 6455-7.1.5-3 6455-7.2.1-2
    for role in BOTH_ROLES {
        let whole = [from_peer(role, 0x81, b""), from_peer(role, 0x81, b"Hello")].concat();
        for cut in [0, 1, 3] {
            let script = Script::new([Step::Octets(whole[..whole.len() - cut].to_vec()), Step::End]);
            let mut socket = socket(role, &script, &Config::default());
            assert_eq!(socket.receive().unwrap(), Some(Message::text("")), "length zero is data");
            if cut == 0 {
                assert_eq!(socket.receive().unwrap(), Some(Message::text("Hello")));
            }
            for _ in 0..3 {
                assert_eq!(name(&socket.receive().unwrap_err()), "end of stream", "{role:?} {cut}");
            }
            let report = socket.close_report().unwrap();
            assert_eq!((report.clean, report.received.number()), (false, 1006));
            assert_eq!(script.written(), b"", "there is nobody to tell");
        }
    }
}

#[test]
fn a_reset_comes_behind_what_was_received_and_stays() {
    // 6455-7.2.1-2
    for role in BOTH_ROLES {
        let script = Script::new([
            Step::Octets(from_peer(role, 0x81, b"last words")),
            Step::Fails(ErrorKind::ConnectionReset.into()),
        ]);
        let mut socket = socket(role, &script, &Config::default());
        assert_eq!(socket.receive().unwrap(), Some(Message::text("last words")));
        for _ in 0..3 {
            match socket.receive() {
                Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(socket.send("x"), Err(Error::Io(_))), "why tells more than that it is closed");
        assert_eq!(socket.close_report().unwrap().received.number(), 1006);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_the_operating_system_gave_up_is_no_timeout_of_ours() {
    const ETIMEDOUT: i32 = 110;
    let script = Script::new([Step::Fails(IoError::from_raw_os_error(ETIMEDOUT))]);
    let mut socket = socket(Role::Client, &script, &Config::default());
    for _ in 0..2 {
        assert_eq!(name(&socket.receive().unwrap_err()), "io");
    }
}

#[test]
fn what_came_before_a_failed_write_is_still_received() {
    for role in BOTH_ROLES {
        let script = Script::reading([from_peer(role, 0x81, b"a"), from_peer(role, 0x81, b"b")].concat());
        let mut socket = socket(role, &script, &Config::default());
        script.fail_next_writes([ErrorKind::BrokenPipe]);
        match socket.send("x") {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
        assert_eq!(socket.receive().unwrap(), Some(Message::text("a")));
        assert_eq!(socket.receive().unwrap(), Some(Message::text("b")));
        for _ in 0..2 {
            match socket.receive() {
                Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::BrokenPipe),
                other => panic!("{other:?}"),
            }
        }
        assert!(!socket.close_report().unwrap().clean);
    }
}

#[test]
fn close_after_a_failed_write_ends_the_connection_and_reports_how() {
    for role in BOTH_ROLES {
        let script = Script::reading(from_peer(role, 0x81, b"late"));
        let mut socket = socket(role, &script, &Config::default());
        script.fail_next_writes([ErrorKind::BrokenPipe]);
        assert_eq!(name(&socket.send("lost").unwrap_err()), "io");
        assert_eq!(socket.close_report(), None, "what has come can still be received");
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "io");
        let report = socket.close_report().unwrap();
        assert_eq!((report.clean, report.messages_thrown_away), (false, 1), "{role:?}");
        assert!(socket.get_ref().is_none(), "{role:?}");
    }
}

#[test]
fn a_close_whose_answer_cannot_be_written_is_not_clean() {
    // (d) row 28: the code received stays.
    for role in BOTH_ROLES {
        for close_first in [false, true] {
            let script = Script::reading(from_peer(role, 0x88, b"\x0f\xa1"));
            let mut socket = socket(role, &script, &Config::default());
            if close_first {
                socket.start_close(CloseCode::NORMAL, "").unwrap();
            }
            script.fail_next_writes([ErrorKind::BrokenPipe]);
            assert_eq!(name(&socket.receive().unwrap_err()), "io", "{role:?} {close_first}");
            let report = socket.close_report().unwrap();
            assert_eq!((report.clean, report.received.number()), (false, 4001), "{role:?} {close_first}");
        }
    }
}

#[test]
fn events_are_lent_with_the_way_out_beside_them() {
    // 6455-5.5.3-3
    for role in BOTH_ROLES {
        let wire = [
            from_peer(role, 0x89, b"p"),
            from_peer(role, 0x8a, b"q"),
            from_peer(role, 0x01, b"te"),
            from_peer(role, 0x80, b"xt"),
            from_peer(role, 0x82, b"\xff"),
            from_peer(role, 0x88, b""),
        ]
        .concat();
        for max_read in [1, usize::MAX] {
            let script = Script::new([Step::Octets(wire.clone()), Step::End]).max_read(max_read);
            let mut socket = socket(role, &script, &Config::default());
            let mut seen = Vec::new();
            while let Some((event, mut outgoing)) = socket.receive_event().unwrap() {
                match event {
                    Event::Text(text) => outgoing.feed(text).unwrap(),
                    Event::Binary(_) => outgoing.ping(b"r").unwrap(),
                    _ => {}
                }
                seen.push(format!("{event:?}"));
            }
            assert_eq!(seen.len(), 5, "{seen:?}");
            assert_eq!(seen[0], format!("{:?}", Event::Ping(b"p")));
            assert_eq!(seen[1], format!("{:?}", Event::Pong(b"q")));
            assert_eq!(seen[2], format!("{:?}", Event::Text("text")));
            assert_eq!(seen[3], format!("{:?}", Event::Binary(b"\xff")));
            assert!(seen[4].starts_with("Close"), "{}", seen[4]);
            let sent: Vec<_> = frames(&script.written()).into_iter().map(|(first, _)| first).collect();
            assert_eq!(sent, [0x8a, 0x81, 0x89, 0x88], "a Pong gets no answer");
            assert_eq!(socket.close_report().unwrap().received, ReceivedClose::NoStatus);
        }
    }
}

#[test]
fn a_lent_message_can_be_taken() {
    let wire = [from_peer(Role::Server, 0x81, b"small"), from_peer(Role::Server, 0x82, &vec![5; 100_000])];
    let script = Script::reading(wire.concat());
    let mut socket = socket(Role::Server, &script, &Config::default());
    let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
    outgoing.feed(&message).unwrap();
    assert_eq!(message.into_message(), Message::text("small"));
    let (message, mut outgoing) = socket.receive_ref().unwrap().unwrap();
    assert_eq!((message.as_text(), message.payload().len()), (None, 100_000));
    outgoing.start_close(None, "").unwrap();
    assert!(message.into_message() == Message::binary(vec![5; 100_000]));
    socket.flush().unwrap();
    assert_eq!(script.written(), b"\x81\x05small\x88\x00");
}
