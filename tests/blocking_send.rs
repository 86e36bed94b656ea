//! Sending over a blocking transport: RFC 6455 §5.5.1, §6.1.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/blocking.rs"]
mod support;

use std::io::ErrorKind;

use sansocket::blocking::Error;
use sansocket::{CloseCode, Config, Message, Role, SendError};
use support::{BOTH_ROLES, Did, Script, Step, frames, from_peer, name, socket};

#[test]
fn both_send_the_same_octets_however_few_the_transport_takes() {
    // CM-22 6455-6.1-4 6455-6.1-5 6455-6.1-6
    for role in BOTH_ROLES {
        for max_write in [1, 2, 13, 65_537, usize::MAX] {
            let script = Script::new([]).max_write(max_write);
            let mut socket = socket(role, &script, &Config::default());
            let large = vec![0xa5; 80_000];
            script.fail_next_writes([ErrorKind::Interrupted, ErrorKind::Interrupted]);
            socket.feed("Hello").unwrap();
            socket.feed(large.clone()).unwrap();
            socket.feed_ping(b"p").unwrap();
            socket.send(Message::text("last")).unwrap();
            assert_eq!(socket.queued(), 0);
            let expected =
                [(0x81, b"Hello".to_vec()), (0x82, large), (0x89, b"p".to_vec()), (0x81, b"last".to_vec())];
            assert!(frames(&script.written()) == expected, "{role:?}, {max_write} octets at a time");
            assert_eq!(script.did().last(), Some(&Did::Flush));
        }
    }
}

#[test]
fn send_returns_when_its_last_octet_is_out_and_flushed() {
    // 6455-6.1-9 CM-21
    for role in BOTH_ROLES {
        let script = Script::new([]);
        let mut socket = socket(role, &script, &Config::default());
        socket.send("one").unwrap();
        assert_eq!(frames(&script.written()), [(0x81, b"one".to_vec())]);
        assert!(matches!(script.did()[..], [Did::Write(_), Did::Flush]), "{:?}", script.did());
        socket.ping(b"two").unwrap();
        assert!(matches!(script.did()[2..], [Did::Write(_), Did::Flush]), "{:?}", script.did());
    }
}

#[test]
fn server_sends_a_large_shared_payload_with_its_header_in_one_write() {
    let script = Script::new([]);
    let mut socket = socket(Role::Server, &script, &Config::default());
    socket.send(vec![1; 100_000]).unwrap();
    assert_eq!(script.did(), [Did::Write(10 + 100_000), Did::Flush]);
}

#[test]
fn fed_messages_wait_for_a_flush_or_the_high_water_mark() {
    // 6455-2.1-1 CM-27
    let script = Script::new([]);
    let mut socket = socket(Role::Server, &script, &Config::default().high_water_mark(100));
    socket.feed("a").unwrap();
    socket.feed("b").unwrap();
    assert_eq!((script.did(), socket.queued()), (vec![], 6));
    socket.flush().unwrap();
    assert_eq!(script.did(), [Did::Write(6), Did::Flush]);
    socket.flush().unwrap();
    assert_eq!(script.did().len(), 2, "there is nothing to flush");
    for _ in 0..1000 {
        socket.feed(&[0; 30]).unwrap();
        assert!(socket.queued() < 100, "feed waits for the transport");
    }
}

#[test]
fn would_block_means_queued_and_queue_full_means_not() {
    // CM-23 CM-27: the whole message or nothing of it.
    for role in BOTH_ROLES {
        let script = Script::new([]).max_write(0);
        let mut socket = socket(role, &script, &Config::default().high_water_mark(50));
        assert_eq!(name(&socket.send("queued by send").unwrap_err()), "would block");
        assert_eq!(name(&socket.ping(b"queued by ping").unwrap_err()), "would block");
        socket.feed(&[1; 40]).unwrap();
        let queued = socket.queued();
        for refused in [socket.send("refused"), socket.feed("refused"), socket.ping(b"refused")] {
            assert!(matches!(refused, Err(Error::Send(SendError::QueueFull))), "{refused:?}");
        }
        assert_eq!(socket.queued(), queued);
        assert_eq!(name(&socket.flush().unwrap_err()), "would block");
        assert_eq!(name(&socket.receive().unwrap_err()), "would block");

        script.set_max_write(5);
        socket.send("goes").unwrap();
        let expected = [
            (0x81, b"queued by send".to_vec()),
            (0x89, b"queued by ping".to_vec()),
            (0x82, vec![1; 40]),
            (0x81, b"goes".to_vec()),
        ];
        assert_eq!(frames(&script.written()), expected);
    }
}

