//! permessage-deflate in the core, without transports: time per message, beside zlib-rs alone; ratio; octets held.
//!
//! `cargo bench --features deflate --bench deflate`

#[path = "../tests/support/allocations.rs"]
mod allocations;
#[path = "../tests/support/corpus.rs"]
mod corpus;

use std::hint::black_box;

use corpus::Corpus;
use criterion::Criterion;
use sansocket::connection::{Connection, KeySource};
use sansocket::deflate::{Agreement, DeflateConfig, Direction, States};
use sansocket::{Config, Role};
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fn main() {
    let corpora = corpus::all(MESSAGES);
    print_ratios_and_octets_held(&corpora);
    let mut criterion = Criterion::default().configure_from_args();
    for corpus in &corpora {
        compress(&mut criterion, corpus);
        inflate(&mut criterion, corpus);
    }
    criterion.final_summary();
}

/// How two ends compress.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    window_bits: u8,
    context_takeover: bool,
    states: States,
}

const MODES: [Mode; 5] = [
    Mode { name: "pooled", ..POOLED },
    Mode { name: "dedicated", states: States::Dedicated, ..POOLED },
    Mode { name: "no takeover", context_takeover: false, ..POOLED },
    Mode { name: "pooled, 32 KiB", window_bits: 15, ..POOLED },
    Mode { name: "dedicated, 32 KiB", window_bits: 15, states: States::Dedicated, ..POOLED },
];

/// As by default.
const POOLED: Mode = Mode { name: "", window_bits: 12, context_takeover: true, states: States::Pooled };

impl Mode {
    fn agreement(self) -> Agreement {
        let config = DeflateConfig::default().send_window_bits(self.window_bits).states(self.states);
        let direction =
            Direction { max_window_bits: self.window_bits, context_takeover: self.context_takeover };
        Agreement::new(config).with_server(direction).with_client(direction)
    }

    fn connection(self, role: Role) -> Connection {
        let connection = match role {
            Role::Server => Connection::server(&Config::default()),
            Role::Client => Connection::client(&Config::default(), KeySource::operating_system()),
        };
        connection.with_deflate(&self.agreement())
    }

    /// What an end in this role writes for the messages, one after the other.
    fn frames<'a>(self, role: Role, is_text: bool, messages: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let mut connection = self.connection(role);
        let frame = |message| {
            send(&mut connection, is_text, message);
            let mut slices = [&[][..]; 4];
            let filled = connection.slices(&mut slices);
            let frame = slices[..filled].concat();
            connection.advance(frame.len());
            frame
        };
        messages.map(frame).collect()
    }
}

/// One message after the other from one connection, from many in turn, and through a state of zlib-rs.
fn compress(criterion: &mut Criterion, corpus: &Corpus) {
    let mut group = criterion.benchmark_group(format!("compress {}", corpus.name));
    for mode in MODES {
        for (connections, turn) in TURNS {
            let mut ends: Vec<_> = (0..connections).map(|_| mode.connection(Role::Server)).collect();
            let mut count = 0;
            group.bench_function(format!("{}, {turn}", mode.name), |bencher| {
                bencher.iter(|| {
                    let (index, end) = (count / connections, count % connections);
                    count += 1;
                    let message = nth(corpus, end, index);
                    send(&mut ends[end], corpus.is_text, message);
                    let queued = black_box(ends[end].queued());
                    ends[end].advance(queued);
                });
            });
        }
    }
    for (name, window_bits, context_takeover) in BOUNDS {
        let mut state = Deflate::new(6, false, window_bits);
        let mut output = vec![0; 8_192];
        let mut count = 0;
        group.bench_function(format!("zlib-rs alone, {name}"), |bencher| {
            bencher.iter(|| {
                if !context_takeover {
                    state.reset();
                }
                let message = nth(corpus, 0, count);
                count += 1;
                black_box(state.compress(message, &mut output, DeflateFlush::SyncFlush))
            });
        });
    }
    group.finish();
}

