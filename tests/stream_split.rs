//! The two halves: what each does for the other, and how they end (RFC 6455 §5.4, §5.5.1).
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::pin;
use std::task::Poll;

use sansocket::connection::ClosedBy;
use sansocket::stream::{Error, Receiver, Sender, WebSocket};
use sansocket::{CloseCode, Message, Role, SendError};
use stream_support::*;
use tokio::io::DuplexStream;

const fn sends<T: Send>() {}
const fn syncs<T: Sync>() {}
const fn clones<T: Clone>() {}

const _: () = {
    sends::<WebSocket<DuplexStream>>();
    sends::<Receiver<DuplexStream>>();
    sends::<Sender<DuplexStream>>();
    syncs::<Sender<DuplexStream>>();
    clones::<Sender<DuplexStream>>();
    sends::<Error>();
    syncs::<Error>();
};

fn split(role: Role) -> (Receiver<Mock>, Sender<Mock>, Script) {
    let (socket, script) = connect(role);
    let (receiver, sender) = socket.split();
    (receiver, sender, script)
}

#[test]
fn both_send_and_receive_by_halves() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        script.peer_sends([to(role, TEXT, b"in"), to(role, PING, b"p")].concat());
        now(sender.send("out")).unwrap();
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("in")));
        now(receiver.sender().ping(b"mine")).unwrap();
        waits(receiver.receive());
        let sent = frames(role, &script.written());
        assert_eq!(sent.len(), 3);
        for frame in [Frame(TEXT, b"out".to_vec()), Frame(PONG, b"p".to_vec()), Frame(PING, b"mine".to_vec())]
        {
            assert!(sent.contains(&frame), "{frame:?}");
        }
    }
}

#[test]
fn both_take_what_an_unsplit_socket_has_queued_and_read() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, TEXT, b"one"), to(role, TEXT, b"two")].concat());
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("one")));
        drop(socket.feed("queued"));
        let (mut receiver, sender) = socket.split();
        assert!(sender.queued() > 0);
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("two")));
        now(sender.flush()).unwrap();
        assert_eq!(messages(&frames(role, &script.written())), [b"queued"]);
    }
}

// 6455-2.1-1
#[test]
fn both_flush_what_senders_fed_before_the_receiver_waits() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        for i in 0..10u8 {
            now(sender.feed(&[i])).unwrap();
        }
        assert!(script.take_ops().is_empty());
        waits(receiver.receive());
        assert_eq!(messages(&frames(role, &script.written())).len(), 10);
        assert!(script.is_flushed());
        let ops = script.take_ops();
        assert!(matches!(ops[..], [Op::Write(_), Op::Flush, Op::ReadPending]), "{ops:?}");
    }
}

// CM-23
#[test]
fn both_queue_nothing_by_a_half_whose_future_was_never_polled() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        drop(sender.feed("never"));
        drop(sender.send("never"));
        assert_eq!(sender.queued(), 0);
        waits(receiver.receive());
        assert!(script.written().is_empty());
    }
}

#[test]
fn both_receive_while_the_output_of_senders_is_full() {
    for role in ROLES {
        let (socket, script) = connect_with(role, &quiet().high_water_mark(100));
        let (mut receiver, sender) = socket.split();
        script.window(0);
        script.peer_sends(to(role, TEXT, b"m"));
        now(sender.feed(&[0; 100])).unwrap();
        // It reads ahead, and the receiver takes what it has read and then the rest.
        waits(sender.feed("no room"));
        script.peer_sends(to(role, BINARY, &[7; 700_000]));
        waits(sender.feed("no room"));
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("m")));
        assert_eq!(now(receiver.receive()).unwrap().unwrap().payload(), [7; 700_000]);
        waits(receiver.receive());
        waits(sender.feed("no room"));
        script.window(usize::MAX);
        now(sender.send("room")).unwrap();
        assert_eq!(messages(&frames(role, &script.written())).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn both_receive_when_all_senders_are_dropped() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        now(sender.feed("fed before")).unwrap();
        drop(sender.clone());
        drop(sender);
        script.peer_sends([to(role, TEXT, b"m"), to(role, PING, b"p")].concat());
        assert_eq!(receiver.receive().await.unwrap(), Some(Message::text("m")));
        waits(receiver.receive());
        assert_eq!(
            frames(role, &script.written()),
            [Frame(TEXT, b"fed before".to_vec()), Frame(PONG, b"p".to_vec())]
        );
        now(receiver.sender().send("a new one")).unwrap();
        script.peer_sends(to(role, CLOSE, b""));
        script.peer_ends();
        assert_eq!(receiver.receive().await.unwrap(), None);
        assert!(receiver.close_report().unwrap().clean);
    }
}

