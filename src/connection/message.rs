//! The message that is being received: fragments, limits, text: RFC 6455 §5.4, §5.6, §10.4.

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

use super::event::MessageKind;
use super::spare;
use crate::budget::{Account, Exhausted, Part};
use crate::config::{COPY_UP_TO, Limits};
#[cfg(feature = "deflate")]
use crate::deflate::{Decompressor, Inflated};
use crate::error::ProtocolError;
use crate::frame::MaskingKey;
use crate::utf8::Utf8Validator;

/// A message whose octets are collected as they arrive, unmasked and validated on the way.
///
/// Only messages that do not lie whole in the input come here. Memory is charged as octets arrive, never for what a
/// header claims.
pub(super) struct Assembly {
    kind: MessageKind,
    text: Utf8Validator,
    payload: Vec<u8>,
    /// How much of `payload` has been unmasked and validated: what is behind was read straight into it.
    judged: usize,
    /// Some of it was, since the timers looked.
    pub(super) read_apart: bool,
    empty_fragments: u32,
    /// The payload has been delivered: it stays until the next call of `receive`.
    delivered: bool,
}

impl Default for Assembly {
    fn default() -> Self {
        Self {
            kind: MessageKind::Binary,
            text: Utf8Validator::new(),
            payload: Vec::new(),
            judged: 0,
            read_apart: false,
            empty_fragments: 0,
            delivered: false,
        }
    }
}

