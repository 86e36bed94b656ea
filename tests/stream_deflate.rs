//! Compressed messages through the tokio layer: what is queued is in the window, and what is not is not: RFC 7692 §7.2.1.
#![cfg(all(feature = "tokio", feature = "deflate"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod stream_support;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use sansocket::connection::{Connection, Event, KeySource};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::handshake::Negotiated;
use sansocket::stream::{Error, Receiver, WebSocket};
use sansocket::{CloseCode, Config, Message, Role, SendError};
use stream_support::*;

fn agreement() -> Agreement {
    Agreement::new(DeflateConfig::default())
}

fn compressing<S>(role: Role, io: S, config: &Config, agreement: Agreement) -> WebSocket<S> {
    WebSocket::negotiated(io, role, Negotiated::default().with_deflate(&agreement), config, Vec::new())
}

/// The messages in these octets, as a peer decompresses them that has seen all that came before.
struct Peer(Connection);

impl Peer {
    fn of(role: Role) -> Self {
        let connection = match role {
            Role::Client => Connection::server(&quiet()),
            Role::Server => Connection::client(&quiet(), KeySource::operating_system()),
        };
        Self(connection.with_deflate(&agreement()))
    }

    fn receive(&mut self, mut octets: Vec<u8>) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut at = 0;
        loop {
            let received = self.0.receive(&mut octets[at..]).expect("all of it can be decompressed");
            match received.event.map(|located| self.0.event(located, &octets[at..])) {
                None => return messages,
                Some(Event::Text(text)) => messages.push(text.into()),
                Some(Event::Binary(payload)) => messages.push(payload.into()),
                Some(other) => panic!("{other:?}"),
            }
            at += received.consumed;
        }
    }
}

fn compressible(number: usize) -> String {
    format!("message {number} of a conversation that repeats itself, message after message, {number}")
}

// 7692-7.2.1-14 CM-67 CM-23
#[test]
fn both_send_what_decompresses_when_a_send_is_dropped_at_every_await() {
    let config = quiet().fragment_len(Some(11)).high_water_mark(40);
    for role in ROLES {
        for polls in 0.. {
            let (mock, script) = mock();
            let mut socket = compressing(role, mock, &config, agreement());
            script.write_at_most(3);
            script.hesitate(1);
            cut_off(socket.feed(compressible(0)));
            let mut done = false;
            {
                let mut send = pin!(socket.send(compressible(1)));
                for _ in 0..polls {
                    done = done || poll_once(send.as_mut()).is_ready();
                }
            }
            for number in 2..5 {
                by_polling(socket.send(compressible(number))).unwrap();
            }
            let received = Peer::of(role).receive(script.written());
            let numbers: Vec<usize> =
                (0..5).filter(|&number| received.contains(&compressible(number).into_bytes())).collect();
            assert_eq!(received.len(), numbers.len(), "whole messages, each once");
            assert!(numbers == [0, 1, 2, 3, 4] || numbers == [0, 2, 3, 4], "{numbers:?} after {polls} polls");
            if done {
                assert!(polls > 15 && numbers.contains(&1));
                break;
            }
        }
    }
}

fn by_polling<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
}

// 7692-7.2.1-14 CM-67
#[test]
fn both_halves_send_what_decompresses_when_a_send_is_dropped_at_every_await() {
    let config = quiet().high_water_mark(40);
    for role in ROLES {
        for polls in 0.. {
            let (mock, script) = mock();
            let (_receiver, sender) = compressing(role, mock, &config, agreement()).split();
            script.write_at_most(3);
            script.hesitate(1);
            cut_off(sender.feed(compressible(0)));
            let mut done = false;
            {
                let mut send = pin!(sender.send(compressible(1)));
                for _ in 0..polls {
                    done = done || poll_once(send.as_mut()).is_ready();
                }
            }
            for number in 2..5 {
                by_polling(sender.clone().send(compressible(number))).unwrap();
            }
            let received = Peer::of(role).receive(script.written());
            let numbers: Vec<usize> =
                (0..5).filter(|&number| received.contains(&compressible(number).into_bytes())).collect();
            assert_eq!(received.len(), numbers.len(), "whole messages, each once");
            assert!(numbers == [0, 1, 2, 3, 4] || numbers == [0, 2, 3, 4], "{numbers:?} after {polls} polls");
            if done {
                assert!(polls > 15 && numbers.contains(&1));
                break;
            }
        }
    }
}

// 7692-7.2.1-14 CM-67
#[test]
fn a_message_refused_after_close_is_not_compressed_and_nothing_is_written() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        let (mock, script) = mock();
        let (_receiver, sender) = compressing(role, mock, &quiet(), agreement()).split();
        now(sender.send(compressible(0))).unwrap();
        waits(sender.close(CloseCode::NORMAL, ""));
        let written = script.written();
        assert!(now(sender.send(compressible(1))).is_err());
        assert!(now(sender.feed(compressible(2))).is_err());
        assert_eq!(script.written(), written);
    }
}

