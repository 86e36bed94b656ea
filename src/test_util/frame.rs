//! Frames as visible octets, right or wrong: RFC 6455 §5.2. Shares no code with what it is to test.

use std::fmt;

use super::Unexpected;
use crate::role::Role;

/// The masking-key of the examples in RFC 6455 §5.7, with which [`Frame::octets`] masks.
pub const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame, its payload unmasked. Nothing is checked: a wrong frame is as easily made as a right one.
///
/// ```
/// use sansocket::Role;
/// use sansocket::test_util::Frame;
///
/// // RFC 6455 §5.7, "Hello" from a server, and from a client.
/// assert_eq!(Frame::text("Hello").octets(Role::Server), b"\x81\x05Hello");
/// assert_eq!(
///     Frame::text("Hello").octets(Role::Client),
///     b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
/// );
/// // A fragmented control frame with a reserved bit, which nobody may send.
/// assert_eq!(Frame::ping("").not_final().with_rsv(1).octets(Role::Server), [0x19, 0x00]);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// The reserved bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
    pub rsv: u8,
    /// The opcode, of four bits.
    pub opcode: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A final frame with this opcode.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, rsv: 0, opcode, payload: payload.into() }
    }

    /// A text frame; nothing checks that it is UTF-8.
    pub fn text(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0x1, payload)
    }

    /// A binary frame.
    pub fn binary(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0x2, payload)
    }

    /// A continuation frame, the last of its message unless it is made [`not_final`](Self::not_final).
    pub fn continuation(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0x0, payload)
    }

    /// A Ping.
    pub fn ping(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0x9, payload)
    }

    /// A Pong.
    pub fn pong(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(0xa, payload)
    }

    /// A Close with a status code, whatever it is, and a reason.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(0x8, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// A Close without a payload.
    #[must_use]
    pub fn empty_close() -> Self {
        Self::new(0x8, [])
    }

    /// With FIN cleared: more fragments of the message are to follow.
    #[must_use]
    pub fn not_final(self) -> Self {
        Self { fin: false, ..self }
    }

    /// With these reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    #[must_use]
    pub fn with_rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// The frame as a message in fragments of up to `len` octets of payload (RFC 6455 §5.4); zero is taken as one.
    #[must_use]
    pub fn in_fragments(&self, len: usize) -> Vec<Self> {
        let pieces: Vec<_> = self.payload.chunks(len.max(1)).collect();
        let last = pieces.len().saturating_sub(1);
        let fragment = |(at, piece): (usize, &&[u8])| Self {
            fin: self.fin && at == last,
            rsv: if at == 0 { self.rsv } else { 0 },
            opcode: if at == 0 { self.opcode } else { 0 },
            payload: piece.to_vec(),
        };
        if pieces.is_empty() { vec![self.clone()] } else { pieces.iter().enumerate().map(fragment).collect() }
    }

    /// The status code of a Close frame, if this is one and has one.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match (self.opcode, self.payload.first_chunk()) {
            (0x8, Some(code)) => Some(u16::from_be_bytes(*code)),
            _ => None,
        }
    }

    /// The frame as this role has to send it: a client's masked with [`MASKING_KEY`], a server's not.
    #[must_use]
    pub fn octets(&self, sender: Role) -> Vec<u8> {
        match sender {
            Role::Client => self.masked(MASKING_KEY),
            Role::Server => self.unmasked(),
        }
    }

    /// The frame masked with this key, whoever sends it.
    #[must_use]
    pub fn masked(&self, key: [u8; 4]) -> Vec<u8> {
        let mut octets = self.header(Some(key), self.payload.len() as u64);
        octets.extend(masked(&self.payload, key));
        octets
    }

    /// The frame without a mask, whoever sends it.
    #[must_use]
    pub fn unmasked(&self) -> Vec<u8> {
        let mut octets = self.header(None, self.payload.len() as u64);
        octets.extend(&self.payload);
        octets
    }

    /// A header that claims `len` octets of payload, and no payload: for a peer that promises more than it sends. The
    /// length is in its shortest form; lengths that no frame may have are written as they are.
    ///
    /// ```
    /// use sansocket::test_util::Frame;
    ///
    /// let claim = Frame::binary("").header(None, 10 << 20);
    /// assert_eq!(claim, b"\x82\x7f\x00\x00\x00\x00\x00\xa0\x00\x00");
    /// ```
    #[must_use]
    pub fn header(&self, masking_key: Option<[u8; 4]>, len: u64) -> Vec<u8> {
        let first = if self.fin { 0x80 } else { 0 } | (self.rsv & 7) << 4 | self.opcode & 0xf;
        let mask = if masking_key.is_some() { 0x80 } else { 0 };
        let mut octets = vec![first];
        match len {
            0..=125 => octets.push(mask | len as u8),
            126..=0xffff => {
                octets.push(mask | 126);
                octets.extend((len as u16).to_be_bytes());
            }
            _ => {
                octets.push(mask | 127);
                octets.extend(len.to_be_bytes());
            }
        }
        octets.extend(masking_key.into_iter().flatten());
        octets
    }

    /// The frame at the beginning of what `sender` has sent, and how many octets it took; `None` if it is not whole yet.
    ///
    /// # Errors
    ///
    /// If it is not masked as this role has to, or its length is not in the shortest form (RFC 6455 §5.1, §5.2). What
    /// else may be wrong with a frame is left to whom it is compared with.
    pub fn decode(sender: Role, octets: &[u8]) -> Result<Option<(Self, usize)>, Unexpected> {
        let Some((&[first, second], rest)) = octets.split_first_chunk() else { return Ok(None) };
        let is_masked = second & 0x80 != 0;
        if is_masked != (sender == Role::Client) {
            let (wanted, found) = match sender {
                Role::Client => ("a masked frame from the client", "a frame without a mask"),
                Role::Server => ("a frame without a mask from the server", "a masked frame"),
            };
            return Err(Unexpected::new(wanted, found));
        }
        let (len, shortest, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), 126, rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), 0x1_0000, rest),
                None => return Ok(None),
            },
            len => (u64::from(len), 0, rest),
        };
        if len < shortest || len >> 63 != 0 {
            return Err(Unexpected::new(
                "a length in its shortest form",
                format!("a length of {len} in a longer form"),
            ));
        }
        let (key, rest) = match rest.split_first_chunk() {
            _ if !is_masked => ([0; 4], rest),
            Some((key, rest)) => (*key, rest),
            None => return Ok(None),
        };
        let Some((payload, rest)) = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len))
        else {
            return Ok(None);
        };
        let frame = Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 0xf,
            payload: masked(payload, key).collect(),
        };
        Ok(Some((frame, octets.len() - rest.len())))
    }
}

