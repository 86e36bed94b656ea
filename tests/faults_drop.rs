//! WebSockets, receivers and senders that are dropped without a close, in every order and at every moment: the peer sees
//! the end, no memory is kept, and no task goes on (RFC 6455 §7.1.5, §7.2.1).
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod fault_support;
#[path = "support/heap.rs"]
#[allow(dead_code, reason = "only what is held is asked for")]
mod heap;

use std::time::Duration;

use fault_support::{FACES, Face, ROLES, Socket, ends, open};
use heap::held_by;
use sansocket::Role;
use sansocket::stream::{Receiver, Sender};
use sansocket::test_util::{Frame, Peer, Transport};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap;

/// What a connection is in the middle of.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Idle,
    /// A message has come and nobody has received it.
    Unreceived,
    /// A fragmented message, of which 100 kB have come.
    Receiving,
    /// 100 kB are queued that the peer does not read.
    Sending,
    /// A Close was sent that the peer does not answer.
    Closing,
    /// The peer breaks a rule, and does not read the Close that tells it so.
    Failing,
}

const MOMENTS: [Moment; 6] =
    [Moment::Idle, Moment::Unreceived, Moment::Receiving, Moment::Sending, Moment::Closing, Moment::Failing];

async fn bring_to(moment: Moment, socket: &mut Socket, peer: &Peer) {
    match moment {
        Moment::Idle => {}
        Moment::Unreceived => peer.send_frame(&Frame::text("never received")),
        Moment::Receiving => peer.send_frame(&Frame::binary(vec![1; 100_000]).not_final()),
        Moment::Sending => peer.incoming().capacity(1),
        Moment::Closing => {}
        Moment::Failing => {
            peer.incoming().capacity(1);
            peer.send_frame(&Frame::new(0x3, ""));
        }
    }
    let wait = Duration::from_millis(100);
    // The blocking one waits by nobody's clock, and is asked but once.
    let is_blocking = matches!(socket, Socket::Blocking(_));
    let _ = match (moment, &mut *socket) {
        (Moment::Sending | Moment::Closing, Socket::Blocking(socket)) => {
            let _ = if let Moment::Sending = moment {
                socket.send(&[2; 100_000])
            } else {
                socket.close(None, "").map(drop)
            };
            return;
        }
        (_, Socket::Blocking(socket)) => socket.receive().map(drop).map_err(drop),
        (Moment::Sending, socket) => {
            timeout(wait, socket.send(&"x".repeat(100_000))).await.map(drop).map_err(drop)
        }
        (Moment::Closing, socket) => timeout(wait, socket.close()).await.map(drop).map_err(drop),
        (Moment::Unreceived, _) => Ok(()),
        (_, socket) => timeout(wait, socket.receive()).await.map(drop).map_err(drop),
    };
    assert!(is_blocking || socket.close_report().is_none(), "it is still open: {moment:?}");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs it twice: what the first run leaves is what the thread and its runtime keep, the second must leave nothing.
fn holds_nothing(runtime: &Runtime, what: &str, run: impl AsyncFn()) {
    runtime.block_on(run());
    let (held, ()) = held_by(|| runtime.block_on(run()));
    assert_eq!(held, 0, "{what}");
    assert_eq!(runtime.metrics().num_alive_tasks(), 0, "{what}: a task goes on");
}

// State 18.
#[test]
fn both_are_dropped_at_any_moment_and_leave_nothing() {
    let runtime = runtime();
    let mut cases = 0;
    for (role, face) in ends(&FACES) {
        for moment in MOMENTS {
            let what = format!("{role:?}, {face:?}, {moment:?}");
            holds_nothing(&runtime, &what, async || {
                let (mut socket, mut peer) = open(role, face);
                bring_to(moment, &mut socket, &peer).await;
                drop(socket);
                assert!(peer.outgoing().is_abandoned(), "{what}");
                peer.incoming().capacity(usize::MAX);
                // An end, and no reset.
                peer.receive_to_end().await;
                peer.expect_end().await.unwrap();
            });
            cases += 1;
        }
    }
    println!("{cases} sockets dropped, each in the middle of something: 0 octets held, 0 tasks");
}

/// A half, so that they can be dropped in any order.
enum Half {
    Receiver(Receiver<Transport>),
    Sender(Sender<Transport>),
}

fn halves(role: Role) -> ([Half; 3], Peer) {
    let (socket, peer) = open(role, Face::Halves);
    let Socket::Halves(receiver, sender) = socket else { unreachable!() };
    ([Half::Sender(sender.clone()), Half::Receiver(receiver), Half::Sender(sender)], peer)
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

// State 18.
#[test]
fn both_halves_are_dropped_in_every_order_and_leave_nothing() {
    let runtime = runtime();
    for role in ROLES {
        for order in ORDERS {
            holds_nothing(&runtime, &format!("{role:?}, {order:?}"), async || {
                let (halves, mut peer) = halves(role);
                let mut halves = halves.map(Some);
                for (count, at) in order.into_iter().enumerate() {
                    assert!(!peer.outgoing().is_abandoned(), "{count} of three are dropped");
                    halves[at] = None;
                }
                assert!(peer.outgoing().is_abandoned(), "all are dropped, in the order {order:?}");
                assert_eq!(peer.receive_to_end().await, [], "dropping does no I/O");
                peer.expect_end().await.unwrap();
            });
        }
    }
}

/// Each half in a task of its own, waiting; the tasks are aborted in every order.
#[test]
fn both_halves_are_dropped_with_their_tasks_in_every_order_and_leave_nothing() {
    let runtime = runtime();
    for role in ROLES {
        for order in ORDERS {
            holds_nothing(&runtime, &format!("{role:?}, {order:?}"), async || {
                let (halves, peer) = halves(role);
                peer.incoming().capacity(0);
                let tasks = halves.map(|half| {
                    tokio::spawn(async move {
                        match half {
                            Half::Receiver(mut receiver) => drop(receiver.receive().await),
                            Half::Sender(sender) => drop(sender.send("never taken").await),
                        }
                    })
                });
                tokio::task::yield_now().await;
                for at in order {
                    assert!(!peer.outgoing().is_abandoned());
                    tasks[at].abort();
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    assert!(tasks[at].is_finished());
                }
                assert!(peer.outgoing().is_abandoned(), "in the order {order:?}");
            });
        }
    }
}

// State 18: who drives on what the dropped receiver began is a sender.
#[tokio::test(start_paused = true)]
async fn both_send_a_close_when_only_the_receiver_is_dropped() {
    for role in ROLES {
        let (halves, mut peer) = halves(role);
        let [Half::Sender(sender), receiver, _other] = halves else { unreachable!() };
        drop(receiver);
        peer.expect_nothing().unwrap();
        sender.flush().await.unwrap();
        peer.expect_close(if role == Role::Server { Some(1001) } else { None }).await.unwrap();
        peer.expect_nothing().unwrap();
    }
}
