//! What connections over tokio that share a budget hold together: RFC 6455 §10.4.
#![cfg(feature = "tokio")]

mod stream_support;

use std::future::poll_fn;

use sansocket::stream::{Error, Receiver, Sender, WebSocket};
use sansocket::{Budget, Config, Message, ProtocolError, Role, SendError};
use stream_support::*;

const KIB: usize = 1 << 10;

fn sharing(budget: &Budget) -> Config {
    quiet().budget(budget.clone())
}

fn close_code(role: Role) -> u16 {
    match role {
        Role::Server => 1013,
        Role::Client => 1009,
    }
}

/// The Close frame with which `role` fails for want of a budget, last of what it has written.
fn assert_failed(role: Role, script: &Script) {
    let sent = frames(role, &script.take_written());
    let last = sent.last().expect("a Close frame");
    assert_eq!(last.1, close_payload(close_code(role), ""), "{role:?}");
}

// 6455-10.4-1
#[test]
fn both_fail_when_a_message_needs_more_than_is_left() {
    for role in ROLES {
        for split in [false, true] {
            let budget = Budget::new(256 * KIB);
            // Another connection holds most of it.
            let (mut other, begins) = connect_with(role, &sharing(&budget));
            begins.peer_sends(to(role, BINARY & 0x7f, &pattern(150 * KIB)));
            waits(other.receive());
            let in_use = budget.in_use();
            assert!((150 * KIB..=256 * KIB).contains(&in_use), "{in_use}");

            let (mut socket, script) = connect_with(role, &sharing(&budget));
            script.peer_sends(to(role, TEXT, b"m"));
            script.peer_sends(to(role, BINARY & 0x7f, &pattern(110 * KIB)));
            script.peer_ends();
            let error = if split {
                let (mut receiver, _sender) = socket.split();
                assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("m")));
                now(receiver.receive()).unwrap_err()
            } else {
                assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("m")));
                now(socket.receive()).unwrap_err()
            };
            assert!(
                matches!(error, Error::Protocol(e) if e == ProtocolError::BudgetExhausted(role)),
                "{error}"
            );
            assert_failed(role, &script);
            assert!(budget.in_use() <= in_use, "what the failed one held is free again");

            // The other is as it was.
            begins.peer_sends(to(role, LAST, b"end"));
            let whole = now(other.receive()).unwrap().expect("a message");
            assert_eq!(whole.payload().len(), 150 * KIB + 3);
            waits(other.receive());
            assert_eq!(budget.in_use(), 0, "idle, it holds nothing");
        }
    }
}

// 6455-10.4-1
#[test]
fn both_send_no_more_than_is_left_and_nothing_of_what_is_refused() {
    for role in ROLES {
        for split in [false, true] {
            let budget = Budget::new(1024 * KIB);
            let config = sharing(&budget).high_water_mark(8 << 20);
            let (mut socket, script) = connect_with(role, &config);
            script.window(0);
            let payload = pattern(400 * KIB);
            if split {
                let (_receiver, sender) = socket.split();
                now(sender.feed(payload.clone())).unwrap();
                let refused = now(sender.feed(vec![7; 700 * KIB]));
                assert!(matches!(refused, Err(Error::Send(SendError::BudgetExhausted))), "{refused:?}");
            } else {
                now(socket.feed(payload.clone())).unwrap();
                let refused = now(socket.feed(vec![7; 700 * KIB]));
                assert!(matches!(refused, Err(Error::Send(SendError::BudgetExhausted))), "{refused:?}");
                drop(socket);
            }
            assert_eq!(budget.in_use(), 0, "dropped");

            let (mut socket, script) = connect_with(role, &config);
            now(socket.feed(payload.clone())).unwrap();
            assert!(budget.in_use() >= 400 * KIB);
            assert!(now(socket.feed(vec![7; 700 * KIB])).is_err());
            now(socket.flush()).unwrap();
            assert_eq!(budget.in_use(), 0, "what was written is given back");
            let sent = frames(role, &script.take_written());
            assert_eq!(messages(&sent), [payload], "nothing of what was refused");
        }
    }
}

