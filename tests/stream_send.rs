//! When output leaves: `send`, `feed`, `flush`, the high-water mark, and output before input.
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::pin;
use std::task::Poll;

use sansocket::stream::Error;
use sansocket::{Message, Role, SendError};
use stream_support::*;

fn send_error(result: Result<(), Error>) -> SendError {
    match result {
        Err(Error::Send(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

// 6455-6.1-9, CM-21
#[test]
fn both_send_returns_after_its_last_octet_was_taken_and_flushed() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.hold_flush(true);
        script.window(5);
        {
            let mut send = pin!(socket.send("Hello"));
            assert!(poll_once(send.as_mut()).is_pending());
            script.window(100);
            assert!(poll_once(send.as_mut()).is_pending(), "written, but not flushed");
            assert_eq!(frames(role, &script.written()), [Frame(TEXT, b"Hello".to_vec())]);
            script.hold_flush(false);
            assert!(matches!(poll_once(send), Poll::Ready(Ok(()))));
        }
        assert!(script.is_flushed());
        script.take_ops();
        now(socket.flush()).unwrap();
        let ops = script.take_ops();
        assert!(!ops.contains(&Op::Flush), "nothing to flush: {ops:?}");
    }
}

// 6455-6.1-9
#[test]
fn both_send_returns_when_others_still_have_output_queued() {
    for role in ROLES {
        let (socket, script) = connect(role);
        let (_receiver, sender) = socket.split();
        script.window(0);
        let mut send = pin!(sender.send("mine"));
        assert!(poll_once(send.as_mut()).is_pending());
        let mine = sender.queued();
        now(sender.feed("another's")).unwrap();
        script.window(mine + 1);
        assert!(poll_once(send).is_ready(), "it has left, whoever is behind it");
    }
}

// CM-22
#[test]
fn both_send_the_same_octets_however_the_transport_takes_them() {
    let large = pattern(100_000);
    for vectored in [true, false] {
        for at_most in [1, 2, 7, 1000, 70_000, usize::MAX] {
            let len = if at_most < 100 { 20_000 } else { 100_000 };
            for role in ROLES {
                let (mut socket, script) = connect(role);
                if !vectored {
                    script.not_vectored();
                }
                script.write_at_most(at_most);
                drop(socket.feed("before"));
                drop(socket.feed(large[..len].to_vec()));
                drop(socket.feed(&large[..17_000]));
                drop(socket.feed("after"));
                now(socket.flush()).unwrap();
                let sent = frames(role, &script.written());
                assert_eq!(
                    messages(&sent),
                    [&b"before"[..], &large[..len], &large[..17_000], b"after"],
                    "{role:?}, {at_most} at a time, vectored: {vectored}"
                );
            }
        }
    }
}

#[test]
fn server_sends_a_header_and_its_payload_in_one_write() {
    for vectored in [true, false] {
        let (mut socket, script) = connect(Role::Server);
        if !vectored {
            script.not_vectored();
        }
        now(socket.send(pattern(100_000))).unwrap();
        let ops = script.take_ops();
        if vectored {
            assert_eq!(ops[..2], [Op::Write(100_010), Op::Flush]);
        } else {
            // Together as much as a TLS record holds, and the rest from where it lies.
            assert_eq!(ops[..3], [Op::Write(16 << 10), Op::Write(100_010 - (16 << 10)), Op::Flush]);
        }
    }
}

// 6455-6.1-7
#[test]
fn client_sends_large_messages_masked_from_a_shared_payload() {
    for len in [16 << 10, (16 << 10) + 1, 64 << 10, (64 << 10) + 3, 1 << 20] {
        let payload = bytes_of(len);
        let (mut socket, script) = connect(Role::Client);
        script.write_at_most(10_007);
        now(socket.send(payload.clone())).unwrap();
        now(socket.send(payload.payload())).unwrap();
        let written = script.written();
        assert_eq!(messages(&frames(Role::Client, &written)), [payload.payload(), payload.payload()]);
        assert_eq!(payload.payload(), pattern(len), "the caller's octets are as they were");
    }
}

fn bytes_of(len: usize) -> Message {
    Message::binary(pattern(len))
}

// CM-21
#[test]
fn both_send_nothing_before_feed_is_followed_by_a_flush_or_a_receive() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        now(socket.feed("one")).unwrap();
        drop(socket.feed("two"));
        assert!(script.take_ops().is_empty());
        assert!(socket.queued() > 0);
        waits(socket.receive());
        assert_eq!(messages(&frames(role, &script.written())), [b"one", b"two"]);
        assert!(script.is_flushed());
        assert_eq!(socket.queued(), 0);
    }
}

