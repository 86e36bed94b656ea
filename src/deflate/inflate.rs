//! Decompressing what the peer sends, never further than the message limit: RFC 7692 §7.2.2.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, mem};

use zlib_rs::{InflateError, InflateFlush, Status};

use super::agreement::Agreement;
use super::config::{MAX_WINDOW_BITS, MIN_SEND_WINDOW_BITS, States};
use super::pool::{self, Inflater, Scratch, Stamp};
use super::window::Window;
use crate::budget::{Account, Part};
use crate::error::ProtocolError;
use crate::role::Role;
use crate::utf8::Utf8Validator;

/// The receiving side of an agreement: compressed octets in, as they arrive, and the message out.
///
/// A saved window cannot resume in the middle of a block, so an unfinished message owns a state. Most messages never
/// are: up to [`HELD_LEN`] compressed octets are held back and inflated when the message is whole.
pub(crate) struct Decompressor {
    context_takeover: bool,
    dedicated: bool,
    /// Whether a state that is left as it is remembers just what the window does.
    continues: bool,
    /// The state, if it is this connection's own, between two messages.
    own: Option<Inflater>,
    /// What the next message may refer to.
    window: Window,
    stamp: Stamp,
    /// The message that is being received, or was last, is compressed.
    compressed: bool,
    held: Vec<u8>,
    inflating: Option<Inflating>,
}

/// Where decompressed octets go.
pub(crate) struct Inflated<'a> {
    /// The message so far.
    pub(crate) payload: &'a mut Vec<u8>,
    /// Judges the octets on the way, if they are text (RFC 6455 §8.1).
    pub(crate) text: Option<&'a mut Utf8Validator>,
    /// How long the message may become.
    pub(crate) max_len: usize,
    /// What pays for it.
    pub(crate) account: &'a mut Account,
}

/// A message that is being decompressed.
struct Inflating {
    inflater: Inflater,
    /// While the message waits for more.
    _owned: Option<Owned>,
    /// The last block said that it was the last.
    ended: bool,
    consumed: usize,
    final_blocks: usize,
}

impl Decompressor {
    pub(crate) fn new(agreement: &Agreement, role: Role) -> Self {
        let direction = agreement.sent_by(role.peer());
        // Some that agree to 2^8 octets use 2^9, as zlib does.
        let window_bits = direction.max_window_bits.clamp(MIN_SEND_WINDOW_BITS, MAX_WINDOW_BITS);
        let dedicated = agreement.config().states == States::Dedicated;
        Self {
            context_takeover: direction.context_takeover,
            dedicated,
            // A smaller window would otherwise let a peer refer further back, or not, by chance.
            continues: window_bits == MAX_WINDOW_BITS,
            own: None,
            window: Window::new(window_bits),
            stamp: Stamp::new(),
            compressed: false,
            held: Vec::new(),
            inflating: None,
        }
    }

    /// A message begins; `compressed` says whether this one is (§6: RSV1 of its first frame).
    pub(crate) fn begin(&mut self, compressed: bool) {
        self.compressed = compressed;
    }

    /// Whether the message that is being received, or was last, is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Takes the next octets of the compressed message, unmasked; `last` says that they are the last ones.
    ///
    /// How they are cut makes no difference to what comes out, nor to the error.
    pub(crate) fn take(
        &mut self,
        octets: &[u8],
        last: bool,
        inflated: &mut Inflated<'_>,
    ) -> Result<(), ProtocolError> {
        let begun = match self.inflating.take() {
            Some(inflating) => Some(inflating),
            // §7.2.2: no octet at all is not DEFLATE, but some peers send it for an empty message.
            None if last && self.held.is_empty() && octets.is_empty() => {
                return Ok(());
            }
            None => self.start(self.held.len() + octets.len(), last),
        };
        let Some(mut inflating) = begun else {
            self.hold_back(octets);
            return Ok(());
        };
        inflating.inflate(&mem::take(&mut self.held), &self.window, inflated)?;
        inflating.inflate(octets, &self.window, inflated)?;
        if last {
            inflating.finish()?;
            self.finish(inflating, inflated.payload);
        } else {
            self.inflating = Some(inflating);
        }
        Ok(())
    }

    /// How many octets of memory the message that is not whole needs beside what came out of it.
    pub(crate) fn holds(&self) -> usize {
        match &self.inflating {
            // One of its own is the connection's, whether or not there is a message.
            Some(_) if self.dedicated => 0,
            Some(_) => STATE_LEN,
            None => self.held.capacity(),
        }
    }

