//! RFC 7692 §7.2: whatever is sent arrives, and whatever arrives is judged as the RFC has it, however it is cut.
#![cfg(feature = "deflate")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use sansocket::connection::{Connection, Fin, Fragment, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::{Config, Limits, ProtocolError, Role};
use support::deflate::{
    Blocks, OtherEncoder, compressed, deflating, every_split_deflated, fragments, inflated_by_other, letters,
    random, with_takeover,
};
use support::raw_deflate::{BlockWriter, Symbol, message};
use support::{Event, drain, server_frame, wire_frames};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() }
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

#[derive(Debug, Clone, Copy)]
enum Data {
    Repetitive,
    Text,
    Random,
}

/// A message to be sent by one of the connections.
#[derive(Debug, Clone)]
struct Sent {
    connection: usize,
    from_client: bool,
    data: Data,
    seed: u64,
    len: usize,
    as_text: bool,
    compression: Compression,
    /// How many pieces it is sent in by the application; zero for a whole message.
    pieces: usize,
}

impl Sent {
    fn octets(&self) -> Vec<u8> {
        match self.data {
            Data::Repetitive => {
                let unit = format!("{{\"id\":{},\"kind\":\"tick\"}}", self.seed % 7);
                unit.bytes().cycle().take(self.len).collect()
            }
            Data::Text => letters(self.seed % 5, self.len).into_bytes(),
            Data::Random if self.as_text => {
                random(self.seed, self.len).iter().map(|octet| octet & 0x7f).collect()
            }
            Data::Random => random(self.seed, self.len),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = proptest::sample::select(vec![Data::Repetitive, Data::Text, Data::Random]);
    let len = prop_oneof![60 => 0..600_usize, 8 => 600..9000_usize, 2 => 9000..(200_usize << 10)];
    let compression = proptest::sample::select(vec![
        Compression::Auto,
        Compression::Auto,
        Compression::Always,
        Compression::Never,
    ]);
    let pieces = prop_oneof![4 => Just(0_usize), 1 => 1..5_usize];
    (0..6_usize, any::<bool>(), data, any::<u64>(), len, any::<bool>(), compression, pieces).prop_map(
        |(connection, from_client, data, seed, len, as_text, compression, pieces)| Sent {
            connection,
            from_client,
            data,
            seed,
            len,
            as_text,
            compression,
            pieces,
        },
    )
}

/// What one connection has agreed on, and how both its ends send.
#[derive(Debug, Clone, Copy)]
struct Options {
    deflate: DeflateConfig,
    /// What both ends want of their own window.
    window_bits: u8,
    server: Direction,
    client: Direction,
    fragment_len: Option<usize>,
}

fn options() -> impl Strategy<Value = Options> {
    let direction = (9..=15_u8, any::<bool>())
        .prop_map(|(max_window_bits, context_takeover)| Direction { max_window_bits, context_takeover });
    let deflate = (1..=9_u8, 1..=9_u8, 9..=15_u8, any::<bool>(), 0..200_usize).prop_map(
        |(level, memory_level, bits, dedicated, threshold)| {
            let deflate = DeflateConfig::default()
                .level(level)
                .memory_level(memory_level)
                .send_window_bits(bits)
                .states(if dedicated { States::Dedicated } else { States::Pooled })
                .threshold(threshold);
            (deflate, bits)
        },
    );
    let fragment_len = proptest::option::of(prop_oneof![1..50_usize, 1000..70_000_usize]);
    (deflate, direction.clone(), direction, fragment_len).prop_map(
        |((deflate, window_bits), server, client, fragment_len)| Options {
            deflate,
            window_bits,
            server,
            client,
            fragment_len,
        },
    )
}

/// One direction: the end that sends, the end that receives, and what an independent decoder knows.
struct Pair {
    client: Connection,
    server: Connection,
    options: Options,
    /// What the client and the server sent compressed, as far back as any window reaches.
    before: [Vec<u8>; 2],
}

impl Pair {
    fn new(options: Options) -> Self {
        let agreement =
            Agreement::new(options.deflate).with_server(options.server).with_client(options.client);
        let config = Config::default().fragment_len(options.fragment_len).high_water_mark(1 << 24);
        Self {
            client: deflating(Role::Client, &config, &agreement),
            server: deflating(Role::Server, &config, &agreement),
            options,
            before: [Vec::new(), Vec::new()],
        }
    }

    fn pass(&mut self, sent: &Sent) {
        let octets = sent.octets();
        let (sender, receiver, direction) = match sent.from_client {
            true => (&mut self.client, &mut self.server, self.options.client),
            false => (&mut self.server, &mut self.client, self.options.server),
        };
        let piece = |octets| -> OutgoingMessage<'_> {
            let fragment = match sent.as_text {
                true => Fragment::Text(std::str::from_utf8(octets).expect("it is ASCII")),
                false => Fragment::Binary(octets),
            };
            OutgoingMessage::from(fragment).compression(sent.compression)
        };
        match sent.pieces {
            0 => sender.send(piece(&octets)).expect("it may be sent"),
            pieces => {
                let len = octets.len() / pieces;
                let (last, others) = (&octets[len * (pieces - 1)..], &octets[..len * (pieces - 1)]);
                for number in 1..pieces {
                    sender
                        .send_fragment(piece(&others[len * (number - 1)..len * number]), Fin::More)
                        .expect("open");
                }
                sender.send_fragment(piece(last), Fin::Last).expect("it may be sent");
            }
        }
        let mut wire = drain(sender);

        // An independent decoder.
        let frames = wire_frames(sender.role(), &wire);
        let payload: Vec<u8> = frames
            .iter()
            .flat_map(|frame| {
                frame[if frame[1] < 126 {
                    2
                } else if frame[1] == 126 {
                    4
                } else {
                    10
                }..]
                    .to_vec()
            })
            .collect();
        assert!(frames[1..].iter().all(|frame| frame[0] & 0x70 == 0), "only the first frame has RSV1");
        let is_compressed = frames[0][0] & 0x40 != 0;
        assert!(sent.compression != Compression::Never || !is_compressed);
        assert!(sent.compression != Compression::Always || is_compressed || octets.is_empty());
        if is_compressed {
            let before = &mut self.before[usize::from(sent.from_client)];
            let inflated = message(&payload, before).expect("it is a message");
            assert_eq!(inflated.octets, octets);
            assert_eq!(inflated_by_other(&payload, before), octets);
            let bits = direction.max_window_bits.min(self.options.window_bits);
            assert!(inflated.farthest <= 1 << bits, "{} octets at {bits} bits", inflated.farthest);
            if direction.context_takeover {
                before.extend(&octets);
                before.drain(..before.len().saturating_sub(32 << 10));
            }
        } else {
            assert_eq!(payload, octets);
        }

        // The other end, which gets it in pieces of another size.
        let mut got = None;
        let mut unread = Vec::new();
        for piece in wire.chunks_mut(1 + (sent.seed % 70_000) as usize) {
            unread.extend_from_slice(piece);
            loop {
                let received = receiver.receive(&mut unread).expect("it is right");
                if let Some(located) = received.event {
                    assert!(got.is_none());
                    got = Some(Event::from(receiver.event(located, &unread)));
                }
                unread.drain(..received.consumed);
                if received.event.is_none() {
                    break;
                }
            }
        }
        let expected = match sent.as_text {
            true => Event::text(std::str::from_utf8(&octets).expect("it is ASCII")),
            false => Event::binary(octets),
        };
        assert!(got == Some(expected), "what arrives is not what was sent");
    }
}

proptest! {
    #![proptest_config(cases(150))]

    // Six connections on one thread take their states from each other all the time.
    // 7692-6.1-1 7692-6.2-1 7692-7.2.1-9 7692-7.2.1-10 7692-7.2.1-11 7692-7.2.1-12 7692-7.2.2-2 7692-7.2.2-3
    #[test]
    fn both_receive_what_both_send_whatever_was_agreed(
        options in vec(options(), 6),
        messages in vec(sent(), 1..50),
    ) {
        let mut pairs: Vec<Pair> = options.into_iter().map(Pair::new).collect();
        for message in &messages {
            pairs[message.connection].pass(message);
        }
    }

    // Connections that share their settings share their states too.
    // 7692-7.2.2-2 7692-7.2.2-3 7692-7.2.1-13 7692-7.2.1-14
    #[test]
    fn both_receive_what_both_send_on_connections_that_are_alike(
        options in options(),
        messages in vec(sent(), 1..60),
    ) {
        let mut pairs: Vec<Pair> = (0..6).map(|_| Pair::new(options)).collect();
        for message in &messages {
            pairs[message.connection].pass(message);
        }
    }
}

/// Payloads that are right, or nearly, or anything at all.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let symbol = prop_oneof![
        3 => any::<u8>().prop_map(Symbol::Literal),
        1 => (3..=10_u32, 1..300_u32).prop_map(|(len, distance)| Symbol::Reference { len, distance }),
    ];
    let block = (any::<bool>(), vec(symbol, 0..12));
    let blocks = (vec(block, 1..4), any::<bool>()).prop_map(|(blocks, flushed)| {
        let mut writer = BlockWriter::default();
        for (last, symbols) in &blocks {
            writer.fixed(*last, symbols);
            if *last {
                writer.align();
            }
        }
        if flushed {
            writer.flush();
        }
        writer.octets()
    });
    let other = (
        any::<u64>(),
        1..200_usize,
        proptest::sample::select(vec![Blocks::Best, Blocks::Fixed, Blocks::Stored]),
    )
        .prop_map(|(seed, len, blocks)| compressed(blocks, letters(seed, len).as_bytes()));
    let changed = (other.clone(), vec((any::<prop::sample::Index>(), 0..8_u8), 1..3)).prop_map(
        |(mut payload, changes)| {
            for (at, bit) in changes {
                let at = at.index(payload.len());
                payload[at] ^= 1 << bit;
            }
            payload
        },
    );
    let cut = (other, any::<prop::sample::Index>()).prop_map(|(mut payload, at)| {
        payload.truncate(at.index(payload.len() + 1));
        payload
    });
    prop_oneof![vec(any::<u8>(), 0..40), blocks, changed, cut]
}

