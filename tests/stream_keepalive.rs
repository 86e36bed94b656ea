//! Keepalive over tokio, on a clock that stands still: RFC 6455 §5.5.2.
#![cfg(feature = "tokio")]

mod stream_support;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sansocket::stream::Error;
use sansocket::{CloseCode, Config, Failure, Message, Role};
use stream_support::*;
use tokio::task::coop;
use tokio::time::{Instant, advance, sleep, timeout};

const INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE: &[u8] = b"keepalive";

fn keepalive() -> Config {
    Config::default()
}

/// What was sent, without the payloads.
fn sent(role: Role, script: &Script) -> Vec<u8> {
    frames(role, &script.written()).into_iter().map(|Frame(first, _)| first).collect()
}

async fn within<F: Future>(seconds: u64, future: F) -> Option<F::Output> {
    timeout(Duration::from_secs(seconds), future).await.ok()
}

// 6455-5.5.2-3
#[tokio::test(start_paused = true)]
async fn both_send_a_ping_while_they_receive_from_a_silent_peer() {
    for role in ROLES {
        for split in [false, true] {
            let (mut socket, script) = connect_with(role, &keepalive());
            if split {
                let (mut receiver, _sender) = socket.split();
                assert!(within(19, receiver.receive()).await.is_none());
                assert_eq!(sent(role, &script), []);
                assert!(within(2, receiver.receive()).await.is_none());
            } else {
                assert!(within(19, socket.receive()).await.is_none());
                assert_eq!(sent(role, &script), []);
                assert!(within(2, socket.receive()).await.is_none());
            }
            assert_eq!(frames(role, &script.written()), [Frame(PING, KEEPALIVE.to_vec())]);
            assert!(script.is_flushed());
        }
    }
}

// CM-52, 6455-7.2.1-1
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_gone() {
    for role in ROLES {
        for heard_at in [0, 3, 9, 10, 11, 19] {
            let (mut socket, script) = connect_with(role, &keepalive());
            assert!(within(heard_at, socket.receive()).await.is_none());
            script.peer_sends(to(role, TEXT, b"last"));
            assert_eq!(socket.receive().await.unwrap(), Some(Message::text("last")));
            let begin = Instant::now();
            let error = socket.receive().await.unwrap_err();
            assert!(matches!(error, Error::DeadPeer), "{error}");
            assert!(begin.elapsed() >= 2 * INTERVAL, "{:?} after {heard_at}", begin.elapsed());
            assert!(begin.elapsed() <= INTERVAL * 5 / 2, "{:?} after {heard_at}", begin.elapsed());
            assert_eq!(frames(role, &script.written())[1], Frame(CLOSE, close_payload(1011, "")));
            assert!(script.is_dropped());
            let report = socket.close_report().unwrap();
            assert_eq!((report.clean, report.failure), (false, Some(Failure::DeadPeer)));
            assert!(matches!(socket.receive().await, Err(Error::DeadPeer)), "for ever");
            assert!(matches!(socket.send("more").await, Err(Error::DeadPeer)));
        }
    }
}

// CM-52
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_gone_and_takes_nothing() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        assert!(within(39, socket.receive()).await.is_none());
        script.window(0);
        let begin = Instant::now();
        assert!(matches!(socket.receive().await, Err(Error::DeadPeer)));
        assert_eq!(begin.elapsed().as_secs(), 2, "the Close has a second to leave");
        assert!(script.is_dropped());
    }
}

// CM-52
#[tokio::test(start_paused = true)]
async fn both_halves_are_told_when_the_peer_is_gone() {
    for role in ROLES {
        // Only the receiver is polled.
        let (socket, script) = connect_with(role, &keepalive());
        let (mut receiver, sender) = socket.split();
        assert!(matches!(receiver.receive().await, Err(Error::DeadPeer)));
        assert!(matches!(sender.send("more").await, Err(Error::DeadPeer)));
        assert!(script.is_dropped());

        // Only a sender is, which waits for room that never comes. Its Ping would wait behind the rest.
        let (socket, script) = connect_with(role, &keepalive());
        let (mut receiver, sender) = socket.split();
        script.window(10);
        let begin = Instant::now();
        assert!(matches!(sender.send(vec![1; 1000]).await, Err(Error::WriteTimeout)));
        assert_eq!(begin.elapsed().as_secs(), 60);
        assert!(matches!(receiver.receive().await, Err(Error::WriteTimeout)));

        // Each in a task of its own.
        let (socket, script) = connect_with(role, &keepalive());
        let (mut receiver, sender) = socket.split();
        let receiving = tokio::spawn(async move { receiver.receive().await });
        let sending = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(7)).await;
                if let Err(error) = sender.send("news").await {
                    return error;
                }
            }
        });
        assert!(matches!(receiving.await.unwrap(), Err(Error::DeadPeer)));
        assert!(matches!(sending.await.unwrap(), Error::DeadPeer));
        assert!(sent(role, &script).ends_with(&[CLOSE]));
    }
}

