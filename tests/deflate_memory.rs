//! What compression holds on to: a window for each direction, and never more than the limit: RFC 7692 §7.2.2, §7.3.
//!
//! `cargo test --features deflate --test deflate_memory -- --nocapture` prints the figures.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/heap.rs"]
mod heap;
#[cfg(feature = "tokio")]
mod stream_support;
#[path = "support/wire.rs"]
mod wire;

use std::time::{Duration, Instant};

use heap::{held_by, peak_of};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use sansocket::connection::{Connection, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::{CloseCode, Config, Failure, Limits, ProtocolError, Role};

#[global_allocator]
static ALLOCATOR: heap::Heap = heap::Heap;

const KIB: usize = 1024;
const TAKEOVER: Direction = Direction { max_window_bits: 12, context_takeover: true };
const NO_TAKEOVER: Direction = Direction { max_window_bits: 15, context_takeover: false };

fn connection(role: Role, agreement: &Agreement) -> Connection {
    let config = Config::default();
    match role {
        Role::Client => Connection::client(&config, wire::fixed_key()),
        Role::Server => Connection::server(&config),
    }
    .with_deflate(agreement)
}

fn agreement(config: DeflateConfig, us: Role, ours: Direction, peers: Direction) -> Agreement {
    match us {
        Role::Server => Agreement::new(config).with_server(ours).with_client(peers),
        Role::Client => Agreement::new(config).with_server(peers).with_client(ours),
    }
}

/// Writes what is queued, as a driver with a pool of buffers does.
fn write(connection: &mut Connection, mut written: impl FnMut(&[u8])) {
    while connection.queued() > 0 {
        let mut slices = [&[][..]; 4];
        let filled = connection.slices(&mut slices);
        let len = slices[..filled].iter().map(|slice| {
            written(slice);
            slice.len()
        });
        let len = len.sum();
        connection.advance(len);
    }
}

fn send(connection: &mut Connection, text: &str, buffer: &mut Vec<u8>) {
    let _ = connection.lend_output_buffer(std::mem::take(buffer));
    connection.send(OutgoingMessage::from(text).compression(Compression::Always)).unwrap();
    write(connection, |_| {});
    *buffer = connection.release_buffers().expect("everything is written");
}

/// Pieces of JSON of about a hundred octets.
fn texts(count: usize) -> Vec<String> {
    let messages = corpus::chat(count).messages;
    messages.into_iter().map(|text| String::from_utf8(text[100..220].to_vec()).unwrap()).collect()
}

/// The frames that the peer of `role` sends for these messages.
fn from_peer(role: Role, agreement: &Agreement, texts: &[String]) -> Vec<u8> {
    let mut peer = connection(role.peer(), agreement);
    let mut octets = Vec::new();
    for text in texts {
        peer.send(OutgoingMessage::from(&**text).compression(Compression::Always)).unwrap();
        write(&mut peer, |written| octets.extend_from_slice(written));
    }
    octets
}

/// Receives all that is in the input, which is whole frames; returns how many messages that are.
fn receive_all(connection: &mut Connection, input: &mut [u8]) -> usize {
    let (mut at, mut messages) = (0, 0);
    loop {
        let received = connection.receive(&mut input[at..]).unwrap();
        at += received.consumed;
        if received.event.is_none() {
            assert_eq!(at, input.len());
            return messages;
        }
        messages += 1;
    }
}

/// What each of many connections has on the heap, itself included, after so many messages each way, while all are idle.
fn held_when_idle(role: Role, agreement: &Agreement, connections: usize, messages: usize) -> usize {
    let texts = texts(messages);
    let sent_by_peer = from_peer(role, agreement, &texts);
    let mut input = sent_by_peer.clone();
    let mut buffer = Vec::with_capacity(64 * KIB);
    let mut run = |alive: &mut Vec<Connection>| {
        let mut connection = connection(role, agreement);
        for text in &texts {
            send(&mut connection, text, &mut buffer);
        }
        input.copy_from_slice(&sent_by_peer);
        assert_eq!(receive_all(&mut connection, &mut input), messages);
        connection.release_buffers();
        alive.push(connection);
    };
    // The thread's pool is no connection's.
    (0..8).for_each(|_| run(&mut Vec::with_capacity(1)));
    let (held, alive) = held_by(|| {
        let mut alive = Vec::with_capacity(connections);
        (0..connections).for_each(|_| run(&mut alive));
        alive
    });
    held / alive.len()
}

// 7692-7.3-1
#[test]
fn an_idle_connection_holds_a_window_of_each_direction() {
    println!("a connection itself: {} octets", size_of::<Connection>());
    for (role, connections, messages) in [(Role::Server, 1000, 1000), (Role::Client, 20, 1000)] {
        for (peers, most) in [(TAKEOVER, 9 * KIB), (Direction::UNLIMITED, 37 * KIB)] {
            let agreement = agreement(DeflateConfig::default(), role, TAKEOVER, peers);
            let each = held_when_idle(role, &agreement, connections, messages);
            println!(
                "{role:?}, windows of 12 and {} bits: {each} octets each for {connections} connections, {messages} \
                 messages each way",
                peers.max_window_bits
            );
            assert!(each <= most, "{each} octets");
        }
    }
}

/// Both ends of many connections of the tokio layer, on one thread.
#[cfg(feature = "tokio")]
mod over_tokio {
    use sansocket::handshake::Negotiated;
    use sansocket::stream::WebSocket;

    use super::stream_support::{now, quiet, waits};
    use super::*;

    /// Enough to fill the largest window.
    const MESSAGES: usize = 64;

    // 7692-7.3-1
    #[test]
    fn an_idle_web_socket_holds_a_window_of_each_direction() {
        let messages: Vec<_> = corpus::chat(MESSAGES)
            .messages
            .into_iter()
            .map(|text| String::from_utf8(text).unwrap())
            .collect();
        assert!(messages.iter().map(String::len).sum::<usize>() > 32 * KIB);
        for (bits, most) in [(12, 9 * KIB), (15, 37 * KIB)] {
            let direction = Direction { max_window_bits: bits, context_takeover: true };
            let agreement =
                Agreement::new(DeflateConfig::default()).with_server(direction).with_client(direction);
            let run = |pairs: usize| {
                held_by(|| {
                    let mut alive = Vec::with_capacity(pairs);
                    for _ in 0..pairs {
                        let (near, far) = tokio::io::duplex(4 * KIB);
                        let ends = [(Role::Client, near), (Role::Server, far)];
                        let [mut client, mut server] = ends.map(|(role, io)| {
                            let negotiated = Negotiated::default().with_deflate(&agreement);
                            WebSocket::negotiated(io, role, negotiated, &quiet(), Vec::new())
                        });
                        for message in &messages {
                            now(client.send(message.as_str())).unwrap();
                            now(server.receive()).unwrap();
                            now(server.send(message.as_str())).unwrap();
                            now(client.receive()).unwrap();
                        }
                        waits(client.receive());
                        waits(server.receive());
                        alive.push((client, server));
                    }
                    alive
                })
            };
            drop(run(8));
            let pairs = 500;
            let (held, alive) = run(pairs);
            let itself = size_of_val(&alive[0].0);
            let each = held / (2 * pairs);
            println!(
                "over tokio, windows of 12 and {bits} bits: {each} octets each, half a pipe and {itself} of its own \
                 included, for {} ends, {MESSAGES} messages each way",
                2 * pairs
            );
            assert!(each <= most + PIPE_LEN, "{each} octets");
        }
    }

    /// What a pipe in memory keeps, for each of its ends.
    const PIPE_LEN: usize = 512;
}

// 7692-7.3-1
#[test]
fn an_idle_connection_without_context_takeover_holds_no_window() {
    for role in wire::ROLES {
        let agreement = agreement(DeflateConfig::default(), role, NO_TAKEOVER, NO_TAKEOVER);
        let each = held_when_idle(role, &agreement, 100, 50);
        println!("{role:?}, no context takeover: {each} octets each");
        assert!(each < KIB, "{each} octets");
    }
}

// 7692-7.3-1
#[test]
fn states_cost_what_the_documentation_says() {
    let role = Role::Server;
    let texts = texts(50);
    for (states, bits, sends, receives) in [
        (States::Dedicated, 12, 175, 47),
        (States::Dedicated, 15, 287, 47),
        (States::Pooled, 12, 0, 0),
        (States::Pooled, 15, 0, 0),
    ] {
        let config = DeflateConfig::default().send_window_bits(bits).states(states);
        let agreement = agreement(config, role, Direction::UNLIMITED, TAKEOVER);
        let input = from_peer(role, &agreement, &texts);
        let mut buffer = Vec::with_capacity(64 * KIB);
        let mut measure = || {
            let mut connection = connection(role, &agreement);
            let (sending, ()) = held_by(|| send(&mut connection, &texts[0], &mut buffer));
            let mut input = input.clone();
            let (receiving, _) = held_by(|| {
                receive_all(&mut connection, &mut input);
                connection.release_buffers();
            });
            // Without the windows.
            (sending - texts[0].len(), receiving - 4 * KIB)
        };
        for _ in 0..8 {
            measure();
        }
        let (sending, receiving) = measure();
        println!("{states:?}, {bits} bits: {sending} octets to send, {receiving} octets to receive");
        assert!(sending.abs_diff(sends * KIB) <= sends * KIB / 50, "{sending}");
        assert!(receiving.abs_diff(receives * KIB) <= receives * KIB / 50, "{receiving}");
    }
}

#[test]
fn an_unfinished_message_holds_little_or_a_state_and_a_dropped_one_nothing() {
    for role in wire::ROLES {
        let agreement = agreement(DeflateConfig::default(), role, TAKEOVER, TAKEOVER);
        // Noise of few octets compresses a little.
        let mut random = corpus::Random::new(1);
        let noise: String = (0..40_000).map(|_| char::from(b'a' + random.below(16) as u8)).collect();
        let octets = from_peer(role, &agreement, std::slice::from_ref(&noise));
        let begin = &octets[..if role == Role::Server { 14 } else { 10 } + 16 * KIB];
        let mut warm = connection(role, &agreement);
        receive_all(&mut warm, &mut octets.clone());
        drop(warm);

        for piece_len in [1, 100, 1000, 3001, 4000] {
            // What is held at the end, and nothing once it is dropped.
            let held_after = |len: usize| {
                let (left, held) = held_by(|| {
                    let (held, connection) = held_by(|| {
                        let mut connection = connection(role, &agreement);
                        let mut input = Vec::new();
                        for piece in begin[..len].chunks(piece_len) {
                            input.extend_from_slice(piece);
                            let received = connection.receive(&mut input).unwrap();
                            input.drain(..received.consumed);
                        }
                        drop(input);
                        connection.release_buffers();
                        connection
                    });
                    drop(connection);
                    held
                });
                assert_eq!(left, 0, "nothing is held by a connection that was dropped");
                held
            };
            let (begun, before, after) =
                (held_after(14), held_after(14 + 4 * KIB - 10), held_after(begin.len()));
            if piece_len == 1000 {
                println!(
                    "{role:?}, of an unfinished message: {begun} octets held at its begin, {before} for less than 4 KiB \
                     of it, {after} for 16 KiB, which are {} KiB decompressed",
                    32
                );
            }
            assert!(before <= begun + 4 * KIB, "{before} octets, pieces of {piece_len}");
            assert!(after <= begun + (48 + 64 + 1) * KIB, "{after} octets, pieces of {piece_len}");
        }
    }
}

/// 1.5 MB that become 1.5 GB: blocks of zeros that do not depend on each other.
fn bomb() -> Vec<u8> {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(9, -15, 0));
    let mut block = Vec::new();
    compress_to_output(&mut compressor, &vec![0; 1 << 20], TDEFLFlush::Full, |octets| {
        block.extend_from_slice(octets);
        true
    });
    block.repeat(1500)
}

