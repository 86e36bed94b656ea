//! The closing handshake over a transport: who closes it, in what order, and what is told at the end (RFC 6455 §7).
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_util::SinkExt;
use futures_util::sink::Sink;
use futures_util::stream::{self, FusedStream, StreamExt};
use sansocket::connection::{CloseReport, ClosedBy, MessageKind, ReceivedClose};
use sansocket::stream::{Error, WebSocket};
use sansocket::{CloseCode, Message, Role, SendError};
use stream_support::*;

fn assert_closed(socket: &mut WebSocket<Mock>, script: &Script) -> CloseReport {
    assert_eq!(now(socket.receive()).ok(), Some(None));
    assert_eq!(now(socket.receive()).ok(), Some(None), "None for ever");
    assert!(script.was_shut_down());
    assert!(script.is_dropped());
    assert!(socket.get_ref().is_none());
    let report = socket.close_report().expect("it has ended");
    assert!(report.clean);
    assert_eq!(report.failure, None);
    report
}

// 6455-5.5.1-7, 6455-5.5.1-8, 6455-5.5.1-10, 6455-5.5.1-11, 6455-5.5.1-12, 6455-7.1.1-3, CM-44, CM-46
#[tokio::test(start_paused = true)]
async fn server_receives_a_close_and_shuts_down_first() {
    let role = Role::Server;
    let (mut socket, script) = connect(role);
    script.peer_sends([to(role, TEXT, b"m"), to(role, CLOSE, &close_payload(4001, "bye"))].concat());
    assert_eq!(socket.receive().await.unwrap(), Some(Message::text("m")));
    drop(socket.feed("the reply to it"));
    waits(socket.receive());
    assert_eq!(
        frames(role, &script.written()),
        [Frame(TEXT, b"the reply to it".to_vec()), Frame(CLOSE, close_payload(4001, ""))]
    );
    assert!(script.is_flushed());
    assert!(script.was_shut_down(), "before the client has ended the stream");
    assert!(!script.is_dropped());
    assert!(socket.close_report().is_none());
    // 6455-7.1.1-1, 6455-5.5.1-15
    script.peer_sends(to(role, TEXT, b"too late"));
    waits(socket.receive());
    script.peer_ends();
    let report = assert_closed(&mut socket, &script);
    assert_eq!(report.closed_by, ClosedBy::Remote);
    assert_eq!((report.received.number(), &*report.received_reason), (4001, "bye"));
    assert_eq!(report.sent, Some(CloseCode::new(4001)));
    assert_eq!(frames(role, &script.written()).len(), 2, "no second Close");
}

// 6455-5.5.1-13, 6455-7.1.1-6, CM-45
#[tokio::test(start_paused = true)]
async fn client_receives_a_close_and_waits_for_the_server_to_end_the_stream() {
    let role = Role::Client;
    let (mut socket, script) = connect(role);
    // 6455-7.1.5-2, 6455-5.5.1-10, CM-41
    script.peer_sends(to(role, CLOSE, b""));
    waits(socket.receive());
    assert_eq!(frames(role, &script.written()), [Frame(CLOSE, Vec::new())]);
    assert!(!script.was_shut_down());
    script.peer_ends();
    let report = assert_closed(&mut socket, &script);
    assert_eq!(report.received, ReceivedClose::NoStatus);
    assert_eq!(report.sent, Some(None));
    let ops = script.take_ops();
    let ended = ops.iter().position(|op| *op == Op::Read(0));
    assert!(ended < ops.iter().position(|op| *op == Op::Shutdown), "{ops:?}");
}

// 6455-6.1-9, 6455-5.5.1-7
#[tokio::test(start_paused = true)]
async fn client_flushes_its_answer_while_it_waits_for_the_server() {
    let role = Role::Client;
    let (mut socket, script) = connect(role);
    script.hold_flush(true);
    script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
    waits(socket.receive());
    assert!(!script.is_flushed());
    script.hold_flush(false);
    waits(socket.receive());
    assert!(script.is_flushed(), "or the server would wait for the answer");
    script.peer_ends();
    assert_closed(&mut socket, &script);
}

// 6455-7.1.2-1, 6455-7.1.2-2, 6455-7.1.3-1, 6455-7.1.1-5, 6455-5.5.1-5
#[tokio::test(start_paused = true)]
async fn both_close_and_report_how_it_went() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let report = {
            let mut close = pin!(socket.close(CloseCode::GOING_AWAY, "restart"));
            assert!(poll_once(close.as_mut()).is_pending());
            assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1001, "restart"))]);
            assert!(!script.was_shut_down(), "not before the peer's Close");
            script.peer_sends(to(role, CLOSE, &close_payload(1000, "ok")));
            assert!(poll_once(close.as_mut()).is_pending());
            assert_eq!(script.was_shut_down(), role == Role::Server);
            script.peer_ends();
            match poll_once(close) {
                Poll::Ready(report) => report.unwrap(),
                Poll::Pending => panic!("the transport has ended"),
            }
        };
        assert_eq!(report, assert_closed(&mut socket, &script));
        assert_eq!(report.closed_by, ClosedBy::Local);
        // 6455-7.1.5-1, 6455-7.1.6-1
        assert_eq!((report.received.number(), &*report.received_reason), (1000, "ok"));
        assert_eq!(report.sent, Some(Some(CloseCode::GOING_AWAY)));
        assert_eq!(socket.close(CloseCode::NORMAL, "").await.unwrap(), report, "close again tells the same");
        assert_eq!(frames(role, &script.written()).len(), 1);
    }
}

