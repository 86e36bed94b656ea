//! Who is woken when, in a split connection: nobody who waits is forgotten, nobody is woken by what it does itself.
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use sansocket::stream::{Error, Receiver, Sender};
use sansocket::{CloseCode, Config, Message, Role};
use stream_support::*;

fn split(role: Role, high_water_mark: usize) -> (Receiver<Mock>, Sender<Mock>, Script) {
    let (socket, script) = connect_with(role, &quiet().high_water_mark(high_water_mark));
    let (receiver, sender) = socket.split();
    (receiver, sender, script)
}

#[test]
fn both_hand_the_callers_waker_through_when_unsplit() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let (_, waker) = Wakes::new();
        assert!(poll_with(pin!(socket.receive()), &waker).is_pending());
        assert!(script.reader_is(&waker));
    }
}

#[test]
fn receiver_is_woken_by_input_whoever_polled_the_transport_last() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 1000);
        let (received, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.window(0);
        waits(sender.send("reads while it waits, and is dropped"));
        let count = received.count();
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!(received.count(), count + 1);
        assert_eq!(poll_with(receive, &waker).map(Result::unwrap), Poll::Ready(Some(Message::text("m"))));
    }
}

#[test]
fn receiver_is_woken_when_a_sender_reads_for_it() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 1000);
        let (received, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.window(0);
        script.peer_sends(to(role, TEXT, b"m"));
        // It parks again before it has read: its wake-up is spent.
        assert_eq!(received.count(), 1);
        let (_, other) = Wakes::new();
        let mut send = pin!(sender.send("blocked"));
        assert!(poll_with(send.as_mut(), &other).is_pending());
        assert_eq!(poll_with(receive, &waker).map(Result::unwrap), Poll::Ready(Some(Message::text("m"))));
    }
}

#[test]
fn receiver_is_not_woken_by_a_sender_that_makes_room() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 100);
        script.window(0);
        now(sender.feed(&[0; 100])).unwrap();
        let (received, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.window_unannounced(usize::MAX);
        now(sender.flush()).unwrap();
        assert_eq!(received.count(), 0, "it does not wait for that");
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!(received.count(), 1);
        assert_eq!(poll_with(receive, &waker).map(Result::unwrap), Poll::Ready(Some(Message::text("m"))));
    }
}

#[test]
fn senders_are_woken_when_the_receiver_writes_for_them() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 100);
        script.window(0);
        let mut wakes = Vec::new();
        let mut sends = Vec::new();
        for _ in 0..5 {
            let (count, waker) = Wakes::new();
            let mut send = Box::pin(sender.send(&[0; 60]));
            assert!(poll_with(send.as_mut(), &waker).is_pending());
            wakes.push((count, waker));
            sends.push(send);
        }
        // One is gone before its turn comes.
        drop(sends.remove(1));
        wakes.remove(1);
        script.window_unannounced(usize::MAX);
        let mut rounds = 0;
        while !sends.is_empty() {
            waits(receiver.receive());
            let mut woken = 0;
            for i in (0..sends.len()).rev() {
                let (count, waker) = &wakes[i];
                if count.count() > 0 {
                    woken += 1;
                    if poll_with(sends[i].as_mut(), waker).is_ready() {
                        drop(sends.remove(i));
                        wakes.remove(i);
                    }
                }
            }
            assert!(woken > 0, "somebody was forgotten");
            rounds += 1;
            assert!(rounds < 10);
        }
        assert!(messages(&frames(role, &script.written())).len() >= 4);
    }
}

#[test]
fn senders_are_woken_by_the_transport_when_the_first_of_them_is_gone() {
    for role in ROLES {
        let (_receiver, sender, script) = split(role, 1000);
        script.window(0);
        let (woken, waker) = Wakes::new();
        let mut send = pin!(sender.send("stays"));
        assert!(poll_with(send.as_mut(), &waker).is_pending());
        {
            let (_, other) = Wakes::new();
            let mut gone = pin!(sender.send("goes"));
            assert!(poll_with(gone.as_mut(), &other).is_pending());
        }
        script.window(usize::MAX);
        assert_eq!(woken.count(), 1);
        assert!(poll_with(send, &waker).is_ready());
    }
}

