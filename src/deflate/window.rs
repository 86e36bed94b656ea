//! The last octets of one direction, to which the next message may refer: RFC 7692 §7.2.1, §7.2.2.

use std::fmt;

/// A saved LZ77 window: what a state is primed with before the next message. Holds as much as has passed, and at
/// most its size.
pub(super) struct Window {
    octets: Vec<u8>,
    size: usize,
}

impl Window {
    pub(super) const fn new(bits: u8) -> Self {
        Self { octets: Vec::new(), size: 1 << bits }
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        let octets = &octets[octets.len().saturating_sub(self.size)..];
        let kept = self.octets.len().min(self.size - octets.len());
        let dropped = self.octets.len() - kept;
        self.octets.copy_within(dropped.., 0);
        self.octets.truncate(kept);
        let (len, capacity) = (kept + octets.len(), self.octets.capacity());
        if len > capacity {
            self.octets.reserve_exact(len.max(2 * capacity).min(self.size) - kept);
        }
        self.octets.extend_from_slice(octets);
    }

    pub(super) fn clear(&mut self) {
        self.octets = Vec::new();
    }
}

/// Octets are the peers': never printed.
impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("len", &self.octets.len()).field("size", &self.size).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_octets_are_kept_however_they_come() {
        let octets: Vec<u8> = (0..3000_u32).map(|n| ((n * 7) >> 2) as u8).collect();
        for piece in [1, 3, 255, 511, 512, 513, 3000] {
            let mut window = Window::new(9);
            let mut pushed = 0;
            for piece in octets.chunks(piece) {
                window.push(piece);
                window.push(&[]);
                pushed += piece.len();
                assert_eq!(window.octets(), &octets[pushed.saturating_sub(512)..pushed]);
            }
            assert_eq!(window.octets(), &octets[3000 - 512..], "pieces of {piece}");
            assert_eq!(window.octets.capacity(), 512, "pieces of {piece}");
        }
    }

    #[test]
    fn a_window_takes_no_memory_before_it_is_used_and_after_it_is_cleared() {
        let mut window = Window::new(15);
        assert_eq!(window.octets.capacity(), 0);
        window.push(b"Hello");
        assert_eq!(window.octets(), b"Hello");
        assert_eq!(window.octets.capacity(), 5);
        window.clear();
        assert_eq!(window.octets.capacity(), 0);
    }
}
