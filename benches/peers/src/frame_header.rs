//! Frames of messages by hand, for those that must not use any crate: RFC 6455 §5.2, only what the load consists of.

use std::io;

/// A masked data frame that is a message of its own.
pub struct Header {
    pub first: u8,
    /// Of the header itself, masking-key and all.
    pub len: usize,
    pub payload_len: usize,
    pub masking_key: [u8; 4],
    /// How much of the payload has been read.
    pub there: usize,
}

impl Header {
    /// `None` as long as it is not all there.
    #[inline]
    pub fn parse(octets: &[u8]) -> io::Result<Option<Self>> {
        let [first, second, rest @ ..] = octets else { return Ok(None) };
        if !matches!(first, 0x81 | 0x82) || second & 0x80 == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (len, payload_len) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(len) => (8, usize::from(u16::from_be_bytes(*len))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(len) => (14, u64::from_be_bytes(*len) as usize),
                None => return Ok(None),
            },
            len => (6, usize::from(len)),
        };
        let Some(Some(&masking_key)) = octets.get(..len).map(|header| header.last_chunk()) else {
            return Ok(None);
        };
        Ok(Some(Self { first: *first, len, payload_len, masking_key, there: 0 }))
    }

    #[inline]
    pub fn unmask(&self, payload: &mut [u8], offset: usize) {
        let mut key = self.masking_key;
        key.rotate_left(offset % 4);
        let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
        let mut chunks = payload.chunks_exact_mut(8);
        for chunk in &mut chunks {
            if let Some(octets) = chunk.first_chunk_mut() {
                *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
            }
        }
        for (octet, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
            *octet ^= key;
        }
    }

    /// Text has to be UTF-8.
    #[inline]
    pub fn check(&self, payload: &[u8]) -> io::Result<()> {
        match self.first {
            0x81 => simdutf8::basic::from_utf8(payload).map(drop).map_err(io::Error::other),
            _ => Ok(()),
        }
    }

    #[inline]
    pub fn reply(&self) -> ([u8; REPLY_HEADER_LEN], usize) {
        let mut header = [0; REPLY_HEADER_LEN];
        header[0] = self.first;
        let len = match self.payload_len {
            len @ 0..=125 => {
                header[1] = len as u8;
                2
            }
            len @ 126..=0xffff => {
                header[1] = 126;
                header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                4
            }
            len => {
                header[1] = 127;
                header[2..].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        };
        (header, len)
    }
}

/// The longest header of a reply.
pub const REPLY_HEADER_LEN: usize = 10;
