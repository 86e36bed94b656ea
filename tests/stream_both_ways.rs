//! Reading while writing waits: Pings are answered whatever is polled, and two ends that both send go on.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]
#![cfg(feature = "tokio")]

mod stream_support;

use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sansocket::stream::WebSocket;
use sansocket::{Message, Role};
use stream_support::*;
use tokio::io::DuplexStream;

// 6455-5.5.2-1, 6455-5.5.2-2, 6455-5.5.3-1, CM-25
#[test]
fn both_answer_each_ping_once_while_a_send_waits() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.window(1);
        let (wakes, waker) = Wakes::new();
        {
            let mut send = pin!(socket.send("blocked"));
            assert!(poll_with(send.as_mut(), &waker).is_pending());
            script.peer_sends([to(role, TEXT, b"kept"), to(role, PING, b"one")].concat());
            assert_eq!(wakes.count(), 1, "reading while writing waits");
            assert!(poll_with(send.as_mut(), &waker).is_pending());
            script.peer_sends(to(role, PING, b"two"));
            assert!(poll_with(send.as_mut(), &waker).is_pending());
            script.window(usize::MAX);
            assert!(poll_with(send, &waker).is_ready());
        }
        let answered = vec![
            Frame(TEXT, b"blocked".to_vec()),
            Frame(PONG, b"one".to_vec()),
            Frame(PONG, b"two".to_vec()),
        ];
        assert_eq!(frames(role, &script.written()), answered);
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("kept")));
        waits(socket.receive());
        assert_eq!(frames(role, &script.written()), answered, "none is answered twice");
    }
}

// 6455-5.5.2-2, CM-25
#[test]
fn both_answer_a_ping_that_was_read_before_a_send_waits() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends([to(role, TEXT, b"m"), to(role, PING, b"behind"), to(role, TEXT, b"n")].concat());
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("m")));
        script.window(1);
        waits(socket.send("reply"));
        script.window(usize::MAX);
        now(socket.flush()).unwrap();
        assert_eq!(
            frames(role, &script.written()),
            [Frame(TEXT, b"reply".to_vec()), Frame(PONG, b"behind".to_vec())]
        );
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("n")));
        now(socket.flush()).unwrap();
        assert_eq!(frames(role, &script.written()).len(), 2);
    }
}

// 6455-5.5.2-2, 6455-2.1-1, CM-25
#[test]
fn both_answer_pings_when_only_sending_is_polled() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        script.peer_sends(to(role, PING, b"one"));
        now(socket.send("m")).unwrap();
        assert_eq!(
            frames(role, &script.take_written()),
            [Frame(TEXT, b"m".to_vec()), Frame(PONG, b"one".to_vec())],
            "nothing is left behind by a send"
        );
        script.peer_sends(to(role, PING, b"two"));
        now(socket.flush()).unwrap();
        assert_eq!(frames(role, &script.take_written()), [Frame(PONG, b"two".to_vec())]);
        assert!(script.is_flushed());
        assert_eq!(socket.queued(), 0);
    }
}

// 6455-5.5.2-2, CM-26
#[test]
fn both_answer_a_ping_between_the_fragments_of_a_large_message() {
    let config = quiet().fragment_len(Some(20_000));
    for role in ROLES {
        let (mut socket, script) = connect_with(role, &config);
        script.window(30_000);
        let message = pattern(100_000);
        {
            let mut send = pin!(socket.send(&message));
            assert!(poll_once(send.as_mut()).is_pending());
            script.peer_sends([to(role, PING, b"old"), to(role, PING, b"new")].concat());
            assert!(poll_once(send.as_mut()).is_pending());
            script.window(usize::MAX);
            assert!(poll_once(send).is_ready());
        }
        let sent = frames(role, &script.written());
        let pong = sent.iter().position(|Frame(first, _)| *first == PONG);
        assert_eq!(pong, Some(2), "at the next frame boundary");
        // 6455-5.5.3-2: with much queued only the newest is owed an answer.
        assert_eq!(sent[2], Frame(PONG, b"new".to_vec()));
        assert_eq!(messages(&sent), [message]);
    }
}

// 6455-5.5.2-2
#[test]
fn both_put_no_pong_ahead_of_what_a_transport_without_vectored_writes_was_given() {
    let config = quiet().fragment_len(Some(6_000));
    for role in ROLES {
        for window in [0, 1, 5_000, 30_000] {
            let (mut socket, script) = connect_with(role, &config);
            script.not_vectored();
            script.window(window);
            let message = pattern(100_000);
            {
                let mut send = pin!(socket.send(&message));
                assert!(poll_once(send.as_mut()).is_pending());
                for ping in ["one", "two"] {
                    script.peer_sends(to(role, PING, ping.as_bytes()));
                    assert!(poll_once(send.as_mut()).is_pending());
                }
                script.window(usize::MAX);
                assert!(poll_once(send).is_ready());
            }
            let sent = frames(role, &script.written());
            assert!(sent.contains(&Frame(PONG, b"two".to_vec())));
            assert_eq!(messages(&sent), [message]);
        }
    }
}

// CM-25
#[test]
fn both_read_one_buffer_ahead_and_no_more() {
    for role in ROLES {
        let (mut socket, script) = connect(role);
        let flood: Vec<u8> = to(role, BINARY, &[1; 1000]).repeat(1000);
        for chunk in flood.chunks(10_000) {
            script.peer_sends(chunk);
        }
        script.window(0);
        waits(socket.send("blocked"));
        waits(socket.flush());
        assert_eq!(flood.len() - script.unread(), (256 + 36) << 10);
        script.window(usize::MAX);
        for _ in 0..1000 {
            assert_eq!(now(socket.receive()).unwrap().unwrap().payload(), [1; 1000]);
        }
    }
}