// CM-24 7692-6-8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_of_both_ends_send_compressed_messages_whole_and_in_order() {
    const SENDERS: usize = 8;
    const MESSAGES: usize = 300;
    for states in [States::Pooled, States::Dedicated] {
        let (near, far) = tokio::io::duplex(3000);
        let config = quiet().high_water_mark(2000);
        let agreement = Agreement::new(DeflateConfig::default().states(states))
            .with_server(Direction { max_window_bits: 10, context_takeover: true });
        let (mut here, sender_here) = compressing(Role::Client, near, &config, agreement).split();
        let (mut there, sender_there) = compressing(Role::Server, far, &config, agreement).split();
        let mut sending = Vec::new();
        for sender in [sender_here, sender_there] {
            for number in 0..SENDERS {
                let sender = sender.clone();
                sending.push(tokio::spawn(async move {
                    for message in 0..MESSAGES {
                        let text =
                            format!("{number} {message} {}", compressible(message).repeat(message % 50));
                        let compression = match message % 7 {
                            0 => Compression::Never,
                            1 => Compression::Always,
                            _ => Compression::Auto,
                        };
                        sender.send(Message::text(text).compression(compression)).await.unwrap();
                    }
                }));
            }
        }
        let (a, b) =
            tokio::join!(collect(&mut here, SENDERS * MESSAGES), collect(&mut there, SENDERS * MESSAGES));
        for seen in [a, b] {
            let mut next = [0; SENDERS];
            for text in seen {
                let mut parts = text.splitn(3, ' ');
                let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
                let (sender, message) = (number(), number());
                assert_eq!(next[sender], message);
                next[sender] += 1;
                assert_eq!(parts.next().unwrap(), compressible(message).repeat(message % 50));
            }
            assert_eq!(next, [MESSAGES; SENDERS]);
        }
        for task in sending {
            task.await.unwrap();
        }
    }
}

async fn collect<S>(receiver: &mut sansocket::stream::Receiver<S>, messages: usize) -> Vec<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut seen = Vec::new();
    while seen.len() < messages {
        let received =
            tokio::time::timeout(Duration::from_secs(60), receiver.receive()).await.expect("in time");
        seen.push(received.unwrap().unwrap().as_text().unwrap().to_owned());
    }
    seen
}

/// The text of a message that takes long to compress.
fn large_text() -> String {
    let mut seed = 1_u32;
    (0..4 << 20)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (seed >> 24) as u8 % 16)
        })
        .collect()
}

// While one sender compresses, another one waits without its thread, and is woken; a Ping is answered. CM-25 CM-26
#[test]
fn senders_wait_for_a_message_that_is_compressed_without_blocking_and_pongs_do_not_wait() {
    let runtime = paused();
    let _entered = runtime.enter();
    let text = large_text();
    let slow = Agreement::new(DeflateConfig::default().level(9));
    for _ in 0..50 {
        let (mock, script) = mock();
        let (mut receiver, sender) = compressing(Role::Server, mock, &quiet(), slow).split();
        let large = sender.clone();
        let text = text.clone();
        let (begins, begun) = std::sync::mpsc::channel();
        let compressing = std::thread::spawn(move || {
            begins.send(()).unwrap();
            cut_off(large.send(text)).map(Result::unwrap)
        });
        begun.recv().unwrap();
        let (wakes, waker) = Wakes::new();
        let mut small = pin!(sender.feed(Message::text("small").compression(Compression::Never)));
        let mut waited = false;
        while !waited && !compressing.is_finished() {
            script.window(0);
            let outcome = poll_with(small.as_mut(), &waker);
            waited = outcome.is_pending();
            if outcome.is_ready() {
                // It was there before the large one.
                break;
            }
        }
        if waited {
            script.window(usize::MAX);
            script.peer_sends(to(Role::Server, PING, b"p"));
            waits(receiver.receive());
            let written = script.written();
            let answered_first = written.starts_with(b"\x8a\x01p");
            compressing.join().unwrap();
            assert!(wakes.count() > 0, "whoever waited is woken");
            by_polling(small).unwrap();
            by_polling(sender.flush()).unwrap();
            let written = script.written();
            assert!(written.windows(7).any(|octets| octets == b"\x81\x05small"));
            if answered_first {
                return;
            }
        } else {
            compressing.join().unwrap();
        }
    }
    panic!("the thread was never at work when another sender and a Ping came");
}

// 7692-6-9
#[test]
fn both_answer_a_ping_that_stands_behind_compressed_messages_nobody_has_received() {
    for role in ROLES {
        let (mock, script) = mock();
        let mut socket = compressing(role, mock, &quiet(), agreement());
        script.peer_sends(to(role, 0x41, b"\xf2\x48\xcd"));
        script.peer_sends(to(role, PING, b"p"));
        script.peer_sends(to(role, 0x80, b"\xc9\xc9\x07\x00"));
        script.window(0);
        waits(socket.send("plain"));
        script.window(usize::MAX);
        now(socket.flush()).unwrap();
        let sent = frames(role, &script.written());
        assert!(sent.contains(&Frame(PONG, b"p".to_vec())), "{sent:?}");
        assert_eq!(now(socket.receive()).unwrap(), Some(Message::text("Hello")));
    }
}

// A sender that has made room, and then may not send, wakes others behind its locks.
#[test]
fn receiver_dropped_by_the_waker_of_one_who_waits_for_room_locks_nobody_out() {
    struct DropsReceiver(Mutex<Option<Receiver<Mock>>>);

    impl Wake for DropsReceiver {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }

    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // The closing handshake has a timer.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let (mock, script) = mock();
        let config = quiet().high_water_mark(100);
        let (receiver, sender) = compressing(Role::Server, mock, &config, agreement()).split();
        script.window(0);
        now(sender.feed(Message::binary(vec![0; 100]).compression(Compression::Never))).unwrap();
        sender.start_close(CloseCode::NORMAL, "").unwrap();
        let waker = Waker::from(Arc::new(DropsReceiver(Mutex::new(Some(receiver)))));
        let other = sender.clone();
        let mut waiting = pin!(other.send("b"));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        script.window_unannounced(usize::MAX);
        assert!(matches!(now(sender.send(compressible(1))), Err(Error::Send(SendError::SendAfterClose))));
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(20)).expect("nobody is locked out");
}
