//! One message sent, by either role, into memory: each face beside the same by hand, and a copy.
//!
//! `cargo bench --bench send`

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/wire.rs"]
mod wire;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use memory::{Memory, now};
use sansocket::connection::{Connection, KeySource};
use sansocket::stream::WebSocket;
use sansocket::{Config, Role};

fn main() {
    let mut criterion = measure::criterion();
    for role in [Role::Server, Role::Client] {
        for len in LENS {
            send(&mut criterion, role, len);
        }
    }
    criterion.final_summary();
}

fn send(criterion: &mut Criterion, role: Role, len: usize) {
    let payload = wire::payload(len);
    let name = if role == Role::Client { "client" } else { "server" };
    let mut group = criterion.benchmark_group(format!("send {name} {len} B"));
    group.throughput(Throughput::Bytes(len as u64));

    let mut connection = connection(role);
    group.bench_function("core", |bencher| {
        bencher.iter(|| {
            connection.send(black_box(&payload[..])).expect("an open connection");
            write(&mut connection);
        });
    });
    group.bench_function("core, 32 in one write", |bencher| {
        let mut sent = 0;
        bencher.iter(|| {
            if sent % 32 == 0 || connection.is_full() {
                write(&mut connection);
            }
            sent += 1;
            connection.send(black_box(&payload[..])).expect("an open connection");
        });
    });

    let mut socket = socket(role);
    group.bench_function("stream, feed", |bencher| {
        bencher.iter(|| now(socket.feed(black_box(&payload[..]))));
    });
    group.bench_function("stream, send", |bencher| {
        bencher.iter(|| now(socket.send(black_box(&payload[..]))));
    });

    let key = (role == Role::Client).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let mut output = vec![0; wire::READ_LEN];
    let mut at = 0;
    group.bench_function("by hand", |bencher| {
        bencher.iter(|| {
            if output.len() - at < 14 + len {
                at = 0;
                black_box(&mut output);
            }
            let payload = black_box(&payload[..]);
            at += by_hand::write_header(&mut output[at..], 0x82, payload.len(), black_box(key));
            let to = &mut output[at..at + payload.len()];
            match key {
                Some(key) => by_hand::mask_copy(to, payload, black_box(key)),
                None => to.copy_from_slice(payload),
            }
            at += payload.len();
        });
    });
    group.bench_function("memcpy", |bencher| {
        bencher.iter(|| black_box(&mut output[..len]).copy_from_slice(black_box(&payload)));
    });
    group.finish();
}

/// Writes what is queued: to nowhere.
fn write(connection: &mut Connection) {
    while connection.queued() > 0 {
        let mut slices = [&[][..]; 8];
        let filled = connection.slices(&mut slices);
        let len = black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum();
        connection.advance(len);
    }
}

fn connection(role: Role) -> Connection {
    match role {
        Role::Server => Connection::server(&Config::default()),
        Role::Client => Connection::client(&Config::default(), KeySource::operating_system()),
    }
}

fn socket(role: Role) -> WebSocket<Memory> {
    match role {
        Role::Server => WebSocket::server(Memory::silent(), &Config::default(), Vec::new()),
        Role::Client => WebSocket::client(Memory::silent(), &Config::default(), Vec::new()),
    }
}

const LENS: [usize; 5] = [16, 125, 1 << 10, 16 << 10, 64 << 10];