// CM-25
#[tokio::test(start_paused = true)]
async fn both_keep_a_peer_that_answered_while_the_application_was_away() {
    for role in ROLES {
        for split in [false, true] {
            let (mut socket, script) = connect_with(role, &keepalive());
            assert!(within(21, socket.receive()).await.is_none());
            assert_eq!(sent(role, &script), [PING]);
            if split {
                let (mut receiver, _sender) = socket.split();
                // It waits, so that the timer is set, and is polled no more.
                waits(receiver.receive());
                script.peer_sends(to(role, PONG, KEEPALIVE));
                sleep(10 * INTERVAL).await;
                assert!(within(19, receiver.receive()).await.is_none());
                script.peer_sends(to(role, TEXT, b"still here"));
                assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("still here")));
            } else {
                script.peer_sends(to(role, PONG, KEEPALIVE));
                sleep(10 * INTERVAL).await;
                assert!(within(19, socket.receive()).await.is_none());
                script.peer_sends(to(role, TEXT, b"still here"));
                assert_eq!(socket.receive().await.unwrap(), Some(Message::text("still here")));
            }
        }
    }
}

// CM-25
#[tokio::test(start_paused = true)]
async fn both_read_once_more_when_the_time_has_come() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        assert!(within(21, socket.receive()).await.is_none());
        // The Pong is there, and a read finds it only the second time: the thread was blocked, and the runtime looks for
        // input while this task is at work.
        script.drip();
        script.peer_sends(to(role, PONG, KEEPALIVE));
        sleep(10 * INTERVAL).await;
        assert!(within(19, socket.receive()).await.is_none());
        assert!(socket.close_report().is_none());
    }
}

// CM-25
#[tokio::test(start_paused = true)]
async fn both_keep_a_peer_whose_messages_wait_for_a_slow_application() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        script.peer_sends(to(role, TEXT, b"work").repeat(20));
        for _ in 0..20 {
            assert_eq!(socket.receive().await.unwrap(), Some(Message::text("work")));
            sleep(2 * INTERVAL).await;
        }
        assert_eq!(sent(role, &script), [], "it has not looked for more");
        assert!(within(19, socket.receive()).await.is_none());
        assert!(socket.close_report().is_none());
    }
}