async fn send_then_receive(
    mut socket: WebSocket<DuplexStream>,
    count: usize,
    len: usize,
) -> WebSocket<DuplexStream> {
    for _ in 0..count {
        socket.send(pattern(len)).await.unwrap();
    }
    for _ in 0..count {
        assert_eq!(socket.receive().await.unwrap().unwrap().payload(), pattern(len));
    }
    socket
}

#[tokio::test(start_paused = true)]
async fn both_send_a_read_buffer_full_at_once_through_a_narrow_pipe() {
    for (pipe, count, len) in [(1, 20, 100), (64, 1, 200_000), (1024, 200, 1000), (70_000, 5, 50_000)] {
        let (client, server) = pair(pipe);
        let both = async {
            tokio::join!(send_then_receive(client, count, len), send_then_receive(server, count, len))
        };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("neither waits for the other");
    }
}

#[tokio::test(start_paused = true)]
async fn both_send_without_end_from_halves_through_a_narrow_pipe() {
    let (client, server) = pair(512);
    let run = |socket: WebSocket<DuplexStream>| async move {
        let (mut receiver, sender) = socket.split();
        let send = async {
            for _ in 0..20 {
                sender.send(pattern(100_000)).await.unwrap();
            }
        };
        let receive = async {
            for _ in 0..20 {
                assert_eq!(receiver.receive().await.unwrap().unwrap().payload(), pattern(100_000));
            }
        };
        tokio::join!(send, receive);
    };
    let both = async { tokio::join!(run(client), run(server)) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("neither waits for the other");
}

/// Sends and receives 20 messages of 1 MB, at once and in one task, by what futures make of a `Stream` and `Sink`.
async fn send_and_receive_by_its_traits(socket: WebSocket<DuplexStream>) {
    let (mut sink, mut stream) = StreamExt::split(socket);
    let send = async {
        for _ in 0..20 {
            sink.send(Message::binary(pattern(1_000_000))).await.unwrap();
        }
    };
    let receive = async {
        for _ in 0..20 {
            assert_eq!(stream.next().await.unwrap().unwrap().payload(), pattern(1_000_000));
        }
    };
    tokio::join!(send, receive);
}

async fn send_and_receive_by_halves(socket: WebSocket<DuplexStream>) {
    let (mut receiver, sender) = socket.split();
    let sending = tokio::spawn(async move {
        for _ in 0..20 {
            sender.send(pattern(1_000_000)).await.unwrap();
        }
    });
    for _ in 0..20 {
        assert_eq!(receiver.receive().await.unwrap().unwrap().payload(), pattern(1_000_000));
    }
    sending.await.unwrap();
}

// More than the peer reads ahead, and more than the high-water mark: each end is full, and must receive all the same.
#[tokio::test(start_paused = true)]
async fn both_send_messages_of_1_mb_at_once_through_a_pipe_of_64_kib() {
    let halves = async {
        let (client, server) = pair(64 << 10);
        tokio::join!(send_and_receive_by_halves(client), send_and_receive_by_halves(server));
    };
    tokio::time::timeout(Duration::from_secs(60), halves).await.expect("halves do not wait for each other");
    let traits = async {
        let (client, server) = pair(64 << 10);
        tokio::join!(send_and_receive_by_its_traits(client), send_and_receive_by_its_traits(server));
    };
    tokio::time::timeout(Duration::from_secs(60), traits).await.expect("neither does an unsplit socket");
}

// 6455-5.5.2-2, CM-25
#[test]
fn both_answer_pings_whichever_half_is_polled() {
    for role in ROLES {
        let (socket, script) = connect(role);
        let (mut receiver, sender) = socket.split();
        script.peer_sends(to(role, PING, b"receiver"));
        waits(receiver.receive());
        assert_eq!(frames(role, &script.take_written()), [Frame(PONG, b"receiver".to_vec())]);
        // The receive future is gone: the sender is all that is polled.
        script.peer_sends(to(role, PING, b"sender"));
        now(sender.send("m")).unwrap();
        assert_eq!(
            frames(role, &script.take_written()),
            [Frame(TEXT, b"m".to_vec()), Frame(PONG, b"sender".to_vec())]
        );
        script.peer_sends([to(role, PING, b"flush"), to(role, TEXT, b"kept")].concat());
        now(sender.flush()).unwrap();
        assert_eq!(frames(role, &script.take_written()), [Frame(PONG, b"flush".to_vec())]);
        assert_eq!(now(receiver.receive()).unwrap(), Some(Message::text("kept")));
        waits(receiver.receive());
        assert!(script.take_written().is_empty(), "none is answered twice");
    }
}

// 6455-5.5.3-2, CM-28
#[test]
fn server_receives_a_ping_flood_while_its_output_is_blocked() {
    let role = Role::Server;
    let (mut socket, script) = connect(role);
    script.window(0);
    let flood = to(role, PING, &[9; 125]).repeat(400);
    for _ in 0..10 {
        script.peer_sends(&flood);
        waits(socket.receive());
    }
    assert!(socket.queued() <= (16 << 10) + 2 * 127, "{} octets of Pongs", socket.queued());
}