#[test]
fn receiver_is_not_woken_by_what_its_own_task_feeds() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 10_000);
        let (woken, waker) = Wakes::new();
        {
            let mut receive = pin!(receiver.receive());
            assert!(poll_with(receive.as_mut(), &waker).is_pending());
            script.peer_sends([to(role, TEXT, b"one"), to(role, TEXT, b"two")].concat());
            assert_eq!(woken.count(), 1);
            assert!(poll_with(receive, &waker).is_ready());
        }
        for _ in 0..10 {
            now(sender.feed("reply")).unwrap();
        }
        now(sender.send("reply")).unwrap();
        assert_eq!(woken.count(), 1);
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("two")));

        // Parked, it is woken by another task's feed, and writes it.
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.take_written();
        now(sender.feed("push")).unwrap();
        assert_eq!(woken.count(), 2);
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        assert_eq!(messages(&frames(role, &script.written())), [b"push"]);
        // It has nothing to do with what a sender writes itself.
        now(sender.send("own")).unwrap();
        assert_eq!(woken.count(), 2);
    }
}

#[test]
fn receiver_is_not_woken_by_an_end_that_it_has_read_itself() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 100);
        script.window(0);
        script.peer_ends();
        now(sender.feed(&[0; 100])).unwrap();
        let (woken, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        assert_eq!(woken.count(), 0);
        script.window(usize::MAX);
        assert_eq!(woken.count(), 1);
        assert!(matches!(poll_with(receive, &waker), Poll::Ready(Err(Error::EndOfStream))));
    }
}

#[test]
fn receiver_that_was_dropped_while_it_waited_is_woken_when_it_waits_again() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 100);
        waits(receiver.receive());
        now(sender.feed("m")).unwrap();
        let (woken, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!(woken.count(), 1);
        assert!(poll_with(receive, &waker).is_ready());
    }
}

#[test]
fn receiver_is_woken_by_input_after_it_was_woken_for_nothing() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 1000);
        let (woken, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        for fed in 1..=3 {
            now(sender.feed("m")).unwrap();
            assert_eq!(woken.count(), fed);
            // It writes, and finds nothing to read.
            assert!(poll_with(receive.as_mut(), &waker).is_pending());
            assert_eq!(messages(&frames(role, &script.written())).len(), fed);
        }
        // Polled once more, though nobody woke it.
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!(woken.count(), 4);
        assert!(poll_with(receive, &waker).is_ready());
    }
}

#[test]
fn receiver_is_woken_in_the_task_that_polled_it_last() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 1000);
        let (first, waker) = Wakes::new();
        assert!(poll_with(pin!(receiver.receive()), &waker).is_pending());
        let (second, waker) = Wakes::new();
        assert!(poll_with(pin!(receiver.receive()), &waker).is_pending());
        now(sender.feed("m")).unwrap();
        assert_eq!((first.count(), second.count()), (0, 1));
        let (third, waker) = Wakes::new();
        assert!(poll_with(pin!(receiver.receive()), &waker).is_pending());
        script.peer_sends(to(role, TEXT, b"m"));
        assert_eq!((first.count(), second.count(), third.count()), (0, 1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_sender_is_woken_when_the_receiver_is_dropped() {
    for role in ROLES {
        let (receiver, sender, script) = split(role, 1000);
        let (woken, waker) = Wakes::new();
        let mut close = pin!(sender.close(CloseCode::NORMAL, ""));
        assert!(poll_with(close.as_mut(), &waker).is_pending());
        script.peer_sends([to(role, TEXT, b"m"), to(role, CLOSE, b"")].concat());
        // Read ahead for a receiver that never looks at it.
        assert!(poll_with(close.as_mut(), &waker).is_pending());
        let count = woken.count();
        drop(receiver);
        assert_eq!(woken.count(), count + 1);
        script.peer_ends();
        let Poll::Ready(report) = poll_with(close, &waker) else { panic!("both Closes have passed") };
        assert_eq!(report.unwrap().messages_thrown_away, 1);
    }
}

// 6455-5.5.2-2, CM-25
#[tokio::test(start_paused = true)]
async fn closing_sender_answers_pings_while_nobody_receives() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role, 1000);
        let (woken, waker) = Wakes::new();
        let mut close = pin!(sender.close(None, ""));
        assert!(poll_with(close.as_mut(), &waker).is_pending());
        for i in 1..=3u8 {
            let count = woken.count();
            script.peer_sends([to(role, TEXT, b"kept"), to(role, PING, &[i])].concat());
            assert_eq!(woken.count(), count + 1, "by the input, and not by what it writes itself");
            assert!(poll_with(close.as_mut(), &waker).is_pending());
            assert_eq!(frames(role, &script.written()).last(), Some(&Frame(PONG, vec![i])));
        }
        for _ in 0..3 {
            assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("kept")));
        }
    }
}

