//! Queued output: octets copied in order, with large payloads left where they are.

#[cfg(any(feature = "tokio", test))]
mod parked;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::{Buf, Bytes};

use super::spare;
use crate::budget::{Account, Exhausted, LEASE_LEN, Part};
use crate::config::COPY_UP_TO;
use crate::copy::copy;
use crate::frame::{DataOpcode, FrameHeader, MAX_HEADER_LEN, MaskingKey, short_header};

/// Frames on their way to the transport, in the order in which they were appended.
///
/// ```text
///  buffer   ░░░░ written ░░░░│ header payload header │ header payload …  │ free
///                            start                   at                  end
///  apart                                             └─ a payload above 16 KiB, not copied
/// ```
///
/// A client's shared payload is masked a piece at a time, as it is written.
#[derive(Default)]
pub(crate) struct Output {
    /// Initialised throughout; `start..end` is queued.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Octets written since the beginning, without the Pongs that went ahead.
    written: u64,
    /// How many octets are queued apart from the buffer.
    apart_len: usize,
    /// Boxed: hardly any connection ever needs it, and none that is idle.
    apart: Option<Box<Apart>>,
    /// What all this costs, but for a buffer that was lent, or else the first octets of our own.
    account: Account,
}

/// What a message will need, at the most, once it is queued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// How many octets of payload it has.
    pub(crate) payload_len: usize,
    /// How many a frame has at most.
    pub(crate) fragment_len: usize,
    /// Whether its payload is queued as it is when it is large, and masked only then.
    pub(crate) is_shared: bool,
    pub(crate) is_masked: bool,
}

/// What is queued apart from the buffer, and what has to be known of the buffer beside it.
#[derive(Default)]
pub(super) struct Apart {
    shared: VecDeque<Shared>,
    /// How many octets of Pongs that went ahead are queued.
    ahead_len: usize,
    /// Where some frame's header lies in `buffer`, or the next will: from there the next frame boundaries are found.
    /// Without this box it is where `buffer` begins.
    frame_at: usize,
    /// How many octets at the front the transport has been given without taking them, and may insist on.
    offered: usize,
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
    /// The length of a payload as it was queued.
    held: usize,
    /// The transport has been given some of it.
    is_offered: bool,
}

