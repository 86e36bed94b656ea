//! What connections over tokio have on the heap, counted, while the application or the peer is away: RFC 6455 §10.4.
#![cfg(feature = "tokio")]

#[path = "support/allocations.rs"]
mod allocations;
mod stream_support;

use std::pin::Pin;

use allocations::{Counting, held_by};
use futures_core::Stream;
use sansocket::stream::{Error, WebSocket};
use sansocket::{Budget, Config, Message, ProtocolError, Role};
use stream_support::*;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: usize = 1 << 10;
const MANY: usize = 100;

type Ends = Vec<(WebSocket<Mock>, Script)>;

fn many(role: Role, config: &Config) -> Ends {
    (0..MANY).map(|_| connect_with(role, config)).collect()
}

/// Fills the pool of this thread, which is no connection's.
fn warm_up() {
    let mut busy = many(Role::Client, &quiet());
    for (socket, script) in &mut busy {
        script.peer_sends(to(Role::Client, TEXT, b"m"));
        // Until it waits for more it owns the buffer.
        let _ = now(socket.receive_ref()).expect("a message has come");
    }
    for (socket, _) in &mut busy {
        waits(socket.receive());
    }
}

/// How a connection comes to be left alone.
#[derive(Debug, Clone, Copy)]
enum Away {
    /// With an owned message, the only one that was read.
    Received,
    /// The same, by way of the `Stream`.
    Next,
    /// With the first of two owned messages that were read at once.
    ReceivedOneOfTwo,
    /// With a message that was lent.
    Lent,
    /// Without a flush of what it has fed.
    Fed,
}

// 6455-10.4-1
#[test]
fn both_hold_a_buffer_for_an_application_that_is_away_only_as_long_as_something_is_in_it() {
    warm_up();
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        for (away, most) in [
            (Away::Received, 1),
            (Away::Next, 1),
            (Away::ReceivedOneOfTwo, 293),
            (Away::Lent, 293),
            (Away::Fed, 293),
        ] {
            let budget = Budget::new(1 << 20);
            let mut ends = many(role, &quiet().budget(budget.clone()));
            for (socket, script) in &mut ends {
                waits(socket.receive());
                let times = if let Away::ReceivedOneOfTwo = away { 2 } else { 1 };
                script.peer_sends(to(role, TEXT, b"m").repeat(times));
            }
            let (held, messages) = held_by(|| {
                let received: Vec<Option<Message>> = ends
                    .iter_mut()
                    .map(|(socket, _)| match away {
                        Away::Received | Away::ReceivedOneOfTwo => now(socket.receive()).unwrap(),
                        Away::Next => now(std::future::poll_fn(|cx| Pin::new(&mut *socket).poll_next(cx)))
                            .transpose()
                            .unwrap(),
                        Away::Lent => now(socket.receive_ref()).unwrap().map(|_| Message::text("lent")),
                        Away::Fed => now(socket.feed("fed")).ok().map(|()| Message::text("fed")),
                    })
                    .collect();
                received
            });
            let each = held / MANY;
            println!("{role:?}, {away:?}: {each} octets for each of {MANY} connections");
            assert!(messages.iter().all(Option::is_some));
            assert!(each <= most * KIB, "{role:?}, {away:?}: {each}");
            assert_eq!(budget.in_use(), 0, "it is no part of the budget");
        }

        // The halves: what they share is made anew.
        let mut halves: Vec<_> =
            many(role, &quiet()).into_iter().map(|(socket, script)| (socket.split(), script)).collect();
        for ((receiver, _), script) in &mut halves {
            waits(receiver.receive());
            script.peer_sends(to(role, TEXT, b"m"));
        }
        let (held, messages) = held_by(|| {
            let received: Vec<_> =
                halves.iter_mut().map(|((receiver, _), _)| now(receiver.receive()).unwrap()).collect();
            received
        });
        println!("{role:?}, split: {} octets for each of {MANY} connections", held / MANY);
        assert!(messages.iter().all(Option::is_some));
        assert!(held / MANY <= KIB, "{role:?}, split: {}", held / MANY);
    }
}

