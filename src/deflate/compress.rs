//! Compressing what one end sends: RFC 7692 §7.2.1.

use std::{fmt, mem};

use bytes::Bytes;
use zlib_rs::DeflateFlush;

use super::agreement::Agreement;
use super::config::{Compression, MIN_SEND_WINDOW_BITS, States};
use super::pool::{self, Deflater, Key, Scratch, Stamp};
use super::window::Window;
use crate::config::COPY_UP_TO;
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
    /// Of the message that is being sent in fragments.
    fragments: Fragments,
}

/// A payload that has been compressed and not yet been sent.
pub(crate) struct Compressed {
    octets: Octets,
    /// `None` when nothing went through a state.
    deflater: Option<Deflater>,
}

/// Where a compressed payload lies.
enum Octets {
    /// The first so many of these.
    Scratch(Scratch, usize),
    /// In memory of its own, so that nobody copies it who has something locked.
    Shared(Bytes),
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
            fragments: Fragments::default(),
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
        let len = match deflate(&mut deflater, payload, &mut scratch, part == Part::WholeIfSmaller) {
            Ok(len) if part == Part::Fragment => len,
            Ok(len) => len - TAIL.len(),
            Err(given_up) => {
                // A state that stands inside a block is dropped: at level 1, zlib-rs resets all but that.
                if given_up == GivenUp::Flushed {
                    self.give(deflater);
                }
                pool::give_scratch(scratch);
                self.yield_of(is_text).nothing();
                return None;
            }
        };
        match part {
            Part::WholeIfSmaller => self.yield_of(is_text).something(),
            Part::Whole => {}
            Part::Fragment | Part::LastFragment => self.fragments.add(payload.len(), len),
        }
        let octets = if len <= COPY_UP_TO {
            Octets::Scratch(scratch, len)
        } else {
            let shared = Bytes::copy_from_slice(&scratch.octets[..len]);
            pool::give_scratch(scratch);
            Octets::Shared(shared)
        };
        Some(Compressed { octets, deflater: Some(deflater) })
    }

    /// Says that the compressed payload is on its way, and `payload` what it was made from.
    pub(crate) fn commit(&mut self, compressed: Compressed, payload: &[u8], is_text: bool, part: Part) {
        let Compressed { octets, deflater } = compressed;
        if let Octets::Scratch(scratch, _) = octets {
            pool::give_scratch(scratch);
        }
        if part == Part::LastFragment {
            let shrank = mem::take(&mut self.fragments).shrank();
            let so_far = self.yield_of(is_text);
            if shrank { so_far.something() } else { so_far.nothing() }
        }
        if self.context_takeover || part == Part::Fragment {
            // Nothing is as it was: the state goes on just there.
            if payload.is_empty() {
                return;
            }
            self.window.push(payload);
        } else {
            self.window.clear();
        }
        self.stamp.advance();
        if let Some(mut deflater) = deflater {
            // Without anything to refer to, any state will do for the next message.
            deflater.stamp = (!self.window.octets().is_empty()).then_some(self.stamp);
            self.give(deflater);
        }
    }

    /// Says that the compressed payload was refused: what it was made with is there for the next one, which knows nothing of it.
    pub(crate) fn refuse(&mut self, compressed: Compressed) {
        let Compressed { octets, deflater } = compressed;
        if let Octets::Scratch(scratch, _) = octets {
            pool::give_scratch(scratch);
        }
        if let Some(deflater) = deflater {
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
    fn without_state(octets: &'static [u8]) -> Self {
        Self { octets: Octets::Shared(Bytes::from_static(octets)), deflater: None }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        match &self.octets {
            Octets::Scratch(scratch, len) => &scratch.octets[..*len],
            Octets::Shared(octets) => octets,
        }
    }

    /// The octets in memory of their own, if they are many.
    pub(crate) fn shared(&self) -> Option<Bytes> {
        match &self.octets {
            Octets::Scratch(..) => None,
            Octets::Shared(octets) => Some(octets.clone()),
        }
    }
}

/// Never printed either.
impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed").field("len", &self.octets().len()).finish_non_exhaustive()
    }
}

