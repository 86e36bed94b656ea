//! Compressed messages to and from other DEFLATE libraries, the reference zlib among them: RFC 7692 §7.2.
//!
//! The peer on the reference zlib is `interop/zlib_peer.py`: it needs Python 3 and nothing else.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/inflate_model.rs"]
mod inflate_model;
#[path = "support/wire.rs"]
mod wire;
#[path = "support/zlib_peer.rs"]
mod zlib_peer;

use corpus::Random;
use inflate_model::{Model, Ring};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};
use sansocket::connection::{Connection, Event, Fin, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::{Config, Role};
use zlib_peer::{Settings, Way, ZlibPeer};

/// Payloads of all kinds and lengths: JSON, prose, noise, repetitions, nothing; mostly small, a few up to 1 MiB.
struct Payloads {
    random: Random,
    chat: Vec<Vec<u8>>,
    prose: Vec<Vec<u8>>,
}

/// Text, or not.
struct Payload {
    is_text: bool,
    octets: Vec<u8>,
}

impl Payloads {
    fn new(seed: u64) -> Self {
        let (chat, prose) = (corpus::chat(2000).messages, corpus::prose(100).messages);
        Self { random: Random::new(seed), chat, prose }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    fn next(&mut self) -> Payload {
        let kind = self.below(100);
        match kind {
            0..4 => Payload { is_text: kind < 2, octets: Vec::new() },
            4..60 => Payload { is_text: true, octets: self.chat() },
            60..75 => Payload { is_text: true, octets: self.prose() },
            75..80 => {
                let len = self.below(3000);
                Payload { is_text: false, octets: self.noise(len) }
            }
            80..90 => {
                // Repeated from as far back as the windows reach, and from beyond.
                let len = (1 << (8 + self.below(8))) + self.below(600);
                let mut octets = self.noise(len);
                octets.extend_from_within(..);
                Payload { is_text: false, octets }
            }
            90..98 => {
                let len = self.below(64 << 10);
                Payload { is_text: true, octets: self.mixed(len) }
            }
            _ => {
                let len = if self.below(10) == 0 { self.below(1 << 20) } else { self.below(16 << 10) };
                let mut octets = self.mixed(len);
                octets.extend(self.noise(len / 4));
                Payload { is_text: false, octets }
            }
        }
    }

    fn chat(&mut self) -> Vec<u8> {
        let index = self.below(self.chat.len());
        self.chat[index].clone()
    }

    fn prose(&mut self) -> Vec<u8> {
        let index = self.below(self.prose.len());
        self.prose[index].clone()
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.random.next() as u8).collect()
    }

    fn mixed(&mut self, len: usize) -> Vec<u8> {
        let mut octets = Vec::new();
        while octets.len() < len {
            octets.extend(if self.below(3) == 0 { self.prose() } else { self.chat() });
        }
        octets.truncate(len);
        octets
    }
}

fn connection(role: Role, agreement: &Agreement, fragment_len: Option<usize>) -> Connection {
    let config = Config::default().fragment_len(fragment_len);
    match role {
        Role::Client => Connection::client(&config, wire::fixed_key()),
        Role::Server => Connection::server(&config),
    }
    .with_deflate(agreement)
}

/// One direction as given, the other without limits.
fn agreement(config: DeflateConfig, sender: Role, sent: Direction) -> Agreement {
    match sender {
        Role::Server => Agreement::new(config).with_server(sent),
        Role::Client => Agreement::new(config).with_client(sent),
    }
}

/// Sends the message, whole or in pieces with a Ping between them.
fn sent(connection: &mut Connection, payload: &Payload, compression: Compression, pieces: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = &payload.octets[..];
    for left in (0..pieces).rev() {
        let (piece, behind) = rest.split_at(rest.len() / (left + 1));
        rest = behind;
        let message = match payload.is_text {
            true => OutgoingMessage::from(std::str::from_utf8(piece).expect("the corpora are ASCII")),
            false => OutgoingMessage::from(piece),
        }
        .compression(compression);
        if pieces == 1 {
            connection.send(message).unwrap();
            return written(connection);
        }
        let fin = if left == 0 { Fin::Last } else { Fin::More };
        connection.send_fragment(message, fin).unwrap();
        if left % 2 == 1 && !connection.is_full() {
            connection.ping(b"between fragments").unwrap();
        }
        octets.extend(written(connection));
    }
    octets
}

fn written(connection: &mut Connection) -> Vec<u8> {
    let mut octets = Vec::with_capacity(connection.queued());
    while connection.queued() > 0 {
        let mut slices = [&[][..]; 8];
        let filled = connection.slices(&mut slices);
        let slices = slices[..filled].concat();
        connection.advance(slices.len());
        octets.extend(slices);
    }
    octets
}

/// What comes out of octets that are offered in pieces.
fn received(connection: &mut Connection, octets: &[u8], piece_len: usize) -> Vec<(bool, Vec<u8>)> {
    let (mut unread, mut messages) = (Vec::new(), Vec::new());
    for piece in octets.chunks(piece_len) {
        unread.extend_from_slice(piece);
        loop {
            let received = connection.receive(&mut unread).expect("the peer does nothing wrong");
            let Some(located) = received.event else {
                unread.drain(..received.consumed);
                break;
            };
            match connection.event(located, &unread) {
                Event::Text(text) => messages.push((true, text.as_bytes().to_vec())),
                Event::Binary(payload) => messages.push((false, payload.to_vec())),
                _ => {}
            }
            unread.drain(..received.consumed);
        }
    }
    assert!(unread.is_empty());
    messages
}

/// One of our ends that sends, and how.
struct Sending {
    connection: Connection,
    window_bits: u8,
}

/// Every window, in both roles, with many settings; the last few without context takeover.
fn sending() -> Vec<(Role, Direction, Sending)> {
    let mut all = Vec::new();
    for number in 0..24_u8 {
        let role = wire::ROLES[usize::from(number % 2)];
        let window_bits = 9 + number / 2 % 7;
        // Either end may ask for the window.
        let (wanted, agreed) = if number % 4 < 2 { (15, window_bits) } else { (window_bits, 15) };
        let config = DeflateConfig::default()
            .level(1 + number % 9)
            .memory_level(1 + (number + 3) % 9)
            .send_window_bits(wanted)
            .states(if number % 8 == 7 { States::Dedicated } else { States::Pooled });
        let direction = Direction { max_window_bits: agreed, context_takeover: number < 20 };
        let fragment_len = (number % 3 == 2).then_some(1 + 97 * usize::from(number));
        let connection = connection(role, &agreement(config, role, direction), fragment_len);
        all.push((
            role,
            Direction { max_window_bits: window_bits, ..direction },
            Sending { connection, window_bits },
        ));
    }
    all
}

/// Sends messages over all connections, so many of them with context takeover, in turns of one or a few each, so that pooled states are continued, and
/// taken from each other. Gives each message's frames to `peer`.
fn send_mixed(count: usize, mut peer: impl FnMut(usize, &Payload, &[u8])) {
    let mut payloads = Payloads::new(7692);
    let mut ends = sending();
    let mut index = 0;
    let mut compressed = vec![0; ends.len()];
    let mut with_takeover = 0;
    while with_takeover < count {
        if payloads.below(3) > 0 {
            index = payloads.below(ends.len());
        }
        let payload = payloads.next();
        let compression = match payloads.below(10) {
            0 => Compression::Never,
            1..=4 => Compression::Auto,
            _ => Compression::Always,
        };
        let pieces = if payloads.below(4) == 0 { 1 + payloads.below(5) } else { 1 };
        let connection = &mut ends[index].2.connection;
        let octets = sent(connection, &payload, compression, pieces);
        with_takeover += usize::from(ends[index].1.context_takeover);
        compressed[index] += usize::from(octets[0] & 0x40 != 0);
        peer(index, &payload, &octets);
    }
    for (end, compressed) in ends.iter().zip(compressed) {
        assert!(compressed > count / 50, "only {compressed} were compressed with {} bits", end.2.window_bits);
    }
}

// 7692-6.1-1 7692-6.1-2 7692-6.2-1 7692-7.2.1-2 7692-7.2.1-3 7692-7.2.1-4 7692-7.2.1-7 7692-7.2.1-9 7692-7.2.1-10
// 7692-7.2.1-13 7692-7.1.2.2-10
#[test]
fn zlib_decodes_everything_that_is_sent() {
    let mut peer = ZlibPeer::start();
    let ends = sending();
    for (index, (role, direction, _)) in ends.iter().enumerate() {
        peer.open(index, &Settings { role: role.peer(), receives: *direction, ..Settings::default() });
    }
    let mut messages = 0;
    send_mixed(10_000, |index, payload, octets| {
        let opcode = if payload.is_text { 1 } else { 2 };
        let decoded = peer.receive(index, octets);
        assert!(decoded == [(opcode, payload.octets.clone())], "message {messages}, connection {index}");
        messages += 1;
    });
}

// 7692-7.2.1-9 7692-7.2.1-10
#[test]
fn miniz_decodes_everything_that_is_sent() {
    let ends = sending();
    let mut models: Vec<_> = ends
        .iter()
        .map(|(_, direction, _)| {
            let Direction { max_window_bits, context_takeover } = *direction;
            (Model::new(max_window_bits, context_takeover), Ring::new(max_window_bits))
        })
        .collect();
    send_mixed(10_000, |index, payload, octets| {
        let frames = wire::frames(octets);
        let data: Vec<_> = frames.iter().filter(|frame| frame.opcode < 8).collect();
        let octets: Vec<u8> = data.iter().flat_map(|frame| frame.payload.iter().copied()).collect();
        if data[0].rsv == 0 {
            assert!(octets == payload.octets);
            return;
        }
        let (model, ring) = &mut models[index];
        let decoded = model.receive(&octets, 2 << 20);
        assert_eq!(decoded.refusal, None);
        assert!(decoded.payload == payload.octets);
        assert!(ring.receive(&octets).as_ref() == Some(&payload.octets), "a reference beyond the window");
    });
}

// 7692-6-8 7692-6.2-1 7692-6.2-2 7692-7.2.1-5 7692-7.2.1-6 7692-7.2.2-1 7692-7.2.2-2 7692-7.2.2-3 7692-7.2.2-5
#[test]
fn everything_that_zlib_sends_is_decoded() {
    const STRATEGIES: [&str; 5] = ["Z_DEFAULT_STRATEGY", "Z_FILTERED", "Z_HUFFMAN_ONLY", "Z_RLE", "Z_FIXED"];
    let mut peer = ZlibPeer::start();
    let mut payloads = Payloads::new(1951);
    let mut ends = Vec::new();
    // Coprime, so that all combinations of two come up.
    for number in 0..90_u8 {
        let role = wire::ROLES[usize::from(number % 2)];
        let direction = Direction { max_window_bits: 9 + number % 7, context_takeover: number % 11 != 10 };
        let level = number / 2 % 10;
        let strategy = if number % 3 == 0 { STRATEGIES[usize::from(number / 3 % 5)] } else { STRATEGIES[0] };
        peer.open(
            number.into(),
            &Settings {
                role: role.peer(),
                sends: direction,
                level,
                memory_level: 1 + number % 9,
                strategy,
                ..Settings::default()
            },
        );
        let states = if number % 8 == 7 { States::Dedicated } else { States::Pooled };
        let config = DeflateConfig::default().states(states);
        ends.push(connection(role, &agreement(config, role.peer(), direction), None));
    }
    let mut index = 0;
    for number in 0..10_000 {
        if payloads.below(3) > 0 {
            index = payloads.below(ends.len());
        }
        let payload = payloads.next();
        let way = Way::ALL[payloads.below(Way::ALL.len())];
        let opcode = if payload.is_text { 1 } else { 2 };
        let octets = peer.send(index, way, opcode, number, &payload.octets);
        let piece_len = match payloads.below(4) {
            0 if octets.len() < 2000 => 1,
            1 => 1 + payloads.below(octets.len()),
            _ => octets.len(),
        };
        let messages = received(&mut ends[index], &octets, piece_len);
        assert!(
            messages == [(payload.is_text, payload.octets)],
            "message {number} by {way:?}, connection {index}"
        );
        if payloads.below(5) == 0 {
            ends[index].release_buffers();
        }
        // Pongs.
        written(&mut ends[index]);
    }
}

/// To how many octets JSON is compressed by a number of connections that take turns on one thread.
fn compressed_len(states: States, takeover: bool) -> usize {
    let config = DeflateConfig::default().states(states).send_context_takeover(takeover);
    let agreement = Agreement::new(config);
    let mut ends: Vec<_> = (0..RATIO_LANES).map(|_| connection(Role::Server, &agreement, None)).collect();
    let mut len = 0;
    for (number, octets) in corpus::chat(RATIO_MESSAGES).messages.into_iter().enumerate() {
        let payload = Payload { is_text: true, octets };
        let frames = wire::frames(&sent(&mut ends[number % RATIO_LANES], &payload, Compression::Always, 1));
        len += frames[0].payload.len();
    }
    len
}

/// More than a thread keeps states for: each message is compressed by one that had to be primed.
const RATIO_LANES: usize = 8;
const RATIO_MESSAGES: usize = 4000;

#[test]
fn pooled_states_compress_as_well_as_states_of_their_own() {
    let plain = corpus::chat(RATIO_MESSAGES).octets();
    let pooled = compressed_len(States::Pooled, true);
    let dedicated = compressed_len(States::Dedicated, true);
    let alone = compressed_len(States::Pooled, false);
    let mut peer = ZlibPeer::start();
    // Our defaults.
    let sends = Direction { max_window_bits: 12, context_takeover: true };
    let settings = Settings { role: Role::Server, sends, level: 6, memory_level: 6, ..Settings::default() };
    (0..RATIO_LANES).for_each(|lane| peer.open(lane, &settings));
    let mut zlib = 0;
    for (number, octets) in corpus::chat(RATIO_MESSAGES).messages.iter().enumerate() {
        let frames = wire::frames(&peer.send(number % RATIO_LANES, Way::Sync, 1, 0, octets));
        zlib +=
            frames.iter().filter(|frame| frame.opcode < 8).map(|frame| frame.payload.len()).sum::<usize>();
    }
    let ratio = |len: usize| plain as f64 / len as f64;
    println!(
        "JSON of {} octets: pooled {:.3}, dedicated {:.3}, the reference zlib {:.3}, no context takeover {:.3}",
        plain / RATIO_MESSAGES,
        ratio(pooled),
        ratio(dedicated),
        ratio(zlib),
        ratio(alone)
    );
    assert!(pooled * 100 <= dedicated * 103, "{pooled} octets pooled, {dedicated} dedicated");
    assert!(pooled * 100 <= zlib * 103, "{pooled} octets pooled, {zlib} by zlib");
    assert!(pooled * 3 < alone * 2, "taking the context over is worth its memory");
}

// 7692-7.2.2-2 7692-7.2.2-3
#[test]
fn everything_that_miniz_sends_is_decoded() {
    let mut payloads = Payloads::new(1950);
    for role in wire::ROLES {
        for level in 0..10 {
            let mut end = connection(
                role,
                &agreement(DeflateConfig::default(), role.peer(), Direction::UNLIMITED),
                None,
            );
            // A negative window means raw DEFLATE.
            let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, 0));
            for _ in 0..50 {
                let payload = payloads.next();
                let mut compressed = Vec::new();
                let (status, _) =
                    compress_to_output(&mut compressor, &payload.octets, TDEFLFlush::Sync, |octets| {
                        compressed.extend_from_slice(octets);
                        true
                    });
                assert_eq!(status, TDEFLStatus::Okay);
                if payload.octets.is_empty() {
                    compressed = vec![0];
                } else {
                    assert!(compressed.ends_with(&[0, 0, 0xff, 0xff]));
                    compressed.truncate(compressed.len() - 4);
                }
                let first = if payload.is_text { 0xc1 } else { 0xc2 };
                let octets = wire::from_peer_of(role, &frame(first, &compressed));
                let messages = received(&mut end, &octets, octets.len());
                assert!(messages == [(payload.is_text, payload.octets)], "level {level}");
            }
        }
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u64).to_be_bytes();
    match payload.len() {
        0..=125 => [&[first, len[7]], payload].concat(),
        126..=0xffff => [&[first, 126], &len[6..], payload].concat(),
        _ => [&[first, 127], &len[..], payload].concat(),
    }
}