/// The same as the oracle says, with what the peer had sent before.
fn judged(
    role: Role,
    agreement: &Agreement,
    limit: usize,
    before: &[u8],
    frames: &[Vec<u8>],
    payload: &[u8],
) {
    let config = Config::default().limits(Limits::default().max_message_len(limit).max_frame_len(1 << 20));
    let first = server_frame(0xc2, &compressed(Blocks::Stored, before));
    let received = every_split_deflated(role, &config, agreement, &[&[first], frames].concat());
    match message(payload, before) {
        Some(inflated) if inflated.octets.len() <= limit => {
            assert_eq!(received.events, [Event::binary(before), Event::binary(inflated.octets)]);
            assert_eq!(received.failure, None);
        }
        whole => {
            assert_eq!(received.events, [Event::binary(before)]);
            let failure = received.failure.expect("it is no message");
            let too_big = failure == ProtocolError::MessageTooBig.into();
            assert!(too_big || whole.is_none() && failure == ProtocolError::InvalidCompressedData.into());
        }
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    // 7692-7.2.2-1 7692-7.2.2-5 7692-7.2.2-6 7692-7.2.2-7 7692-7.2.2-9 6455-6.2-1
    #[test]
    fn both_receive_any_payload_and_judge_it_alike_at_every_split(
        role in role(),
        agreement in proptest::sample::select(with_takeover().to_vec()),
        payload in payload(),
        cut in any::<prop::sample::Index>(),
        limit in prop_oneof![2 => Just(1 << 20), 1 => 100..300_usize],
    ) {
        let frames = fragments(0xc2, &payload, &[cut.index(payload.len() + 1)]);
        judged(role, &agreement, limit, letters(0, 100).as_bytes(), &frames, &payload);
    }
}

// The oracle is only as good as what it agrees with.
#[test]
fn the_oracle_reads_what_another_encoder_writes() {
    for blocks in [Blocks::Stored, Blocks::Fixed, Blocks::Best] {
        let mut encoder = OtherEncoder::new(blocks);
        let mut before = Vec::new();
        for (seed, len) in [(1, 10), (2, 1000), (1, 5000), (3, 70_000), (2, 1000), (4, 0), (1, 5000)] {
            for octets in [letters(seed, len).into_bytes(), random(seed, len), vec![b'x'; len]] {
                let payload = encoder.message(&octets);
                let inflated = message(&payload, &before).expect("it is a message");
                assert_eq!(inflated.octets, octets);
                assert!(inflated.farthest <= 32 << 10);
                assert_eq!(inflated_by_other(&payload, &before), octets);
                before.extend(octets);
            }
        }
    }
    assert_eq!(message(&[0xf2, 0x00, 0x11, 0x00, 0x00], b"Hello").map(|inflated| inflated.farthest), Some(5));
}
