//! Messages and settings of any kind, from this crate to itself and to another DEFLATE library: RFC 7692 §7.2.
//!
//! Several connections take turns on one thread, so that they take the pooled states from each other.
#![no_main]

#[path = "../../tests/support/inflate_model.rs"]
mod inflate_model;
#[path = "../../tests/support/wire.rs"]
mod wire;

use inflate_model::{Model, Ring};
use libfuzzer_sys::fuzz_target;
use sansocket::connection::{Connection, Event, Fin, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::{Config, Role};

fuzz_target!(|octets: &[u8]| {
    let Some((options, mut rest)) = Options::parse(octets) else { return };
    let mut lanes: [Option<Lane>; LANES] = Default::default();
    while let Some((message, behind)) = Message::parse(rest) {
        rest = behind;
        lanes[message.lane].get_or_insert_with(|| Lane::new(&options)).pass(&message, &options);
    }
});

struct Options {
    role: Role,
    config: DeflateConfig,
    direction: Direction,
    fragment_len: Option<usize>,
    piece_len: usize,
}

struct Message {
    lane: usize,
    is_text: bool,
    compression: Compression,
    /// Into how many pieces the application cuts it; none if it sends it whole.
    fragments: usize,
    payload: Vec<u8>,
}

/// A connection: both ends, and the model of a receiver.
struct Lane {
    sender: Connection,
    receiver: Connection,
    unread: Vec<u8>,
    model: Model,
    ring: Ring,
}

impl Options {
    fn parse(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (&[flags, levels, windows, threshold, fragment, piece], rest) = octets.split_first_chunk()?;
        let config = DeflateConfig::default()
            .level(levels & 15)
            .memory_level(levels >> 4)
            .send_window_bits(8 + (windows & 7))
            .send_context_takeover(flags & 2 == 0)
            .threshold(usize::from(threshold))
            .states(if flags & 4 == 0 { States::Pooled } else { States::Dedicated });
        let direction =
            Direction { max_window_bits: 8 + (windows >> 3 & 7), context_takeover: flags & 8 == 0 };
        let options = Self {
            role: if flags & 1 == 0 { Role::Server } else { Role::Client },
            config,
            direction,
            fragment_len: (fragment > 0).then_some(usize::from(fragment)),
            piece_len: 1 + (usize::from(piece) << (flags >> 5)),
        };
        Some((options, rest))
    }

    fn connection(&self, role: Role) -> Connection {
        let agreement = Agreement::new(self.config).with_server(self.direction).with_client(self.direction);
        let config = Config::default().fragment_len(self.fragment_len);
        match role {
            Role::Server => Connection::server(&config),
            Role::Client => Connection::client(&config, wire::fixed_key()),
        }
        .with_deflate(&agreement)
    }
}

impl Message {
    fn parse(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (&[how, times, high, low], rest) = octets.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (pattern, rest) = rest.split_at(len);
        let is_text = how & 8 == 0;
        let mut payload = match times & 0x30 {
            // What does not become smaller, and more of it than is compressed before that is asked.
            0x10 => noise(pattern, pattern.len() << (times & 15)),
            _ => pattern.repeat(1 + usize::from(times & 15)),
        };
        payload.truncate(MAX_LEN);
        if is_text {
            payload.iter_mut().for_each(|octet| *octet &= 0x7f);
        }
        let message = Self {
            lane: usize::from(how & 7) % LANES,
            is_text,
            compression: match how >> 4 & 3 {
                0 => Compression::Never,
                1 => Compression::Auto,
                _ => Compression::Always,
            },
            fragments: usize::from(how >> 6) * usize::from(1 + (times >> 6)),
            payload,
        };
        Some((message, rest))
    }

    fn outgoing<'a>(&self, payload: &'a [u8]) -> OutgoingMessage<'a> {
        let message = match self.is_text {
            true => OutgoingMessage::from(std::str::from_utf8(payload).expect("it is ASCII")),
            false => OutgoingMessage::from(payload),
        };
        message.compression(self.compression)
    }
}