// 6455-5.5.1-14, CM-46
#[tokio::test(start_paused = true)]
async fn both_close_at_the_same_time() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.window(0);
        socket.start_close(CloseCode::NORMAL, "").unwrap();
        script.peer_sends(to(role, CLOSE, &close_payload(1001, "")));
        script.peer_ends();
        waits(socket.receive());
        script.window(usize::MAX);
        let report = assert_closed(&mut socket, &script);
        assert_eq!(frames(role, &script.written()), [Frame(CLOSE, close_payload(1000, ""))]);
        assert_eq!(report.received.number(), 1001);
        assert_eq!(report.closed_by, ClosedBy::Local);
    }
}

#[tokio::test(start_paused = true)]
async fn both_close_with_a_real_peer_whoever_begins() {
    for first_is_client in [true, false] {
        let (client, server) = pair(64);
        let (mut first, mut second) = if first_is_client { (client, server) } else { (server, client) };
        let second = tokio::spawn(async move {
            while let Some(message) = second.receive().await.unwrap() {
                second.send(message).await.unwrap();
            }
            second.close_report().unwrap()
        });
        first.send("echo").await.unwrap();
        assert_eq!(first.receive().await.unwrap(), Some(Message::text("echo")));
        let report = first.close(CloseCode::NORMAL, "bye").await.unwrap();
        assert!(report.clean);
        let report = second.await.unwrap();
        assert!(report.clean);
        assert_eq!((report.closed_by, &*report.received_reason), (ClosedBy::Remote, "bye"));
    }
    let (mut client, mut server) = pair(64);
    let (near, far) = tokio::join!(client.close(None, ""), server.close(None, ""));
    assert!(near.unwrap().clean && far.unwrap().clean);
}

// 6455-5.5.1-16, 6455-5.5.2-1
#[tokio::test(start_paused = true)]
async fn both_deliver_messages_after_start_close_and_throw_them_away_after_close() {
    for role in ROLES {
        let input = [
            to(role, TEXT, b"one"),
            to(role, PING, b"p"),
            to(role, BINARY, b"three"),
            to(role, CLOSE, &close_payload(1000, "")),
        ];
        let answer = [Frame(CLOSE, close_payload(1000, "")), Frame(PONG, b"p".to_vec())];

        let (mut socket, script) = connect(role);
        socket.start_close(CloseCode::NORMAL, "").unwrap();
        script.peer_sends(input.concat());
        script.peer_ends();
        assert_eq!(socket.receive().await.unwrap(), Some(Message::text("one")));
        assert_eq!(socket.receive().await.unwrap(), Some(Message::binary(&b"three"[..])));
        let report = assert_closed(&mut socket, &script);
        assert_eq!((report.messages_thrown_away, report.octets_thrown_away), (0, 0));
        assert_eq!(frames(role, &script.written()), answer);

        let (mut socket, script) = connect(role);
        script.peer_sends(input.concat());
        script.peer_ends();
        let report = socket.close(CloseCode::NORMAL, "").await.unwrap();
        assert_eq!((report.messages_thrown_away, report.octets_thrown_away), (2, 8));
        assert_eq!(frames(role, &script.written()), answer);
    }
}

// 6455-5.5.1-6, 6455-6.1-2, CM-47
#[tokio::test(start_paused = true)]
async fn both_refuse_to_send_after_close() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        drop(socket.feed("queued before"));
        socket.start_close(None, "").unwrap();
        for refused in [
            now(socket.send("late")),
            now(socket.feed("late")),
            now(socket.ping(b"late")),
            socket.start_close(CloseCode::NORMAL, "again"),
        ] {
            assert!(matches!(refused, Err(Error::Send(SendError::SendAfterClose))), "{refused:?}");
        }
        script.peer_sends(to(role, CLOSE, b""));
        script.peer_ends();
        assert_closed(&mut socket, &script);
        assert!(matches!(now(socket.send("late")), Err(Error::Send(SendError::Closed))));
        now(socket.flush()).unwrap();
        assert_eq!(
            frames(role, &script.written()),
            [Frame(TEXT, b"queued before".to_vec()), Frame(CLOSE, Vec::new())]
        );
    }
}

