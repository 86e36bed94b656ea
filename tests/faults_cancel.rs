//! Tasks that are cancelled at any await: what was begun is done whole or not at all, and nothing is left behind. What
//! `tests/stream_cancel.rs` does for receiving and sending, here for everything else.
#![cfg(all(feature = "test-util", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod fault_support;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fault_support::{Face, ROLES, Socket, open, whole};
use futures_util::{SinkExt, StreamExt};
use sansocket::handshake::{ClientRequest, Refusal};
use sansocket::stream::{Acceptor, Connector};
use sansocket::test_util::{Frame, Peer, Transport};
use sansocket::{CloseCode, Message, Role};

/// Polls a future up to `polls` times and drops it; what it came to, if it was done by then.
fn cancelled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Polls until it is done.
fn driven<F: Future>(future: F) -> F::Output {
    cancelled(future, 100_000).expect("a hundred thousand polls and no end")
}

/// A network on which every octet takes some polls.
fn slow(peer: &Peer) {
    for direction in [peer.incoming(), peer.outgoing()] {
        direction.read_at_most(1);
        direction.write_at_most(2);
        direction.hesitate(1);
    }
}

/// A runtime for its timers, whose clock stands still.
fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// All that has come to the peer so far, in frames.
fn frames(peer: &mut Peer) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = cancelled(peer.next_frame(), 10_000) {
        match frame.unwrap() {
            Some(frame) => frames.push(frame),
            None => break,
        }
    }
    frames
}

/// What can be begun, given up, and begun again.
#[derive(Debug, Clone, Copy)]
enum Call {
    Ping,
    Flush,
    SinkSend,
    SinkFlush,
    SinkClose,
    Close,
    StreamNext,
}

// CM-21, CM-22, CM-23
#[test]
fn both_send_whole_frames_when_any_call_is_dropped_at_any_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        for call in [
            Call::Ping,
            Call::Flush,
            Call::SinkSend,
            Call::SinkFlush,
            Call::SinkClose,
            Call::Close,
            Call::StreamNext,
        ] {
            for polls in 0.. {
                let (transport, mut peer) = Peer::new(role.peer());
                slow(&peer);
                let mut socket = whole(transport, role);
                drop(socket.feed("fed"));
                let done = match call {
                    Call::Ping => cancelled(socket.ping(b"ping"), polls).is_some(),
                    Call::Flush => cancelled(socket.flush(), polls).is_some(),
                    Call::SinkSend => {
                        cancelled(SinkExt::send(&mut socket, Message::text("sent")), polls).is_some()
                    }
                    Call::SinkFlush => cancelled(SinkExt::flush(&mut socket), polls).is_some(),
                    Call::SinkClose => cancelled(SinkExt::close(&mut socket), polls).is_some(),
                    Call::Close => {
                        peer.send_frame(&Frame::close(1000, ""));
                        peer.end();
                        cancelled(socket.close(CloseCode::NORMAL, ""), polls).is_some()
                    }
                    Call::StreamNext => {
                        peer.send_frame(&Frame::text("message"));
                        cancelled(socket.next(), polls).is_some()
                    }
                };
                let queued = match (call, polls) {
                    (_, 0) => None,
                    (Call::Ping, _) => Some(Frame::ping("ping")),
                    (Call::SinkSend, _) => Some(Frame::text("sent")),
                    (Call::Close | Call::SinkClose, _) => Some(Frame::close(1000, "")),
                    _ => None,
                };
                // Another call finishes what that one has begun.
                let _ = driven(socket.flush());
                let closes = matches!(call, Call::Close | Call::SinkClose);
                let expected: Vec<_> = [Some(Frame::text("fed")), queued].into_iter().flatten().collect();
                let sent = frames(&mut peer);
                assert_eq!(sent, expected, "{role:?}, {call:?}, dropped after {polls} polls");
                if done {
                    assert!(polls > 3, "{call:?}: the network was to be slow");
                    break;
                }
                if let Call::StreamNext = call {
                    let message = driven(socket.receive()).unwrap();
                    assert_eq!(message, Some(Message::text("message")), "nothing is lost");
                }
                assert!(closes || driven(socket.send("usable")).is_ok());
            }
        }
    }
}

