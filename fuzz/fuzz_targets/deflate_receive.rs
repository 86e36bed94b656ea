//! Any octets as compressed messages: RFC 7692 §7.2.2.
//!
//! Nothing panics, no more than the limit is delivered or held, the result does not depend on how the input is cut, and
//! another DEFLATE library says the same. Where it need not is listed in README.md.
#![no_main]

mod code_sets;

#[path = "../../tests/support/allocations.rs"]
mod allocations;
#[allow(dead_code, reason = "a part is used")]
#[path = "../../tests/support/frames.rs"]
mod frames;
#[path = "../../tests/support/inflate_model.rs"]
mod inflate_model;

use std::str;

use inflate_model::{Decoded, Model, Refusal};
use libfuzzer_sys::fuzz_target;
use sansocket::connection::{Connection, Event, KeySource};
use sansocket::deflate::{Agreement, DeflateConfig, Direction, States};
use sansocket::frame::MaskingKey;
use sansocket::{Config, Failure, Limits, ProtocolError, Role};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

fuzz_target!(|octets: &[u8]| {
    let Some((options, messages)) = parse(octets) else { return };
    let wire: Vec<u8> = messages.iter().flat_map(|message| options.wire(message)).collect();

    let (peak, whole) = allocations::peak_of(|| options.receive(&wire, usize::MAX));
    let delivered: usize = whole.messages.iter().map(Vec::len).sum();
    // While the message grows, its old place and its new one are there.
    let allowed = 2 * options.max_len + wire.len() + 2 * delivered + OVERHEAD;
    assert!(peak <= allowed, "{peak} octets held, {allowed} allowed");
    assert!(whole.messages.iter().all(|message| message.len() <= options.max_len));

    assert_eq!(
        whole,
        options.receive(&wire, options.piece_len),
        "the result depends on how the input is cut"
    );
    options.compare_with_model(&messages, &whole);
});

struct Options {
    role: Role,
    direction: Direction,
    states: States,
    max_len: usize,
    piece_len: usize,
    fragment_len: usize,
}

struct Message {
    kind: Kind,
    payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Binary,
    Text,
    Uncompressed,
}

/// What a connection made of its input.
#[derive(Debug, PartialEq)]
struct Transcript {
    messages: Vec<Vec<u8>>,
    failure: Option<Failure>,
}

