//! What was read from the transport and has not been consumed.

use std::fmt;

/// The read buffer: allocated at the first read, and kept.
#[derive(Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the input began at the last call of `receive`: locations are counted from here.
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

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn unconsumed(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Drops the first `octets`. They stay readable by [`lent`](Self::lent) until more is read.
    pub(super) fn consume(&mut self, octets: usize) {
        self.lent_from = self.start;
        self.start += octets;
    }

    /// The input as it was before the last [`consume`](Self::consume).
    pub(super) fn lent(&self) -> &[u8] {
        &self.buffer[self.lent_from..self.end]
    }

    /// Room behind what is there. There is some unless a whole buffer is unconsumed.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            self.lent_from = 0;
        }
        if self.buffer.len() < BUFFER_LEN {
            self.buffer.resize(BUFFER_LEN, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that `octets` were read into the room.
    pub(super) fn filled(&mut self, octets: usize) {
        self.end += octets;
        debug_assert!(self.end <= self.buffer.len());
    }

    /// Forgets what is there.
    pub(super) fn clear(&mut self) {
        (self.start, self.end, self.lent_from) = (0, 0, 0);
    }
}

/// How much is read at once, and how much memory that takes.
pub(super) const BUFFER_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unconsumed_octets_survive_refilling() {
        let mut input = Input::with(b"ab".to_vec());
        assert_eq!(input.unconsumed(), b"ab");
        input.room()[..2].copy_from_slice(b"cd");
        input.filled(2);
        input.consume(1);
        assert_eq!(input.lent(), b"abcd");
        assert_eq!(input.unconsumed(), b"bcd");
        assert_eq!(input.room().len(), BUFFER_LEN - 3);
        assert_eq!(input.unconsumed(), b"bcd");
        assert_eq!(input.buffer.len(), BUFFER_LEN);
    }

    #[test]
    fn more_than_a_buffer_of_unread_octets_is_kept() {
        let mut input = Input::with(vec![7; BUFFER_LEN + 5]);
        assert!(input.room().is_empty());
        input.consume(BUFFER_LEN + 4);
        assert_eq!(input.unconsumed(), [7]);
        assert_eq!(input.room().len(), BUFFER_LEN + 4);
    }
}
