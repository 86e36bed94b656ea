//! Connections that have agreed on permessage-deflate, and another implementation of DEFLATE beside them: RFC 7692 §7.2.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use sansocket::connection::Connection;
use sansocket::deflate::{Agreement, DeflateConfig, Direction, States};
use sansocket::{Config, Role};

use super::{Transcript, connection, every_split_of, from_peer, server_frame};

/// Nothing is limited in either direction.
pub(crate) fn unlimited() -> Agreement {
    Agreement::new(DeflateConfig::default())
}

/// A direction whose messages do not refer to each other.
pub(crate) const NO_TAKEOVER: Direction = Direction { context_takeover: false, ..Direction::UNLIMITED };

/// Agreements by which the peer may refer to the messages before: with states of every kind, and with the smallest
/// window, where states never go on from where they stood.
pub(crate) fn with_takeover() -> [Agreement; 4] {
    let pooled = DeflateConfig::default();
    let dedicated = pooled.states(States::Dedicated);
    let small = window(9);
    [
        unlimited(),
        Agreement::new(dedicated),
        Agreement::new(pooled).with_server(small).with_client(small),
        Agreement::new(dedicated).with_server(small).with_client(small),
    ]
}

pub(crate) fn window(max_window_bits: u8) -> Direction {
    Direction { max_window_bits, ..Direction::UNLIMITED }
}

/// An agreement that says this of what `role` sends, and nothing of what its peer does.
pub(crate) fn sent_by(role: Role, config: DeflateConfig, direction: Direction) -> Agreement {
    match role {
        Role::Server => Agreement::new(config).with_server(direction),
        Role::Client => Agreement::new(config).with_client(direction),
    }
}

pub(crate) fn deflating(role: Role, config: &Config, agreement: &Agreement) -> Connection {
    connection(role, config).with_deflate(agreement)
}

/// [`every_split`](super::every_split) of frames that the peer of `role` sends, written down unmasked.
pub(crate) fn every_split_deflated(
    role: Role,
    config: &Config,
    agreement: &Agreement,
    frames: &[impl AsRef<[u8]>],
) -> Transcript {
    let frames: Vec<Vec<u8>> = frames.iter().map(|frame| from_peer(role, frame.as_ref())).collect();
    every_split_of(&|| deflating(role, config, agreement), &frames)
}

/// The frames of a message with this payload, cut at these places.
pub(crate) fn fragments(first: u8, payload: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut first = first & 0x7f;
    let mut from = 0;
    let mut frames = Vec::new();
    for &cut in cuts {
        frames.push(server_frame(first, &payload[from..cut]));
        (from, first) = (cut, 0x00);
    }
    frames.push(server_frame(first | 0x80, &payload[from..]));
    frames
}

/// How the other implementation is to write its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    Stored,
    Fixed,
    Best,
}

/// Another implementation's compressing end, with takeover.
pub(crate) struct OtherEncoder(Box<CompressorOxide>);

impl OtherEncoder {
    pub(crate) fn new(blocks: Blocks) -> Self {
        let (level, strategy) = match blocks {
            Blocks::Stored => (0, 0),
            Blocks::Fixed => (6, 4),
            Blocks::Best => (9, 0),
        };
        Self(Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(level, -15, strategy))))
    }

    /// Up to a flush, with the octets that end it.
    pub(crate) fn flushed(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::new();
        compress_to_output(&mut self.0, octets, TDEFLFlush::Sync, |piece| {
            compressed.extend_from_slice(piece);
            true
        });
        assert!(compressed.ends_with(&[0x00, 0x00, 0xff, 0xff]));
        compressed
    }

    /// As a payload.
    pub(crate) fn message(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut compressed = self.flushed(octets);
        compressed.truncate(compressed.len() - 4);
        compressed
    }
}

/// The payload of a first message, by another implementation.
pub(crate) fn compressed(blocks: Blocks, octets: &[u8]) -> Vec<u8> {
    OtherEncoder::new(blocks).message(octets)
}

/// What another implementation makes of a payload, with these octets before it.
pub(crate) fn inflated_by_other(payload: &[u8], before: &[u8]) -> Vec<u8> {
    let input = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut output = before.to_vec();
    let mut state = Box::new(DecompressorOxide::new());
    let flags =
        inflate_flags::TINFL_FLAG_HAS_MORE_INPUT | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut consumed = 0;
    let mut end = before.len();
    loop {
        output.resize(2 * end + 4096, 0);
        let (status, read, written) = decompress(&mut state, &input[consumed..], &mut output, end, flags);
        consumed += read;
        end += written;
        match status {
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::NeedsMoreInput if consumed == input.len() => break,
            status => panic!("{status:?} after {consumed} of {} octets", input.len()),
        }
    }
    output[before.len()..end].to_vec()
}

/// Octets in which nothing repeats: the high ones of an LCG.
pub(crate) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

/// Text that compresses to about half.
pub(crate) fn letters(seed: u64, len: usize) -> String {
    random(seed, len).iter().map(|octet| char::from(b'a' + octet % 16)).collect()
}
