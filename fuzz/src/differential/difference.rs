//! Where the other crates may say something else, and why this one is right.

use sansocket::{Limits, ProtocolError};

use super::walk::Frame;
use super::{At, End, Peer, Received, Seen};

/// A difference that is no mistake of this crate's. README.md has the same in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// 6455-5.2-11, 6455-10.4-1: this crate refuses a field as soon as it is whole; the other one waits for the rest of the
    /// frame, which has not come, and reports that the stream ended.
    WaitsForTheRest,
    /// 6455-5.2-5: the minimal number of octets MUST be used; the other one takes any.
    LengthNotMinimal,
    /// 6455-5.1-2, 6455-5.1-5: a server MUST NOT take an unmasked frame, a client MUST NOT take a masked one; the other one
    /// takes both.
    MaskNotChecked,
    /// 6455-5.5-1: all control frames MUST have 125 octets of payload or less; the other one looks at Pings only.
    LongControlFrame,
    /// 6455-5.4-3: no new message may begin inside a fragmented one; the other one forgets what it had of the first.
    MessageReplaced,
    /// 6455-5.6-2: a text that ends inside a character is not UTF-8; the other one delivers it without the last octets.
    CutTextDelivered,
    /// 6455-10.4-1: a message made of fragments MUST be limited as a whole; the other one has a limit on frames only.
    NoMessageLimit,
    /// 6455-7.4.1-3, 6455-7.4.2-1: a Close with a code that must not be sent fails the connection with 1002; the other one
    /// answers with 1002 too, and reports that as a Close of the peer's.
    WrongCodeIsClose,
    /// 6455-7.4.1-10: 1014 is registered with IANA; the other one refuses it, or takes it for 1002.
    BadGateway,
    /// 6455-5.5-1: a control frame may have 125 octets of payload; the other one takes the limit on data frames for them too.
    LimitOnControlFrames,
}

impl Difference {
    pub const ALL: [Self; 10] = [
        Self::WaitsForTheRest,
        Self::LengthNotMinimal,
        Self::MaskNotChecked,
        Self::LongControlFrame,
        Self::MessageReplaced,
        Self::CutTextDelivered,
        Self::NoMessageLimit,
        Self::WrongCodeIsClose,
        Self::BadGateway,
        Self::LimitOnControlFrames,
    ];

    /// The rule by which this crate alone fails in a frame, or before the other one does.
    pub(super) fn of_our_refusal(
        peer: Peer,
        error: ProtocolError,
        frame: &Frame,
        theirs: &Seen,
    ) -> Option<Self> {
        let is_fastwebsockets = peer == Peer::Fastwebsockets;
        let opcode = frame.opcode();
        let difference = match error {
            ProtocolError::LengthNotMinimal => Self::LengthNotMinimal,
            // A control frame has no right length but in seven bits.
            ProtocolError::ControlFrameTooLong if frame.payload_len <= 125 => Self::LengthNotMinimal,
            ProtocolError::UnmaskedFrame | ProtocolError::MaskedFrame if is_fastwebsockets => {
                Self::MaskNotChecked
            }
            ProtocolError::ControlFrameTooLong if is_fastwebsockets && matches!(opcode, 8 | 10) => {
                Self::LongControlFrame
            }
            ProtocolError::ExpectedContinuation if is_fastwebsockets && !frame.fin() => Self::MessageReplaced,
            ProtocolError::InvalidUtf8 if is_fastwebsockets && frame.fin() && opcode == 0 => {
                let delivered = theirs.events.iter().find(|event| event.octets == frame.end);
                match delivered.map(|event| &event.what) {
                    Some(Received::Text(text)) if std::str::from_utf8(text).is_ok() => Self::CutTextDelivered,
                    _ => return Self::waits(frame, theirs),
                }
            }
            ProtocolError::MessageTooBig if is_fastwebsockets => Self::NoMessageLimit,
            ProtocolError::InvalidCloseCode(_) if peer == Peer::Tungstenite && frame.is_whole => {
                match theirs.events.last().map(|event| (&event.what, event.octets)) {
                    Some((Received::Close(Some(1002), _), octets)) if octets == frame.end => {
                        Self::WrongCodeIsClose
                    }
                    _ => return None,
                }
            }
            _ => return Self::waits(frame, theirs),
        };
        Some(difference)
    }