// CM-25
#[tokio::test(start_paused = true)]
async fn both_keep_a_peer_that_is_left_alone_while_output_is_full() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive().high_water_mark(100));
        assert!(within(21, socket.receive()).await.is_none());
        script.window(0);
        let feeding = cut_off(socket.feed(vec![1; 200]));
        assert!(feeding.is_none(), "there is no room");
        // One octet is taken now and then: the write timeout does not rule either.
        for _ in 0..20 {
            assert!(within(20, socket.receive_ref()).await.is_none());
            script.window(1);
        }
        script.window(usize::MAX);
        script.peer_sends(to(role, TEXT, b"still here"));
        assert_eq!(within(1, socket.receive()).await.unwrap().unwrap(), Some(Message::text("still here")));
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_gone_and_their_output_is_full() {
    for role in ROLES {
        for split in [false, true] {
            let (mut socket, script) = connect_with(role, &keepalive().high_water_mark(100));
            assert!(within(21, socket.receive()).await.is_none());
            assert_eq!(sent(role, &script), [PING]);
            script.window(0);
            assert!(cut_off(socket.feed(vec![1; 200])).is_none(), "there is no room");
            let ended = if split {
                within(30, socket.split().0.receive()).await
            } else {
                within(30, socket.receive()).await
            };
            assert!(matches!(ended, Some(Err(Error::DeadPeer))), "it was read from: {ended:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_send_pings_while_they_only_send() {
    for role in ROLES {
        for split in [false, true] {
            let (mut socket, script) = connect_with(role, &keepalive().write_timeout(None));
            script.window(3);
            let ended = if split {
                let (_receiver, sender) = socket.split();
                within(1000, sender.send("does not leave")).await
            } else {
                within(1000, socket.send("does not leave")).await
            };
            // The Ping waits behind it, and so nobody is dead yet.
            assert!(ended.is_none(), "{ended:?}");
            script.window(usize::MAX);
        }
        let (mut socket, script) = connect_with(role, &keepalive().write_timeout(None));
        script.window(3);
        let mut send = pin!(socket.send("leaves late"));
        assert!(within(25, send.as_mut()).await.is_none());
        script.window(usize::MAX);
        send.await.unwrap();
        let written: Vec<u8> = sent(role, &script);
        assert_eq!(written, [TEXT, PING]);
    }
}

/// The Ping leaves by the hand of a sender while the receiver waits for something else.
#[tokio::test(start_paused = true)]
async fn both_count_from_when_a_sender_has_written_the_ping() {
    for role in ROLES {
        let (socket, script) = connect_with(role, &keepalive().write_timeout(None));
        let (mut receiver, sender) = socket.split();
        script.window(0);
        let begin = Instant::now();
        let receiving = tokio::spawn(async move { (receiver.receive().await, Instant::now()) });
        sleep(Duration::from_secs(21)).await;
        script.window_unannounced(usize::MAX);
        sender.send("behind the Ping").await.unwrap();
        assert_eq!(sent(role, &script), [PING, TEXT]);
        let (ended, at) = receiving.await.unwrap();
        assert!(matches!(ended, Err(Error::DeadPeer)), "{ended:?}");
        assert_eq!((at - begin).as_secs(), 41);
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_when_they_only_send_to_a_peer_that_is_gone() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive().write_timeout(None));
        // It has said something that nobody receives.
        script.peer_sends(to(role, TEXT, b"hello"));
        let mut sent = 0;
        let begin = Instant::now();
        let error = loop {
            // Each message waits for a little while, in which the time is told.
            script.window(1);
            let widen = async {
                sleep(Duration::from_secs(1)).await;
                script.window(usize::MAX);
            };
            let (ended, ()) = tokio::join!(socket.send("news"), widen);
            match ended {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 1000, "a peer that is gone is found");
        };
        assert!(matches!(error, Error::DeadPeer), "{error}");
        assert!(begin.elapsed() <= INTERVAL * 5 / 2 + Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn both_stay_open_with_a_peer_that_answers() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        let answering = script.clone();
        tokio::spawn(async move {
            let mut answered = 0;
            loop {
                sleep(Duration::from_millis(1500)).await;
                let pings = frames(role, &answering.written()).len();
                if pings > answered {
                    answered = pings;
                    answering.peer_sends(to(role, PONG, KEEPALIVE));
                }
            }
        });
        assert!(within(3600, socket.receive()).await.is_none());
        let pings = sent(role, &script).len();
        assert!((3600 / 32..=3600 / 20).contains(&pings), "{pings}");
    }
}

#[tokio::test(start_paused = true)]
async fn both_show_the_pong_of_a_keepalive_ping() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        assert!(within(21, socket.receive_event()).await.is_none());
        script.peer_sends(to(role, PONG, KEEPALIVE));
        let (event, _) = socket.receive_event().await.unwrap().unwrap();
        assert_eq!(event, sansocket::connection::Event::Pong(KEEPALIVE));
    }
}

#[tokio::test(start_paused = true)]
async fn both_poll_the_timer_once_for_each_waker() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        let (wakes, waker) = Wakes::new();
        for turn in 0..5 {
            assert!(poll_with(pin!(socket.receive()), &waker).is_pending());
            // The test, its waker, the transport, the timer, the note of whom it wakes, and that of who waits.
            assert_eq!(Arc::strong_count(&wakes), 6, "turn {turn}");
        }
        advance(Duration::from_secs(11)).await;
        tokio::task::yield_now().await;
        assert_eq!(wakes.count(), 1, "half an interval is over");
        let (others, other) = Wakes::new();
        assert!(poll_with(pin!(socket.receive()), &other).is_pending());
        assert_eq!(Arc::strong_count(&others), 6);
        assert_eq!(Arc::strong_count(&wakes), 2, "nobody wakes the first any more");
        advance(Duration::from_secs(10)).await;
        tokio::task::yield_now().await;
        assert_eq!((wakes.count(), others.count()), (1, 1));
        socket.abort();
        drop((socket, script));
        assert_eq!(Arc::strong_count(&others), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn both_have_no_timer_when_nothing_is_armed() {
    for role in ROLES {
        let (mut socket, _script) = connect_with(role, &quiet());
        let (wakes, waker) = Wakes::new();
        assert!(poll_with(pin!(socket.receive()), &waker).is_pending());
        assert_eq!(Arc::strong_count(&wakes), 4, "only the transport has it, and the note of who waits");
    }
}

#[test]
fn both_need_no_runtime_when_nothing_is_armed() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet());
        waits(socket.receive());
        script.peer_sends(to(role, TEXT, b"hello"));
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("hello")));
        waits(socket.receive());
    }
}

