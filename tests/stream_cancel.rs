//! Every future of the tokio layer can be dropped at any await and asked for again: nothing is lost, nothing is torn.
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::pin;

use sansocket::stream::WebSocket;
use sansocket::{CloseCode, Config, Message, Role};
use stream_support::*;

/// Messages whole and in fragments, Pings and Pongs between them, and a Close.
fn conversation(role: Role) -> Vec<u8> {
    let frames: [(u8, &[u8]); 12] = [
        (TEXT, b"Hello"),
        (FIRST_TEXT, b"Hel"),
        (PING, b"between"),
        (MIDDLE, b""),
        (PONG, b"unasked"),
        (LAST, "lo \u{20ac}".as_bytes()),
        (BINARY, &[0xfe; 126]),
        (TEXT, b""),
        (PING, b""),
        (PING, &[7; 125]),
        (BINARY, b"last"),
        (CLOSE, b"\x03\xe8bye"),
    ];
    frames.iter().flat_map(|(first, payload)| to(role, *first, payload)).collect()
}

fn answers() -> Vec<Frame> {
    vec![
        Frame(PONG, b"between".to_vec()),
        Frame(PONG, Vec::new()),
        Frame(PONG, vec![7; 125]),
        Frame(CLOSE, close_payload(1000, "")),
    ]
}

fn expected_messages() -> Vec<Message> {
    vec![
        Message::text("Hello"),
        Message::text("Hello \u{20ac}"),
        Message::binary(vec![0xfe; 126]),
        Message::text(""),
        Message::binary(&b"last"[..]),
    ]
}

/// A socket whose peer says all this octet by octet, and takes one octet at a time, with a Pending before each.
fn dripped(role: Role) -> (WebSocket<Mock>, Script) {
    let (socket, script) = connect(role);
    script.drip();
    script.write_at_most(1);
    script.hesitate(1);
    script.hesitate_to_flush(3);
    script.peer_sends(conversation(role));
    script.peer_ends();
    (socket, script)
}

// CM-15, CM-16, CM-23, 6455-5.5.1-8
#[test]
fn both_receive_every_event_when_the_future_is_dropped_at_every_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut whole, script) = connect(role);
        script.peer_sends(conversation(role));
        script.peer_ends();
        let mut expected = Vec::new();
        while let Some((event, _)) = now(whole.receive_event()).unwrap() {
            expected.push(format!("{event:?}"));
        }
        assert_eq!(expected.len(), 10);

        let (mut socket, script) = dripped(role);
        let mut events = Vec::new();
        while let Some(event) = by_cut_offs(|| {
            cut_off(socket.receive_event()).map(|event| event.unwrap().map(|(event, _)| format!("{event:?}")))
        }) {
            events.push(event);
        }
        assert_eq!(events, expected);
        assert_eq!(frames(role, &script.written()), answers());
        assert!(socket.close_report().unwrap().clean);
    }
}

// CM-23
#[test]
fn both_receive_every_message_when_the_future_is_dropped_at_every_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut owned, script) = dripped(role);
        let mut messages = Vec::new();
        while let Some(message) = by_cut_offs(|| cut_off(owned.receive()).map(Result::unwrap)) {
            messages.push(message);
        }
        assert_eq!(messages, expected_messages());
        assert_eq!(frames(role, &script.written()), answers());

        let (mut lending, script) = dripped(role);
        let mut messages = Vec::new();
        while let Some(message) = by_cut_offs(|| {
            cut_off(lending.receive_ref())
                .map(|received| received.unwrap().map(|(message, _)| message.into_message()))
        }) {
            messages.push(message);
        }
        assert_eq!(messages, expected_messages());
        assert_eq!(frames(role, &script.written()), answers());

        let (socket, script) = dripped(role);
        let (mut receiver, _sender) = socket.split();
        let mut messages = Vec::new();
        while let Some(message) = by_cut_offs(|| cut_off(receiver.receive()).map(Result::unwrap)) {
            messages.push(message);
        }
        assert_eq!(messages, expected_messages());
        assert_eq!(frames(role, &script.written()), answers());
    }
}

/// A transport that takes three octets at a time, with a Pending before each and before its flush.
fn slow_writer(role: Role, config: &Config) -> (WebSocket<Mock>, Script) {
    let (socket, script) = connect_with(role, config);
    script.write_at_most(3);
    script.hesitate(1);
    script.hesitate_to_flush(2);
    (socket, script)
}