    fn waits(frame: &Frame, theirs: &Seen) -> Option<Self> {
        (!frame.is_whole && theirs.end == End::Cut).then_some(Self::WaitsForTheRest)
    }

    /// The rule by which the other one reports a Close with another code.
    pub(super) fn of_answered_close(
        peer: Peer,
        ours: &[At<Received>],
        theirs: &[At<Received>],
    ) -> Option<Self> {
        let ((our_last, ours), (their_last, theirs)) = (ours.split_last()?, theirs.split_last()?);
        let is_bad_gateway = matches!(our_last.what, Received::Close(Some(1014), _))
            && matches!(their_last.what, Received::Close(Some(1002), _))
            && our_last.octets == their_last.octets;
        (peer == Peer::Tungstenite && ours == theirs && is_bad_gateway).then_some(Self::BadGateway)
    }

    /// The rule by which the other one alone fails in a frame.
    pub(super) fn of_their_refusal(frame: &Frame, wire: &[u8], limits: &Limits) -> Option<Self> {
        if frame.opcode() >= 8 && frame.payload_len > limits.frame_len() as u64 {
            return Some(Self::LimitOnControlFrames);
        }
        let payload = wire.get(frame.payload_at..frame.end)?;
        let key = match frame.payload_at - frame.start {
            6 => wire[frame.start + 2..].first_chunk()?,
            _ => &[0; 4],
        };
        let code: Vec<u8> = payload.iter().zip(key).take(2).map(|(octet, key)| octet ^ key).collect();
        (frame.opcode() == 8 && code == 1014_u16.to_be_bytes()).then_some(Self::BadGateway)
    }
}

#[cfg(test)]
mod tests {
    use super::Difference as D;
    use super::Peer::{Fastwebsockets as F, Tungstenite as T};
    use super::*;
    use crate::differences;

    /// Settings, then frames: the first octet's bits are the client's end and octets as they are, the second's the limits.
    const EXAMPLES: [(Peer, Difference, &[u8]); 16] = [
        (T, D::WaitsForTheRest, b"\x02\x00\x81\x05"),
        (F, D::WaitsForTheRest, b"\x03\x00\x80\x05"),
        (T, D::LengthNotMinimal, b"\x03\x00\x82\x7e\x00\x01x"),
        (F, D::LengthNotMinimal, b"\x03\x00\x8a\x7e\x00\x01x"),
        (F, D::MaskNotChecked, b"\x02\x00\x81\x01x"),
        (F, D::MaskNotChecked, b"\x03\x00\x81\x81\0\0\0\0x"),
        (F, D::LongControlFrame, b"\x01\x00\x88\x7e\x00\x02\x0c\x00"),
        (F, D::LongControlFrame, b"\x01\x00\x8a\x7e\x00\x01\x00"),
        (F, D::MessageReplaced, b"\x01\x00\x01\x01a\x02\x01b"),
        (F, D::CutTextDelivered, b"\x01\x00\x01\x01a\x80\x02\xe2\x82"),
        (F, D::NoMessageLimit, b"\x01\x06\x02\x09012345678\x80\x09012345678"),
        (T, D::WrongCodeIsClose, b"\x01\x00\x88\x02\x03\xed"),
        (T, D::BadGateway, b"\x01\x00\x88\x02\x03\xf6"),
        (F, D::BadGateway, b"\x00\x00\x88\x02\x03\xf6"),
        (T, D::LimitOnControlFrames, b"\x01\x76\x89\x02hi"),
        (F, D::LimitOnControlFrames, b"\x01\x76\x89\x02hi"),
    ];

    #[test]
    fn each_difference_has_an_example() {
        for (peer, difference, octets) in EXAMPLES {
            let found = differences(octets).into_iter().find(|(of, _)| *of == peer);
            assert_eq!(found, Some((peer, Some(difference))), "{}", octets.escape_ascii());
        }
        for difference in D::ALL {
            assert!(EXAMPLES.iter().any(|(_, example, _)| *example == difference), "{difference:?}");
        }
    }

    #[test]
    fn the_readme_lists_each_difference() {
        let readme = include_str!("../../README.md");
        for difference in D::ALL {
            let row = format!("| `{difference:?}` |");
            assert_eq!(readme.matches(&row).count(), 1, "{row}");
        }
    }
}