// 6455-7.1.2-1
#[tokio::test(start_paused = true)]
async fn both_close_as_a_sink_and_end_the_stream() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let mut messages = stream::iter(["one", "two"].map(|text| Ok(Message::text(text))));
        socket.send_all(&mut messages).await.unwrap();
        SinkExt::feed(&mut socket, Message::text("three")).await.unwrap();
        script.hesitate_to_flush(2);
        SinkExt::close(&mut socket).await.unwrap();
        SinkExt::close(&mut socket).await.unwrap();
        assert!(script.is_flushed());
        let sent = frames(role, &script.written());
        assert_eq!(stream_support::messages(&sent), [&b"one"[..], b"two", b"three"]);
        assert_eq!(sent[3..], [Frame(CLOSE, close_payload(1000, ""))]);
        assert!(!socket.is_terminated());
        script.peer_sends([to(role, TEXT, b"last"), to(role, CLOSE, &close_payload(1000, ""))].concat());
        script.peer_ends();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("last"));
        assert!(socket.next().await.is_none());
        assert!(socket.is_terminated());
        SinkExt::close(&mut socket).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn both_forward_a_stream_into_a_sink() {
    let (mut client, mut server) = pair(32);
    let echo = tokio::spawn(async move {
        while let Some(message) = server.next().await {
            SinkExt::feed(&mut server, message.unwrap()).await.unwrap();
        }
    });
    let messages = stream::iter(0..50).map(|i| Ok(Message::text(i.to_string())));
    messages.forward(&mut client).await.unwrap();
    let received: Vec<_> = client.by_ref().map(Result::unwrap).collect().await;
    assert_eq!(received, (0..50).map(|i| Message::text(i.to_string())).collect::<Vec<_>>());
    assert!(client.close_report().unwrap().clean);
    echo.await.unwrap();
}

#[test]
fn both_wait_for_room_as_a_sink() {
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &quiet().high_water_mark(10));
        script.window(0);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut sink = Pin::new(&mut socket);
        assert!(sink.as_mut().poll_ready(cx).is_ready());
        sink.as_mut().start_send(Message::text("ten octets")).unwrap();
        assert!(sink.as_mut().poll_ready(cx).is_pending());
        assert!(matches!(sink.as_mut().start_send("more".into()), Err(Error::Send(SendError::QueueFull))));
        script.window(usize::MAX);
        assert!(sink.as_mut().poll_ready(cx).is_ready());
        assert!(sink.poll_flush(cx).is_ready());
    }
}

#[test]
fn both_do_no_io_when_dropped() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        drop(socket.feed("never flushed"));
        drop(socket);
        assert_eq!(script.take_ops(), [Op::Dropped]);

        let (socket, script) = connect(role);
        let (receiver, sender) = socket.split();
        now(sender.feed("never flushed")).unwrap();
        drop(receiver);
        drop(sender);
        assert_eq!(script.take_ops(), [Op::Dropped]);
    }
}

// 6455-7.1.1-2
#[test]
fn both_abort_at_once() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        drop(socket.feed("dropped"));
        script.peer_sends(to(role, TEXT, b"unread"));
        socket.abort();
        assert_eq!(script.take_ops(), [Op::Dropped]);
        assert!(matches!(now(socket.receive()), Err(Error::Io(_))));
        assert!(matches!(now(socket.send("late")), Err(Error::Io(_))));
        assert!(!socket.close_report().unwrap().clean);
    }
}

// 6455-7.1.1-2
#[test]
fn both_report_the_message_that_abort_has_cut_off() {
    for role in ROLES {
        let cut_short = [to(role, 0x01, b"to be contin"), to(role, 0x80, b"ued")].concat();
        let cut_short = &cut_short[..cut_short.len() - 1];

        let (mut socket, script) = connect(role);
        script.peer_sends(cut_short);
        waits(socket.receive());
        socket.abort();
        let cut_off = socket.close_report().unwrap().cut_off.unwrap();
        assert_eq!((cut_off.kind, cut_off.octets), (MessageKind::Text, 14), "{role:?}");

        let (socket, script) = connect(role);
        let (mut receiver, sender) = socket.split();
        script.peer_sends(cut_short);
        waits(receiver.receive());
        sender.abort();
        let cut_off = sender.close_report().unwrap().cut_off.unwrap();
        assert_eq!((cut_off.kind, cut_off.octets), (MessageKind::Text, 14), "{role:?}, split");
    }
}

// 6455-6.1-9
#[tokio::test(start_paused = true)]
async fn both_flush_at_once_when_the_transport_is_gone() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, CLOSE, &close_payload(1000, "")));
        script.peer_ends();
        script.hesitate_to_flush(1);
        assert_eq!(socket.receive().await.unwrap(), None);
        assert!(script.is_dropped());
        let mut flush = pin!(socket.flush());
        assert!(matches!(poll_once(flush.as_mut()), Poll::Ready(Ok(()))), "nothing is left");
    }
}