impl Output {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, ..Self::default() }
    }

    /// How many octets are queued.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start + self.apart_len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets written and queued since the beginning, without the Pongs that went ahead: once [`written`](Self::written)
    /// is as much, what was appended last is out.
    pub(crate) fn appended(&self) -> u64 {
        let ahead = self.apart.as_ref().map_or(0, |apart| apart.ahead_len);
        self.written + (self.len() - ahead) as u64
    }

    #[inline]
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
        if len > COPY_UP_TO || room.len() < len + SHORT_HEADER_ROOM {
            return false;
        }
        let key = next_key();
        // INVARIANT: what is copied is below 64 KiB.
        let (head, head_len) = short_header(opcode, key, len as u16);
        room[..SHORT_HEADER_ROOM].copy_from_slice(&head);
        let to_payload = &mut room[head_len..head_len + len];
        match key {
            Some(key) => key.mask_copy(to_payload, payload),
            None => copy(to_payload, payload),
        }
        self.end += head_len + len;
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
    }

    /// Appends a frame whose payload stays where it is; one with a key is masked as it is written.
    pub(crate) fn push_shared(&mut self, header: &FrameHeader, payload: Bytes) {
        if payload.len() <= COPY_UP_TO {
            return self.push_copied(header, &payload);
        }
        self.push_head(header);
        self.append_shared(payload, header.masking_key());
    }

    /// Appends a frame whose payload the caller keeps: a large one that does not fit what is left of the buffer is
    /// copied once, exactly.
    #[inline]
    pub(crate) fn push_borrowed(&mut self, header: &FrameHeader, payload: &[u8]) {
        let room = self.buffer.len() - self.end;
        if payload.len() <= COPY_UP_TO || payload.len() <= room.saturating_sub(MAX_HEADER_LEN) {
            return self.push_copied(header, payload);
        }
        self.push_head(header);
        // With a budget no larger than it is paid for.
        let copy_of = if self.account.is_open() { spare::copy_of } else { spare::short_lived_copy_of };
        let mut payload = copy_of(payload);
        if let Some(key) = header.masking_key() {
            key.mask(&mut payload);
        }
        self.append_shared(payload.into(), None);
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

        let Self { buffer, start, end, apart_len, apart, .. } = self;
        let apart = apart.get_or_insert_with(spare::take_apart);
        apart.ahead_len += len;
        *apart_len += len;
        if let Some(waiting) = apart.shared.iter_mut().find(|shared| shared.is_whole_pong()) {
            apart.ahead_len -= waiting.pong_len;
            *apart_len -= waiting.pong_len;
            waiting.pong_len = len;
            waiting.payload = frame;
            return;
        }
        let behind_offered = apart.behind_offered(*start, *end);
        apart.move_to_boundary(&buffer[..*end], behind_offered);
        let boundary = apart.frame_at;
        // What stands at the boundary already belongs to the frame before it.
        let index = apart.shared.partition_point(|shared| shared.at <= boundary);
        apart.shared.insert(index, Shared { pong_len: len, held: 0, ..Shared::new(boundary, frame, None) });
    }

    /// The queued octets when they are one slice, as they mostly are.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        (self.apart_len == 0).then(|| &self.buffer[self.start..self.end])
    }

    /// The queued octets as slices, in order: as many as `slices` holds. Returns how many it filled.
    ///
    /// A masked payload ends them early; ask again after [`advance`](Self::advance).
    #[inline]
    pub(crate) fn slices<'a>(&'a mut self, slices: &mut [&'a [u8]]) -> usize {
        if self.apart.is_some() {
            return self.slices_with_apart(slices);
        }
        match slices.first_mut() {
            Some(slot) if self.start < self.end => {
                *slot = &self.buffer[self.start..self.end];
                1
            }
            _ => 0,
        }
    }

    fn slices_with_apart<'a>(&'a mut self, slices: &mut [&'a [u8]]) -> usize {
        let Self { buffer, start, end, apart, account, .. } = self;
        let apart = apart.get_or_insert_with(spare::take_apart);
        apart.mask_next_piece(account.is_open());
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
        let mut from = *start;
        for shared in &apart.shared {
            let more = push(&buffer[from..shared.at])
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
        push(&buffer[from..*end]);
        filled
    }

    /// Says that the transport took the first `len` octets of what [`slices`](Self::slices) gave.
    ///
    /// # Panics
    ///
    /// If that is more than it gave.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        if self.apart.is_some() {
            return self.advance_with_apart(len);
        }
        assert!(len <= self.end - self.start, "the transport took more than it was given");
        self.start += len;
        self.written += len as u64;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    #[inline(never)]
    fn advance_with_apart(&mut self, len: usize) {
        let Self { start, end, written, apart_len, apart, account, .. } = self;
        let apart = apart.get_or_insert_with(spare::take_apart);
        let mut left = len;
        while left > 0 {
            let until = apart.shared.front().map_or(*end, |shared| shared.at);
            let copied = left.min(until - *start);
            *start += copied;
            *written += copied as u64;
            left -= copied;
            let Some(shared) = apart.shared.front_mut() else { break };
            if *start < shared.at {
                break;
            }
            let taken = shared.advance(left);
            left -= taken;
            *apart_len -= taken;
            match shared.pong_len {
                0 => *written += taken as u64,
                _ => apart.ahead_len -= taken,
            }
            if !shared.is_empty() {
                break;
            }
            if let Some(shared) = apart.shared.pop_front() {
                // Both begin a frame there: behind a payload, or where a Pong was let through. A header before it could no
                // longer be seen to have had its payload apart.
                apart.frame_at = apart.frame_at.max(shared.at);
                account.note(Part::Apart, account.held(Part::Apart).saturating_sub(shared.held));
                spare::give_payload(shared.piece);
                spare::give_shared(shared.payload);
            }
        }
        assert!(left == 0, "the transport took more than it was given");
        if apart.shared.is_empty() {
            account.note(Part::Piece, 0);
        }
        account.give_back(0);
        apart.offered = apart.offered.saturating_sub(len);
        self.rewind_if_empty();
    }

    /// The next frame begins at the front of the buffer, if nothing is queued.
    fn rewind_if_empty(&mut self) {
        if self.is_empty()
            && let Some(apart) = &mut self.apart
        {
            (self.start, self.end) = (0, 0);
            (apart.frame_at, apart.offered) = (0, 0);
        }
    }

    /// Says that the transport was given the first `len` octets, did not take them, and may insist on getting the same
    /// ones again: TLS libraries that encrypt before they write do. Nothing is put ahead of them any more.
    #[cfg(any(feature = "std", test))]
    pub(crate) fn offer(&mut self, len: usize) {
        if len == 0 {
            return;
        }
        let apart = self.apart.get_or_insert_with(spare::take_apart);
        apart.offered = apart.offered.max(len);
        let mut begins = 0;
        let mut from = self.start;
        for shared in &mut apart.shared {
            begins += shared.at - from;
            from = shared.at;
            shared.is_offered |= begins < len;
            begins += shared.len();
        }
    }

    /// Forgets everything that is queued.
    #[cold]
    #[inline(never)]
    pub(crate) fn clear(&mut self) {
        let mut account = mem::take(&mut self.account);
        account.close();
        *self = Self { written: self.written, account, ..Self::default() };
    }

    /// Reserves what a message needs, before anything of it is queued. What it does not need after all is given back by
    /// [`settle`](Self::settle).
    #[inline]
    pub(crate) fn reserve(&mut self, needs: Needs) -> Result<(), Exhausted> {
        if self.account.is_open() { self.reserve_of_budget(needs) } else { Ok(()) }
    }

    fn reserve_of_budget(&mut self, needs: Needs) -> Result<(), Exhausted> {
        let Needs { payload_len, fragment_len, is_shared, is_masked } = needs;
        let fragment_len = fragment_len.max(1);
        let whole = payload_len.saturating_sub(1) / fragment_len;
        let last = payload_len - whole * fragment_len;
        // Each frame as if its header were of the longest.
        let heads = (whole + 1).saturating_mul(MAX_HEADER_LEN).saturating_add(SHORT_HEADER_ROOM);
        let fits = heads.saturating_add(payload_len) <= self.buffer.len() - self.end;
        let apart_of = |len: usize| if len > COPY_UP_TO && (is_shared || !fits) { len } else { 0 };
        let apart = whole * apart_of(fragment_len) + apart_of(last);
        let from = if self.drops_written() { self.end - self.start } else { self.end };
        let end = heads.saturating_add(from + payload_len - apart);
        let grown = end.max(if self.buffer.is_empty() { FIRST_BUFFER_LEN } else { self.buffer.len() });
        let buffer = self.costs(grown).saturating_sub(self.account.held(Part::Main));
        // One at a time is masked, and only what is queued as it came.
        let piece = match apart {
            1.. if is_shared && is_masked => fragment_len.min(payload_len).min(MASKED_PIECE_LEN),
            _ => 0,
        };
        let before = self.account.held(Part::Piece);
        self.account.hold(Part::Piece, piece.max(before))?;
        self.account.hold(Part::Reserved, buffer.saturating_add(apart)).inspect_err(|_| {
            self.account.note(Part::Piece, before);
            self.account.give_back(0);
        })
    }

    /// Whether there is a budget that what is queued is held of.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn is_counted(&self) -> bool {
        self.account.is_open()
    }

    /// Gives back what was reserved, or is no longer held.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.account.note(Part::Reserved, 0);
        self.account.give_back(0);
    }

    /// What a buffer of this length costs.
    fn costs(&self, buffer_len: usize) -> usize {
        buffer_len.saturating_sub(self.free_len())
    }

    /// How long a buffer may be that costs nothing.
    fn free_len(&self) -> usize {
        self.account.lent().max(LEASE_LEN)
    }

    /// Whether a buffer has to be allocated, or lent, for the next frame.
    #[inline]
    pub(crate) fn needs_buffer(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Lends a buffer, initialised throughout, for what is appended from here on. What was [parked](Self::park) moves to it.
    pub(crate) fn lend_buffer(&mut self, buffer: Vec<u8>) {
        if buffer.len() <= self.buffer.len() {
            return;
        }
        let mut lent = buffer.into_boxed_slice();
        lent[..self.end].copy_from_slice(&self.buffer[..self.end]);
        self.account.lend(lent.len());
        self.buffer = lent;
    }

    /// Takes the buffer back when nothing is queued, and frees the rest.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() {
            return None;
        }
        if let Some(apart) = self.apart.take() {
            apart.give_back();
        }
        if self.account.is_open() {
            self.account.close();
        }
        (!self.buffer.is_empty()).then(|| mem::take(&mut self.buffer).into_vec())
    }

    /// Frees a buffer of our own that is paid for, when nothing is queued.
    #[cfg(feature = "std")]
    pub(crate) fn release_paid(&mut self) {
        if self.account.held(Part::Main) > 0 {
            drop(self.take_buffer());
        }
    }

    fn push_head(&mut self, header: &FrameHeader) {
        let encoded = header.encode();
        let head = encoded.as_slice();
        self.room(head.len()).copy_from_slice(head);
        self.end += head.len();
    }

    fn append_shared(&mut self, payload: Bytes, masking_key: Option<MaskingKey>) {
        self.apart_len += payload.len();
        self.account.note(Part::Apart, self.account.held(Part::Apart) + payload.len());
        let apart = self.apart.get_or_insert_with(spare::take_apart);
        apart.shared.push_back(Shared::new(self.end, payload, masking_key));
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
        if self.drops_written() {
            self.drop_written();
        }
        // With room for the next frame to be as long and take the short way.
        let needed = self.end + len + SHORT_HEADER_ROOM;
        if self.buffer.len() < needed {
            let mut doubled = needed.max(2 * self.buffer.len()).max(FIRST_BUFFER_LEN);
            if self.account.is_open() && needed <= LEASE_LEN {
                // What costs nothing is enough.
                doubled = doubled.min(LEASE_LEN);
            }
            // What is queued here is reserved, or a control frame, which is always queued.
            let cost = self.costs(needed);
            self.account.note(Part::Main, cost);
            // Of what would save a copy later no more than is left.
            let paid = self.account.hold_most(Part::Main, cost, self.costs(doubled)).unwrap_or(cost);
            let len = doubled.min(paid.saturating_add(self.free_len()));
            let mut buffer = mem::take(&mut self.buffer).into_vec();
            buffer.reserve_exact(len - buffer.len());
            buffer.resize(len, 0);
            self.buffer = buffer.into_boxed_slice();
        }
    }

    /// Whether so much is written that moving what is queued makes more room than it costs.
    fn drops_written(&self) -> bool {
        self.start > 0 && self.start >= self.buffer.len() / 2
    }

    /// Moves what is queued to the front of the buffer.
    fn drop_written(&mut self) {
        let Self { buffer, start, end, apart, .. } = self;
        let written = mem::take(start);
        // The buffer may begin inside a frame from here on.
        let apart = apart.get_or_insert_with(spare::take_apart);
        apart.move_to_boundary(&buffer[..*end], written);
        apart.frame_at -= written;
        for shared in &mut apart.shared {
            shared.at -= written;
        }
        buffer.copy_within(written..*end, 0);
        *end -= written;
    }
}

