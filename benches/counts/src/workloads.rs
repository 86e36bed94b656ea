//! The work that is counted: one message after the other, in memory, by each face of the crate and by hand.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::{SinkExt, StreamExt};

use sansocket::Config;
use sansocket::connection::{Connection, Event, KeySource};
use sansocket::stream::{Error, WebSocket};
use tokio::runtime::Builder;

use crate::by_hand;
use crate::memory::{Memory, now, wake};
use crate::wire::{self, Burst, Kind, burst};

/// One round of work, to be done again and again.
pub(crate) struct Workload {
    /// How many messages a round has.
    pub(crate) frames: usize,
    pub(crate) round: Box<dyn FnMut()>,
}

/// Makes a workload whose payloads have this length.
type Prepare = fn(usize) -> Workload;

/// By name.
pub(crate) const ALL: &[(&str, Prepare)] = &[
    ("by-hand-receive", by_hand_receive),
    ("core-receive", |len| core_receive(Kind::Binary, len)),
    ("core-receive-text", |len| core_receive(Kind::Text, len)),
    ("core-send-client", |len| {
        core_send(Connection::client(&Config::default(), KeySource::operating_system()), len)
    }),
    ("core-send-server", |len| core_send(Connection::server(&Config::default()), len)),
    ("burst-lending", |len| burst_echo(len, |socket| Box::pin(echo_lending(socket)))),
    ("burst-owned", |len| burst_echo(len, |socket| Box::pin(echo_owned(socket)))),
    ("burst-split", |len| burst_echo(len, |socket| Box::pin(echo_split(socket)))),
    ("burst-stream", |len| burst_echo(len, |socket| Box::pin(echo_stream(socket)))),
    ("lending-echo", lending_echo),
    ("lending-receive", lending_receive),
    ("owned-receive", owned_receive),
    ("split-echo", split_echo),
    ("split-receive", split_receive),
    ("stream-feed", stream_feed),
];

/// A read of pipelined frames, each parsed and unmasked in place: the bound.
fn by_hand_receive(len: usize) -> Workload {
    let Burst { octets: mut input, frames } = burst(Kind::Binary, len);
    Workload::new(frames, move || {
        let mut at = 0;
        while at < input.len() {
            let frame = by_hand::receive(&mut input[at..]).expect("a whole message");
            black_box(&input[at + frame.start..at + frame.end]);
            at += frame.end;
        }
    })
}

/// The same as a server.
fn core_receive(kind: Kind, len: usize) -> Workload {
    let Burst { octets: mut input, frames } = burst(kind, len);
    let mut connection = Connection::server(&Config::default());
    Workload::new(frames, move || {
        let mut at = 0;
        while at < input.len() {
            let input = &mut input[at..];
            let received = connection.receive(input).expect("a correct peer");
            let located = received.event.expect("a whole message");
            match connection.event(located, input) {
                Event::Text(text) => _ = black_box(text),
                Event::Binary(payload) => _ = black_box(payload),
                other => panic!("no message: {other:?}"),
            }
            at += received.consumed;
        }
    })
}

/// Each message leaves with a write of its own.
fn core_send(mut connection: Connection, len: usize) -> Workload {
    let payload = wire::payload(len);
    Workload::new(SENT, move || {
        for _ in 0..SENT {
            connection.send(black_box(&payload[..])).expect("an open connection");
            let mut slices = [&[][..]; 4];
            let filled = connection.slices(&mut slices);
            let len = black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum();
            connection.advance(len);
        }
    })
}

/// One read and one write for all messages of a burst.
fn lending_echo(len: usize) -> Workload {
    let (mut socket, frames) = server(len);
    Workload::new(frames, move || {
        for _ in 0..frames {
            let lent = now(socket.receive_ref()).expect("a correct peer");
            let (message, mut outgoing) = lent.expect("an open connection");
            outgoing.feed(message).expect("there is room");
        }
    })
}

fn lending_receive(len: usize) -> Workload {
    let (mut socket, frames) = server(len);
    Workload::new(frames, move || {
        for _ in 0..frames {
            let lent = now(socket.receive_ref()).expect("a correct peer");
            let (message, _) = lent.expect("an open connection");
            black_box(message.payload());
        }
    })
}