// 6455-5.5.1-16
#[tokio::test(start_paused = true)]
async fn both_close_from_a_sender_while_the_receiver_receives() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        let receive = tokio::spawn(async move {
            let mut messages = Vec::new();
            while let Some(message) = receiver.receive().await.unwrap() {
                messages.push(message);
            }
            messages
        });
        let close = tokio::spawn({
            let sender = sender.clone();
            async move { sender.close(CloseCode::NORMAL, "bye").await }
        });
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(sender.send("late").await, Err(Error::Send(SendError::SendAfterClose))));
        script.peer_sends([to(role, TEXT, b"one"), to(role, TEXT, b"two")].concat());
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        script.peer_ends();
        let report = close.await.unwrap().unwrap();
        assert!(report.clean);
        assert_eq!((report.closed_by, report.messages_thrown_away), (ClosedBy::Local, 0));
        assert_eq!(receive.await.unwrap(), [Message::text("one"), Message::text("two")]);
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1000, "bye"))]);
        assert!(script.is_dropped());
    }
}

// 6455-5.5.1-7, 6455-5.5.1-9
#[tokio::test(start_paused = true)]
async fn both_finish_a_waiting_send_before_they_answer_a_close() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        script.window(3);
        let mut send = Box::pin(sender.send("under way"));
        assert!(poll_once(send.as_mut()).is_pending());
        script.peer_sends(to(role, CLOSE, b""));
        script.peer_ends();
        waits(receiver.receive());
        assert!(matches!(now(sender.send("late")), Err(Error::Send(SendError::SendAfterClose))));
        script.window(usize::MAX);
        assert_eq!(receiver.receive().await.unwrap(), None);
        send.await.unwrap();
        assert_eq!(
            frames(role, &script.written()),
            [Frame(TEXT, b"under way".to_vec()), Frame(CLOSE, Vec::new())]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn both_begin_to_close_when_the_receiver_is_dropped() {
    for role in ROLES {
        let (receiver, sender, script) = split(role);
        script.peer_sends([to(role, TEXT, b"nobody"), to(role, BINARY, b"sees it")].concat());
        drop(receiver);
        assert!(script.take_ops().is_empty(), "dropping does no I/O");
        assert!(matches!(sender.send("late").await, Err(Error::Send(SendError::SendAfterClose))));
        script.peer_sends(to(role, CLOSE, b""));
        script.peer_ends();
        let report = sender.close(CloseCode::NORMAL, "has begun already").await.unwrap();
        assert!(report.clean);
        assert_eq!((report.messages_thrown_away, report.octets_thrown_away), (2, 13));
        let close = if role == Role::Server { close_payload(1001, "") } else { Vec::new() };
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close)]);
        assert!(script.is_dropped());
        assert_eq!(sender.close_report(), Some(report));
    }
}

#[tokio::test(start_paused = true)]
async fn both_fail_from_a_sender_when_nobody_receives() {
    for role in ROLES {
        let (receiver, sender, script) = split(role);
        drop(receiver);
        script.peer_sends(to(role, 0xf1, b""));
        script.peer_ends();
        assert!(matches!(sender.close(None, "").await, Err(Error::Protocol(_))));
        assert!(script.is_dropped());
    }
}

// 6455-7.1.1-2
#[test]
fn both_abort_from_a_sender() {
    for role in ROLES {
        let (mut receiver, sender, script) = split(role);
        let (wakes, waker) = Wakes::new();
        let mut receive = pin!(receiver.receive());
        assert!(poll_with(receive.as_mut(), &waker).is_pending());
        sender.abort();
        assert!(script.is_dropped());
        assert_eq!(wakes.count(), 1);
        assert!(matches!(poll_with(receive, &waker), Poll::Ready(Err(Error::Io(_)))));
        assert!(matches!(now(sender.send("late")), Err(Error::Io(_))));
        assert!(matches!(now(sender.flush()), Err(Error::Io(_))));
    }
}

#[test]
fn both_refuse_what_must_not_be_sent_by_a_sender() {
    for role in ROLES {
        let (_receiver, sender, script) = split(role);
        let refused = now(sender.ping(&[0; 126]));
        assert!(matches!(refused, Err(Error::Send(SendError::ControlPayloadTooLong))));
        let refused = now(sender.close(None, "why"));
        assert!(matches!(refused, Err(Error::Send(SendError::ReasonWithoutCode))));
        assert!(sender.start_close(CloseCode::NORMAL, "").is_ok());
        assert!(matches!(sender.start_close(None, ""), Err(Error::Send(SendError::SendAfterClose))));
        now(sender.flush()).unwrap();
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1000, ""))]);
    }
}