// CM-22, CM-23, 6455-6.1-9, 6455-6.1-6
#[test]
fn both_send_a_whole_message_or_none_when_the_future_is_dropped_at_every_await() {
    let config = quiet().fragment_len(Some(7));
    let first = pattern(40);
    for role in ROLES {
        for polls in 0.. {
            let (mut socket, script) = slow_writer(role, &config);
            let mut done = false;
            {
                let mut send = pin!(socket.send(&first));
                for _ in 0..polls {
                    done = done || poll_once(send.as_mut()).is_ready();
                    if done {
                        break;
                    }
                }
            }
            if done {
                assert_eq!(messages(&frames(role, &script.written())), [&first[..]]);
            }
            let second = Message::text("second");
            let mut second = pin!(socket.send(second));
            while poll_once(second.as_mut()).is_pending() {}
            let sent = messages(&frames(role, &script.written()));
            match polls {
                0 => assert_eq!(sent, [b"second"]),
                _ => assert_eq!(sent, [&first[..], b"second"], "dropped after {polls} polls"),
            }
            assert!(script.is_flushed());
            if done {
                assert!(polls > 15, "the transport was to be slow");
                break;
            }
        }
    }
}

// CM-23
#[test]
fn both_send_nothing_when_the_future_is_dropped_while_it_waits_for_room() {
    let config = quiet().high_water_mark(8);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        waits(socket.feed("more than eight"));
        waits(socket.send("never queued"));
        waits(socket.ping(b"neither"));
        script.window(usize::MAX);
        now(socket.send("last")).unwrap();
        assert_eq!(messages(&frames(role, &script.written())), [&b"more than eight"[..], b"last"]);
    }
}

// CM-21, CM-23
#[test]
fn both_send_what_was_fed_when_every_future_is_dropped() {
    for role in ROLES {
        let (mut socket, script) = slow_writer(role, &quiet());
        drop(socket.feed("one"));
        drop(socket.feed("two"));
        drop(socket.flush());
        assert!(script.take_ops().is_empty(), "no I/O before a future is polled");
        by_cut_offs(|| cut_off(socket.flush())).unwrap();
        assert_eq!(messages(&frames(role, &script.written())), [b"one", b"two"]);
        assert!(script.is_flushed());
    }
}

// CM-23
#[test]
fn both_close_when_the_future_is_dropped_at_every_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut socket, script) = dripped(role);
        let report = by_cut_offs(|| cut_off(socket.close(CloseCode::GOING_AWAY, "later"))).unwrap();
        assert!(report.clean);
        assert_eq!(report.messages_thrown_away, 5);
        assert_eq!(report.octets_thrown_away, 5 + 9 + 126 + 4);
        let sent = frames(role, &script.written());
        assert_eq!(sent[0], Frame(CLOSE, close_payload(1001, "later")), "one Close, and before the Pongs");
        assert_eq!(sent[1..], answers()[..3]);
    }
}

// CM-23, 6455-5.4-7
#[test]
fn both_send_whole_messages_from_halves_whose_futures_are_dropped_at_every_await() {
    let config = quiet().fragment_len(Some(7));
    let first = pattern(40);
    for role in ROLES {
        for polls in 0.. {
            let (socket, script) = slow_writer(role, &config);
            let (_receiver, sender) = socket.split();
            let mut done = false;
            {
                let mut send = pin!(sender.send(&first));
                for _ in 0..polls {
                    done = done || poll_once(send.as_mut()).is_ready();
                    if done {
                        break;
                    }
                }
            }
            let other = sender.clone();
            drop(sender);
            let mut second = pin!(other.send("second"));
            while poll_once(second.as_mut()).is_pending() {}
            let sent = messages(&frames(role, &script.written()));
            match polls {
                0 => assert_eq!(sent, [b"second"]),
                _ => assert_eq!(sent, [&first[..], b"second"], "dropped after {polls} polls"),
            }
            if done {
                break;
            }
        }
    }
}

// CM-23
#[test]
fn both_close_from_a_half_whose_future_is_dropped_at_every_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (socket, script) = dripped(role);
        let (receiver, sender) = socket.split();
        drop(receiver);
        let report = by_cut_offs(|| cut_off(sender.close(CloseCode::NORMAL, ""))).unwrap();
        assert!(report.clean);
        assert_eq!(report.messages_thrown_away, 5);
        let code = if role == Role::Server { close_payload(1001, "") } else { Vec::new() };
        assert_eq!(frames(role, &script.written())[0], Frame(CLOSE, code), "the dropped receiver's Close");
        assert!(script.is_dropped());
    }
}

// CM-23, 6455-5.5.2-1
#[test]
fn both_answer_a_ping_once_when_its_beginning_is_received_and_its_end_read_ahead() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let first = to(role, PING, b"first");
        let (begin, end) = first.split_at(first.len() - 2);
        script.peer_sends(begin);
        waits(socket.receive());
        script.window(0);
        script.peer_sends([end, &to(role, PING, b"second"), &to(role, TEXT, b"text")].concat());
        waits(socket.send("blocked"));
        script.window(usize::MAX);
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("text")));
        now(socket.flush()).unwrap();
        let mut sent = frames(role, &script.written());
        sent.retain(|Frame(first, _)| *first == PONG);
        sent.sort_by_key(|Frame(_, payload)| payload.clone());
        assert_eq!(sent, [Frame(PONG, b"first".to_vec()), Frame(PONG, b"second".to_vec())]);
    }
}