/// A waker that owns a future, as those of some executors do: dropping the last of them drops the task.
struct Task(#[expect(dead_code, reason = "owned, to be dropped")] std::sync::Mutex<Option<Owned>>);

type Owned = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn senders_whose_waker_owns_their_task_are_dropped_without_a_deadlock() {
    let (_receiver, sender, script) = split(Role::Server, 1000);
    script.window(0);
    let owned: Owned = Box::pin({
        let sender = sender.clone();
        async move {
            let mut send = pin!(sender.send("in a task"));
            std::future::poll_fn(|cx| {
                let _ = send.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            std::future::pending::<()>().await;
        }
    });
    let mut owned = owned;
    assert!(poll_once(owned.as_mut()).is_pending());
    let mut other = pin!(sender.send("other"));
    {
        let waker = Waker::from(Arc::new(Task(std::sync::Mutex::new(Some(owned)))));
        assert!(poll_with(other.as_mut(), &waker).is_pending());
    }
    // The task's waker is replaced by another, and was the last of its kind.
    assert!(poll_once(other).is_pending());
}

/// A waker that drops the receiver, as an executor may that is shut down.
struct DropsReceiver(Mutex<Option<Receiver<Mock>>>);

impl Wake for DropsReceiver {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("nothing panics").take());
    }
}

#[tokio::test(start_paused = true)]
async fn receiver_dropped_by_its_own_waker_locks_nobody_out() {
    for role in ROLES {
        let by_the_transport: fn(&Sender<Mock>, &Script) = |_, script| script.window(usize::MAX);
        let by_a_sender: fn(&Sender<Mock>, &Script) = |sender, _| sender.abort();
        for wakes in [by_the_transport, by_a_sender] {
            let (mut receiver, sender, script) = split(role, 100);
            script.window(0);
            now(sender.feed(&[0; 100])).unwrap();
            let drops = Arc::new(DropsReceiver(Mutex::new(None)));
            let waker = Waker::from(Arc::clone(&drops));
            {
                let mut receive = pin!(receiver.receive());
                assert!(poll_with(receive.as_mut(), &waker).is_pending());
            }
            *drops.0.lock().unwrap() = Some(receiver);
            wakes(&sender, &script);
            assert!(drops.0.lock().unwrap().is_none());
            assert!(
                sender.start_close(CloseCode::NORMAL, "").is_err(),
                "dropping it has begun the closing handshake"
            );
        }
    }
}

/// The timer of the unsplit socket would be told of the shared waker under a lock, and drop there whom it woke before.
#[tokio::test(start_paused = true)]
async fn receiver_owned_by_a_waker_that_polled_the_unsplit_socket_locks_nobody_out() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &Config::default());
        let owner = Arc::new(DropsReceiver(Mutex::new(None)));
        assert!(poll_with(pin!(socket.receive()), &Waker::from(Arc::clone(&owner))).is_pending());
        // The transport wakes its waker, and forgets it.
        script.peer_sends(to(role, PONG, b""));
        assert_eq!(
            Arc::strong_count(&owner),
            4,
            "the test, the timer and the notes of whom it wakes and who waits"
        );
        let (receiver, sender) = socket.split();
        *owner.0.lock().unwrap() = Some(receiver);
        let task = Arc::downgrade(&owner);
        drop(owner);
        assert_eq!(task.strong_count(), 0, "nobody wakes it, and so it is dropped, with the receiver");
        script.window(0);
        let _ = cut_off(sender.send("told of the shared waker"));
        assert!(sender.start_close(CloseCode::NORMAL, "").is_err());
    }
}

// 6455-7.1.2-1
#[tokio::test(start_paused = true)]
async fn senders_that_are_refused_drive_on_what_a_dropped_receiver_has_begun() {
    for role in ROLES {
        let (receiver, sender, script) = split(role, 100);
        drop(receiver);
        assert!(script.take_written().is_empty(), "dropping does no I/O");
        assert!(now(sender.send("late")).is_err());
        assert_eq!(frames(role, &script.take_written()).len(), 1, "the close frame");
        script.peer_sends(to(role, TEXT, b"unheard"));
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        script.peer_ends();
        assert!(now(sender.send("later")).is_err());
        assert!(script.is_dropped());
        let report = sender.close_report().unwrap();
        assert_eq!((report.clean, report.messages_thrown_away), (true, 1));
    }
}
