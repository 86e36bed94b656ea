//! Compressed messages decoded with another DEFLATE library, as RFC 7692 §7.2.2 says: what this crate is held against.
#![allow(dead_code, reason = "each test file uses its part")]

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The receiving side of one direction.
pub(crate) struct Model {
    /// What the next message may refer to.
    window: Vec<u8>,
    window_len: usize,
    context_takeover: bool,
}

/// What becomes of one message.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// All of it, or what came before it was refused, up to the limit.
    pub(crate) payload: Vec<u8>,
    pub(crate) refusal: Option<Refusal>,
    /// How many blocks said that they were the last, and were not.
    pub(crate) final_blocks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// More than the limit.
    TooBig,
    /// Not DEFLATE, or a reference to before the window.
    NotDeflate,
    /// It does not end as §7.2.1 says.
    WrongEnd,
}

impl Model {
    pub(crate) fn new(window_bits: u8, context_takeover: bool) -> Self {
        Self { window: Vec::new(), window_len: 1 << window_bits, context_takeover }
    }

    /// Decodes a message by the payloads of its frames.
    pub(crate) fn receive(&mut self, compressed: &[u8], max_len: usize) -> Decoded {
        let begun = self.window.len();
        let mut octets = self.window.clone();
        let (len, refusal, final_blocks) = inflate(&mut octets, begun, compressed, max_len);
        let payload = octets[begun..len.min(begun + max_len)].to_vec();
        if self.context_takeover && refusal.is_none() {
            octets.truncate(len);
            octets.drain(..len.saturating_sub(self.window_len));
            self.window = octets;
        }
        Decoded { payload, refusal, final_blocks }
    }
}

/// Inflates to behind `begun`; returns how long `octets` is then, what is wrong, and the final blocks.
fn inflate(
    octets: &mut Vec<u8>,
    begun: usize,
    compressed: &[u8],
    max_len: usize,
) -> (usize, Option<Refusal>, usize) {
    let (mut decoder, mut consumed, mut len, mut final_blocks) = (DecompressorOxide::new(), 0, begun, 0);
    if compressed.is_empty() {
        return (len, None, final_blocks);
    }
    loop {
        if octets.len() == len {
            octets.resize((2 * len + 1024).min(begun + max_len + 1), 0);
        }
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut decoder, &compressed[consumed..], octets, len, flags);
        consumed += read;
        len += written;
        if len - begun > max_len {
            return (len, Some(Refusal::TooBig), final_blocks);
        }
        match status {
            TINFLStatus::HasMoreOutput => {}
            TINFLStatus::Done if consumed == compressed.len() => return (len, None, final_blocks),
            TINFLStatus::Done => {
                decoder = DecompressorOxide::new();
                final_blocks += 1;
            }
            TINFLStatus::NeedsMoreInput => break,
            _ => return (len, Some(Refusal::NotDeflate), final_blocks),
        }
    }
    // What the sender has left out, and an empty last block: it is read as one only where a block may begin.
    let tail = [0, 0, 0xff, 0xff, 0x03, 0x00];
    octets.resize(len + 64, 0);
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let ended = match decompress(&mut decoder, &tail, octets, len, flags) {
        // The empty block was marked as the last one.
        (TINFLStatus::Done, 4, 0) | (TINFLStatus::Done, 6, 0) => None,
        _ => Some(Refusal::WrongEnd),
    };
    (len, ended, final_blocks)
}

/// Says whether a sender keeps to its window: it knows no more than the last octets of that many.
pub(crate) struct Ring {
    octets: Vec<u8>,
    at: usize,
    decoder: DecompressorOxide,
}

impl Ring {
    pub(crate) fn new(window_bits: u8) -> Self {
        Self { octets: vec![0; 1 << window_bits], at: 0, decoder: DecompressorOxide::new() }
    }

    /// Decodes one message without final blocks; the next one may refer to it.
    pub(crate) fn receive(&mut self, compressed: &[u8]) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        for mut rest in [compressed, &[0, 0, 0xff, 0xff]] {
            loop {
                let begun = self.at;
                let (status, read, written) =
                    decompress(&mut self.decoder, rest, &mut self.octets, begun, TINFL_FLAG_HAS_MORE_INPUT);
                payload.extend_from_slice(&self.octets[begun..begun + written]);
                self.at = (begun + written) % self.octets.len();
                rest = &rest[read..];
                match status {
                    TINFLStatus::HasMoreOutput => {}
                    TINFLStatus::NeedsMoreInput => break,
                    _ => return None,
                }
            }
        }
        Some(payload)
    }
}