/// Compresses all of `payload` up to a flush; returns how long that is, the tail included. An error if it was to be
/// smaller without the tail than the payload, and is not, or does not look as if it would.
fn deflate(
    deflater: &mut Deflater,
    payload: &[u8],
    scratch: &mut Scratch,
    smaller: bool,
) -> Result<usize, GivenUp> {
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
            let shrinks = written - TAIL.len() < payload.len();
            return if smaller && !shrinks { Err(GivenUp::Flushed) } else { Ok(written) };
        }
        if smaller && written > consumed - consumed / 32 {
            return Err(GivenUp::InsideBlock);
        }
    }
}

/// Where the state stands when a payload was to be smaller and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    Flushed,
    InsideBlock,
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

/// How long an unfinished message has been, and how long what it was compressed to.
#[derive(Debug, Clone, Copy, Default)]
struct Fragments {
    payload_len: u64,
    compressed_len: u64,
}

impl Fragments {
    fn add(&mut self, payload_len: usize, compressed_len: usize) {
        self.payload_len += payload_len as u64;
        self.compressed_len += compressed_len as u64;
    }

    fn shrank(self) -> bool {
        self.compressed_len < self.payload_len
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

#[cfg(test)]
mod tests {
    use super::super::{Decompressor, DeflateConfig, Inflated};
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut seed = 1_u32;
        let mut octet = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..len).map(|_| octet()).collect()
    }

    #[test]
    fn a_message_given_up_halfway_does_not_spoil_the_next() {
        let noise = noise(2 * STAGE_LEN);
        let text = "Here it goes on. ".repeat(5);
        for states in [States::Pooled, States::Dedicated] {
            for level in 1..=9 {
                let config = DeflateConfig::default().level(level).states(states);
                let agreement = Agreement::new(config);
                let mut compressor = Compressor::new(&agreement, Role::Server).unwrap();
                let mut decompressor = Decompressor::new(&agreement, Role::Client);
                for _ in 0..3 {
                    assert!(compressor.compress(&noise, false, Part::WholeIfSmaller).is_none());
                    let compressed = compressor.compress(text.as_bytes(), true, Part::Whole).unwrap();
                    let mut payload = Vec::new();
                    let account = &mut crate::budget::Account::default();
                    let mut inflated =
                        Inflated { payload: &mut payload, text: None, max_len: 1 << 10, account };
                    decompressor.begin(true);
                    let taken = decompressor.take(compressed.octets(), true, &mut inflated);
                    assert_eq!(taken, Ok(()), "level {level}, {states:?}");
                    assert_eq!(payload, text.as_bytes(), "level {level}, {states:?}");
                    compressor.commit(compressed, text.as_bytes(), true, Part::Whole);
                }
            }
        }
    }

    fn compressor() -> Compressor {
        Compressor::new(&Agreement::new(DeflateConfig::default()), Role::Server).unwrap()
    }

    fn send(compressor: &mut Compressor, payload: &[u8], part: Part) {
        let compressed = compressor.compress(payload, false, part).unwrap();
        compressor.commit(compressed, payload, false, part);
    }

    #[test]
    fn an_empty_fragment_leaves_the_state_where_it_is() {
        let mut compressor = compressor();
        send(&mut compressor, b"Hello", Part::Fragment);
        let stamp = compressor.stamp;
        send(&mut compressor, b"", Part::Fragment);
        send(&mut compressor, b"", Part::LastFragment);
        assert_eq!(compressor.stamp, stamp);
        assert_eq!(pool::take_deflater(compressor.key, stamp).stamp, Some(stamp));
    }

    #[test]
    fn messages_in_fragments_that_do_not_shrink_are_soon_sent_as_they_are() {
        // Without context takeover, or the second message would refer to the first.
        let config = DeflateConfig::default().send_context_takeover(false);
        let mut compressor = Compressor::new(&Agreement::new(config), Role::Server).unwrap();
        let noise = noise(1000);
        let mut tried = 0;
        for _ in 0..1000 {
            if compressor.judge_fragments(false, Compression::Auto) {
                tried += 1;
                send(&mut compressor, &noise[..500], Part::Fragment);
                send(&mut compressor, &noise[500..], Part::LastFragment);
            }
        }
        assert!(tried < 30, "{tried}");
        // What shrinks is found again.
        for _ in 0..64 {
            if compressor.judge_fragments(false, Compression::Auto) {
                send(&mut compressor, &[7; 5000], Part::Fragment);
                send(&mut compressor, b"", Part::LastFragment);
                assert!(compressor.judge_fragments(false, Compression::Auto));
                return;
            }
        }
        panic!("never tried again");
    }
}
