//! Compressing what one end sends: RFC 7692 §7.2.1.

use std::fmt;

use zlib_rs::DeflateFlush;

use super::agreement::Agreement;
use super::config::{Compression, MIN_SEND_WINDOW_BITS, States};
use super::pool::{self, Deflater, Key, Scratch, Stamp};
use super::window::Window;
use crate::role::Role;

/// The sending side of an agreement: which messages are compressed, and to what.
///
/// Compressing changes nothing that a later message depends on. Only [`commit`](Self::commit) does, once the message is
/// on its way: one that is compressed and then not sent leaves no trace (§7.2.1).
pub(crate) struct Compressor {
    key: Key,
    context_takeover: bool,
    threshold: usize,
    dedicated: bool,
    /// The state, if it is this connection's own.
    own: Option<Deflater>,
    /// What the next octets may refer to: the messages before, and what was sent of an unfinished one.
    window: Window,
    stamp: Stamp,
    /// Of text and of binary messages, which often differ.
    text_yield: Yield,
    binary_yield: Yield,
}

/// A payload that has been compressed and not yet been sent.
pub(crate) struct Compressed {
    scratch: Scratch,
    len: usize,
    /// `None` when nothing went through a state.
    deflater: Option<Deflater>,
}

/// What part of a message a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, to be compressed only if that makes it smaller.
    WholeIfSmaller,
    /// All of it.
    Whole,
    /// A fragment that another one follows.
    Fragment,
    /// The last fragment.
    LastFragment,
}

impl Compressor {
    /// `None` when this end cannot compress as agreed.
    pub(crate) fn new(agreement: &Agreement, role: Role) -> Option<Self> {
        let direction = agreement.sent_by(role);
        // zlib has no window of 2^8 octets for compressing: that direction stays uncompressed.
        if direction.max_window_bits < MIN_SEND_WINDOW_BITS {
            return None;
        }
        let config = agreement.config();
        let window_bits = config.send_window_bits.min(direction.max_window_bits);
        Some(Self {
            key: Key { level: config.level, memory_level: config.memory_level, window_bits },
            context_takeover: direction.context_takeover && config.send_context_takeover,
            threshold: config.threshold,
            dedicated: config.states == States::Dedicated,
            own: None,
            window: Window::new(window_bits),
            stamp: Stamp::new(),
            text_yield: Yield::default(),
            binary_yield: Yield::default(),
        })
    }

    /// How a whole message with `len` octets of payload is to be compressed, if at all.
    pub(crate) fn judge(&mut self, len: usize, is_text: bool, compression: Compression) -> Option<Part> {
        match compression {
            Compression::Never => None,
            // An empty message needs no compression, and some peers cannot take one that has it.
            _ if len == 0 => None,
            Compression::Always => Some(Part::Whole),
            Compression::Auto if len < self.threshold || self.yield_of(is_text).skips() => None,
            Compression::Auto => Some(Part::WholeIfSmaller),
        }
    }

    /// Whether a message that is sent in fragments is to be compressed, by what is known when its first one is sent.
    pub(crate) fn judge_fragments(&mut self, is_text: bool, compression: Compression) -> bool {
        match compression {
            Compression::Never => false,
            Compression::Always => true,
            Compression::Auto => !self.yield_of(is_text).skips(),
        }
    }

    /// The payload as it goes on the wire; `None` if it was to be smaller and is not.
    pub(crate) fn compress(&mut self, payload: &[u8], is_text: bool, part: Part) -> Option<Compressed> {
        if payload.is_empty() {
            // §7.2.3.6: zlib writes no second empty block behind the one it ended the last fragment with.
            return Some(Compressed::without_state(if part == Part::Fragment { &[] } else { &[0] }));
        }
        let mut deflater = self.primed();
        let mut scratch = pool::take_scratch();
        let if_smaller = part == Part::WholeIfSmaller;
        let Some(flushed) = deflate(&mut deflater, payload, &mut scratch, if_smaller) else {
            // The state stands inside a block, and zlib-rs does not forget that when it is reset: it is of no more use.
            pool::give_scratch(scratch);
            self.yield_of(is_text).nothing();
            return None;
        };
        let len = if part == Part::Fragment { flushed } else { flushed - TAIL.len() };
        if if_smaller && len >= payload.len() {
            self.give(deflater);
            pool::give_scratch(scratch);
            self.yield_of(is_text).nothing();
            return None;
        }
        if if_smaller {
            self.yield_of(is_text).something();
        }
        Some(Compressed { scratch, len, deflater: Some(deflater) })
    }

