//! Text as it arrives: incremental UTF-8 that fails at the first bad octet: RFC 6455 §8.1, RFC 3629.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use bytes::Bytes;

use crate::copy::copy;
use crate::simd;

/// The octets are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text is not valid UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// Checks UTF-8 that comes in pieces, which may end inside a code point.
///
/// The first octet that cannot be part of valid text is refused as soon as it is pushed, however the text is
/// cut (RFC 6455 §8.1; the Autobahn suite calls anything later "non-strict").
///
/// ```
/// use sansocket::frame::Utf8Validator;
///
/// let mut text = Utf8Validator::new();
/// text.push(b"caf\xc3")?;
/// assert!(text.finish().is_err(), "it may not end here");
/// text.push(b"\xa9")?;
/// text.finish()?;
/// # Ok::<_, sansocket::frame::InvalidUtf8>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8Validator {
    /// The first octets of a code point whose rest has not come.
    pending: [u8; 4],
    pending_len: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: [0; 4], pending_len: 0 }
    }

    /// Takes the next octets of the text.
    ///
    /// # Errors
    ///
    /// At the first octet that no valid text can have at this place, and ever after.
    #[inline]
    pub fn push(&mut self, mut octets: &[u8]) -> Result<(), InvalidUtf8> {
        if self.pending_len == SPENT {
            return Err(InvalidUtf8);
        }
        while self.pending_len != 0 {
            let Some((&octet, rest)) = octets.split_first() else { return Ok(()) };
            octets = rest;
            self.push_pending(octet).inspect_err(|_| self.pending_len = SPENT)?;
        }
        match check(octets) {
            Ok(()) => Ok(()),
            Err(Some(tail)) => {
                // INVARIANT: an unfinished code point is at most three octets long.
                copy(&mut self.pending[..tail.len()], tail);
                self.pending_len = tail.len() as u8;
                Ok(())
            }
            Err(None) => {
                self.pending_len = SPENT;
                Err(InvalidUtf8)
            }
        }
    }

    /// Says that the text ends here.
    ///
    /// # Errors
    ///
    /// If it ends inside a code point.
    #[inline]
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.pending_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    fn push_pending(&mut self, octet: u8) -> Result<(), InvalidUtf8> {
        let len = usize::from(self.pending_len) + 1;
        // INVARIANT: `pending_len` is at most three, since no code point is longer than four octets.
        self.pending[len - 1] = octet;
        self.pending_len = match core::str::from_utf8(&self.pending[..len]) {
            Ok(_) => 0,
            Err(error) if error.error_len().is_none() => len as u8,
            Err(_) => return Err(InvalidUtf8),
        };
        Ok(())
    }
}

/// Checks a text that is whole.
///
/// # Errors
///
/// If it is not UTF-8, or ends inside a code point.
#[inline]
pub(crate) fn check_whole(text: &[u8]) -> Result<(), InvalidUtf8> {
    if is_short_ascii(text) || simdutf8::basic::from_utf8(text).is_ok() { Ok(()) } else { Err(InvalidUtf8) }
}

/// `Err(Some(tail))`: valid up to `tail`, the beginning of a code point. `Err(None)`: invalid.
#[inline]
fn check(text: &[u8]) -> Result<(), Option<&[u8]>> {
    if is_short_ascii(text) {
        return Ok(());
    }
    simdutf8::compat::from_utf8(text).map(drop).map_err(|error| match error.error_len() {
        None => Some(&text[error.valid_up_to()..]),
        Some(_) => None,
    })
}

/// Whether it is at most [`SHORT`] octets of ASCII: by a chunk from each end, as wide as fits, and the two overlap.
#[inline]
fn is_short_ascii(text: &[u8]) -> bool {
    if text.len() < 8 {
        text.iter().fold(0, |high, octet| high | octet) < 0x80
    } else if text.len() > SHORT {
        false
    } else if text.len() >= 64 {
        ends_are_ascii::<64>(text)
    } else if text.len() >= 32 {
        ends_are_ascii::<32>(text)
    } else if text.len() >= 16 {
        ends_are_ascii::<16>(text)
    } else {
        ends_are_ascii::<8>(text)
    }
}

/// Whether the first and the last `N` octets, a multiple of eight, are ASCII.
#[inline(always)]
fn ends_are_ascii<const N: usize>(text: &[u8]) -> bool {
    // INVARIANT: there are between `N` and `2 * N` octets, by the conditions under which this is called.
    let first = text.first_chunk::<N>().expect("the length was compared");
    let last = text.last_chunk::<N>().expect("the length was compared");
    let words = first.as_chunks::<8>().0.iter().chain(last.as_chunks::<8>().0);
    words.fold(0, |high, word| high | u64::from_ne_bytes(*word)) & 0x8080_8080_8080_8080 == 0
}

/// In place of a length: the text is invalid already.
const SPENT: u8 = u8::MAX;

/// Above this many octets simdutf8 is the faster one for ASCII, too. Other text it is given at any length.
const SHORT: usize = 128;