/// Octets are the peer's: never printed.
impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("kind", &self.kind)
            .field("len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl Assembly {
    pub(super) fn begin(&mut self, kind: MessageKind) {
        debug_assert!(self.payload.is_empty());
        self.kind = kind;
        self.text = Utf8Validator::new();
        self.empty_fragments = 0;
    }

    pub(super) fn kind(&self) -> MessageKind {
        self.kind
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Takes note of a fragment's length: endless ones without payload must not keep a message open (RFC 6455 §10.4).
    pub(super) fn count_fragment(
        &mut self,
        payload_len: usize,
        limits: &Limits,
    ) -> Result<(), ProtocolError> {
        self.empty_fragments = if payload_len == 0 { self.empty_fragments.saturating_add(1) } else { 0 };
        if self.empty_fragments > limits.empty_fragments() {
            return Err(ProtocolError::TooManyEmptyFragments);
        }
        Ok(())
    }

    /// Takes the next octets of the payload, masked with `key`. `missing` octets of the frame are, them included, and the
    /// message gets at most `still` more.
    pub(super) fn append(
        &mut self,
        octets: &[u8],
        key: Option<MaskingKey>,
        missing: usize,
        still: usize,
        account: &mut Account,
    ) -> Result<(), ProtocolError> {
        debug_assert_eq!(self.judged, self.payload.len());
        let (len, capacity) = (self.payload.len(), self.payload.capacity());
        if capacity - len < octets.len() {
            let rest = (missing - octets.len()).min(justified(len + octets.len()));
            // Doubled, so that many pieces cost no more than a few copies; but never past what the limits allow.
            let doubled = capacity.saturating_mul(2).min(len.saturating_add(still)).saturating_sub(len);
            let most = doubled.max(octets.len() + rest);
            self.make_room(octets.len(), most, missing, len + octets.len(), account)?;
        }
        self.payload.extend_from_slice(octets);
        self.judge(key)
    }

    /// Makes room for `additional` octets, or as many as there are of a budget but no fewer than `least`; for all that are
    /// `missing` once enough has `arrived` and the thread has as much to spare. What a peer only claims must not keep that from
    /// others.
    fn make_room(
        &mut self,
        least: usize,
        additional: usize,
        missing: usize,
        arrived: usize,
        account: &mut Account,
    ) -> Result<(), Exhausted> {
        let len = self.payload.len();
        if self.payload.capacity() - len >= additional {
            return Ok(());
        }
        let most = if arrived >= SPARE_FROM { missing.max(additional) } else { additional };
        if let Some(mut larger) = spare::take_payload(len + additional..=len + most) {
            if account.hold(Part::Main, larger.capacity()).is_ok() {
                larger.extend_from_slice(&self.payload);
                spare::give_payload(mem::replace(&mut self.payload, larger));
                return Ok(());
            }
            spare::give_payload(larger);
        }
        let capacity = account.hold_most(Part::Main, len + least, len + additional)?;
        self.payload.reserve_exact(capacity - len);
        Ok(())
    }

    /// How many octets were read straight into the payload and not yet judged.
    pub(super) fn unjudged(&self) -> usize {
        self.payload.len() - self.judged
    }

    /// Unmasks and validates what has been added, at the first bad octet (RFC 6455 §8.1).
    pub(super) fn judge(&mut self, key: Option<MaskingKey>) -> Result<(), ProtocolError> {
        let added = &mut self.payload[self.judged..];
        if let Some(key) = key {
            key.mask(added);
        }
        if self.kind == MessageKind::Text {
            self.text.push(added).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        self.judged = self.payload.len();
        Ok(())
    }

    /// Takes the next octets of a compressed payload, unmasked. The message gets at most `max_len` octets long.
    #[cfg(feature = "deflate")]
    pub(super) fn inflate(
        &mut self,
        decompressor: &mut Decompressor,
        octets: &[u8],
        last: bool,
        max_len: usize,
        account: &mut Account,
    ) -> Result<(), ProtocolError> {
        account.hold(Part::Apart, decompressor.would_hold(octets.len(), last))?;
        let text = (self.kind == MessageKind::Text).then_some(&mut self.text);
        let mut inflated = Inflated { payload: &mut self.payload, text, max_len, account };
        decompressor.take(octets, last, &mut inflated)?;
        account.note(Part::Apart, decompressor.holds());
        self.judged = self.payload.len();
        Ok(())
    }

    /// The last fragment has come whole.
    pub(super) fn finish(&mut self) -> Result<MessageKind, ProtocolError> {
        if self.kind == MessageKind::Text {
            // RFC 6455 §8.1: a message must not end inside a code point.
            self.text.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        self.delivered = true;
        // The event itself says that octets have come.
        self.read_apart = false;
        Ok(self.kind)
    }

    /// Makes room for octets that are read straight into the payload, as many as `missing` but no more than what has
    /// arrived justifies, and hands it out.
    pub(super) fn destination(&mut self, missing: usize, account: &mut Account) -> (&mut Vec<u8>, usize) {
        let (come, room) = (self.payload.len(), self.payload.capacity() - self.payload.len());
        // More only when less is left than has come: a payload that trickles would be moved at every read.
        let len = missing.min(if room >= missing.min(come) { room } else { justified(come) });
        let len = match self.make_room(len, len, missing, come, account) {
            Ok(()) => len,
            // As octets come, it is seen whether there is any left of the budget.
            Err(_) => room.min(missing),
        };
        (&mut self.payload, len)
    }

    /// Frees a delivered message's payload, keeping the buffer for the next one.
    #[inline]
    pub(super) fn clear_delivered(&mut self) {
        if self.delivered {
            self.delivered = false;
            self.payload.clear();
            self.judged = 0;
        }
    }

    /// How many octets of memory it has.
    pub(super) fn holds(&self) -> usize {
        self.payload.capacity()
    }

    /// Takes a delivered message's payload, with no memory beyond its length: a small one is copied.
    pub(super) fn take(&mut self) -> Bytes {
        debug_assert!(self.delivered);
        self.judged = 0;
        if self.payload.len() <= COPY_UP_TO {
            let exact = Bytes::copy_from_slice(&self.payload);
            self.payload.clear();
            return exact;
        }
        let mut payload = mem::take(&mut self.payload);
        payload.shrink_to_fit();
        Bytes::from(payload)
    }

    /// Whether [`begin`](Self::begin) makes it that of another message, or of another connection.
    pub(super) fn is_as_new(&self) -> bool {
        self.payload.capacity() == 0 && self.judged == 0 && !self.delivered
    }

    /// Gives the buffer back when nothing is in it.
    pub(super) fn release(&mut self) {
        if self.payload.is_empty() {
            spare::give_payload(mem::take(&mut self.payload));
        }
    }
}

/// Once so many octets of a message have arrived, it may have a spare buffer with room for all of its frame, of 1 MiB at the
/// most. After a large message the first read of the next one gives more than this.
const SPARE_FROM: usize = 8 << 10;

/// How many octets more may be expected, once so many have arrived.
fn justified(arrived: usize) -> usize {
    arrived.saturating_mul(4)
}