    /// How many it may need once so many compressed octets more have come.
    pub(crate) fn would_hold(&self, octets: usize, last: bool) -> usize {
        let len = self.held.len() + octets;
        match self.inflating {
            None if last => self.holds(),
            None if len <= held_len() => self.held_capacity(len).max(self.holds()),
            None if !self.dedicated => STATE_LEN + self.holds(),
            _ => self.holds(),
        }
    }

    /// A state for a message of which `len` octets are there; `None` if they are to be held back.
    fn start(&mut self, len: usize, last: bool) -> Option<Inflating> {
        if !last && len <= held_len() {
            return None;
        }
        let owned = if last || self.dedicated { None } else { Some(Owned::new()) };
        let mut inflater = match self.own.take() {
            Some(own) => own,
            None if self.dedicated => Inflater::new(),
            None => pool::take_inflater(self.stamp),
        };
        if inflater.stamp.take() != Some(self.stamp) {
            inflater.prime(&[self.window.octets()]);
        }
        Some(Inflating { inflater, _owned: owned, ended: false, consumed: 0, final_blocks: 0 })
    }

    fn hold_back(&mut self, octets: &[u8]) {
        let len = self.held.len();
        self.held.reserve_exact(self.held_capacity(len + octets.len()) - len);
        self.held.extend_from_slice(octets);
    }

    /// How much room there is to be when so many are held back.
    fn held_capacity(&self, len: usize) -> usize {
        let capacity = self.held.capacity();
        // Doubled, so that many pieces cost no more than a few copies; but no further than most messages go.
        if len > capacity { (2 * capacity).min(HELD_LEN).max(len) } else { capacity }
    }

    /// The message is whole: the next may refer to it.
    fn finish(&mut self, inflating: Inflating, payload: &[u8]) {
        self.stamp.advance();
        let Inflating { mut inflater, ended, .. } = inflating;
        if self.context_takeover {
            self.window.push(payload);
            inflater.stamp = (self.continues && !ended).then_some(self.stamp);
        }
        if self.dedicated {
            self.own = Some(inflater);
        } else {
            pool::give_inflater(inflater);
        }
    }
}

/// The window and what is held back are the peer's: never printed.
impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("window", &self.window)
            .field("compressed", &self.compressed)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl Inflating {
    fn inflate(
        &mut self,
        octets: &[u8],
        window: &Window,
        inflated: &mut Inflated<'_>,
    ) -> Result<(), ProtocolError> {
        if octets.is_empty() {
            return Ok(());
        }
        let mut scratch = pool::take_scratch();
        let result = self.inflate_through(&mut scratch, octets, window, inflated);
        pool::give_scratch(scratch);
        result
    }

    /// In bounded steps: what comes out of one is judged before the next.
    fn inflate_through(
        &mut self,
        scratch: &mut Scratch,
        mut octets: &[u8],
        window: &Window,
        inflated: &mut Inflated<'_>,
    ) -> Result<(), ProtocolError> {
        loop {
            if self.ended {
                if octets.is_empty() {
                    return Ok(());
                }
                self.restart(window, inflated.payload)?;
            }
            let room = &mut scratch.room(STEP_LEN)[..STEP_LEN.min(inflated.room())];
            let state = &mut self.inflater.state;
            let (begun_in, begun_out) = (state.total_in(), state.total_out());
            let status = state.decompress(octets, room, InflateFlush::NoFlush);
            let consumed = (state.total_in() - begun_in) as usize;
            let produced = (state.total_out() - begun_out) as usize;
            // What came before the error counts: else the error would depend on how the input was cut.
            inflated.push(&room[..produced])?;
            self.consumed += consumed;
            octets = &octets[consumed..];
            match status {
                // §7.2.2: not DEFLATE, or a reference to before the window.
                Err(_) => return Err(ProtocolError::InvalidCompressedData),
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if produced < room.len() && octets.is_empty() => return Ok(()),
                // INVARIANT: with input and room for output there is progress.
                Ok(_) if consumed == 0 && produced == 0 => return Err(ProtocolError::InvalidCompressedData),
                Ok(_) => {}
            }
        }
    }

    /// §7.2.2: a final block ends the stream of a DEFLATE library, not the message. What follows may refer to what came
    /// before.
    fn restart(&mut self, window: &Window, payload: &[u8]) -> Result<(), ProtocolError> {
        self.final_blocks += 1;
        if self.final_blocks > FINAL_BLOCKS + self.consumed / OCTETS_PER_FINAL_BLOCK {
            return Err(ProtocolError::TooManyFinalBlocks);
        }
        let recent = &payload[payload.len().saturating_sub(MAX_WINDOW_LEN)..];
        let older = &window.octets()[window.octets().len().saturating_sub(MAX_WINDOW_LEN - recent.len())..];
        self.inflater.prime(&[older, recent]);
        self.ended = false;
        Ok(())
    }

    /// §7.2.2: the octets that the sender has left out must end a block just there, with nothing in it. A message that
    /// was cut, or that still has them, does not pass.
    fn finish(&mut self) -> Result<(), ProtocolError> {
        if self.ended {
            return Ok(());
        }
        let (status, consumed) = self.decompress_without_output(&TAIL_AND_MORE, InflateFlush::Block);
        if status.is_err() || consumed != 4 {
            return Err(ProtocolError::InvalidCompressedData);
        }
        // A block with codes may also have come to its end inside the last octet. Then bits of it are left over, all of
        // them ones, with which an empty block is none.
        match self.decompress_without_output(&EMPTY_BLOCK, InflateFlush::NoFlush) {
            (Ok(Status::Ok), 5) => Ok(()),
            // The block said that it was the last.
            (Ok(Status::StreamEnd), 0) => {
                self.ended = true;
                Ok(())
            }
            _ => Err(ProtocolError::InvalidCompressedData),
        }
    }

    /// How many octets the state takes without anything coming out; as an error, if anything does.
    fn decompress_without_output(
        &mut self,
        octets: &[u8],
        flush: InflateFlush,
    ) -> (Result<Status, InflateError>, u64) {
        let state = &mut self.inflater.state;
        let (begun_in, begun_out) = (state.total_in(), state.total_out());
        let status = state.decompress(octets, &mut [0], flush);
        if state.total_out() > begun_out {
            return (Err(InflateError::DataError), 0);
        }
        (status, state.total_in() - begun_in)
    }
}

