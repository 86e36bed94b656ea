//! Read and write buffers: lent by a pool of the thread's, so that an idle connection owns none.

use std::cell::RefCell;
use std::{fmt, mem};

/// The size of a pooled buffer. From 256 KiB on larger reads are no faster; the rest is for output, which may pass that
/// mark by a message that is copied, of 16 KiB, and as much of Pongs, and must not outgrow its buffer then.
pub(super) const BUFFER_LEN: usize = (256 + 36) << 10;

/// How much one thread's pool holds at most: enough for the connections that are busy at one moment.
const POOL_LEN: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`BUFFER_LEN`] octets, initialised but not zeroed again.
pub(super) fn take() -> Vec<u8> {
    POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten().unwrap_or_else(|| vec![0; BUFFER_LEN])
}

/// Gives a buffer back. One of another size, or one too many, is freed.
pub(super) fn give(buffer: Vec<u8>) {
    if buffer.len() != BUFFER_LEN || buffer.capacity() != BUFFER_LEN {
        return;
    }
    // A thread that is ending has no pool any more: the buffer is freed with the closure.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < POOL_LEN {
            pool.push(buffer);
        }
    });
}

/// What was read from the transport and has not been consumed.
///
/// The buffer is a pooled one while the transport gives something, and exactly as large as what is left, mostly
/// nothing, while it does not.
#[derive(Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the payload of the last event begins if it lies here: it ends where the unconsumed octets begin.
    lent_from: usize,
}

/// Octets are a peer's, or another connection's from before: never printed.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("unconsumed", &(self.end - self.start)).finish_non_exhaustive()
    }
}

impl Input {
    /// Input that was read before there was a connection, such as the octets behind the head of the handshake.
    pub(super) fn with(unread: Vec<u8>) -> Self {
        let end = unread.len();
        Self { buffer: unread, start: 0, end, lent_from: 0 }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(super) fn unconsumed(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Drops the first `octets`. From `lent_from` on they stay readable by [`lent`](Self::lent) until more is read.
    #[inline]
    pub(super) fn consume(&mut self, octets: usize, lent_from: usize) {
        self.lent_from = self.start + lent_from;
        self.start += octets;
    }

    /// What the last [`consume`](Self::consume) has left readable.
    #[inline]
    pub(super) fn lent(&self) -> &[u8] {
        &self.buffer[self.lent_from..self.start]
    }

    /// Room for at most `limit` octets behind what is there; empty when a whole buffer is unconsumed.
    pub(super) fn room(&mut self, limit: usize) -> &mut [u8] {
        if self.buffer.len() < BUFFER_LEN {
            let mut buffer = take();
            let len = self.end - self.start;
            if len > BUFFER_LEN {
                // More than a buffer was read before there was a connection: it is consumed first.
                give(buffer);
                return &mut [];
            }
            if len > 0 {
                buffer[..len].copy_from_slice(&self.buffer[self.start..self.end]);
            }
            self.buffer = buffer;
            self.start = 0;
            self.lent_from = 0;
            self.end = len;
        } else if self.is_empty() {
            self.start = 0;
            self.lent_from = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.lent_from = 0;
        }
        let limit = limit.min(self.buffer.len() - self.end);
        &mut self.buffer[self.end..self.end + limit]
    }

    /// Puts octets behind what is there, growing no faster than they come; at most [`vacancy`](Self::vacancy).
    pub(super) fn append(&mut self, octets: &[u8]) {
        if self.buffer.len() - self.end < octets.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.lent_from = 0;
        }
        if self.buffer.len() - self.end < octets.len() {
            self.buffer.truncate(self.end);
            self.buffer.extend_from_slice(octets);
        } else {
            self.buffer[self.end..self.end + octets.len()].copy_from_slice(octets);
        }
        self.end += octets.len();
    }

    /// How much more may be read before something is consumed.
    pub(super) fn vacancy(&self) -> usize {
        BUFFER_LEN.saturating_sub(self.end - self.start)
    }

    /// Says that `octets` were read into the room.
    pub(super) fn filled(&mut self, octets: usize) {
        self.end += octets;
        debug_assert!(self.end <= self.buffer.len());
    }

    /// Gives the pooled buffer back; what is unconsumed moves to one of exactly its size.
    pub(super) fn park(&mut self) {
        let len = self.end - self.start;
        if len == 0 {
            return self.clear();
        }
        // What was parked before and is still half of it stays: else a copy for every message received between.
        if self.buffer.len() < BUFFER_LEN && len >= self.buffer.len() / 2 {
            return;
        }
        let rest = self.unconsumed().to_vec();
        give(mem::take(self).buffer);
        *self = Self::with(rest);
    }

    /// How many octets of memory it has, once it is parked.
    pub(super) fn holds(&self) -> usize {
        self.buffer.capacity()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        give(mem::take(self).buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconsumed_octets_survive_parking_and_refilling() {
        let mut input = Input::with(b"ab".to_vec());
        assert_eq!(input.unconsumed(), b"ab");
        input.room(3)[..2].copy_from_slice(b"cd");
        input.filled(2);
        input.consume(1, 0);
        assert_eq!(input.lent(), b"a");
        input.park();
        assert_eq!(input.unconsumed(), b"bcd");
        assert_eq!(input.buffer.capacity(), 3, "exactly what is left");
        input.consume(3, 1);
        assert_eq!(input.lent(), b"cd");
        input.park();
        assert_eq!(input.buffer.capacity(), 0);
        assert_eq!(input.room(usize::MAX).len(), BUFFER_LEN);
    }

    #[test]
    fn a_full_buffer_has_no_room_until_something_is_consumed() {
        let mut input = Input::default();
        let len = input.room(usize::MAX).len();
        input.filled(len);
        assert!(input.room(1).is_empty());
        input.consume(10, 0);
        assert_eq!(input.room(usize::MAX).len(), 10);
    }

    #[test]
    fn appended_octets_stand_behind_what_is_unconsumed() {
        let mut input = Input::default();
        input.append(b"abc");
        input.consume(1, 0);
        input.append(b"de");
        assert_eq!(input.unconsumed(), b"bcde");
        assert_eq!(input.vacancy(), BUFFER_LEN - 4);
        let rest = vec![7; input.vacancy()];
        input.append(&rest);
        assert!(input.room(1).is_empty());
        input.consume(10, 0);
        assert_eq!(input.room(usize::MAX).len(), 10);
        input.append(&[8; 10]);
        assert_eq!(input.unconsumed().len(), BUFFER_LEN);
    }

    #[test]
    fn more_than_a_buffer_of_unread_octets_is_kept_until_it_is_consumed() {
        let mut input = Input::with(vec![7; BUFFER_LEN + 5]);
        assert_eq!(input.unconsumed().len(), BUFFER_LEN + 5);
        assert!(input.room(1).is_empty());
        input.consume(BUFFER_LEN + 4, 0);
        assert_eq!(input.room(1).len(), 1);
        assert_eq!(input.unconsumed(), [7]);
    }

    #[test]
    fn the_pool_is_bounded() {
        let buffers: Vec<_> = (0..POOL_LEN + 3).map(|_| take()).collect();
        buffers.into_iter().for_each(give);
        POOL.with_borrow(|pool| assert_eq!(pool.len(), POOL_LEN));
        give(vec![0; 10]);
        POOL.with_borrow(|pool| assert_eq!(pool.len(), POOL_LEN));
    }
}
