//! Frame headers, parsed and judged octet by octet, and encoded in their shortest form: RFC 6455 §5.2.

use super::{ControlOpcode, DataOpcode, MaskingKey, Opcode};
use crate::error::ProtocolError;

/// A frame header that RFC 6455 allows: what must not be sent cannot be built (§5.2, §5.5).
///
/// ```
/// use sansocket::frame::{DataOpcode, Expect, FrameHeader, Rsv};
///
/// let header = FrameHeader::data(true, Rsv::NONE, DataOpcode::Binary, None, 256).unwrap();
/// assert_eq!(header.encode().as_slice(), [0x82, 0x7e, 0x01, 0x00]);
///
/// let expect = Expect { masked: false, ..Expect::default() };
/// assert_eq!(FrameHeader::decode(&[0x82, 0x7e, 0x01], &expect), Ok(None), "one octet is missing");
/// assert_eq!(FrameHeader::decode(&[0x82, 0x7e, 0x01, 0x00], &expect), Ok(Some((header, 4))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    fin: bool,
    rsv: Rsv,
    opcode: Opcode,
    masking_key: Option<MaskingKey>,
    payload_len: u64,
}

impl FrameHeader {
    /// The header of a data frame with `payload_len` octets of payload, or `None` when that is above 2^63 − 1.
    #[must_use]
    pub const fn data(
        fin: bool,
        rsv: Rsv,
        opcode: DataOpcode,
        masking_key: Option<MaskingKey>,
        payload_len: u64,
    ) -> Option<Self> {
        if payload_len >> 63 != 0 {
            return None;
        }
        Some(Self { fin, rsv, opcode: Opcode::Data(opcode), masking_key, payload_len })
    }

    /// The header of a control frame with `payload_len` octets of payload, or `None` when that is above 125.
    #[must_use]
    pub const fn control(
        opcode: ControlOpcode,
        masking_key: Option<MaskingKey>,
        payload_len: usize,
    ) -> Option<Self> {
        if payload_len > MAX_CONTROL_PAYLOAD_LEN {
            return None;
        }
        Some(Self {
            fin: true,
            rsv: Rsv::NONE,
            opcode: Opcode::Control(opcode),
            masking_key,
            payload_len: payload_len as u64,
        })
    }

    /// Whether this is the last frame of its message. Always true for control frames.
    #[must_use]
    pub const fn fin(&self) -> bool {
        self.fin
    }

    /// The reserved bits.
    #[must_use]
    pub const fn rsv(&self) -> Rsv {
        self.rsv
    }

    /// What the frame is.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The masking-key, present exactly when the MASK bit is set.
    #[must_use]
    pub const fn masking_key(&self) -> Option<MaskingKey> {
        self.masking_key
    }

    /// The length of the payload in octets.
    #[must_use]
    pub const fn payload_len(&self) -> u64 {
        self.payload_len
    }

