//! `Sec-WebSocket-Key` and the `Sec-WebSocket-Accept` that answers it: RFC 6455 §4.1 item 7, §4.2.2 item 5.4.

use super::error::HandshakeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;
use sha1::{Digest as _, Sha1};

/// The value of `Sec-WebSocket-Accept` for the text of a `Sec-WebSocket-Key`: base64 of the SHA-1 of the key
/// and a fixed GUID (RFC 6455 §4.2.2 item 5.4).
///
/// The key is taken as the text that stood in the header, never decoded: two keys that decode to the same
/// nonce have different answers.
///
/// ```
/// let accept = sansocket::handshake::accept_value(b"dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(accept.as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_value(key: &[u8]) -> AcceptValue {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    AcceptValue(base64_text(&digest))
}

/// The value of a `Sec-WebSocket-Accept` header: 28 characters of base64 (RFC 6455 §4.2.2).
///
/// It proves that the answer was made for this request and is not an old one from a cache. It is no security
/// measure.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AcceptValue([u8; 28]);

impl AcceptValue {
    /// The 28 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The 28 characters as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AcceptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AcceptValue").field(&self.as_str()).finish()
    }
}

impl fmt::Display for AcceptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of a `Sec-WebSocket-Key` header: 24 characters of base64 that stand for a nonce of 16 bytes (RFC
/// 6455 §4.1 item 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 24]);

impl Key {
    /// A key from a nonce of the caller's own.
    ///
    /// RFC 6455 §4.1 wants each connection to have a nonce chosen at random; this is for tests, and for
    /// programs without the operating system's randomness.
    ///
    /// ```
    /// use sansocket::handshake::Key;
    ///
    /// assert_eq!(Key::from_nonce(*b"the sample nonce").as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
    /// ```
    #[must_use]
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        Self(base64_text(&nonce))
    }

    /// A key from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give. Do not connect then: masking-keys come from the
    /// same source.
    #[cfg(feature = "std")]
    pub fn generate() -> std::io::Result<Self> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| match error.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code),
            None => std::io::ErrorKind::Other.into(),
        })?;
        Ok(Self::from_nonce(nonce))
    }

    /// A key as a request carried it. Checked are the characters and not the bits behind the padding, since
    /// RFC 6455 itself shows a key (`…PEC==`) that a strict decoder refuses.
    pub(super) fn received(value: &[u8]) -> Result<Self, HandshakeError> {
        let text: [u8; 24] = value.try_into().map_err(|_| HandshakeError::Key)?;
        let (characters, padding) = text.split_at(22);
        let is_base64 = characters.iter().all(|&c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/'));
        if !is_base64 || padding != b"==" {
            return Err(HandshakeError::Key);
        }
        Ok(Self(text))
    }

    /// The value of `Sec-WebSocket-Accept` that answers this key.
    #[must_use]
    pub fn accept_value(&self) -> AcceptValue {
        accept_value(&self.0)
    }

    /// The 24 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The 24 characters as bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Base64 with padding of `input`, which must fill exactly `N` characters.
fn base64_text<const N: usize>(input: &[u8]) -> [u8; N] {
    let mut text = [b'='; N];
    let written = STANDARD.encode_slice(input, &mut text);
    debug_assert_eq!(written, Ok(N));
    text
}

fn ascii(text: &[u8]) -> &str {
    // INVARIANT: both types hold characters of base64 only.
    core::str::from_utf8(text).expect("base64 is ASCII")
}

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_value_of_the_known_keys() {
        // 6455-4.2.2-7 6455-4.2.2-18 6455-10.8-1 CM-6
        let vectors: [(&[u8], &str); 4] = [
            (b"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            (b"AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY="),
            (b"AQIDBAUGBwgJCgsMDQ4PEC==", "OfS0wDaT5NoxF2gqm7Zj2YtetzM="),
            (b"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
        ];
        for (key, accept) in vectors {
            assert_eq!(accept_value(key).as_str(), accept);
            assert_eq!(Key::received(key).unwrap().accept_value().as_bytes(), accept.as_bytes());
        }
    }

    #[test]
    fn key_is_the_base64_of_its_nonce() {
        // Erratum 3150: the key that RFC 6455 §4.1 prints with non-zero pad bits is this one.
        let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(Key::from_nonce(nonce).as_str(), "AQIDBAUGBwgJCgsMDQ4PEA==");
    }
}