// As the documentation warns.
#[test]
#[should_panic(expected = "timers are disabled")]
fn both_panic_at_the_first_wait_by_default_when_the_runtime_has_no_timer() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().expect("nothing is asked of the system");
    let (mut socket, _script) = connect_with(Role::Server, &Config::default());
    let _ = runtime.block_on(socket.receive());
}

/// A peer that is always there to be read, so that nobody is ever told that there is nothing.
async fn flooded(script: Script, frame: Vec<u8>) {
    let flood = frame.repeat(200);
    loop {
        if script.unread() < 1 << 16 {
            script.peer_sends(&flood);
        }
        tokio::task::yield_now().await;
    }
}

/// Polls while it is flooded, and lets this much time pass on the way.
async fn polled_for<F: Future>(future: F, seconds: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..seconds {
        for _ in 0..3 {
            if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
                return Some(output);
            }
            tokio::task::yield_now().await;
        }
        advance(Duration::from_secs(1)).await;
    }
    None
}

// CM-27
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_floods_with_pings_and_reads_nothing() {
    for role in ROLES {
        // Pings, of which the Pongs wait; and messages, beside one that waits.
        for (first, split) in [(PING, false), (PING, true), (TEXT, false), (TEXT, true)] {
            let (mut socket, script) = connect_with(role, &keepalive());
            script.window(0);
            let flood = tokio::spawn(flooded(script.clone(), to(role, first, &[7; 100])));
            let begin = Instant::now();
            waits(socket.send("waits"));
            let ended = if split {
                let (mut receiver, _sender) = socket.split();
                let all = async {
                    while receiver.receive().await?.is_some() {}
                    Ok::<_, Error>(())
                };
                polled_for(all, 100).await.expect("it ends")
            } else {
                let all = async {
                    while socket.receive().await?.is_some() {}
                    Ok::<_, Error>(())
                };
                polled_for(all, 100).await.expect("it ends")
            };
            assert!(matches!(ended, Err(Error::WriteTimeout)), "{ended:?}");
            assert!((60..=91).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
            flood.abort();
        }
    }
}

// What failed has nothing left that could be late, however long there is something to receive.
#[tokio::test(start_paused = true)]
async fn both_fail_as_the_transport_did_after_a_flush_that_waited() {
    for role in ROLES {
        for flush_fails in [false, true] {
            let (mut socket, script) = connect_with(role, &keepalive());
            script.hold_flush(true);
            waits(socket.send("taken, and kept"));
            if flush_fails {
                script.flush_fails(io::ErrorKind::BrokenPipe);
            } else {
                script.write_fails(io::ErrorKind::BrokenPipe);
            }
            assert!(matches!(now(socket.send("lost")), Err(Error::Io(_))));
            let flood = tokio::spawn(flooded(script.clone(), to(role, TEXT, &[7; 100])));
            tokio::task::yield_now().await;
            let all = async {
                while socket.receive().await?.is_some() {}
                Ok::<_, Error>(())
            };
            assert!(polled_for(all, 200).await.is_none(), "there is always more to receive");
            flood.abort();
            let error = loop {
                if let Err(error) = socket.receive().await {
                    break error;
                }
            };
            let Error::Io(error) = error else { panic!("{error}") };
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_floods_and_never_finishes_its_message() {
    for role in ROLES {
        let config = quiet().message_timeout(Some(Duration::from_secs(10)));
        let (mut socket, script) = connect_with(role, &config);
        script.peer_sends(to(role, FIRST_TEXT, b"a"));
        let flood = tokio::spawn(flooded(script.clone(), to(role, PING, b"p")));
        let begin = Instant::now();
        let ended = polled_for(socket.receive(), 100).await.expect("it ends");
        assert!(matches!(ended, Err(Error::Protocol(_))), "{ended:?}");
        assert!((10..=25).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        flood.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn both_close_when_the_peer_floods_without_a_message() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet().idle_timeout(Some(Duration::from_secs(30))));
        let flood = tokio::spawn(flooded(script.clone(), to(role, PONG, b"p")));
        let begin = Instant::now();
        let ended = polled_for(socket.receive(), 100).await.expect("it ends");
        assert!(matches!(ended, Err(Error::CloseTimeout)), "{ended:?}");
        assert!((40..=87).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        flood.abort();
        assert!(sent(role, &script).contains(&CLOSE));
    }
}

/// A task whose turns are used up by something else before it comes to receive.
#[tokio::test(start_paused = true)]
async fn both_keep_an_idle_connection_of_which_a_message_waits_for_a_turn() {
    for role in ROLES {
        for split in [false, true] {
            let (mut socket, script) =
                connect_with(role, &quiet().idle_timeout(Some(Duration::from_secs(30))));
            assert!(within(29, socket.receive()).await.is_none());
            script.peer_sends(to(role, TEXT, b"in time"));
            advance(Duration::from_secs(2)).await;
            let received = if split {
                let (mut receiver, _sender) = socket.split();
                in_used_up_turns(receiver.receive(), 5).await
            } else {
                in_used_up_turns(socket.receive(), 5).await
            };
            assert_eq!(received.unwrap(), Some(Message::text("in time")));
            assert_eq!(sent(role, &script), [], "{role:?}, split: {split}");
        }
    }
}

/// Awaits a future which for some turns finds nothing left of the scheduler's budget.
async fn in_used_up_turns<F: Future>(future: F, turns: usize) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..turns {
        poll_fn(|cx| {
            while let Poll::Ready(unit) = coop::poll_proceed(cx) {
                unit.made_progress();
            }
            assert!(future.as_mut().poll(cx).is_pending(), "its turn is over");
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    future.await
}

// (d) row 17, CM-27
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_reads_nothing() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &keepalive());
        script.window(0);
        let begin = Instant::now();
        assert!(matches!(socket.send("nobody reads this").await, Err(Error::WriteTimeout)));
        assert_eq!(begin.elapsed().as_secs(), 60);
        assert!(script.is_dropped());
        assert!(script.written().is_empty());
        assert_eq!(socket.close_report().unwrap().failure, Some(Failure::WriteTimeout));

        // It is taken, and kept in some buffer before the wire, as TLS may do.
        let (mut socket, script) = connect_with(role, &keepalive().ping_interval(None));
        script.hold_flush(true);
        let begin = Instant::now();
        assert!(matches!(socket.send("nobody reads this").await, Err(Error::WriteTimeout)));
        assert_eq!(begin.elapsed().as_secs(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn both_close_an_idle_connection_and_say_so() {
    for role in ROLES {
        let config = keepalive().idle_timeout(Some(Duration::from_secs(100)));
        let (mut socket, script) = connect_with(role, &config);
        for _ in 0..5 {
            // A message each time, and some whose payload was assembled.
            assert!(within(99, receive_with_pongs(role, &mut socket, &script)).await.is_none());
            script.peer_sends(to(role, FIRST_TEXT, b"not "));
            script.peer_sends(to(role, LAST, b"idle"));
            assert_eq!(socket.receive().await.unwrap(), Some(Message::text("not idle")));
        }
        let begin = Instant::now();
        let closing = receive_with_pongs(role, &mut socket, &script).await;
        assert_eq!(closing, None);
        assert!((100..150).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        let report = socket.close_report().unwrap();
        assert!(report.clean, "{report:?}");
        assert_eq!(report.sent, Some(Some(CloseCode::GOING_AWAY)));
    }
}

/// Receives from a peer that answers Pings and Close, and says nothing else.
async fn receive_with_pongs(
    role: Role,
    socket: &mut sansocket::stream::WebSocket<Mock>,
    script: &Script,
) -> Option<Message> {
    loop {
        if let Some(received) = within(1, socket.receive()).await {
            return received.expect("the peer is there");
        }
        for Frame(first, payload) in frames(role, &script.take_written()) {
            match first {
                PING => script.peer_sends(to(role, PONG, &payload)),
                CLOSE => {
                    script.peer_sends(to(role, CLOSE, &payload));
                    script.peer_ends();
                }
                other => panic!("{other:02x}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_keep_a_connection_whose_messages_wait_to_be_received() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet().idle_timeout(Some(Duration::from_secs(10))));
        // Read ahead by a sender, and not received.
        script.window(0);
        script.peer_sends(to(role, TEXT, b"waits"));
        assert!(within(1000, socket.send("does not leave")).await.is_none());
        script.window(usize::MAX);
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("waits")));
        assert!(within(9, socket.receive()).await.is_none());
        assert!(!sent(role, &script).contains(&CLOSE));
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_with_1008_when_a_message_is_not_finished() {
    for role in ROLES {
        let config = keepalive().message_timeout(Some(Duration::from_secs(10)));
        let (mut socket, script) = connect_with(role, &config);
        script.peer_sends(to(role, FIRST_TEXT, b"a"));
        let begin = Instant::now();
        assert!(matches!(socket.receive().await, Err(Error::Protocol(_))));
        assert_eq!(begin.elapsed().as_secs(), 10 + 2, "and two seconds of draining");
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1008, ""))]);
    }
}