    /// Reads the header at the beginning of `bytes` and judges it by what the connection expects.
    ///
    /// Acceptance is atomic: `Ok(None)` means that the header is not whole, and that nothing is to be consumed. With
    /// `Ok(Some((header, len)))` the payload begins at `len`. Refusal is not atomic: every field is judged as soon as
    /// it is whole, before the rest of the header has come, in the order of the octets.
    ///
    /// # Errors
    ///
    /// When the peer broke a rule, the same one however the bytes are cut.
    #[inline]
    pub fn decode(bytes: &[u8], expect: &Expect) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, rsv, opcode) = expect.judge_first(first)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let len7 = expect.judge_second(second, opcode)?;

        let (payload_len, mut len) = match len7 {
            126 => {
                let Some(extended) = bytes[2..].first_chunk() else { return Ok(None) };
                let payload_len = u64::from(u16::from_be_bytes(*extended));
                // RFC 6455 §5.2: the minimal number of octets must be used.
                if payload_len < 126 {
                    return Err(ProtocolError::LengthNotMinimal);
                }
                (payload_len, 4)
            }
            127 => {
                let Some(extended) = bytes[2..].first_chunk() else { return Ok(None) };
                let payload_len = u64::from_be_bytes(*extended);
                if payload_len >> 63 != 0 {
                    return Err(ProtocolError::LengthTopBit);
                }
                if payload_len <= u64::from(u16::MAX) {
                    return Err(ProtocolError::LengthNotMinimal);
                }
                (payload_len, 10)
            }
            short => (u64::from(short), 2),
        };
        if let Opcode::Data(_) = opcode {
            expect.judge_len(payload_len, rsv)?;
        }

        let masking_key = if second & MASK != 0 {
            let Some(octets) = bytes[len..].first_chunk() else { return Ok(None) };
            len += 4;
            Some(MaskingKey::new(*octets))
        } else {
            None
        };
        Ok(Some((Self { fin, rsv, opcode, masking_key, payload_len }, len)))
    }

    /// The header as it stands on the wire, the length in its shortest form.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let mut octets = [0; MAX_HEADER_LEN];
        octets[0] = if self.fin { FIN } else { 0 } | self.rsv.0 << 4 | self.opcode.bits();
        let mut len = match self.payload_len {
            short @ 0..=125 => {
                octets[1] = short as u8;
                2
            }
            medium @ 126..=0xffff => {
                octets[1] = 126;
                octets[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                octets[1] = 127;
                octets[2..10].copy_from_slice(&long.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.masking_key {
            octets[1] |= MASK;
            octets[len..len + 4].copy_from_slice(&key.octets());
            len += 4;
        }
        EncodedHeader { octets, len: len as u8 }
    }
}

/// The header of a message in one frame with up to 65,535 octets of payload, made in a register: eight octets to be written
/// at once, of which so many belong to it.
#[inline]
pub(crate) fn short_header(
    opcode: DataOpcode,
    masking_key: Option<MaskingKey>,
    payload_len: u16,
) -> ([u8; 8], usize) {
    let first = u64::from(FIN | Opcode::Data(opcode).bits());
    let (mut word, mut len) = match payload_len {
        0..=125 => (first | u64::from(payload_len) << 8, 2),
        _ => (first | 126 << 8 | u64::from(payload_len.swap_bytes()) << 16, 4),
    };
    if let Some(key) = masking_key {
        word |= u64::from(MASK) << 8 | u64::from(u32::from_le_bytes(key.octets())) << (8 * len);
        len += 4;
    }
    (word.to_le_bytes(), len)
}

/// A frame header as it stands on the wire: at most 14 octets, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct EncodedHeader {
    octets: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl EncodedHeader {
    /// The octets.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// What a connection expects of the next header: the part of the rules that one frame alone does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Frames must carry a masking-key; if false they must not (RFC 6455 §5.1).
    pub masked: bool,
    /// The reserved bits to which negotiated extensions give a meaning on the first frame of a message.
    pub rsv: Rsv,
    /// A fragmented message is open: only its continuation may follow; if false only a new message (§5.4).
    pub message_open: bool,
    /// The longest data frame, in octets of payload.
    pub max_frame_len: usize,
    /// How many octets of payload the message may still get.
    pub max_message_len: usize,
    /// How many it may get in all if this frame says that it is compressed (RFC 7692 §6), since what counts then is what
    /// it turns into; `None` if no more than any other.
    pub max_compressed_len: Option<usize>,
}

impl Default for Expect {
    /// An unmasked frame that begins a message, of any length, without extensions.
    fn default() -> Self {
        Self {
            masked: false,
            rsv: Rsv::NONE,
            message_open: false,
            max_frame_len: usize::MAX,
            max_message_len: usize::MAX,
            max_compressed_len: None,
        }
    }
}

impl Expect {
    /// The message at the beginning of `bytes` when it is the usual one: in one frame, without reserved bits, below 64 KiB,
    /// and all of it there, in at least eight octets, so that one load has the header. No message may be open. Anything
    /// else, and anything wrong, is left to those below.
    #[inline(always)]
    pub(crate) fn usual_message(&self, bytes: &[u8]) -> Option<WholeMessage> {
        let head = u64::from_le_bytes(*bytes.first_chunk()?);
        let (first, second) = (head as u8, (head >> 8) as u8);
        if (first != FIN_AND_TEXT && first != FIN_AND_BINARY) || (second >= MASK) != self.masked {
            return None;
        }
        let (payload_len, mut start) = match second & !MASK {
            short @ 0..=125 => (usize::from(short), 2),
            // RFC 6455 §5.2: the minimal number of octets.
            126 => match usize::from(((head >> 16) as u16).swap_bytes()) {
                0..=125 => return None,
                medium => (medium, 4),
            },
            _ => return None,
        };
        let mut masking_key = None;
        if self.masked {
            masking_key = Some(MaskingKey::new(((head >> (8 * start)) as u32).to_le_bytes()));
            start += 4;
        }
        let end = start + payload_len;
        if payload_len > self.max_frame_len.min(self.max_message_len) || end > bytes.len() {
            return None;
        }
        let opcode = if first == FIN_AND_TEXT { DataOpcode::Text } else { DataOpcode::Binary };
        Some(WholeMessage { opcode, masking_key, start, end })
    }

    /// The message at the beginning of `bytes` when it is in one frame, without reserved bits, and all of it there. Anything
    /// else, and anything wrong, is left to [`FrameHeader::decode`].
    ///
    /// This finds what [`usual_message`](Self::usual_message) leaves: 64 KiB and more, fewer than eight octets.
    pub(crate) fn whole_message(&self, bytes: &[u8]) -> Option<WholeMessage> {
        let &[first, second, ..] = bytes else { return None };
        let opcode = match first {
            FIN_AND_TEXT => DataOpcode::Text,
            FIN_AND_BINARY => DataOpcode::Binary,
            _ => return None,
        };
        if (second & MASK != 0) != self.masked || self.message_open {
            return None;
        }
        let (payload_len, mut start) = match second & !MASK {
            126 => (usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(*bytes[2..].first_chunk()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        // RFC 6455 §5.2: the minimal number of octets.
        let is_minimal = match start {
            2 => true,
            4 => payload_len >= 126,
            _ => payload_len > usize::from(u16::MAX),
        };
        if !is_minimal || payload_len > self.max_frame_len.min(self.max_message_len) {
            return None;
        }
        let mut masking_key = None;
        if self.masked {
            masking_key = Some(MaskingKey::new(*bytes[start..].first_chunk()?));
            start += 4;
        }
        let is_whole = payload_len <= bytes.len() - start;
        is_whole.then(|| WholeMessage { opcode, masking_key, start, end: start + payload_len })
    }

    #[inline]
    fn judge_first(&self, octet: u8) -> Result<(bool, Rsv, Opcode), ProtocolError> {
        let fin = octet & FIN != 0;
        let rsv = Rsv(octet >> 4 & 0b111);
        // RFC 6455 §5.2: a reserved bit without a negotiated meaning fails the connection.
        if !self.rsv.contains(rsv) {
            return Err(ProtocolError::ReservedBits);
        }
        let opcode = Opcode::from_bits(octet & 0x0f).ok_or(ProtocolError::UnknownOpcode(octet & 0x0f))?;
        match opcode {
            // RFC 6455 §5.5: control frames must not be fragmented.
            Opcode::Control(_) if !fin => Err(ProtocolError::FragmentedControlFrame),
            // RFC 7692 §6.1: RSV1 belongs to the first frame of a data message.
            Opcode::Control(_) | Opcode::Data(DataOpcode::Continuation) if rsv != Rsv::NONE => {
                Err(ProtocolError::ReservedBits)
            }
            Opcode::Data(DataOpcode::Continuation) if !self.message_open => {
                Err(ProtocolError::UnexpectedContinuation)
            }
            Opcode::Data(DataOpcode::Text | DataOpcode::Binary) if self.message_open => {
                Err(ProtocolError::ExpectedContinuation)
            }
            _ => Ok((fin, rsv, opcode)),
        }
    }

    #[inline]
    fn judge_second(&self, octet: u8, opcode: Opcode) -> Result<u8, ProtocolError> {
        match (octet & MASK != 0, self.masked) {
            (false, true) => return Err(ProtocolError::UnmaskedFrame),
            (true, false) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        let len7 = octet & !MASK;
        match opcode {
            Opcode::Control(_) if usize::from(len7) > MAX_CONTROL_PAYLOAD_LEN => {
                Err(ProtocolError::ControlFrameTooLong)
            }
            // RFC 6455 §5.5.1: a body begins with a two-octet code; the length alone says that it does not.
            Opcode::Control(ControlOpcode::Close) if len7 == 1 => Err(ProtocolError::HalfCloseCode),
            _ => Ok(len7),
        }
    }

    #[inline]
    fn judge_len(&self, payload_len: u64, rsv: Rsv) -> Result<(), ProtocolError> {
        // A length that is no `usize` is above every limit.
        let payload_len = usize::try_from(payload_len).map_err(|_| ProtocolError::FrameTooBig)?;
        let max_message_len = match self.max_compressed_len {
            Some(max_compressed_len) if rsv.contains(Rsv::RSV1) => max_compressed_len,
            _ => self.max_message_len,
        };
        if payload_len > self.max_frame_len {
            Err(ProtocolError::FrameTooBig)
        } else if payload_len > max_message_len {
            Err(ProtocolError::MessageTooBig)
        } else {
            Ok(())
        }
    }
}

/// A message that is whole: what it is, and where its payload lies.
pub(crate) struct WholeMessage {
    pub(crate) opcode: DataOpcode,
    pub(crate) masking_key: Option<MaskingKey>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The three reserved bits of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rsv(u8);

impl Rsv {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// RSV1, "per-message compressed" (RFC 7692 §6).
    pub const RSV1: Self = Self(0b100);

    /// Whether every bit of `other` is set here too.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

/// The longest payload of a control frame, in octets (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD_LEN: usize = 125;

/// The longest header, in octets: two, a 64-bit length and a masking-key.
pub const MAX_HEADER_LEN: usize = 14;

const FIN_AND_TEXT: u8 = FIN | 0x1;
const FIN_AND_BINARY: u8 = FIN | 0x2;
const FIN: u8 = 0x80;
const MASK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_short_header_is_the_encoded_one() {
        let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
        for payload_len in [0, 1, 125, 126, 255, 256, 16 << 10, 65535] {
            for opcode in [DataOpcode::Text, DataOpcode::Binary] {
                for key in [None, Some(key)] {
                    let header =
                        FrameHeader::data(true, Rsv::NONE, opcode, key, u64::from(payload_len)).unwrap();
                    let (octets, len) = short_header(opcode, key, payload_len);
                    assert_eq!(&octets[..len], header.encode().as_slice(), "{header:?}");
                }
            }
        }
    }

    /// What is found at one glance, or in any way, is what the header says that is judged octet by octet.
    #[test]
    fn a_message_that_is_found_at_a_glance_is_the_one_that_is_decoded() {
        let lens = [0, 1, 2, 5, 6, 124, 125, 126, 127, 200, 201, 300];
        for (first, masked) in (0..=255).flat_map(|first| [(first, false), (first, true)]) {
            for (len, minimal) in lens.iter().flat_map(|len| [(*len, true), (*len, false)]) {
                let mut bytes = vec![first];
                let mask = if masked { MASK } else { 0 };
                match len {
                    0..=125 if minimal => bytes.push(mask | len as u8),
                    _ => bytes.extend([mask | 126, (len >> 8) as u8, len as u8]),
                }
                bytes.resize(bytes.len() + if masked { 4 } else { 0 } + len, 0x5a);
                for cut in [0, 1, 2, 5, 6, 7, 8, bytes.len() - 1, bytes.len()] {
                    let bytes = &bytes[..cut.min(bytes.len())];
                    // 200 is the limit; nobody expects another kind of frame than the client's.
                    let expect = Expect { masked: true, max_frame_len: 200, ..Expect::default() };
                    let decoded = FrameHeader::decode(bytes, &expect);
                    let usual = expect.usual_message(bytes);
                    for found in [usual.as_ref(), expect.whole_message(bytes).as_ref()].into_iter().flatten()
                    {
                        let (header, start) = decoded.unwrap().unwrap();
                        assert!(header.fin() && header.opcode() == Opcode::Data(found.opcode));
                        assert_eq!((header.masking_key(), header.rsv()), (found.masking_key, Rsv::NONE));
                        assert_eq!((found.start, found.end), (start, start + header.payload_len() as usize));
                        assert!(found.end <= bytes.len());
                    }
                    let is_whole_message = matches!(decoded, Ok(Some((header, start)))
                        if (first == FIN_AND_TEXT || first == FIN_AND_BINARY)
                            && start + header.payload_len() as usize <= bytes.len());
                    assert_eq!(expect.whole_message(bytes).is_some(), is_whole_message, "{bytes:?}");
                    assert_eq!(usual.is_some(), is_whole_message && bytes.len() >= 8, "{bytes:?}");
                }
            }
        }
    }
}
