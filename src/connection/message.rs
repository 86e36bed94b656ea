//! The message that is being received: fragments, limits, text: RFC 6455 §5.4, §5.6, §10.4.

use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

use super::event::MessageKind;
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

    /// Takes the next octets of the payload, masked with `key`. The message gets at most `still` octets more.
    pub(super) fn append(
        &mut self,
        octets: &[u8],
        key: Option<MaskingKey>,
        still: usize,
    ) -> Result<(), ProtocolError> {
        debug_assert_eq!(self.judged, self.payload.len());
        let (len, capacity) = (self.payload.len(), self.payload.capacity());
        if capacity - len < octets.len() {
            // Doubled, so that many pieces cost no more than a few copies; but never past what the limits allow.
            let wanted = capacity.saturating_mul(2).min(len.saturating_add(still));
            self.payload.reserve_exact(octets.len().max(wanted.saturating_sub(len)));
        }
        self.payload.extend_from_slice(octets);
        self.judge(key)
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
    ) -> Result<(), ProtocolError> {
        let text = (self.kind == MessageKind::Text).then_some(&mut self.text);
        let mut inflated = Inflated { payload: &mut self.payload, text, max_len };
        decompressor.take(octets, last, &mut inflated)?;
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
        Ok(self.kind)
    }

    /// Makes room for octets that are read straight into the payload, as many as `missing` but no more than what has
    /// arrived justifies, and hands it out.
    pub(super) fn destination(&mut self, missing: usize) -> (&mut Vec<u8>, usize) {
        let justified =
            self.payload.len().saturating_mul(4).max(self.payload.capacity() - self.payload.len());
        let len = missing.min(justified);
        self.payload.reserve_exact(len);
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

    /// Frees the buffer when nothing is in it.
    pub(super) fn release(&mut self) {
        if self.payload.is_empty() {
            self.payload = Vec::new();
        }
    }
}