// 6455-10.4-1
#[test]
fn both_pass_on_a_large_message_that_is_paid_for_once() {
    for role in ROLES {
        // A client masks 64 KiB at a time, and there is a lease of slack. All are whole leases.
        let budget = Budget::new((304 + 64 + 16) * KIB);
        let (mut socket, script) = connect_with(role, &sharing(&budget));
        let payload = pattern(300 * KIB);
        script.peer_sends(to(role, BINARY, &payload));
        let (message, mut outgoing) = now(socket.receive_ref()).unwrap().expect("a message");
        outgoing.feed(message).expect("it is moved");
        waits(socket.receive());
        assert_eq!(messages(&frames(role, &script.take_written())), [payload]);
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_fail_when_a_peer_that_never_reads_holds_more_than_is_left() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        for budget_len in [200 * KIB, 400 * KIB, 1 << 20] {
            let budget = Budget::new(budget_len);
            let (mut socket, script) = connect_with(role, &sharing(&budget));
            script.window(0);
            // As much as fills the output, and then the input.
            for _ in 0..80 {
                script.peer_sends(to(role, BINARY, &pattern(8 * KIB)));
            }
            let echoed = cut_off(async {
                while let Some((message, mut outgoing)) = socket.receive_ref().await? {
                    outgoing.feed(message).expect("one reply to each message always fits");
                }
                Ok::<_, Error>(())
            });
            let in_use = budget.in_use();
            println!("{role:?}, a budget of {budget_len}: {in_use} in use for a peer that never reads");
            assert!(in_use <= budget_len);
            if budget_len == 1 << 20 {
                assert!(echoed.is_none(), "it waits");
                assert_eq!(socket.close_report(), None);
                // The lent buffer of 292 KiB, and the input.
                assert!((500 * KIB..=700 * KIB).contains(&in_use), "{in_use}");
                script.window(usize::MAX);
                waits(async {
                    while let Some((message, mut outgoing)) = socket.receive_ref().await.expect("it goes on")
                    {
                        outgoing.feed(message).expect("one reply to each message always fits");
                    }
                });
                assert_eq!(messages(&frames(role, &script.take_written())).len(), 80);
                assert_eq!(budget.in_use(), 0, "idle, it holds nothing");
            } else {
                assert!(socket.start_close(None, "").is_err(), "it has failed");
                script.window(usize::MAX);
                script.peer_ends();
                let error = now(socket.receive()).unwrap_err();
                let expected = ProtocolError::BudgetExhausted(role);
                assert!(matches!(error, Error::Protocol(error) if error == expected), "{error}");
                assert_failed(role, &script);
                assert_eq!(budget.in_use(), 0);
            }
        }
    }
}

// 6455-10.4-1
#[test]
fn both_flush_behind_a_close_with_more_behind_it_and_come_to_an_end() {
    for role in ROLES {
        for split in [false, true] {
            let budget = Budget::new(0);
            let (mut socket, script) = connect_with(role, &sharing(&budget));
            // As many events as a task may have in one turn, the last of them the Close.
            let mut octets = to(role, PONG, b"").repeat(127);
            octets.extend(to(role, CLOSE, &close_payload(1000, "")));
            octets.extend([7; 200]);
            script.peer_sends(octets);
            let (flushed, sender) = paused().block_on(async {
                if split {
                    let (mut receiver, sender) = socket.split();
                    waits(receiver.receive());
                    let flushed = cut_off(sender.flush());
                    script.peer_ends();
                    assert_eq!(poll_fn(|cx| receiver.poll_receive(cx)).await.unwrap(), None);
                    (flushed, Some((receiver, sender)))
                } else {
                    waits(socket.receive());
                    let flushed = cut_off(socket.flush());
                    script.peer_ends();
                    assert_eq!(socket.receive().await.unwrap(), None);
                    (flushed, None)
                }
            });
            assert!(matches!(flushed, Some(Ok(()))), "{flushed:?}");
            assert_eq!(budget.in_use(), 0, "what stands behind a Close is not kept");
            drop(sender);
            let sent = frames(role, &script.take_written());
            assert_eq!(sent, [Frame(CLOSE, close_payload(1000, ""))], "{role:?}");
        }
    }
}

// 6455-10.4-1
#[test]
fn both_send_all_there_is_over_a_transport_that_only_the_scheduler_holds_up() {
    for role in ROLES {
        let budget = Budget::new(0);
        let (near, far) = tokio::io::duplex(1 << 20);
        let mut socket = over(role, near, &sharing(&budget));
        paused().block_on(async {
            for _ in 0..1000 {
                socket.send("hi").await.expect("the transport takes it");
            }
        });
        drop((socket, far));
    }
}