// 6455-2.1-1
#[test]
fn both_send_everything_before_receive_waits() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, PING, b"p"), to(role, TEXT, b"m")].concat());
        {
            let (_, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            outgoing.feed("reply").unwrap();
        }
        waits(socket.receive());
        assert_eq!(
            frames(role, &script.written()),
            [Frame(PONG, b"p".to_vec()), Frame(TEXT, b"reply".to_vec())]
        );
        assert!(script.is_flushed());
        assert_eq!(script.take_ops().last(), Some(&Op::ReadPending));
    }
}

// 6455-2.1-1
#[test]
fn both_send_before_every_read_while_the_input_never_runs_dry() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        for _ in 0..10 {
            script.peer_sends(to(role, TEXT, b"m"));
        }
        for _ in 0..10 {
            let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            outgoing.feed(&message).unwrap();
        }
        let ops = script.take_ops();
        let frame = if role == Role::Client { 7 } else { 3 };
        let (read, rest) = ops.split_first().unwrap();
        assert!(matches!(read, Op::Read(_)));
        assert_eq!(rest.len(), 9 * 3);
        for ops in rest.chunks(3) {
            assert!(matches!(ops, [Op::Write(len), Op::Flush, Op::Read(_)] if *len == frame), "{ops:?}");
        }
    }
}

// 6455-2.1-1
#[test]
fn both_send_the_echoes_of_a_pipelined_burst_in_one_write() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let burst: Vec<u8> = (0..32u8).flat_map(|i| to(role, BINARY, &[i; 16])).collect();
        script.peer_sends(&burst);
        for _ in 0..32 {
            let (message, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            outgoing.feed(&message).unwrap();
        }
        waits(socket.receive());
        let ops = script.take_ops();
        assert!(
            matches!(ops[..], [Op::Read(read), Op::Write(_), Op::Flush, Op::ReadPending] if read == burst.len()),
            "{ops:?}"
        );
        assert_eq!(messages(&frames(role, &script.written())).len(), 32);
    }
}

// CM-27
#[test]
fn both_refuse_to_queue_more_when_futures_are_dropped() {
    let config = quiet().high_water_mark(100);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        let mut fed = 0;
        let error = loop {
            match cut_off(socket.feed(&[0; 50])) {
                Some(Err(Error::Send(error))) => break error,
                Some(Err(error)) => panic!("{error}"),
                Some(Ok(())) | None => fed += 1,
            }
        };
        assert_eq!((error, fed), (SendError::QueueFull, 2));
        let queued = socket.queued();
        assert_eq!(send_error(socket.feed_ping(b"")), SendError::QueueFull);
        assert_eq!(socket.queued(), queued);
        script.window(usize::MAX);
        now(socket.send("fits again")).unwrap();
        assert_eq!(messages(&frames(role, &script.written())).len(), 3);
    }
}

// CM-27
#[test]
fn both_feed_waits_above_the_high_water_mark() {
    let config = quiet().high_water_mark(100);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        now(socket.feed(&[1; 50])).unwrap();
        let (wakes, waker) = Wakes::new();
        {
            let mut feed = pin!(socket.feed(&[2; 50]));
            assert!(poll_with(feed.as_mut(), &waker).is_pending());
            script.window(60);
            assert_eq!(wakes.count(), 1);
            assert!(poll_with(feed, &waker).is_ready());
        }
        assert!(socket.queued() > 0, "it waits for room, not for an empty queue");
    }
}

