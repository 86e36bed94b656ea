//! What is queued while the transport does not take it, in no more memory than it needs: RFC 6455 §10.4.
//!
//! Only where there is a budget: others keep the buffer that was lent, which needs no copy when it goes on.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use super::{Apart, Output};
use crate::budget::{Exhausted, LEASE_LEN, Part};
use crate::connection::spare;
use crate::frame::{ControlOpcode, Opcode};

impl Output {
    /// Whether a buffer has to be lent for the next frame: there is none, or what is queued was parked.
    #[inline]
    pub(crate) fn wants_buffer(&self) -> bool {
        self.buffer.len() <= LEASE_LEN
    }

    /// The transport does not take what is queued: until it does, that is this connection's. What costs nothing moves to
    /// a buffer of exactly its size, and a buffer that was lent comes back; else it is held.
    pub(crate) fn park(&mut self) -> Result<Option<Vec<u8>>, Exhausted> {
        if self.wants_buffer() {
            return Ok(None);
        }
        if self.end - self.start <= LEASE_LEN {
            return self.park_exactly();
        }
        self.account.hold(Part::Lent, self.account.lent())?;
        Ok(None)
    }

    /// As [`park`](Self::park), but moves what is queued in any case.
    pub(crate) fn park_exactly(&mut self) -> Result<Option<Vec<u8>>, Exhausted> {
        let len = self.end - self.start;
        if self.buffer.len() == len {
            return Ok(None);
        }
        let (lent, held) = (self.account.lent(), self.account.held(Part::Main));
        let held_lent = self.account.held(Part::Lent);
        self.account.note(Part::Lent, 0);
        self.account.lend(0);
        self.account.note(Part::Main, 0);
        self.account.hold(Part::Main, self.costs(len)).inspect_err(|_| {
            self.account.note(Part::Main, held);
            self.account.note(Part::Lent, held_lent);
            self.account.lend(lent);
        })?;
        self.account.give_back(0);
        if self.start > 0 {
            self.drop_written();
        }
        let exact = Box::from(&self.buffer[..len]);
        Ok(Some(mem::replace(&mut self.buffer, exact).into_vec()))
    }

    /// Drops all frames that the transport has been given nothing of, but a Close and Pongs that stand before them: for
    /// a connection that fails since they cannot be paid for.
    pub(crate) fn drop_unbegun(&mut self) {
        let Self { buffer, start, end, apart_len, apart, account, .. } = self;
        let apart = apart.get_or_insert_with(spare::take_apart);
        let behind_offered = apart.behind_offered(*start, *end);
        apart.move_to_boundary(&buffer[..*end], behind_offered);
        let boundary = apart.frame_at;
        let close = apart.close_behind(&buffer[..*end], boundary);
        // What stands at the boundary belongs to the frame before it.
        let begun = apart.shared.partition_point(|shared| shared.at <= boundary);
        let Apart { shared, ahead_len, .. } = &mut **apart;
        for shared in shared.drain(begun..) {
            *apart_len -= shared.len();
            if shared.pong_len > 0 {
                *ahead_len -= shared.len();
            }
            account.note(Part::Apart, account.held(Part::Apart).saturating_sub(shared.held));
        }
        if shared.is_empty() {
            account.note(Part::Piece, 0);
        }
        let close_len = close.len();
        buffer.copy_within(close, boundary);
        *end = boundary + close_len;
        self.rewind_if_empty();
        self.account.give_back(0);
    }
}

impl Apart {
    /// Where the first Close frame is behind a boundary; nowhere, if there is none.
    fn close_behind(&self, buffer: &[u8], boundary: usize) -> Range<usize> {
        let mut at = boundary;
        while at < buffer.len() {
            let next = self.frame_behind(buffer, at);
            if Opcode::from_bits(buffer[at] & 0x0f) == Some(Opcode::Control(ControlOpcode::Close)) {
                return at..next;
            }
            at = next;
        }
        boundary..boundary
    }
}
