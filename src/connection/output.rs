//! Queued output: octets copied in order, with large payloads left where they are.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{Buf, Bytes};

use crate::config::COPY_UP_TO;
use crate::copy::copy;
use crate::frame::{DataOpcode, FrameHeader, MAX_HEADER_LEN, MaskingKey, short_header};

/// Frames on their way to the transport, in the order in which they were appended.
///
/// ```text
///  buffer   ░░░░ written ░░░░│ header payload header │ header payload …  │ free
///                            start                   at                  end
///  shared                                            └─ a payload above 16 KiB, not copied
/// ```
///
/// A client's shared payload is masked a piece at a time, as it is written.
#[derive(Default)]
pub(crate) struct Output {
    /// Initialised throughout; `start..end` is queued.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    shared: VecDeque<Shared>,
    shared_len: usize,
    /// The buffer of the last masked piece, for the next one.
    spare: Vec<u8>,
    /// Where some frame's header lies in `buffer`: from there the next frame boundaries are found.
    frame_at: usize,
    /// How many octets at the front the transport has been given without taking them, and may insist on.
    offered: usize,
    /// Octets appended and written since the beginning, without the Pongs that went ahead.
    appended: u64,
    written: u64,
}

/// A payload that stands between the octets of `buffer`.
struct Shared {
    /// It comes before the octet of `buffer` at this index.
    at: usize,
    /// What is left of it, behind `piece`.
    payload: Bytes,
    /// What `payload` is still to be masked with.
    masking_key: Option<MaskingKey>,
    /// Of a masked payload, what is ready to be written, from `piece_start`.
    piece: Vec<u8>,
    piece_start: usize,
    /// The length of a Pong that was put ahead of what was queued before it; zero for a payload.
    pong_len: usize,
    /// The transport has been given some of it.
    is_offered: bool,
}

impl Output {
    /// How many octets are queued.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start + self.shared_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets appended since the beginning: once [`written`](Self::written) is as much, what was appended last is out.
    #[cfg(any(feature = "tokio", test))]
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    #[cfg(any(feature = "tokio", test))]
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Appends a message in one frame, if what is left of the buffer has room for it and it is to be copied. The key is
    /// asked for only then.
    #[inline]
    pub(crate) fn push_if_room(
        &mut self,
        opcode: DataOpcode,
        next_key: impl FnOnce() -> Option<MaskingKey>,
        payload: &[u8],
    ) -> bool {
        let len = payload.len();
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        if len > COPY_UP_TO || room.len() < len + 8 {
            return false;
        }
        let key = next_key();
        // INVARIANT: what is copied is below 64 KiB.
        let (head, head_len) = short_header(opcode, key, len as u16);
        room[..8].copy_from_slice(&head);
        let to_payload = &mut room[head_len..head_len + len];
        match key {
            Some(key) => key.mask_copy(to_payload, payload),
            None => copy(to_payload, payload),
        }
        self.end += head_len + len;
        self.appended += (head_len + len) as u64;
        true
    }

    /// Appends a frame whose payload is copied, masked in the same pass if it has a key.
    #[inline]
    pub(crate) fn push_copied(&mut self, header: &FrameHeader, payload: &[u8]) {
        let encoded = header.encode();
        let head = encoded.as_slice();
        let len = head.len() + payload.len();
        let room = self.room(len);
        let (to_head, to_payload) = room.split_at_mut(head.len());
        to_head.copy_from_slice(head);
        match header.masking_key() {
            Some(key) => key.mask_copy(to_payload, payload),
            None => copy(to_payload, payload),
        }
        self.end += len;
        self.appended += len as u64;
    }

    /// Appends a frame whose payload stays where it is; one with a key is masked as it is written.
    pub(crate) fn push_shared(&mut self, header: &FrameHeader, payload: Bytes) {
        if payload.len() <= COPY_UP_TO {
            return self.push_copied(header, &payload);
        }
        self.push_head(header);
        self.append_shared(payload, header.masking_key());
    }

    /// Appends a frame whose payload the caller keeps: a large one is copied once, exactly.
    #[inline]
    pub(crate) fn push_borrowed(&mut self, header: &FrameHeader, payload: &[u8]) {
        if payload.len() <= COPY_UP_TO {
            return self.push_copied(header, payload);
        }
        self.push_head(header);
        let payload = match header.masking_key() {
            Some(key) => {
                let mut masked = alloc::vec![0; payload.len()];
                key.mask_copy(&mut masked, payload);
                Bytes::from(masked)
            }
            None => Bytes::copy_from_slice(payload),
        };
        self.append_shared(payload, None);
    }