impl Inflated<'_> {
    /// How much may still come, and one more to notice what is too much.
    fn room(&self) -> usize {
        (self.max_len - self.payload.len()).saturating_add(1)
    }

    fn push(&mut self, octets: &[u8]) -> Result<(), ProtocolError> {
        let allowed = &octets[..octets.len().min(self.max_len - self.payload.len())];
        if let Some(text) = &mut self.text {
            text.push(allowed).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        if allowed.len() < octets.len() {
            return Err(ProtocolError::MessageTooBig);
        }
        let (len, capacity) = (self.payload.len(), self.payload.capacity());
        if capacity - len < octets.len() {
            // Doubled, so that many steps cost no more than a few copies; but never past the limit.
            let wanted = capacity.saturating_mul(2).min(self.max_len);
            let least = len + octets.len();
            // Of a budget no more than is left.
            let held = self.account.hold_most(Part::Main, least, wanted.max(least))?;
            self.payload.reserve_exact(held - len);
        }
        self.payload.extend_from_slice(octets);
        Ok(())
    }
}

/// A state that belongs to an unfinished message, counted in the process.
struct Owned;

impl Owned {
    fn new() -> Self {
        OWNED_STATES.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        OWNED_STATES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many compressed octets of an unfinished message are held back before it owns a state.
fn held_len() -> usize {
    if OWNED_STATES.load(Ordering::Relaxed) < MANY_OWNED_STATES { HELD_LEN } else { CROWDED_HELD_LEN }
}

static OWNED_STATES: AtomicUsize = AtomicUsize::new(0);
/// Most messages are no longer, and so never own a state.
const HELD_LEN: usize = 4 << 10;
/// When so many unfinished messages own a state …
const MANY_OWNED_STATES: usize = 1024;
/// … others do only when holding back would cost as much.
const CROWDED_HELD_LEN: usize = 48 << 10;
/// What a state takes, rounded up.
const STATE_LEN: usize = 48 << 10;
/// How much is inflated at a time.
const STEP_LEN: usize = 32 << 10;
/// The octets that the sender leaves out (§7.2.1), and one that must be left over.
const TAIL_AND_MORE: [u8; 5] = [0, 0, 0xff, 0xff, 0x55];
/// A stored block with nothing in it.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];
/// The largest window that DEFLATE has.
const MAX_WINDOW_LEN: usize = 1 << MAX_WINDOW_BITS;
/// Behind each final block the state has to be primed anew, which costs as much as inflating kilobytes: a message may
/// have so many of them …
const FINAL_BLOCKS: usize = 64;
/// … and one more for so many compressed octets.
const OCTETS_PER_FINAL_BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::super::{Compression, Compressor, DeflateConfig};
    use super::*;

    /// The bound is the process's: tests that look at it take turns.
    fn alone() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agreement(config: DeflateConfig) -> Agreement {
        Agreement::new(config)
    }

    /// Octets that compress to more than is held back, and what they compress to.
    fn large_message() -> (Vec<u8>, Vec<u8>) {
        let mut seed = 1_u32;
        let octets: Vec<u8> = (0..150_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'a' + (seed >> 24) as u8 % 16
            })
            .collect();
        let mut compressor = Compressor::new(&agreement(DeflateConfig::default()), Role::Client).unwrap();
        let part = compressor.judge(octets.len(), true, Compression::Always).unwrap();
        let compressed = compressor.compress(&octets, true, part).unwrap().octets().to_vec();
        assert!(compressed.len() > CROWDED_HELD_LEN + 1000);
        (octets, compressed)
    }