    /// Says that the compressed payload is on its way, and `payload` what it was made from.
    pub(crate) fn commit(&mut self, compressed: Compressed, payload: &[u8], part: Part) {
        self.stamp.advance();
        if self.context_takeover || part == Part::Fragment {
            self.window.push(payload);
        } else {
            self.window.clear();
        }
        let Compressed { scratch, deflater, .. } = compressed;
        pool::give_scratch(scratch);
        if let Some(mut deflater) = deflater {
            // Without anything to refer to, any state will do for the next message.
            deflater.stamp = (!self.window.octets().is_empty()).then_some(self.stamp);
            self.give(deflater);
        }
    }

    /// A state for which the window is the only thing that can be referred to.
    fn primed(&mut self) -> Deflater {
        let mut deflater = match self.own.take() {
            Some(own) => own,
            None if self.dedicated => Deflater::new(self.key),
            None => pool::take_deflater(self.key, self.stamp),
        };
        deflater.begin(self.stamp, self.window.octets());
        deflater
    }

    fn yield_of(&mut self, is_text: bool) -> &mut Yield {
        if is_text { &mut self.text_yield } else { &mut self.binary_yield }
    }

    fn give(&mut self, deflater: Deflater) {
        if self.dedicated {
            self.own = Some(deflater);
        } else {
            pool::give_deflater(deflater);
        }
    }
}

/// The window and the states hold what was sent: never printed.
impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("key", &self.key)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Compressed {
    fn without_state(octets: &[u8]) -> Self {
        let mut scratch = pool::take_scratch();
        scratch.room(octets.len())[..octets.len()].copy_from_slice(octets);
        Self { scratch, len: octets.len(), deflater: None }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.scratch.octets[..self.len]
    }
}

/// Never printed either.
impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Compresses all of `payload` up to a flush; returns how long that is, the tail included. `None` if it was given up,
/// with the state inside of it, because it was to become smaller and does not look as if it would.
fn deflate(
    deflater: &mut Deflater,
    payload: &[u8],
    scratch: &mut Scratch,
    if_smaller: bool,
) -> Option<usize> {
    let state = &mut deflater.state;
    let (begun_in, begun_out) = (state.total_in(), state.total_out());
    let mut consumed = 0;
    loop {
        let stage = payload.len().min(consumed + STAGE_LEN);
        let flush = if stage == payload.len() { DeflateFlush::SyncFlush } else { DeflateFlush::NoFlush };
        // Until all is in and all is out. zlib wants more than six octets of room at each call, or it may flush twice.
        let written = loop {
            let written = (state.total_out() - begun_out) as usize;
            let needed = written + (payload.len() / 2).clamp(MIN_ROOM, STAGE_LEN);
            let room = &mut scratch.room(needed)[written..];
            // INVARIANT: with input or a flush to do and room for it there is progress, and never an error.
            state
                .compress(&payload[consumed..stage], room, flush)
                .expect("the state and the buffers are sound");
            let left = room.len() + written - (state.total_out() - begun_out) as usize;
            consumed = (state.total_in() - begun_in) as usize;
            if left > 0 && consumed == stage {
                break (state.total_out() - begun_out) as usize;
            }
        };
        if stage == payload.len() {
            // §7.2.1: a sync flush ends in an empty stored block.
            assert!(scratch.octets[..written].ends_with(&TAIL), "a flush ends with an empty block");
            return Some(written);
        }
        if if_smaller && written > consumed - consumed / 32 {
            return None;
        }
    }
}

/// Whether compressing has been worth its time lately. What did not shrink says that the next will not either: the
/// longer the row, the more messages are sent as they are before the next try.
#[derive(Debug, Clone, Copy, Default)]
struct Yield {
    row: u32,
    skip: u32,
}

impl Yield {
    /// Whether the next message is sent as it is.
    fn skips(&mut self) -> bool {
        let skips = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        skips
    }

    fn nothing(&mut self) {
        self.row = (self.row + 1).min(MAX_ROW);
        self.skip = (1 << self.row) - 1;
    }

    fn something(&mut self) {
        self.row = 0;
    }
}

/// What a flush ends with, and the last fragment leaves out (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// After so much of a message it is asked whether it shrinks.
const STAGE_LEN: usize = 64 << 10;
/// The least room for the output of one call.
const MIN_ROOM: usize = 256;
/// After so many messages in a row that did not shrink, every 64th is tried.
const MAX_ROW: u32 = 6;