    /// Puts a Pong at the next frame boundary, ahead of what else is queued. One that waits there already and has not
    /// begun to leave is replaced: only the newest is owed an answer (RFC 6455 §5.5.3).
    pub(crate) fn push_pong_ahead(&mut self, header: &FrameHeader, payload: &[u8]) {
        let mut frame = Vec::with_capacity(MAX_HEADER_LEN + payload.len());
        frame.extend_from_slice(header.encode().as_slice());
        let head_len = frame.len();
        frame.extend_from_slice(payload);
        if let Some(key) = header.masking_key() {
            key.mask(&mut frame[head_len..]);
        }
        let len = frame.len();
        let frame = Bytes::from(frame);

        if let Some(waiting) = self.shared.iter_mut().find(|shared| shared.is_whole_pong()) {
            self.shared_len = self.shared_len - waiting.payload.len() + len;
            waiting.pong_len = len;
            waiting.payload = frame;
            return;
        }
        let boundary = self.frame_boundary(self.behind_offered());
        // What stands at the boundary already belongs to the frame before it.
        let index = self.shared.partition_point(|shared| shared.at <= boundary);
        self.shared.insert(index, Shared { pong_len: len, ..Shared::new(boundary, frame, None) });
        self.shared_len += len;
    }

    /// The queued octets when they are one slice, as they mostly are.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        self.shared.is_empty().then(|| &self.buffer[self.start..self.end])
    }

    /// The queued octets as slices, in order: as many as `slices` holds. Returns how many it filled.
    ///
    /// A masked payload ends them early; ask again after [`advance`](Self::advance).
    #[inline]
    pub(crate) fn slices<'a>(&'a mut self, slices: &mut [&'a [u8]]) -> usize {
        if !self.shared.is_empty() {
            return self.slices_with_shared(slices);
        }
        match slices.first_mut() {
            Some(slot) if self.start < self.end => {
                *slot = &self.buffer[self.start..self.end];
                1
            }
            _ => 0,
        }
    }

    fn slices_with_shared<'a>(&'a mut self, slices: &mut [&'a [u8]]) -> usize {
        self.mask_next_piece();
        let mut filled = 0;
        let mut push = |octets: &'a [u8]| {
            if octets.is_empty() {
                return true;
            }
            let Some(slot) = slices.get_mut(filled) else { return false };
            *slot = octets;
            filled += 1;
            true
        };
        let mut from = self.start;
        for shared in &self.shared {
            let more = push(&self.buffer[from..shared.at])
                && push(&shared.piece[shared.piece_start..])
                && match shared.masking_key {
                    None => push(&shared.payload),
                    Some(_) => shared.payload.is_empty(),
                };
            from = shared.at;
            if !more {
                return filled;
            }
        }
        push(&self.buffer[from..self.end]);
        filled
    }

    /// Says that the transport took the first `len` octets of what [`slices`](Self::slices) gave.
    ///
    /// # Panics
    ///
    /// If that is more than it gave.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        if self.shared.is_empty() {
            assert!(len <= self.end - self.start, "the transport took more than it was given");
            self.start += len;
            self.written += len as u64;
            self.taken(len);
        } else {
            self.advance_with_shared(len);
        }
    }

    fn advance_with_shared(&mut self, len: usize) {
        let mut left = len;
        while left > 0 {
            let until = self.shared.front().map_or(self.end, |shared| shared.at);
            let copied = left.min(until - self.start);
            self.start += copied;
            self.written += copied as u64;
            left -= copied;
            let Some(shared) = self.shared.front_mut() else { break };
            if self.start < shared.at {
                break;
            }
            let taken = shared.advance(left);
            left -= taken;
            self.shared_len -= taken;
            if shared.pong_len == 0 {
                self.written += taken as u64;
            }
            if !shared.is_empty() {
                break;
            }
            let written = self.shared.pop_front();
            self.spare = written.map(|shared| shared.piece).unwrap_or_default();
        }
        assert!(left == 0, "the transport took more than it was given");
        self.taken(len);
    }

    #[inline]
    fn taken(&mut self, len: usize) {
        self.offered = self.offered.saturating_sub(len);
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
            self.frame_at = 0;
            self.offered = 0;
        }
    }

    /// Says that the transport was given the first `len` octets, did not take them, and may insist on getting the same
    /// ones again: TLS libraries that encrypt before they write do. Nothing is put ahead of them any more.
    #[cfg(any(feature = "std", test))]
    pub(crate) fn offer(&mut self, len: usize) {
        self.offered = self.offered.max(len);
        let mut begins = 0;
        let mut from = self.start;
        for shared in &mut self.shared {
            begins += shared.at - from;
            from = shared.at;
            shared.is_offered |= begins < len;
            begins += shared.len();
        }
    }

    /// Forgets everything that is queued.
    pub(crate) fn clear(&mut self) {
        *self = Self { appended: self.appended, written: self.written, ..Self::default() };
    }

    /// Whether a buffer has to be allocated, or lent, for the next frame.
    #[inline]
    pub(crate) fn needs_buffer(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Lends a buffer, initialised throughout, for what is appended from here on.
    pub(crate) fn lend_buffer(&mut self, buffer: Vec<u8>) {
        if self.needs_buffer() {
            self.buffer = buffer;
        }
    }

    /// Takes the buffer back when nothing is queued, and frees the rest.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() {
            return None;
        }
        self.shared = VecDeque::new();
        self.spare = Vec::new();
        (!self.buffer.is_empty()).then(|| mem::take(&mut self.buffer))
    }

    fn push_head(&mut self, header: &FrameHeader) {
        let encoded = header.encode();
        let head = encoded.as_slice();
        self.room(head.len()).copy_from_slice(head);
        self.end += head.len();
        self.appended += head.len() as u64;
    }

    fn append_shared(&mut self, payload: Bytes, masking_key: Option<MaskingKey>) {
        let len = payload.len();
        self.shared.push_back(Shared::new(self.end, payload, masking_key));
        self.shared_len += len;
        self.appended += len as u64;
    }

    /// `len` octets behind what is queued.
    #[inline]
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.buffer.len() - self.end < len {
            self.make_room(len);
        }
        &mut self.buffer[self.end..self.end + len]
    }

    #[cold]
    fn make_room(&mut self, len: usize) {
        let boundary = self.frame_boundary(self.start);
        if self.start >= self.buffer.len() / 2 {
            let written = self.start;
            self.buffer.copy_within(written..self.end, 0);
            self.start = 0;
            self.end -= written;
            self.frame_at = boundary - written;
            for shared in &mut self.shared {
                shared.at -= written;
            }
        }
        let needed = self.end + len;
        if self.buffer.len() < needed {
            self.buffer.resize(needed.max(2 * self.buffer.len()).max(FIRST_BUFFER_LEN), 0);
        }
    }

    /// Masks the next piece of the first shared payload, if it has a key and the last piece is out.
    fn mask_next_piece(&mut self) {
        let Some(shared) = self.shared.front_mut() else { return };
        let Some(key) = shared.masking_key else { return };
        if shared.piece_start < shared.piece.len() || shared.payload.is_empty() {
            return;
        }
        let len = shared.payload.len().min(MASKED_PIECE_LEN);
        if shared.piece.is_empty() {
            shared.piece = mem::take(&mut self.spare);
        }
        shared.piece.resize(len, 0);
        shared.piece_start = 0;
        key.mask_copy(&mut shared.piece, &shared.payload[..len]);
        shared.payload.advance(len);
        shared.masking_key = Some(key.advanced(len));
    }

    /// Where `buffer` goes on behind what the transport has been given.
    fn behind_offered(&self) -> usize {
        let (mut at, mut left) = (self.start, self.offered);
        for shared in &self.shared {
            let copied = left.min(shared.at - at);
            at += copied;
            left -= copied;
            if at < shared.at || left == 0 {
                return at;
            }
            left = left.saturating_sub(shared.len());
        }
        at + left.min(self.end - at)
    }

    /// The first place at or behind `from` where one frame ends and another begins, or may.
    fn frame_boundary(&mut self, from: usize) -> usize {
        while self.frame_at < from {
            self.frame_at = self.frame_behind(self.frame_at);
        }
        self.frame_at
    }

    /// Where the header of the next frame lies, or will, given where that of a frame that has begun lies.
    fn frame_behind(&self, at: usize) -> usize {
        // INVARIANT: every header lies in `buffer` as one piece, put there by `push_copied` or `push_head`.
        let head = &self.buffer[at..self.end];
        let (payload_len, extended) = match head[1] & 0x7f {
            126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), 2),
            127 => {
                let mut octets = [0; 8];
                octets.copy_from_slice(&head[2..10]);
                (u64::from_be_bytes(octets), 8)
            }
            short => (u64::from(short), 0),
        };
        let masking_key = if head[1] & 0x80 != 0 { 4 } else { 0 };
        // Exactly the payloads above this length are not in `buffer`.
        let copied = if payload_len <= COPY_UP_TO as u64 { payload_len as usize } else { 0 };
        at + 2 + extended + masking_key + copied
    }
}

/// Octets are the application's, or another connection's from before: never printed.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("queued", &self.len()).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(at: usize, payload: Bytes, masking_key: Option<MaskingKey>) -> Self {
        Self { at, payload, masking_key, piece: Vec::new(), piece_start: 0, pong_len: 0, is_offered: false }
    }

    fn len(&self) -> usize {
        self.piece.len() - self.piece_start + self.payload.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes up to `len` octets off the front of what is ready to be written; says how many.
    fn advance(&mut self, len: usize) -> usize {
        let piece = len.min(self.piece.len() - self.piece_start);
        self.piece_start += piece;
        let payload = match self.masking_key {
            None => (len - piece).min(self.payload.len()),
            Some(_) => 0,
        };
        self.payload.advance(payload);
        piece + payload
    }

    /// A Pong that went ahead, of which nothing has been written or offered.
    fn is_whole_pong(&self) -> bool {
        self.pong_len != 0 && self.payload.len() == self.pong_len && !self.is_offered
    }
}

/// The first buffer, when nobody lends one.
const FIRST_BUFFER_LEN: usize = 512;

/// How much of a client's large payload is masked at a time.
const MASKED_PIECE_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests;
