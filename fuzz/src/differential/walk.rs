//! Where frames begin and end, whatever rules they break: RFC 6455 §5.2.

/// Frame after frame, up to one that is not whole.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) frames: Vec<Frame>,
}

/// One frame as its own header describes it.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) start: usize,
    pub(super) payload_at: usize,
    /// Behind its last octet, which may not have come.
    pub(super) end: usize,
    pub(super) is_whole: bool,
    pub(super) first: u8,
    pub(super) payload_len: u64,
}

impl Walk {
    pub(super) fn new(wire: &[u8]) -> Self {
        let mut frames = Vec::new();
        let mut start = 0;
        while start < wire.len() {
            let frame = Frame::at(start, wire);
            start = frame.end;
            frames.push(frame);
        }
        Self { frames }
    }

    /// The frame that the last of so many octets belongs to.
    pub(super) fn frame_of(&self, octets: usize) -> usize {
        self.frames.iter().position(|frame| octets <= frame.end).unwrap_or(self.frames.len() - 1)
    }
}

impl Frame {
    fn at(start: usize, wire: &[u8]) -> Self {
        let rest = &wire[start..];
        let (header_len, payload_len) = header(rest).unwrap_or((usize::MAX, 0));
        let payload_at = start.saturating_add(header_len);
        let end = payload_at.saturating_add(usize::try_from(payload_len).unwrap_or(usize::MAX));
        let is_whole = end <= wire.len();
        Self { start, payload_at, end, is_whole, first: rest[0], payload_len }
    }

    pub(super) fn fin(&self) -> bool {
        self.first & 0x80 != 0
    }

    pub(super) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }
}

/// How long the header is, and the payload; `None` if it does not say so yet.
fn header(octets: &[u8]) -> Option<(usize, u64)> {
    let second = *octets.get(1)?;
    let key_len = if second & 0x80 == 0 { 0 } else { 4 };
    match second & 0x7f {
        126 => Some((4 + key_len, u16::from_be_bytes(*octets.get(2..)?.first_chunk()?).into())),
        127 => Some((10 + key_len, u64::from_be_bytes(*octets.get(2..)?.first_chunk()?))),
        short => Some((2 + key_len, short.into())),
    }
}