impl Apart {
    /// Nothing is queued any more.
    fn give_back(mut self: Box<Self>) {
        (self.frame_at, self.offered) = (0, 0);
        debug_assert!(self.shared.is_empty() && self.ahead_len == 0);
        if self.shared.capacity() <= SHARED_KEPT {
            spare::give_apart(self);
        }
    }

    /// Masks the next piece of the first shared payload, if it has a key and the last piece is out. With a budget no more is
    /// taken for it than was reserved.
    fn mask_next_piece(&mut self, is_counted: bool) {
        let Some(shared) = self.shared.front_mut() else { return };
        let Some(key) = shared.masking_key else { return };
        if shared.piece_start < shared.piece.len() || shared.payload.is_empty() {
            return;
        }
        let len = shared.payload.len().min(MASKED_PIECE_LEN);
        if shared.piece.is_empty() {
            let most = if is_counted { len } else { MASKED_PIECE_LEN };
            shared.piece = spare::take_payload(len..=most).unwrap_or_default();
        }
        shared.piece.resize(len, 0);
        shared.piece_start = 0;
        key.mask_copy(&mut shared.piece, &shared.payload[..len]);
        shared.payload.advance(len);
        shared.masking_key = Some(key.advanced(len));
    }

    /// Where the buffer, queued from `start` to `end`, goes on behind what the transport has been given.
    fn behind_offered(&self, start: usize, end: usize) -> usize {
        let (mut at, mut left) = (start, self.offered);
        for shared in &self.shared {
            let copied = left.min(shared.at - at);
            at += copied;
            left -= copied;
            if at < shared.at || left == 0 {
                return at;
            }
            left = left.saturating_sub(shared.len());
        }
        at + left.min(end - at)
    }

