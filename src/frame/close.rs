//! The payload of a Close frame: RFC 6455 §5.5.1.

use core::fmt;

use super::MAX_CONTROL_PAYLOAD_LEN;
use crate::close_code::CloseCode;
use crate::error::ProtocolError;
#[cfg(feature = "std")]
use crate::error::SendError;
use crate::simd;
use crate::utf8;

/// What a Close frame says: nothing, or a status code and a reason (RFC 6455 §5.5.1).
///
/// A reason without a code, or one above 123 octets, cannot be built.
///
/// ```
/// use sansocket::CloseCode;
/// use sansocket::frame::CloseFrame;
///
/// let close = CloseFrame::new(CloseCode::NORMAL, "bye")?;
/// let mut payload = [0; 125];
/// assert_eq!(close.encode(&mut payload), [0x03, 0xe8, b'b', b'y', b'e']);
/// assert_eq!(CloseFrame::decode(&[0x03, 0xe8, b'b', b'y', b'e']), Ok(close));
/// # Ok::<_, sansocket::frame::ReasonTooLong>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    code: Option<CloseCode>,
    reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// A Close frame without a payload: the peer's application sees 1005, no status code.
    pub const EMPTY: Self = Self { code: None, reason: "" };

    /// A Close frame with a status code and a reason of at most 123 octets, which may be empty.
    ///
    /// The reason is for logs and debugging, not for end users (RFC 6455 §5.5.1). [`truncated_reason`] cuts one
    /// that is too long.
    ///
    /// # Errors
    ///
    /// If the reason is above 123 octets.
    pub const fn new(code: CloseCode, reason: &'a str) -> Result<Self, ReasonTooLong> {
        if reason.len() > MAX_REASON_LEN {
            return Err(ReasonTooLong);
        }
        Ok(Self { code: Some(code), reason })
    }

    /// A Close frame as callers of the upper layers ask for it: a reason needs a code.
    #[cfg(feature = "std")]
    pub(crate) fn requested(code: Option<CloseCode>, reason: &'a str) -> Result<Self, SendError> {
        match code {
            Some(code) => Self::new(code, reason).map_err(|_| SendError::ReasonTooLong),
            None if reason.is_empty() => Ok(Self::EMPTY),
            None => Err(SendError::ReasonWithoutCode),
        }
    }

    /// A Close frame with a status code and no reason.
    #[must_use]
    pub const fn with_code(code: CloseCode) -> Self {
        Self { code: Some(code), reason: "" }
    }

    /// The answer to a received Close frame: its code, or nothing if it had none (RFC 6455 §5.5.1).
    #[must_use]
    pub const fn answering(received: &CloseFrame<'_>) -> Self {
        Self { code: received.code, reason: "" }
    }

    /// The status code, if there is one.
    #[must_use]
    pub const fn code(&self) -> Option<CloseCode> {
        self.code
    }

    /// The reason; empty if there is none.
    #[must_use]
    pub const fn reason(&self) -> &'a str {
        self.reason
    }

    /// Reads the whole payload of a received Close frame.
    ///
    /// # Errors
    ///
    /// If it is one octet long or above 125, the code is none that may be sent, or the reason is not UTF-8.
    pub fn decode(payload: &'a [u8]) -> Result<Self, ProtocolError> {
        match payload {
            [..] if payload.len() > MAX_CONTROL_PAYLOAD_LEN => Err(ProtocolError::ControlFrameTooLong),
            [] => Ok(Self::EMPTY),
            [_] => Err(ProtocolError::HalfCloseCode),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                let code = CloseCode::new(code).ok_or(ProtocolError::InvalidCloseCode(code))?;
                // RFC 6455 §8.1: bad UTF-8 in the reason fails the connection like bad text.
                utf8::check_whole(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
                Ok(Self { code: Some(code), reason: simd::validated_str(reason) })
            }
        }
    }

    /// Writes the payload and returns the part of `buffer` that it fills.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; MAX_CONTROL_PAYLOAD_LEN]) -> &'b [u8] {
        let Some(code) = self.code else { return &[] };
        let len = 2 + self.reason.len();
        buffer[..2].copy_from_slice(&code.get().to_be_bytes());
        // INVARIANT: every constructor bounds the reason to 123 octets.
        buffer[2..len].copy_from_slice(self.reason.as_bytes());
        &buffer[..len]
    }
}

/// The longest beginning of `reason` that fits a Close frame: at most 123 octets, cut between characters.
///
/// ```
/// let reason = "é".repeat(100);
/// assert_eq!(sansocket::frame::truncated_reason(&reason).len(), 122);
/// ```
#[must_use]
pub fn truncated_reason(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON_LEN);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// The reason does not fit a Close frame: it is above 123 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonTooLong;

impl fmt::Display for ReasonTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("close reason above 123 octets")
    }
}

impl core::error::Error for ReasonTooLong {}

const MAX_REASON_LEN: usize = MAX_CONTROL_PAYLOAD_LEN - 2;

#[cfg(test)]
mod tests {
    use super::*;

    // 6455-5.5-1
    #[test]
    fn a_payload_that_no_control_frame_can_have_is_refused() {
        let mut payload = [b'a'; 126];
        payload[..2].copy_from_slice(&[0x03, 0xe8]);
        assert_eq!(CloseFrame::decode(&payload), Err(ProtocolError::ControlFrameTooLong));
        let longest = CloseFrame::decode(&payload[..125]).unwrap();
        assert_eq!(longest.encode(&mut [0; MAX_CONTROL_PAYLOAD_LEN]), &payload[..125]);
    }
}
