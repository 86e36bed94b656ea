//! The masking-key and what it does to a payload: RFC 6455 §5.3.

use crate::simd;

/// The 32-bit key with which a client masks one frame (RFC 6455 §5.3).
///
/// Each frame needs a new one that nobody could have guessed: see [`KeySource`](crate::connection::KeySource).
///
/// ```
/// use sansocket::frame::MaskingKey;
///
/// let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
/// let mut payload = *b"Hello";
/// key.mask(&mut payload);
/// assert_eq!(payload, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
///
/// // Masking twice gives the payload back, and it may come in pieces.
/// let (first, rest) = payload.split_at_mut(3);
/// key.mask(first);
/// key.advanced(3).mask(rest);
/// assert_eq!(&payload, b"Hello");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// The key with these octets, in the order in which they stand in the frame.
    #[must_use]
    pub const fn new(octets: [u8; 4]) -> Self {
        Self(octets)
    }

    /// The octets, in the order in which they stand in the frame.
    #[must_use]
    pub const fn octets(self) -> [u8; 4] {
        self.0
    }

    /// Masks or unmasks in place; `payload` begins at the first octet this key applies to.
    #[inline]
    pub fn mask(self, payload: &mut [u8]) {
        simd::xor(payload, self.0);
    }

    /// Writes the masked `source` to `destination`, in one pass.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    #[inline]
    pub fn mask_copy(self, destination: &mut [u8], source: &[u8]) {
        simd::xor_copy(destination, source, self.0);
    }

    /// The key for the octets that follow after `octets` more of the payload.
    #[must_use]
    #[inline]
    pub const fn advanced(self, octets: usize) -> Self {
        let [a, b, c, d] = self.0;
        Self(match octets % 4 {
            0 => [a, b, c, d],
            1 => [b, c, d, a],
            2 => [c, d, a, b],
            _ => [d, a, b, c],
        })
    }
}

impl core::fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // A key in a log helps whoever wants to foresee the wire (RFC 6455 §10.3).
        f.write_str("MaskingKey(..)")
    }
}