// 6455-10.4-1, 6455-7.1.2-1
#[test]
fn both_send_a_close_beyond_the_last_octet_of_the_budget() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        // What the lent buffer costs while the transport does not take what is in it.
        let budget = Budget::new(304 * KIB);
        let (mut socket, script) = connect_with(role, &sharing(&budget).high_water_mark(8 << 20));
        script.window(0);
        for _ in 0..20 {
            now(socket.feed(&pattern(10 * KIB))).unwrap();
        }
        waits(socket.flush());
        assert_eq!(budget.in_use(), 304 * KIB, "{role:?}");
        let mut messages_sent = 20;
        for len in [10 * KIB, KIB, 100, 1] {
            while now(socket.feed(&pattern(len))).is_ok() {
                messages_sent += 1;
            }
        }
        assert!(socket.queued() > 303 * KIB, "{}", socket.queued());
        socket.start_close(sansocket::CloseCode::NORMAL, &"x".repeat(123)).expect("it always leaves");
        waits(socket.flush());
        assert_eq!(budget.in_use(), 304 * KIB);
        script.window(usize::MAX);
        now(socket.flush()).expect("the connection is as it was");
        let sent = frames(role, &script.take_written());
        assert_eq!(messages(&sent).len(), messages_sent);
        assert_eq!(sent.last(), Some(&Frame(CLOSE, close_payload(1000, &"x".repeat(123)))));
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_give_the_lease_of_parked_input_back_while_they_are_busy() {
    for role in ROLES {
        for split in [false, true] {
            let budget = Budget::new(1 << 20);
            let (socket, script) = connect_with(role, &sharing(&budget));
            let mut end = if split { Ok(socket.split()) } else { Err(socket) };
            let received = |end: &mut Result<(Receiver<Mock>, Sender<Mock>), WebSocket<Mock>>| match end {
                Ok((receiver, _)) => now(receiver.receive()).unwrap().expect("a message"),
                Err(socket) => now(socket.receive()).unwrap().expect("a message"),
            };
            let message = to(role, BINARY, &pattern(4 * KIB));
            script.peer_sends(message.repeat(61));
            received(&mut end);
            match &mut end {
                Ok((_, sender)) => now(sender.flush()).unwrap(),
                Err(socket) => now(socket.flush()).unwrap(),
            }
            assert!(budget.in_use() >= 240 * KIB, "parked: {}", budget.in_use());
            for _ in 0..60 {
                received(&mut end);
            }
            assert!(budget.in_use() <= 16 * KIB, "all of it was received: {}", budget.in_use());
            for _ in 0..100 {
                script.peer_sends(&message);
                received(&mut end);
                assert!(budget.in_use() <= 16 * KIB, "{}", budget.in_use());
            }
        }
    }
}

// 6455-10.4-1
#[test]
fn both_drop_the_transport_when_nothing_of_what_it_does_not_take_can_be_paid_for() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        for closed in [false, true] {
            let budget = Budget::new(16 * KIB);
            let (mut socket, script) = connect_with(role, &sharing(&budget));
            script.peer_sends([to(role, TEXT, b"m"), to(role, CLOSE, &close_payload(1000, ""))].concat());
            assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("m")));
            // One frame, that lies in the lent buffer, and of which a part leaves; or many behind which the peer's Close is
            // answered.
            let (len, times) = if closed { (10 * KIB, 10) } else { (100 * KIB, 1) };
            script.window(if closed { 0 } else { 50 });
            for _ in 0..times {
                let payload = pattern(len);
                now(socket.feed(payload.as_slice())).unwrap();
            }
            let ended = if closed {
                cut_off(socket.receive()).map(|end| end.map(drop))
            } else {
                cut_off(socket.flush())
            };
            let expected = ProtocolError::BudgetExhausted(role);
            assert!(matches!(ended, Some(Err(Error::Protocol(error))) if error == expected), "{ended:?}");
            assert!(script.is_dropped());
            assert_eq!((socket.queued(), budget.in_use()), (0, 0));
            let report = socket.close_report().expect("it has ended");
            assert!(!report.clean && report.failure.is_some(), "{report:?}");
        }
    }
}