fn owned_receive(len: usize) -> Workload {
    let (mut socket, frames) = server(len);
    Workload::new(frames, move || {
        for _ in 0..frames {
            let message = now(socket.receive()).expect("a correct peer");
            drop(black_box(message.expect("an open connection")));
        }
    })
}

fn split_receive(len: usize) -> Workload {
    let (socket, frames) = server(len);
    let (mut receiver, sender) = socket.split();
    Workload::new(frames, move || {
        for _ in 0..frames {
            let message = now(receiver.receive()).expect("a correct peer");
            drop(black_box(message.expect("an open connection")));
        }
        black_box(&sender);
    })
}

fn split_echo(len: usize) -> Workload {
    let (socket, frames) = server(len);
    let (mut receiver, sender) = socket.split();
    Workload::new(frames, move || {
        for _ in 0..frames {
            let message = now(receiver.receive()).expect("a correct peer").expect("an open connection");
            now(sender.feed(message)).expect("there is room");
        }
    })
}

/// Messages that nobody asked for, until the queue has been full and written twice.
fn stream_feed(len: usize) -> Workload {
    let payload = wire::payload(len);
    let mut socket = WebSocket::server(Memory::silent(), &quiet(), Vec::new());
    let frames = 2 * wire::READ_LEN / len;
    Workload::new(frames, move || {
        for _ in 0..frames {
            now(socket.feed(black_box(&payload[..]))).expect("there is room");
        }
    })
}

/// A task that is woken once for every burst, finds nothing behind it, and gives back what it was lent: as under a runtime,
/// with keepalive as it is by default.
fn burst_echo(len: usize, echo: impl FnOnce(WebSocket<Memory>) -> Task) -> Workload {
    let Burst { octets, frames } = wire::first_of_burst(Kind::Binary, len, BURST);
    let mut task = echo(WebSocket::server(Memory::pausing(octets), &Config::default(), Vec::new()));
    let timers =
        Builder::new_current_thread().enable_time().build().expect("timers need nothing of the system");
    Workload::new(frames, move || {
        let _entered = timers.enter();
        wake();
        let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "the connection goes on");
    })
}

type Task = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

async fn echo_lending(mut socket: WebSocket<Memory>) -> Result<(), Error> {
    while let Some((message, mut outgoing)) = socket.receive_ref().await? {
        outgoing.feed(message)?;
    }
    Ok(())
}

async fn echo_owned(mut socket: WebSocket<Memory>) -> Result<(), Error> {
    while let Some(message) = socket.receive().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

async fn echo_split(socket: WebSocket<Memory>) -> Result<(), Error> {
    let (mut receiver, sender) = socket.split();
    while let Some(message) = receiver.receive().await? {
        sender.feed(message).await?;
    }
    Ok(())
}

/// Flushed when nothing is ready.
async fn echo_stream(mut socket: WebSocket<Memory>) -> Result<(), Error> {
    loop {
        let received = poll_fn(|cx| {
            let received = socket.poll_next_unpin(cx);
            if received.is_pending() && socket.poll_flush_unpin(cx)?.is_pending() {
                return Poll::Pending;
            }
            received.map(Option::transpose)
        });
        match received.await? {
            Some(message) => socket.feed(message).await?,
            None => return Ok(()),
        }
    }
}

impl Workload {
    fn new(frames: usize, round: impl FnMut() + 'static) -> Self {
        Self { frames, round: Box::new(round) }
    }
}

fn server(len: usize) -> (WebSocket<Memory>, usize) {
    let Burst { octets, frames } = burst(Kind::Binary, len);
    (WebSocket::server(Memory::giving(octets), &quiet(), Vec::new()), frames)
}

/// For connections that are polled without a runtime, and so without a timer.
fn quiet() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
}

/// How many messages a round sends: as many as one fetch of randomness has masking-keys for.
const SENT: usize = 256;

/// How many messages wake a task together, unless one read has no room for them.
const BURST: usize = 32;