// 6455-10.4-1
#[test]
fn both_hold_what_is_queued_and_no_more_for_peers_that_never_read() {
    warm_up();
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        // One small message each.
        let budget = Budget::new(1 << 20);
        let mut ends = many(role, &quiet().budget(budget.clone()));
        let (held, ()) = held_by(|| {
            for (socket, script) in &mut ends {
                script.window(0);
                now(socket.feed("four")).unwrap();
                waits(socket.flush());
            }
        });
        println!("{role:?}: {} octets for each of {MANY} peers that take no small message", held / MANY);
        assert!(held / MANY <= KIB, "{}", held / MANY);
        assert_eq!(budget.in_use(), 0, "up to 16 KiB are free");
        for (socket, script) in &mut ends {
            script.window(usize::MAX);
            now(socket.flush()).expect("the connection is as it was");
            assert_eq!(messages(&frames(role, &script.take_written())), [b"four"]);
        }

        // More than there is for all of them.
        let mut ends = many(role, &quiet().budget(budget.clone()));
        let (held, failed) = held_by(|| {
            let mut failed = 0;
            for (socket, script) in &mut ends {
                // A part of the first leaves.
                script.window(100);
                for _ in 0..20 {
                    now(socket.feed(&pattern(10 * KIB))).unwrap();
                }
                // Reading ahead finds this.
                script.peer_sends(to(role, BINARY, &pattern(40 * KIB)));
                match cut_off(socket.flush()) {
                    None => {}
                    Some(Err(Error::Protocol(error))) => {
                        assert_eq!(error, ProtocolError::BudgetExhausted(role));
                        failed += 1;
                    }
                    Some(other) => panic!("{other:?}"),
                }
                assert!(budget.in_use() <= budget.octets());
            }
            failed
        });
        println!(
            "{role:?}: {held} octets for {MANY} peers that take no large messages, with a budget of 1 MiB; {failed} failed"
        );
        assert!(failed > MANY / 2);
        assert!(held <= (1 << 20) + MANY * 17 * KIB, "{held}");
        let mut closed = 0;
        for (socket, script) in &mut ends {
            script.window(usize::MAX);
            script.peer_ends();
            let received = std::iter::repeat_with(|| now(socket.receive())).find(Result::is_err).unwrap();
            let sent = frames(role, &script.take_written());
            if matches!(received, Err(Error::Protocol(_))) {
                // What had begun to leave, and the Close.
                assert_eq!(messages(&sent), [pattern(10 * KIB)]);
                let code = if role == Role::Server { 1013 } else { 1009 };
                assert_eq!(sent.last(), Some(&Frame(CLOSE, close_payload(code, ""))));
                closed += 1;
            } else {
                assert_eq!(messages(&sent), vec![pattern(10 * KIB); 20]);
            }
        }
        assert_eq!(closed, failed);
        assert_eq!(budget.in_use(), 0);
    }
}

// 6455-10.4-1
#[test]
fn both_send_on_when_little_was_left_in_the_buffer_and_the_peer_reads_again() {
    for role in ROLES {
        for vectored in [true, false] {
            let budget = Budget::new(0);
            let (mut socket, script) = connect_with(role, &quiet().budget(budget.clone()));
            if !vectored {
                script.not_vectored();
            }
            let mut sent = Vec::new();
            for round in 0..50 {
                // In the middle of a frame, most of the time.
                script.window(round * 131 % 3000);
                while socket.queued() < 12 * KIB {
                    let payload = pattern(100 + sent.len() * 37 % 2000);
                    now(socket.feed(&payload)).unwrap();
                    sent.push(payload);
                }
                waits(socket.flush());
                script.peer_sends(to(role, PING, b"ping"));
                waits(socket.receive());
                assert_eq!(budget.in_use(), 0);
            }
            script.window(usize::MAX);
            now(socket.flush()).unwrap();
            let frames = frames(role, &script.take_written());
            assert_eq!(messages(&frames), sent);
            assert_eq!(frames.iter().filter(|frame| frame.0 == PONG).count(), 50);
        }
    }
}
