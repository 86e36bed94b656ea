//! One masked message received by a server, from pipelined input in memory: each face beside the same by hand.
//!
//! `cargo bench --bench receive`

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/wire.rs"]
mod wire;

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use futures_util::Stream;
use memory::{Memory, now};
use sansocket::Config;
use sansocket::connection::{Connection, Event};
use sansocket::stream::WebSocket;
use tokio::io::{AsyncRead, ReadBuf};
use wire::{Burst, Kind, burst};

fn main() {
    let mut criterion = measure::criterion();
    for kind in [Kind::Binary, Kind::Text] {
        for len in LENS {
            receive(&mut criterion, kind, len);
        }
    }
    criterion.final_summary();
}

fn receive(criterion: &mut Criterion, kind: Kind, len: usize) {
    let burst = burst(kind, len);
    let mut group = criterion.benchmark_group(format!("receive {} {len} B", kind.name()));
    group.throughput(Throughput::Bytes(len as u64));
    without_transport(&mut group, &burst);
    over_transport(&mut group, &burst);
    copies(&mut group, &burst, len);
    group.finish();
}

/// The input lies there already, and is unmasked where it lies.
fn without_transport(group: &mut BenchmarkGroup<'_, WallTime>, burst: &Burst) {
    let (mut input, mut at) = (burst.octets.clone(), 0);
    group.bench_function("by hand", |bencher| {
        bencher.iter(|| {
            let input = &mut input[at..];
            let len = input.len();
            let consumed = look(input);
            at = if consumed == len { 0 } else { at + consumed };
        });
    });

    let (mut input, mut at) = (burst.octets.clone(), 0);
    let mut connection = Connection::server(&Config::default());
    group.bench_function("core", |bencher| {
        bencher.iter(|| {
            let input = &mut input[at..];
            let received = connection.receive(input).expect("a correct peer");
            let located = received.event.expect("a whole message");
            match connection.event(located, input) {
                Event::Text(text) => _ = black_box(text),
                Event::Binary(payload) => _ = black_box(payload),
                other => panic!("no message: {other:?}"),
            }
            at = if received.consumed == input.len() { 0 } else { at + received.consumed };
        });
    });

    let (mut input, mut at) = (burst.octets.clone(), 0);
    let mut connection = Connection::server(&Config::default());
    group.bench_function("core, owned", |bencher| {
        bencher.iter(|| {
            let input = &mut input[at..];
            let received = connection.receive(input).expect("a correct peer");
            let located = received.event.expect("a whole message");
            black_box(connection.take(located, input));
            at = if received.consumed == input.len() { 0 } else { at + received.consumed };
        });
    });
}

/// The input is read from a transport that always has a burst: one copy more.
fn over_transport(group: &mut BenchmarkGroup<'_, WallTime>, burst: &Burst) {
    let mut transport = Memory::giving(burst.octets.clone());
    let mut buffer = vec![0; wire::READ_LEN];
    let (mut start, mut end) = (0, 0);
    group.bench_function("by hand, read", |bencher| {
        bencher.iter(|| {
            if start == end {
                (start, end) = (0, read(&mut transport, &mut buffer));
            }
            start += look(&mut buffer[start..end]);
        });
    });

    let mut socket = server(burst);
    group.bench_function("lending", |bencher| {
        bencher.iter(|| {
            let lent = now(socket.receive_ref()).expect("a correct peer");
            let (message, _) = lent.expect("an open connection");
            black_box(message.payload());
        });
    });

    let mut socket = server(burst);
    group.bench_function("lending, echo", |bencher| {
        bencher.iter(|| {
            let lent = now(socket.receive_ref()).expect("a correct peer");
            let (message, mut outgoing) = lent.expect("an open connection");
            outgoing.feed(message).expect("there is room");
        });
    });

    let mut socket = server(burst);
    group.bench_function("owned", |bencher| {
        bencher.iter(|| now(socket.receive()));
    });

    let mut socket = server(burst);
    group.bench_function("stream", |bencher| {
        bencher.iter(|| {
            let mut cx = Context::from_waker(Waker::noop());
            match Pin::new(&mut socket).poll_next(&mut cx) {
                Poll::Ready(message) => message,
                Poll::Pending => panic!("nothing in memory has to wait"),
            }
        });
    });

    let (mut receiver, sender) = server(burst).split();
    group.bench_function("split", |bencher| {
        bencher.iter(|| now(receiver.receive()));
    });
    group.bench_function("split, echo", |bencher| {
        bencher.iter(|| {
            let message = now(receiver.receive()).expect("a correct peer").expect("an open connection");
            now(sender.feed(message)).expect("there is room");
        });
    });
}

/// What an owned message cannot go below: an allocation and a copy.
fn copies(group: &mut BenchmarkGroup<'_, WallTime>, burst: &Burst, len: usize) {
    let payload = &burst.octets[..len];
    let mut to = vec![0; len];
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| black_box(&mut to[..]).copy_from_slice(black_box(payload)));
    });
    group.bench_function("allocate and copy", |bencher| {
        bencher.iter(|| bytes::Bytes::copy_from_slice(black_box(payload)));
    });
}

/// Looks at the payload of the frame at the front, by hand; says how long the frame is.
#[inline]
fn look(input: &mut [u8]) -> usize {
    let frame = by_hand::receive(input).expect("a whole message");
    let payload = &input[frame.start..frame.end];
    if frame.is_text {
        assert!(is_text(payload));
    }
    black_box(payload);
    frame.end
}

/// Whether it is UTF-8: a test for ASCII first where that is the faster one.
#[inline]
fn is_text(text: &[u8]) -> bool {
    text.len() < 128 && is_ascii(text) || simdutf8::basic::from_utf8(text).is_ok()
}

/// Words; the last one overlaps.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let words = text.as_chunks::<8>().0.iter().chain(text.last_chunk());
    let high = words.fold(0, |high, word| high | u64::from_ne_bytes(*word));
    let short = if text.len() < 8 { text.iter().fold(0, |high, octet| high | octet) } else { 0 };
    high & 0x8080_8080_8080_8080 == 0 && short < 0x80
}

fn read(transport: &mut Memory, buffer: &mut [u8]) -> usize {
    let mut read = ReadBuf::new(buffer);
    let polled = Pin::new(transport).poll_read(&mut Context::from_waker(Waker::noop()), &mut read);
    assert!(polled.is_ready());
    read.filled().len()
}

fn server(burst: &Burst) -> WebSocket<Memory> {
    WebSocket::server(Memory::giving(burst.octets.clone()), &Config::default(), Vec::new())
}

const LENS: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 64 << 10];