/// RFC 6455 §5.3, word for word.
fn masked(payload: &[u8], key: [u8; 4]) -> impl Iterator<Item = u8> + '_ {
    payload.iter().zip(key.into_iter().cycle()).map(|(octet, key)| octet ^ key)
}

/// As it is read in the message of a test: `text frame, "Hello"`, `close frame 1000, "bye"`, `binary frame, not final, 300
/// octets: 00 01 02 …`.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opcode {
            0x0 => f.write_str("continuation frame")?,
            0x1 => f.write_str("text frame")?,
            0x2 => f.write_str("binary frame")?,
            0x8 => f.write_str("close frame")?,
            0x9 => f.write_str("ping frame")?,
            0xa => f.write_str("pong frame")?,
            opcode => write!(f, "frame with the reserved opcode {opcode:#x}")?,
        }
        if !self.fin {
            f.write_str(", not final")?;
        }
        if self.rsv != 0 {
            write!(f, ", reserved bits {:03b}", self.rsv)?;
        }
        match self.close_code() {
            Some(code) => write!(f, " {code}, {}", Shown(&self.payload[2..])),
            None => write!(f, ", {}", Shown(&self.payload)),
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Octets as a reader wants them: short text as text, anything else by its length and its beginning.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self.0) {
            Ok(text) if text.len() <= 60 => return write!(f, "{text:?}"),
            _ => write!(f, "{} octets:", self.0.len())?,
        }
        self.0.iter().take(16).try_for_each(|octet| write!(f, " {octet:02x}"))?;
        f.write_str(if self.0.len() > 16 { " …" } else { "" })
    }
}