#[test]
fn a_transport_that_takes_nothing_now_is_still_read() {
    for role in BOTH_ROLES {
        let script = Script::reading(from_peer(role, 0x81, b"in")).max_write(0);
        let mut socket = socket(role, &script, &Config::default());
        socket.feed("out").unwrap();
        assert_eq!(socket.receive().unwrap(), Some(Message::text("in")));
        assert_eq!(name(&socket.receive().unwrap_err()), "would block");
        script.set_max_write(usize::MAX);
        assert_eq!(name(&socket.receive().unwrap_err()), "would block");
        assert_eq!(frames(&script.written()), [(0x81, b"out".to_vec())]);
    }
}

#[test]
fn no_pong_goes_ahead_of_what_the_transport_was_given_before() {
    // CM-28
    for role in BOTH_ROLES {
        let script = Script::new([]).max_write(0);
        let mut socket = socket(role, &script, &Config::default());
        assert_eq!(name(&socket.send(vec![1; 20_000]).unwrap_err()), "would block");
        for ping in [b"a", b"b", b"c"] {
            script.push(Step::Octets(from_peer(role, 0x89, ping)));
            assert_eq!(name(&socket.receive().unwrap_err()), "would block");
        }
        socket.feed("next").unwrap();
        script.set_max_write(usize::MAX);
        socket.flush().unwrap();
        let sent = frames(&script.written());
        assert_eq!((sent[0].0, sent[0].1.len()), (0x82, 20_000), "{role:?}");
        // Each had been given to the transport when the next one came.
        let pongs = [b"a", b"b", b"c"].map(|pong| (0x8a, pong.to_vec()));
        assert_eq!(sent[1..4], pongs, "{role:?}");
        assert_eq!(sent[4..], [(0x81, b"next".to_vec())], "{role:?}");
    }
}

#[test]
fn a_failed_write_is_an_error_for_ever() {
    for kind in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
        let script = Script::new([]);
        let mut socket = socket(Role::Client, &script, &Config::default());
        script.fail_next_writes([kind]);
        for _ in 0..2 {
            match socket.send("x") {
                Err(Error::Io(error)) => assert_eq!(error.kind(), kind),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(name(&socket.flush().unwrap_err()), "io");
        assert_eq!(name(&socket.close(None, "").unwrap_err()), "io");
        assert_eq!(name(&socket.receive().unwrap_err()), "io");
        assert_eq!(script.written(), b"");
    }
}

#[test]
fn nothing_is_sent_after_close() {
    // CM-47 CM-46 6455-5.5.1-6 6455-6.1-2 6455-7.1.2-1
    for role in BOTH_ROLES {
        let script = Script::new([]);
        let mut socket = socket(role, &script, &Config::default());
        socket.feed("before").unwrap();
        socket.start_close(CloseCode::GOING_AWAY, "later").unwrap();
        for refused in [socket.send("x"), socket.feed("x"), socket.ping(b"x"), socket.start_close(None, "")] {
            assert!(matches!(refused, Err(Error::Send(SendError::SendAfterClose))), "{refused:?}");
        }
        socket.flush().unwrap();
        let expected = [(0x81, b"before".to_vec()), (0x88, b"\x03\xe9later".to_vec())];
        assert_eq!(frames(&script.written()), expected);
    }
}

#[test]
fn what_must_not_be_sent_is_refused_and_the_connection_goes_on() {
    // CM-42 6455-5.5-1 6455-5.5.1-3
    for role in BOTH_ROLES {
        let script = Script::new([]);
        let mut socket = socket(role, &script, &Config::default());
        let refused = [
            (socket.ping(&[0; 126]), SendError::ControlPayloadTooLong),
            (socket.start_close(CloseCode::NORMAL, &"x".repeat(124)), SendError::ReasonTooLong),
            (socket.start_close(None, "x"), SendError::ReasonWithoutCode),
            (socket.close(None, "x").map(drop), SendError::ReasonWithoutCode),
        ];
        for (refused, reason) in refused {
            assert!(matches!(refused, Err(Error::Send(error)) if error == reason), "{refused:?}");
        }
        assert_eq!(script.written(), b"");
        socket.send("on").unwrap();
        assert_eq!(frames(&script.written()), [(0x81, b"on".to_vec())]);
    }
}

#[test]
fn closing_resumes_after_would_block() {
    // CM-23
    for role in BOTH_ROLES {
        let script = Script::new([]).max_write(0);
        let mut socket = socket(role, &script, &Config::default());
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "would block");
        script.set_max_write(1);
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "would block");
        assert_eq!(frames(&script.written()), [(0x88, b"\x03\xe8".to_vec())], "one Close");
        script.push(Step::Octets(from_peer(role, 0x88, b"\x03\xe8")));
        assert_eq!(name(&socket.close(CloseCode::NORMAL, "").unwrap_err()), "would block");
        script.push(Step::End);
        assert!(socket.close(CloseCode::NORMAL, "").unwrap().clean);
        assert!(socket.close(CloseCode::NORMAL, "").unwrap().clean, "the same for ever");
        assert_eq!(script.did().iter().filter(|did| **did == Did::ShutdownWrite).count(), 1);
    }
}