    fn take(
        decompressor: &mut Decompressor,
        octets: &[u8],
        last: bool,
        payload: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let account = &mut Account::default();
        decompressor.take(octets, last, &mut Inflated { payload, text: None, max_len: 1 << 20, account })
    }

    #[test]
    fn a_small_message_owns_no_state_while_it_is_unfinished_and_a_large_one_does() {
        let _alone = alone();
        let (octets, compressed) = large_message();
        let mut decompressor = Decompressor::new(&agreement(DeflateConfig::default()), Role::Server);
        decompressor.begin(true);
        let mut payload = Vec::new();
        let (held, rest) = compressed.split_at(HELD_LEN);
        for octet in held.chunks(1) {
            take(&mut decompressor, octet, false, &mut payload).unwrap();
        }
        assert!(decompressor.inflating.is_none() && payload.is_empty());
        take(&mut decompressor, &rest[..1], false, &mut payload).unwrap();
        assert!(decompressor.inflating.is_some() && !payload.is_empty());
        assert_eq!(decompressor.held.capacity(), 0);
        take(&mut decompressor, &rest[1..], true, &mut payload).unwrap();
        assert!(decompressor.inflating.is_none());
        assert_eq!(payload, octets);
    }

    // Nobody can take the states from others, nor make a message cost more than a state.
    #[test]
    fn when_many_messages_own_a_state_others_are_held_back_for_longer_and_then_own_one_too() {
        let _alone = alone();
        let owned: Vec<Owned> = (0..MANY_OWNED_STATES).map(|_| Owned::new()).collect();
        let (octets, compressed) = large_message();
        let mut decompressor = Decompressor::new(&agreement(DeflateConfig::default()), Role::Server);
        decompressor.begin(true);
        let mut payload = Vec::new();
        let mut taken = 0;
        for piece in compressed.chunks(100) {
            taken += piece.len();
            take(&mut decompressor, piece, taken == compressed.len(), &mut payload).unwrap();
            let holds_back = taken <= CROWDED_HELD_LEN;
            assert_eq!(decompressor.held.len(), if holds_back { taken } else { 0 });
            assert!(decompressor.held.capacity() <= CROWDED_HELD_LEN);
            assert_eq!(payload.is_empty(), holds_back);
        }
        assert!(taken > CROWDED_HELD_LEN && payload == octets);
        drop(owned);

        let dedicated = DeflateConfig::default().states(States::Dedicated);
        let mut decompressor = Decompressor::new(&agreement(dedicated), Role::Server);
        decompressor.begin(true);
        take(&mut decompressor, &compressed[..HELD_LEN + 1], false, &mut Vec::new()).unwrap();
        assert!(decompressor.inflating.is_some());
        assert_eq!(OWNED_STATES.load(Ordering::Relaxed), 0, "a state of the connection's own is not counted");
    }

    #[test]
    fn a_message_that_is_given_up_no_longer_counts() {
        let _alone = alone();
        let (_, compressed) = large_message();
        for _ in 0..MANY_OWNED_STATES + 1 {
            let mut decompressor = Decompressor::new(&agreement(DeflateConfig::default()), Role::Server);
            decompressor.begin(true);
            take(&mut decompressor, &compressed[..HELD_LEN + 1], false, &mut Vec::new()).unwrap();
            assert!(decompressor.inflating.is_some());
        }
        assert_eq!(OWNED_STATES.load(Ordering::Relaxed), 0);
    }
}