// CM-23
#[test]
fn both_senders_send_whole_frames_when_any_call_is_dropped_at_any_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for role in ROLES {
        for call in [Call::Ping, Call::Flush, Call::SinkSend, Call::Close] {
            for polls in 0.. {
                let (socket, mut peer) = open(role, Face::Halves);
                slow(&peer);
                let Socket::Halves(_receiver, sender) = socket else { unreachable!() };
                driven(sender.feed("fed")).unwrap();
                let other = sender.clone();
                let (done, queued) = match call {
                    Call::Ping => (cancelled(sender.ping(b"ping"), polls).is_some(), Frame::ping("ping")),
                    Call::Flush => (cancelled(sender.flush(), polls).is_some(), Frame::text("fed")),
                    Call::Close => {
                        let closed = cancelled(sender.close(CloseCode::NORMAL, ""), polls);
                        assert!(closed.is_none(), "the receiver was not polled");
                        (polls > 60, Frame::close(1000, ""))
                    }
                    _ => (cancelled(sender.send("sent"), polls).is_some(), Frame::text("sent")),
                };
                drop(sender);
                let _ = driven(other.flush());
                let sent = frames(&mut peer);
                let mut expected = vec![Frame::text("fed")];
                if polls > 0 && !matches!(call, Call::Flush) {
                    expected.push(queued);
                }
                assert_eq!(sent, expected, "{role:?}, {call:?}, dropped after {polls} polls");
                if done {
                    assert!(polls > 3, "{call:?}: the network was to be slow");
                    break;
                }
            }
        }
    }
}

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Runs an attempt for so many polls and drops it; returns what the peer got and whether the attempt was done.
fn attempt<T, F: Future<Output = T>>(
    begin: impl FnOnce(Transport) -> F,
    role: Role,
    input: &[u8],
    polls: usize,
) -> (Vec<u8>, bool) {
    let (transport, mut peer) = Peer::new(role.peer());
    slow(&peer);
    peer.send(input);
    let done = cancelled(begin(transport), polls).map(drop).is_some();
    assert!(peer.outgoing().is_abandoned(), "the transport goes with the future, after {polls} polls");
    (driven(peer.receive_to_end()), done)
}

// 6455-7.2.2-1, CM-23
#[test]
fn server_accepts_and_is_cancelled_at_any_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    for polls in 0.. {
        let (sent, done) = attempt(sansocket::stream::accept, Role::Server, REQUEST, polls);
        assert!(RESPONSE.starts_with(&sent), "after {polls} polls");
        if done {
            assert_eq!(sent, RESPONSE);
            assert!(polls > REQUEST.len(), "the network was to be slow");
            break;
        }
    }
}

#[test]
fn server_refuses_and_is_cancelled_at_any_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    let refuse = |transport| async move {
        let acceptor = Acceptor::default();
        let incoming = acceptor.receive_request(transport).await.unwrap();
        // The client never closes, and is left in time.
        incoming.refuse(Refusal::new(403)).await.unwrap();
    };
    let (whole, _) = attempt(refuse, Role::Server, REQUEST, 2 * REQUEST.len() + 1000);
    assert!(whole.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
    let mut longest = 0;
    for polls in (0..2 * REQUEST.len() + 1000).step_by(7) {
        let (sent, _) = attempt(refuse, Role::Server, REQUEST, polls);
        assert!(whole.starts_with(&sent), "after {polls} polls");
        longest = longest.max(sent.len());
    }
    assert_eq!(longest, whole.len());
}

// 6455-4.1-31, CM-23
#[test]
fn client_connects_and_is_cancelled_at_any_await() {
    let runtime = paused();
    let _entered = runtime.enter();
    let connect = |transport| async move {
        let request = ClientRequest::new("ws://server.example.com/chat").unwrap();
        Connector::default().connect_over(transport, &request).await
    };
    for polls in 0.. {
        let (sent, done) =
            attempt(connect, Role::Client, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", polls);
        // A request, and never a frame behind it.
        let end = sent.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        assert!(b"GET /chat HTTP/1.1\r\n".starts_with(&sent[..sent.len().min(20)]), "after {polls} polls");
        assert_eq!(end.unwrap_or(sent.len()), sent.len(), "after {polls} polls");
        if done {
            assert!(end.is_some() && polls > 100, "the network was to be slow");
            break;
        }
    }
}