impl Lane {
    fn new(options: &Options) -> Self {
        let Direction { max_window_bits, context_takeover } = options.direction;
        Self {
            sender: options.connection(options.role),
            receiver: options.connection(options.role.peer()),
            unread: Vec::new(),
            model: Model::new(max_window_bits, context_takeover),
            ring: Ring::new(max_window_bits),
        }
    }

    /// Sends the message, and receives it twice.
    fn pass(&mut self, message: &Message, options: &Options) {
        match message.fragments {
            0 => self.sender.send(message.outgoing(&message.payload)).expect("it may be sent"),
            many => {
                let mut rest = &message.payload[..];
                for left in (0..many).rev() {
                    let (piece, behind) = rest.split_at(rest.len() / (left + 1));
                    rest = behind;
                    let fin = if left == 0 { Fin::Last } else { Fin::More };
                    self.sender.send_fragment(message.outgoing(piece), fin).expect("it may be sent");
                }
            }
        }
        let mut wire = Vec::new();
        loop {
            let mut slices = [&[][..]; 8];
            let filled = self.sender.slices(&mut slices);
            if filled == 0 {
                break;
            }
            let octets = slices[..filled].concat();
            self.sender.advance(octets.len());
            wire.extend(octets);
        }
        self.sender.release_buffers();
        self.compare_with_model(message, options, &wire);
        self.receive(message, options, &wire);
    }

    fn compare_with_model(&mut self, message: &Message, options: &Options, octets: &[u8]) {
        let frames = wire::frames(octets);
        let (first, more) = frames.split_first().expect("a message has a frame");
        assert!(more.iter().all(|frame| frame.rsv == 0 && frame.opcode == 0));
        let payload: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.iter().copied()).collect();
        if first.rsv == 0 {
            assert_eq!(payload, message.payload);
            return;
        }
        assert_eq!(first.rsv, 0b100);
        assert!(message.compression != Compression::Never && options.direction.max_window_bits > 8);
        if message.compression == Compression::Auto && message.fragments == 0 {
            assert!(payload.len() < message.payload.len(), "it was to be smaller");
        }
        let decoded = self.model.receive(&payload, MAX_LEN);
        assert_eq!(decoded.refusal, None, "the model refuses what was sent");
        assert_eq!(decoded.final_blocks, 0);
        assert!(decoded.payload == message.payload, "another message than the model's");
        let seen = self.ring.receive(&payload).expect("no reference goes beyond the window");
        assert!(seen == message.payload, "a reference went beyond the window");
    }

    fn receive(&mut self, message: &Message, options: &Options, octets: &[u8]) {
        let mut delivered = 0;
        for piece in octets.chunks(options.piece_len) {
            self.unread.extend_from_slice(piece);
            loop {
                let received = self.receiver.receive(&mut self.unread).expect("nothing is wrong with it");
                if let Some(located) = received.event {
                    delivered += 1;
                    let (is_text, payload) = match self.receiver.event(located, &self.unread) {
                        Event::Text(text) => (true, text.as_bytes()),
                        Event::Binary(payload) => (false, payload),
                        other => panic!("{other:?}"),
                    };
                    assert_eq!(is_text, message.is_text);
                    assert!(payload == message.payload, "another message than was sent");
                }
                self.unread.drain(..received.consumed);
                if received.event.is_none() {
                    break;
                }
            }
        }
        assert_eq!((delivered, self.unread.len()), (1, 0));
    }
}

/// Octets that hardly repeat.
fn noise(seed: &[u8], len: usize) -> Vec<u8> {
    let mut state =
        seed.iter().fold(1_u64, |state, &octet| state.wrapping_mul(31).wrapping_add(octet.into()));
    let octets = (0..len.min(MAX_LEN)).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    octets.collect()
}

/// More than a thread keeps states for.
const LANES: usize = 6;
const MAX_LEN: usize = 128 << 10;