/// Text in a reference-counted buffer: [`Bytes`] that are known to be UTF-8.
///
/// Cloning shares the buffer. It derefs to `str`.
///
/// ```
/// use sansocket::Utf8Bytes;
///
/// let text = Utf8Bytes::from("grüße");
/// assert_eq!(text.len(), 7);
/// assert_eq!(&*text, "grüße");
/// assert!(Utf8Bytes::try_from(bytes::Bytes::from_static(b"\xff")).is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Utf8Bytes(Bytes);

impl Utf8Bytes {
    /// Text that lives as long as the program; no allocation.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        simd::validated_str(&self.0)
    }

    /// The octets of the text, sharing its buffer.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Takes octets that this crate has validated as they arrived.
    ///
    /// INVARIANT: see [`simd::validated_str`].
    pub(crate) fn validated(text: Bytes) -> Self {
        debug_assert!(core::str::from_utf8(&text).is_ok());
        Self(text)
    }
}

impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Utf8Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Bytes {
        text.0
    }
}

impl TryFrom<Vec<u8>> for Utf8Bytes {
    type Error = InvalidUtf8;

    fn try_from(octets: Vec<u8>) -> Result<Self, InvalidUtf8> {
        Self::try_from(Bytes::from(octets))
    }
}

impl From<Utf8Bytes> for String {
    fn from(text: Utf8Bytes) -> String {
        text.as_str().into()
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = InvalidUtf8;

    fn try_from(octets: Bytes) -> Result<Self, InvalidUtf8> {
        check_whole(&octets)?;
        Ok(Self(octets))
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each text first goes wrong: the index of the octet that makes it invalid, `None` when it is the end
    /// that does.
    const INVALID: &[(&[u8], Option<usize>)] = &[
        (b"\xc3\x28", Some(1)),
        (b"\xc0\xaf", Some(0)),
        (b"ok\xed\xa0\x80", Some(3)),
        (b"\xf4\x90\x80\x80", Some(1)),
        (b"\xf5", Some(0)),
        (b"\xe0\x80\x80", Some(1)),
        (b"\xf0\x80\x80\x80", Some(1)),
        (b"\x80", Some(0)),
        (b"\xe2\x82", None),
        (b"\xf0\x9f\x98", None),
    ];

    // 6455-5.6-3 6455-5.6-2 6455-8.1-1
    #[test]
    fn invalid_text_is_refused_at_its_first_bad_octet_however_it_is_cut() {
        for padding in [0, 1, 127, 128, 300] {
            for (text, bad) in INVALID {
                let mut octets: Vec<u8> = core::iter::repeat_n(b'a', padding).collect();
                octets.extend_from_slice(text);
                for cut in 0..=octets.len() {
                    let mut validator = Utf8Validator::new();
                    let result = validator
                        .push(&octets[..cut])
                        .and_then(|()| validator.push(&octets[cut..]))
                        .and_then(|()| validator.finish());
                    assert_eq!(result, Err(InvalidUtf8), "{octets:x?} cut at {cut}");
                }
                let mut validator = Utf8Validator::new();
                let failed = octets.iter().position(|&octet| validator.push(&[octet]).is_err());
                assert_eq!(failed, bad.map(|bad| bad + padding), "{octets:x?}");
                if failed.is_some() {
                    assert!(validator.push(b"a").is_err() && validator.finish().is_err(), "and ever after");
                }
                assert!(check_whole(&octets).is_err());
            }
        }
    }

    #[test]
    fn short_ascii_is_told_from_anything_else_at_every_octet() {
        let mut octets = [0x7f; SHORT + 1];
        for len in 0..=SHORT {
            assert!(is_short_ascii(&octets[..len]), "{len} octets");
            for high in 0..len {
                octets[high] = 0x80;
                assert!(!is_short_ascii(&octets[..len]), "{len} octets, not ASCII at {high}");
                assert!(check_whole(&octets[..len]).is_err() && check(&octets[..len]).is_err());
                octets[high] = 0x7f;
            }
        }
        assert!(!is_short_ascii(&octets), "no longer short");
    }

    // 6455-5.6-2
    #[test]
    fn valid_text_is_accepted_however_it_is_cut() {
        let text = "κόσμε \u{0} \u{7f} \u{ffff} \u{fffe} \u{10ffff} \u{d7ff} \u{e000} 😀 ".repeat(9);
        let octets = text.as_bytes();
        assert!(octets.len() > 2 * SHORT);
        for first in 0..=octets.len() {
            for step in [1, 2, 3, 5, 200] {
                let mut validator = Utf8Validator::new();
                validator.push(&octets[..first]).unwrap();
                for piece in octets[first..].chunks(step) {
                    validator.push(piece).unwrap();
                }
                validator.finish().unwrap();
            }
            let whole_code_points = text.is_char_boundary(first);
            assert_eq!(check_whole(&octets[..first]).is_ok(), whole_code_points, "the first {first} octets");
        }
    }
}