#[test]
fn both_send_with_a_high_water_mark_of_zero() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet().high_water_mark(0));
        script.peer_sends(to(role, TEXT, b"m"));
        now(socket.send("one")).unwrap();
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("m")));
        now(socket.send("two")).unwrap();
        assert_eq!(messages(&frames(role, &script.written())), [b"one", b"two"]);
    }
}

// CM-27
#[test]
fn both_stop_parsing_above_the_high_water_mark_and_go_on_below_it() {
    let config = quiet().high_water_mark(300);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        script.peer_sends((0..20u8).flat_map(|i| to(role, BINARY, &[i; 100])).collect::<Vec<_>>());
        let mut received = 0;
        while let Some(message) = cut_off(socket.receive_ref()) {
            let (message, mut outgoing) = message.unwrap().unwrap();
            outgoing.feed(&message).unwrap();
            received += 1;
        }
        assert_eq!(received, 3, "no more than the replies that fit");
        assert!(socket.queued() < 400);

        // The transport takes all of it: what has been read already is parsed without another read.
        let (wakes, waker) = Wakes::new();
        {
            let mut next = Box::pin(socket.receive_ref());
            assert!(poll_with(next.as_mut(), &waker).is_pending());
            script.window(usize::MAX);
            assert!(wakes.count() > 0);
            assert_eq!(now(next).unwrap().unwrap().0.payload(), [3; 100]);
        }
        for i in 4..20 {
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::binary(vec![i; 100])));
        }
    }
}

// CM-27
#[test]
fn both_receive_what_is_not_lent_above_the_high_water_mark() {
    let config = quiet().high_water_mark(100);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        waits(socket.feed(&[0; 100]));
        let octets: Vec<_> = (0..20u8).flat_map(|i| to(role, BINARY, &[i; 50_000])).collect();
        let octets = octets.chunks(70_000);
        octets.for_each(|octets| script.peer_sends(octets));
        waits(socket.receive_ref());
        for i in 0..20 {
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::binary(vec![i; 50_000])));
        }
        waits(socket.receive());
        script.window(usize::MAX);
        now(socket.flush()).unwrap();
        assert_eq!(messages(&frames(role, &script.written())), [[0; 100]]);
    }
}

// CM-27, 6455-7.1.5-3
#[test]
fn both_receive_all_that_was_read_before_the_end_when_the_output_was_full() {
    let runtime = paused();
    let _entered = runtime.enter();
    let config = quiet().high_water_mark(300);
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(0);
        // More than one read buffer, so that it is full while nothing is parsed.
        for _ in 0..40 {
            script.peer_sends(to(role, BINARY, &[7; 10_000]));
        }
        script.peer_ends();
        {
            let (_, mut outgoing) = now(socket.receive_ref()).unwrap().unwrap();
            outgoing.feed(&[0; 400]).unwrap();
        }
        waits(socket.receive_ref());
        assert!(script.unread() > 0, "one read buffer and no more");
        script.window(usize::MAX);
        for _ in 1..40 {
            assert_eq!(now(socket.receive()).unwrap().unwrap().payload(), [7; 10_000]);
        }
        assert!(matches!(now(socket.receive()), Err(Error::EndOfStream)));
    }
}

#[test]
fn both_refuse_what_must_not_be_sent_and_go_on() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        assert_eq!(send_error(now(socket.ping(&[0; 126]))), SendError::ControlPayloadTooLong);
        assert_eq!(send_error(socket.start_close(None, "why")), SendError::ReasonWithoutCode);
        let long = "r".repeat(124);
        assert_eq!(
            send_error(socket.start_close(sansocket::CloseCode::NORMAL, &long)),
            SendError::ReasonTooLong
        );
        now(socket.ping(&[1; 125])).unwrap();
        now(socket.send("on")).unwrap();
        assert_eq!(frames(role, &script.written()), [Frame(PING, vec![1; 125]), Frame(TEXT, b"on".to_vec())]);
    }
}
