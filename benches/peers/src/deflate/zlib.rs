//! The peer of every crate: frames made and read with zlib-rs alone.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// What two ends have agreed on; the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) window_bits: u8,
    pub(crate) context_takeover: bool,
}

/// Compresses message after message.
pub(crate) struct Compressor {
    state: Deflate,
    terms: Terms,
}

impl Compressor {
    pub(crate) fn new(level: i32, terms: Terms) -> Self {
        Self { state: Deflate::new(level, false, terms.window_bits), terms }
    }

    /// Compresses `message` into `output`, without the four octets that RFC 7692 §7.2.1 removes.
    pub(crate) fn compress(&mut self, message: &[u8], output: &mut Vec<u8>) {
        if !self.terms.context_takeover {
            self.state.reset();
        }
        // More than what zlib needs for octets that do not shrink, with the marker of the flush.
        output.resize(message.len() + message.len() / 1_000 + 64, 0);
        let before = self.state.total_out();
        self.state.compress(message, output, DeflateFlush::SyncFlush).expect("a state that is whole");
        let len = (self.state.total_out() - before) as usize;
        assert!(len < output.len(), "the output was large enough");
        output.truncate(len - TAIL.len());
    }
}

/// Decompresses message after message.
pub(crate) struct Decompressor {
    state: Inflate,
    terms: Terms,
    input: Vec<u8>,
}

impl Decompressor {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { state: Inflate::new(false, terms.window_bits), terms, input: Vec::new() }
    }

    /// Decompresses `message` into `output`, which has room for it.
    pub(crate) fn decompress(&mut self, message: &[u8], output: &mut [u8]) -> usize {
        if !self.terms.context_takeover {
            self.state.reset(false);
        }
        self.input.clear();
        self.input.extend_from_slice(message);
        self.input.extend_from_slice(&TAIL);
        let before = self.state.total_out();
        let status = self.state.decompress(&self.input, output, InflateFlush::SyncFlush);
        assert_eq!(status, Ok(Status::Ok), "what a peer sent is a DEFLATE stream");
        (self.state.total_out() - before) as usize
    }
}

/// The messages, compressed at level 6.
pub(crate) fn compressed<'a>(messages: impl Iterator<Item = &'a [u8]>, terms: Terms) -> Vec<Vec<u8>> {
    let mut compressor = Compressor::new(6, terms);
    let mut output = Vec::new();
    let compress = |message| {
        compressor.compress(message, &mut output);
        output.clone()
    };
    messages.map(compress).collect()
}

/// A compressed message as a client sends it, as one masked frame.
pub(crate) fn client_frame(payload: &[u8], is_text: bool) -> Vec<u8> {
    let mut frame = vec![FIN | RSV1 | if is_text { TEXT } else { BINARY }];
    match payload.len() {
        len @ ..126 => frame.push(MASK | len as u8),
        len => {
            frame.push(MASK | 126);
            frame.extend(u16::try_from(len).expect("short messages").to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(octet, key)| octet ^ key));
    frame
}

/// The messages that a server has sent: every frame whole, some compressed, some not.
pub(crate) fn server_messages(mut octets: &[u8], terms: Terms) -> Vec<Vec<u8>> {
    let mut decompressor = Decompressor::new(terms);
    let mut messages = Vec::new();
    while let [first, len, rest @ ..] = octets {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            len => (usize::from(*len), rest),
        };
        let (payload, rest) = rest.split_at(len);
        octets = rest;
        if first & RSV1 == 0 {
            messages.push(payload.to_vec());
        } else {
            let mut message = vec![0; LONGEST_MESSAGE];
            let len = decompressor.decompress(payload, &mut message);
            message.truncate(len);
            messages.push(message);
        }
    }
    messages
}

const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// No corpus has a message as long as this.
pub(crate) const LONGEST_MESSAGE: usize = 8_192;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const MASK: u8 = 0x80;

/// The masking-key of RFC 6455 §5.7. A real one changes from frame to frame, which costs the receiver nothing.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