fn parse(octets: &[u8]) -> Option<(Options, Vec<Message>)> {
    let (&[flags, limit, piece, fragment], mut rest) = octets.split_first_chunk()?;
    let options = Options {
        role: if flags & 1 == 0 { Role::Server } else { Role::Client },
        direction: Direction { max_window_bits: 8 + (flags >> 3 & 7), context_takeover: flags & 2 == 0 },
        states: if flags & 4 == 0 { States::Pooled } else { States::Dedicated },
        max_len: LIMITS[usize::from(limit) % LIMITS.len()],
        piece_len: usize::from(piece) + 1,
        fragment_len: if fragment == 0 { usize::MAX } else { usize::from(fragment) },
    };
    let mut messages = Vec::new();
    while let Some((&[kind, high, low], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (payload, behind) = behind.split_at(len);
        rest = behind;
        let payload = if kind & 4 == 0 { payload.to_vec() } else { made(kind, payload) };
        let kind = match kind & 3 {
            0 => Kind::Text,
            1 => Kind::Uncompressed,
            _ => Kind::Binary,
        };
        messages.push(Message { kind, payload });
    }
    Some((options, messages))
}

/// A message that really is compressed, or was until one octet of it was changed.
fn made(kind: u8, plain: &[u8]) -> Vec<u8> {
    let (change, plain) = plain.split_at(plain.len().min(3));
    let repeated = plain.repeat(1 << (kind >> 5));
    let mut compressed = miniz_oxide::deflate::compress_to_vec(&repeated, kind >> 3 & 3);
    if let &[high, low, octet] = change {
        let at = usize::from(u16::from_be_bytes([high, low])) % compressed.len();
        compressed[at] ^= octet;
    }
    compressed.push(0);
    compressed
}

impl Options {
    fn wire(&self, message: &Message) -> Vec<u8> {
        let mut first = match message.kind {
            Kind::Binary => 0x42,
            Kind::Text => 0x41,
            Kind::Uncompressed => 0x02,
        };
        let mut wire = Vec::new();
        let mut rest = &message.payload[..];
        loop {
            let (fragment, behind) = rest.split_at(rest.len().min(self.fragment_len));
            rest = behind;
            let fin = if rest.is_empty() { 0x80 } else { 0 };
            wire.extend(frames::from_peer(self.role, &frames::server_frame(first | fin, fragment)));
            if fin != 0 {
                return wire;
            }
            wire.extend(frames::from_peer(self.role, &frames::server_frame(0x89, b"p")));
            first = 0;
        }
    }

    fn receive(&self, wire: &[u8], piece_len: usize) -> Transcript {
        let mut connection = self.connection();
        let (mut input, mut messages) = (Vec::new(), Vec::new());
        for piece in wire.chunks(piece_len.min(wire.len()).max(1)) {
            input.extend_from_slice(piece);
            loop {
                let received = match connection.receive(&mut input) {
                    Ok(received) => received,
                    Err(failure) => return Transcript { messages, failure: Some(failure) },
                };
                let Some(located) = received.event else {
                    input.drain(..received.consumed);
                    break;
                };
                match connection.event(located, &input) {
                    Event::Text(text) => messages.push(text.as_bytes().to_vec()),
                    Event::Binary(payload) => messages.push(payload.to_vec()),
                    _ => {}
                }
                input.drain(..received.consumed);
            }
            connection.release_buffers();
        }
        Transcript { messages, failure: None }
    }

    fn connection(&self) -> Connection {
        let config = Config::default().limits(Limits::default().max_message_len(self.max_len));
        let agreement = Agreement::new(DeflateConfig::default().states(self.states))
            .with_server(self.direction)
            .with_client(self.direction);
        match self.role {
            Role::Server => Connection::server(&config),
            Role::Client => Connection::client(&config, KeySource::injected(|| MaskingKey::new([0; 4]))),
        }
        .with_deflate(&agreement)
    }

    fn compare_with_model(&self, messages: &[Message], transcript: &Transcript) {
        // 7692-7.1.2-1: zlib takes 8 as 9.
        let mut model = Model::new(self.direction.max_window_bits.max(9), self.direction.context_takeover);
        let mut delivered = transcript.messages.iter();
        for message in messages {
            let allowed = match message.kind {
                Kind::Uncompressed => self.max_len,
                // What no compressor needs for a message within the limit is refused before it is looked at.
                Kind::Text | Kind::Binary => 8 * self.max_len + (64 << 10),
            };
            if message.payload.len() > allowed {
                // Which error comes first depends on the fragments.
                assert!(transcript.failure.is_some() && delivered.next().is_none());
                return;
            }
            let decoded = match message.kind {
                Kind::Uncompressed => {
                    Decoded { payload: message.payload.clone(), refusal: None, final_blocks: 0 }
                }
                Kind::Text | Kind::Binary => model.receive(&message.payload, self.max_len),
            };
            let expected = judge(&decoded, message.kind);
            let Some(found) = delivered.next() else {
                let failure = transcript.failure.expect("a message is delivered, or the connection failed");
                accept_failure(failure, expected, &decoded, message);
                return;
            };
            assert_eq!(expected, Ok(()), "a message that the model refuses was delivered");
            assert_eq!(*found, decoded.payload, "another message than the model's");
        }
        assert!(delivered.next().is_none() && transcript.failure.is_none());
    }
}

/// What this crate is to say about a message.
fn judge(decoded: &Decoded, kind: Kind) -> Result<(), ProtocolError> {
    if kind == Kind::Text {
        let invalid = str::from_utf8(&decoded.payload).err();
        // A code point that is cut at the end of what there is may still be one, unless it is the end.
        if invalid.is_some_and(|error| error.error_len().is_some() || decoded.refusal.is_none()) {
            return Err(ProtocolError::InvalidUtf8);
        }
    }
    match decoded.refusal {
        None => Ok(()),
        Some(Refusal::TooBig) => Err(ProtocolError::MessageTooBig),
        Some(Refusal::NotDeflate | Refusal::WrongEnd) => Err(ProtocolError::InvalidCompressedData),
    }
}

/// What this crate says and what the model says about the first message that was not delivered: README.md lists where
/// they may differ.
fn accept_failure(
    failure: Failure,
    expected: Result<(), ProtocolError>,
    decoded: &Decoded,
    message: &Message,
) {
    let Failure::Protocol(found) = failure else { panic!("{failure:?}") };
    match found {
        ProtocolError::TooManyFinalBlocks => assert!(decoded.final_blocks > FINAL_BLOCKS),
        ProtocolError::InvalidCompressedData if code_sets::are_refused(&message.payload) => {}
        _ => assert_eq!(Err(found), expected, "{:02x?}", message.payload),
    }
}

/// Fewer than this crate allows, which counts compressed octets as well.
const FINAL_BLOCKS: usize = 64;
const LIMITS: [usize; 8] = [128 << 10, 64 << 10, 4 << 10, 1000, 256, 16, 1, 0];
/// The state, windows, what is held back, and steps on the way.
const OVERHEAD: usize = 256 << 10;