    /// Moves on to the first place at or behind `from` where one frame ends and another begins, or may.
    fn move_to_boundary(&mut self, buffer: &[u8], from: usize) {
        while self.frame_at < from {
            self.frame_at = self.frame_behind(buffer, self.frame_at);
        }
    }

    /// Where the header of the next frame lies, or will, given where that of a frame that has begun lies.
    fn frame_behind(&self, buffer: &[u8], at: usize) -> usize {
        // INVARIANT: every header lies in `buffer` as one piece, put there by `push_copied` or `push_head`.
        let head = &buffer[at..];
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
        let payload_at = at + 2 + extended + masking_key;
        // INVARIANT: a payload is in memory, so its length is a `usize`.
        if self.has_payload_at(payload_at) { payload_at } else { payload_at + payload_len as usize }
    }

    /// Whether a payload that is not in the buffer belongs there: then it is that of the header right before, since any
    /// other has a header of its own before it. One that has been written is not asked for: `frame_at` has passed it.
    fn has_payload_at(&self, at: usize) -> bool {
        let first = self.shared.partition_point(|shared| shared.at < at);
        self.shared.range(first..).take_while(|shared| shared.at == at).any(|shared| shared.pong_len == 0)
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
        let held = payload.len();
        Self {
            at,
            payload,
            masking_key,
            piece: Vec::new(),
            piece_start: 0,
            pong_len: 0,
            held,
            is_offered: false,
        }
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

/// How much room for payloads a box may have that is kept for another connection.
const SHARED_KEPT: usize = 16;

/// A short header is written as so many octets at once, whatever its length.
const SHORT_HEADER_ROOM: usize = 8;

/// The first buffer, when nobody lends one.
const FIRST_BUFFER_LEN: usize = 512;

/// How much of a client's large payload is masked at a time.
const MASKED_PIECE_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests;