/// One message after the other to one connection, to many in turn, and through a state of zlib-rs.
fn inflate(criterion: &mut Criterion, corpus: &Corpus) {
    let mut group = criterion.benchmark_group(format!("inflate {}", corpus.name));
    for mode in MODES {
        for (connections, turn) in TURNS {
            // A stream can be received again and again: its first message refers to nothing before it.
            let mut ends: Vec<_> = (0..connections)
                .map(|end| {
                    let messages = (0..MESSAGES / connections).map(|index| nth(corpus, end, index));
                    (mode.connection(Role::Client), mode.frames(Role::Server, corpus.is_text, messages))
                })
                .collect();
            let mut count = 0;
            group.bench_function(format!("{}, {turn}", mode.name), |bencher| {
                bencher.iter(|| {
                    let (index, end) = (count / connections, count % connections);
                    count += 1;
                    let (connection, frames) = &mut ends[end];
                    let index = index % frames.len();
                    // What a server sends is not masked, so it stays what it is.
                    black_box(receive(connection, &mut frames[index]))
                });
            });
        }
    }
    for (name, window_bits, context_takeover) in BOUNDS {
        let payloads = deflated(corpus, window_bits, context_takeover);
        let mut state = Inflate::new(false, window_bits);
        let mut output = vec![0; 8_192];
        let mut count = 0;
        group.bench_function(format!("zlib-rs alone, {name}"), |bencher| {
            bencher.iter(|| {
                if !context_takeover {
                    state.reset(false);
                }
                let payload = &payloads[count % payloads.len()];
                count += 1;
                black_box(state.decompress(payload, &mut output, InflateFlush::SyncFlush))
            });
        });
    }
    group.finish();
}

/// Ratios of a thousand messages over one connection; octets held per connection when many of them have nothing to do.
fn print_ratios_and_octets_held(corpora: &[Corpus]) {
    println!("| corpus | mode | ratio | octets held per connection |\n|---|---|---|---|");
    for corpus in corpora {
        for mode in MODES {
            let all = (0..MESSAGES).map(|index| nth(corpus, 0, index));
            let written: usize = mode.frames(Role::Server, corpus.is_text, all).iter().map(Vec::len).sum();
            let ratio = corpus.octets() as f64 / written as f64;
            let some = (0..BEFORE_IDLE).map(|index| nth(corpus, 0, index));
            let mut frames = mode.frames(Role::Client, corpus.is_text, some);
            // What the pools of this thread keep is not the connections': the first connections fill them.
            drop(idle_connections(mode, corpus, &mut frames, 8));
            let (held, ends) =
                allocations::held_by(|| idle_connections(mode, corpus, &mut frames, IDLE_CONNECTIONS));
            println!("| {} | {} | {ratio:.2} | {} |", corpus.name, mode.name, held / ends.len());
        }
    }
}

/// Servers that have received and sent some messages, and now wait.
fn idle_connections(mode: Mode, corpus: &Corpus, frames: &mut [Vec<u8>], count: usize) -> Vec<Connection> {
    let mut ends: Vec<_> = (0..count).map(|_| mode.connection(Role::Server)).collect();
    let mut input = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        for end in &mut ends {
            input.clear();
            input.extend_from_slice(frame);
            receive(end, &mut input);
            send(end, corpus.is_text, nth(corpus, 0, index));
            let queued = end.queued();
            end.advance(queued);
            // As a driver does when there is nothing more to read; it would keep the buffer for the next connection.
            assert!(end.receive(&mut []).expect("a correct peer").event.is_none());
            drop(end.release_buffers());
        }
    }
    ends
}

/// The message that a connection of many has as its one of this number: neighbours have others.
fn nth(corpus: &Corpus, connection: usize, index: usize) -> &[u8] {
    &corpus.messages[(connection * 37 + index) % corpus.messages.len()]
}

fn send(connection: &mut Connection, is_text: bool, message: &[u8]) {
    let sent = if is_text {
        connection.send(std::str::from_utf8(message).expect("text"))
    } else {
        connection.send(message)
    };
    sent.expect("an open connection");
}

/// Receives the one message in `frame` and says how long it is.
fn receive(connection: &mut Connection, frame: &mut [u8]) -> usize {
    let received = connection.receive(frame).expect("a correct peer");
    let located = received.event.expect("a whole message");
    match connection.event(located, frame) {
        sansocket::connection::Event::Text(text) => text.len(),
        sansocket::connection::Event::Binary(payload) => payload.len(),
        other => panic!("no message: {other:?}"),
    }
}

/// The messages as they go into an inflating state, each with the four octets that RFC 7692 §7.2.2 appends.
fn deflated(corpus: &Corpus, window_bits: u8, context_takeover: bool) -> Vec<Vec<u8>> {
    let mut state = Deflate::new(6, false, window_bits);
    let compress = |message: &Vec<u8>| {
        if !context_takeover {
            state.reset();
        }
        let mut output = vec![0; 8_192];
        let before = state.total_out();
        state.compress(message, &mut output, DeflateFlush::SyncFlush).expect("a state that is whole");
        output.truncate((state.total_out() - before) as usize);
        output
    };
    corpus.messages.iter().map(compress).collect()
}

const MESSAGES: usize = 1_000;

const TURNS: [(usize, &str); 2] = [(1, "one connection"), (50, "50 in turn")];

const BOUNDS: [(&str, u8, bool); 3] =
    [("takeover", 12, true), ("no takeover", 12, false), ("takeover, 32 KiB", 15, true)];

const IDLE_CONNECTIONS: usize = 200;
const BEFORE_IDLE: usize = 20;
