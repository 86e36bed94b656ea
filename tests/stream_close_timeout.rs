//! How long an end may take: the close timeout, the bounded drain, and peers that never stop sending.
#![cfg(feature = "tokio")]

mod stream_support;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sansocket::stream::Error;
use sansocket::{CloseCode, Config, Failure, Message, Role};
use stream_support::*;
use tokio::time::{Instant, advance, timeout};

const TIMEOUT: Duration = Duration::from_secs(3);

fn config() -> Config {
    Config::default().close_timeout(TIMEOUT)
}

// CM-49, 6455-7.1.1-4
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_is_mute() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config());
        let begin = Instant::now();
        let error = socket.close(CloseCode::NORMAL, "").await.unwrap_err();
        assert!(matches!(error, Error::CloseTimeout), "{error}");
        assert_eq!(begin.elapsed().as_secs(), TIMEOUT.as_secs());
        assert!(script.is_dropped());
        let report = socket.close_report().unwrap();
        assert_eq!((report.clean, report.failure), (false, Some(Failure::CloseTimeout)));
        assert_eq!(report.received.number(), 1006);
        assert!(matches!(socket.receive().await, Err(Error::CloseTimeout)));

        let (socket, script) = connect_with(role, &config());
        let (receiver, sender) = socket.split();
        let close = sender.close(CloseCode::NORMAL, "");
        assert!(matches!(close.await, Err(Error::CloseTimeout)), "with a receiver that is not polled");
        drop(receiver);
        assert!(script.is_dropped());
    }
}

// CM-49
#[tokio::test(start_paused = true)]
async fn both_fail_when_the_peer_reads_nothing() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config());
        script.window(0);
        let begin = Instant::now();
        assert!(matches!(socket.close(None, "").await, Err(Error::CloseTimeout)));
        assert_eq!(begin.elapsed().as_secs(), TIMEOUT.as_secs());
        assert!(script.is_dropped());

        // The peer has said Close, and does not take the answer.
        let (mut socket, script) = connect_with(role, &config());
        script.window(0);
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        assert!(matches!(socket.receive().await, Err(Error::CloseTimeout)));
        assert_eq!(socket.close_report().unwrap().received.number(), 1000);
    }
}

// 6455-5.5.1-13, 6455-7.1.1-4, CM-45
#[tokio::test(start_paused = true)]
async fn client_closes_cleanly_when_the_server_never_ends_the_stream() {
    let role = Role::Client;
    let (mut socket, script) = connect_with(role, &config());
    script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
    let begin = Instant::now();
    let report = socket.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(report.clean);
    assert!(script.was_shut_down());
    assert!(begin.elapsed() >= TIMEOUT);
    assert!(begin.elapsed() <= TIMEOUT + Duration::from_secs(3), "and two seconds of draining");
}

// 6455-7.1.1-1
#[tokio::test(start_paused = true)]
async fn server_drains_for_two_seconds() {
    let role = Role::Server;
    for held in [false, true] {
        let (mut socket, script) = connect_with(role, &config());
        if held {
            script.hold_shutdown();
        }
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        let begin = Instant::now();
        assert_eq!(socket.receive().await.unwrap(), None);
        assert_eq!(begin.elapsed().as_secs(), 2);
        assert!(socket.close_report().unwrap().clean);
        assert!(script.is_dropped());
    }
}

// 6455-7.1.1-1, 6455-5.5.1-15
#[tokio::test(start_paused = true)]
async fn server_drains_four_mebioctets() {
    let role = Role::Server;
    let (mut socket, script) = connect_with(role, &config());
    script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
    for _ in 0..10 {
        script.peer_sends(vec![0xff; 1 << 20]);
    }
    let begin = Instant::now();
    assert_eq!(socket.receive().await.unwrap(), None);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    let read = (10 << 20) - script.unread();
    assert!((4 << 20..5 << 20).contains(&read), "{read} octets");
}

/// A peer that sends this frame without end: as often as it is read, it is there again.
async fn flooded(script: Script, frame: Vec<u8>) {
    let flood = frame.repeat(200);
    loop {
        if script.unread() < 1 << 16 {
            script.peer_sends(&flood);
        }
        tokio::task::yield_now().await;
    }
}

// CM-49
#[tokio::test(start_paused = true)]
async fn both_fail_in_time_when_the_peer_sends_messages_and_no_close() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config());
        let flood = tokio::spawn(flooded(script.clone(), to(role, TEXT, b"flood")));
        {
            let mut close = pin!(socket.close(CloseCode::NORMAL, ""));
            let mut passes = 0;
            let closed = poll_fn(|cx| {
                passes += 1;
                // The clock does not go on by itself while there is something to do.
                match close.as_mut().poll(cx) {
                    Poll::Pending if passes > 50 => Poll::Ready(None),
                    closed => closed.map(Some),
                }
            });
            assert!(closed.await.is_none(), "not before its time");
            advance(TIMEOUT).await;
            let closed = timeout(Duration::from_secs(60), close).await.expect("in time");
            assert!(matches!(closed, Err(Error::CloseTimeout)));
        }
        flood.abort();
        let report = socket.close_report().unwrap();
        assert!(report.messages_thrown_away > 100);
        assert_eq!(report.octets_thrown_away, 5 * report.messages_thrown_away);
        assert!(script.is_dropped());
    }
}

// CM-49
#[tokio::test(start_paused = true)]
async fn both_end_in_time_when_the_peer_floods_and_does_not_take_the_close() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config());
        script.window(0);
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        let flood = tokio::spawn(flooded(script.clone(), vec![0; 1000]));
        {
            let mut receive = pin!(socket.receive());
            for _ in 0..50 {
                assert!(poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await.is_pending());
                tokio::task::yield_now().await;
            }
            advance(TIMEOUT).await;
            let ended = timeout(Duration::from_secs(60), receive).await.expect("in time");
            assert!(matches!(ended, Err(Error::CloseTimeout)));
        }
        flood.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn both_wait_for_ever_with_the_longest_timeout() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &Config::default().close_timeout(Duration::MAX));
        socket.start_close(CloseCode::NORMAL, "").unwrap();
        let year = Duration::from_secs(365 * 24 * 3600);
        assert!(timeout(year, socket.receive()).await.is_err());
        script.peer_sends([to(role, TEXT, b"at last"), to(role, CLOSE, b"")].concat());
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("at last")));
        script.peer_ends();
        assert_eq!(socket.receive().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_at_once_with_no_time_at_all() {
    for role in ROLES {
        let (mut socket, _script) = connect_with(role, &Config::default().close_timeout(Duration::ZERO));
        assert!(matches!(socket.close(None, "").await, Err(Error::CloseTimeout)));
    }
}

// 6455-7.1.7-6, 6455-7.2.1-3
#[tokio::test(start_paused = true)]
async fn both_stay_open_while_nothing_happens() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        assert!(timeout(Duration::from_secs(1_000_000), socket.receive()).await.is_err());
        assert!(script.written().is_empty());
        script.peer_sends(to(role, TEXT, b"still here"));
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("still here")));
    }
}