// 7692-7.2.2-9 CM-65
#[test]
fn a_message_that_inflates_past_the_limit_is_refused_within_it() {
    let bomb = bomb();
    assert!((1_300_000..1_700_000).contains(&bomb.len()), "{}", bomb.len());
    let limit = Limits::default().message_len();
    for role in wire::ROLES {
        let one_frame = wire::from_peer_of(role, &frame(0xc2, &bomb));
        let fragments = fragmented(role, &bomb);
        for (how, octets, piece_len) in [
            ("in one frame", &one_frame, usize::MAX),
            ("in one frame, dripped", &one_frame, 700),
            ("in fragments", &fragments, usize::MAX),
            ("in fragments, dripped", &fragments, 700),
        ] {
            let agreement =
                agreement(DeflateConfig::default(), role, Direction::UNLIMITED, Direction::UNLIMITED);
            let mut connection = connection(role, &agreement);
            let mut octets = octets.clone();
            let begun = Instant::now();
            let (peak, failure) = peak_of(|| {
                let (mut at, mut end) = (0, 0_usize);
                loop {
                    end = octets.len().min(end.saturating_add(piece_len));
                    match connection.receive(&mut octets[at..end]) {
                        Ok(received) => {
                            assert!(received.event.is_none() && end < octets.len());
                            at += received.consumed;
                        }
                        Err(failure) => break failure,
                    }
                }
            });
            let took = begun.elapsed();
            println!(
                "{role:?}, {how}: {} octets above the limit at the peak, {} while growing, {took:?}",
                peak.grown.saturating_sub(limit),
                peak.transient.saturating_sub(limit),
            );
            assert_eq!(failure, Failure::Protocol(ProtocolError::MessageTooBig));
            assert!(peak.grown <= limit + 32 * KIB + 128 * KIB, "{peak:?}");
            assert!(took < Duration::from_secs(1), "{took:?}");
            let mut written = Vec::new();
            write(&mut connection, |octets| written.extend_from_slice(octets));
            let frames = wire::frames(&written);
            assert_eq!(frames[0].payload[..2], u16::from(CloseCode::MESSAGE_TOO_BIG).to_be_bytes());
        }
    }
}

fn fragmented(role: Role, payload: &[u8]) -> Vec<u8> {
    let pieces = payload.chunks(0x1_0000);
    let last = pieces.len() - 1;
    pieces
        .enumerate()
        .flat_map(|(number, piece)| {
            let first = if number == 0 { 0x42 } else { 0 } | if number == last { 0x80 } else { 0 };
            wire::from_peer_of(role, &frame(first, piece))
        })
        .collect()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u64).to_be_bytes();
    match payload.len() {
        0..=125 => [&[first, len[7]], payload].concat(),
        126..=0xffff => [&[first, 126], &len[6..], payload].concat(),
        _ => [&[first, 127], &len[..], payload].concat(),
    }
}
