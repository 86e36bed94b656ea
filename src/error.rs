//! What the peer did wrong, and what the caller did wrong: one type for each.

use core::fmt;

use crate::close_code::CloseCode;
#[cfg(feature = "std")]
use crate::role::Role;

/// The peer broke a MUST of the protocol, or passed a limit of ours: the connection is failed (RFC 6455 §7.1.7).
///
/// A Close frame with [`close_code`](Self::close_code) has been queued, nothing that the peer sends from here on is
/// looked at, and nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no negotiated extension gives a meaning.
    ReservedBits,
    /// An opcode that RFC 6455 does not define.
    UnknownOpcode(u8),
    /// A control frame without FIN.
    FragmentedControlFrame,
    /// A control frame with more than 125 octets of payload.
    ControlFrameTooLong,
    /// A continuation frame while no message is open.
    UnexpectedContinuation,
    /// A new data frame while a fragmented message is open.
    ExpectedContinuation,
    /// A frame from the client without a masking-key.
    UnmaskedFrame,
    /// A frame from the server with a masking-key.
    MaskedFrame,
    /// A payload length that is not in its shortest form.
    LengthNotMinimal,
    /// A 64-bit payload length whose most significant bit is set.
    LengthTopBit,
    /// A Close frame with one octet of payload: half a status code.
    HalfCloseCode,
    /// A Close frame with a status code that must not be sent.
    InvalidCloseCode(u16),
    /// A Close frame whose reason is not UTF-8.
    InvalidCloseReason,
    /// A text message that is not UTF-8.
    InvalidUtf8,
    /// A frame above [`Limits::max_frame_len`](crate::Limits::max_frame_len).
    FrameTooBig,
    /// A message above [`Limits::max_message_len`](crate::Limits::max_message_len).
    MessageTooBig,
    /// More empty fragments in a row than [`Limits::max_empty_fragments`](crate::Limits::max_empty_fragments).
    TooManyEmptyFragments,
    /// A message that took longer than [`Config::message_timeout`](crate::Config::message_timeout).
    MessageTimeout,
    /// A compressed message that is not DEFLATE, refers to before the window, was cut, or has the octets that are to be
    /// left out.
    InvalidCompressedData,
    /// A compressed message made of so many final blocks that they are no way to compress.
    TooManyFinalBlocks,
    /// What this end received, or could not write, is more than is left of its [`Budget`](crate::Config::budget): the
    /// connection failed for what others hold as well, and may be tried again later.
    #[cfg(feature = "std")]
    BudgetExhausted(Role),
}

impl ProtocolError {
    /// The status code of the Close frame with which the connection is failed.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::UnknownOpcode(_)
            | Self::FragmentedControlFrame
            | Self::ControlFrameTooLong
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::HalfCloseCode
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            // RFC 7692 names no code for data that cannot be decompressed.
            Self::InvalidCloseReason | Self::InvalidUtf8 | Self::InvalidCompressedData => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::TooManyEmptyFragments | Self::MessageTimeout | Self::TooManyFinalBlocks => {
                CloseCode::POLICY_VIOLATION
            }
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            // 1013 is what a server says that is too busy.
            #[cfg(feature = "std")]
            Self::BudgetExhausted(Role::Server) => CloseCode::TRY_AGAIN_LATER,
            #[cfg(feature = "std")]
            Self::BudgetExhausted(Role::Client) => CloseCode::MESSAGE_TOO_BIG,
        }
    }

    /// The number of the RFC with the rule that was broken.
    #[must_use]
    pub const fn rfc(self) -> u16 {
        match self {
            Self::InvalidCompressedData | Self::TooManyFinalBlocks => 7692,
            _ => 6455,
        }
    }

    /// The section of that [`rfc`](Self::rfc).
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::ReservedBits | Self::UnknownOpcode(_) | Self::LengthNotMinimal | Self::LengthTopBit => {
                "5.2"
            }
            Self::UnmaskedFrame | Self::MaskedFrame => "5.1",
            Self::UnexpectedContinuation | Self::ExpectedContinuation => "5.4",
            Self::FragmentedControlFrame | Self::ControlFrameTooLong => "5.5",
            Self::HalfCloseCode => "5.5.1",
            Self::InvalidCloseCode(_) => "7.4",
            Self::InvalidCloseReason | Self::InvalidUtf8 => "8.1",
            Self::FrameTooBig | Self::MessageTooBig | Self::TooManyEmptyFragments | Self::MessageTimeout => {
                "10.4"
            }
            #[cfg(feature = "std")]
            Self::BudgetExhausted(_) => "10.4",
            Self::InvalidCompressedData | Self::TooManyFinalBlocks => "7.2.2",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("reserved bit set that was not negotiated"),
            Self::UnknownOpcode(opcode) => write!(f, "unknown opcode {opcode}"),
            Self::FragmentedControlFrame => f.write_str("fragmented control frame"),
            Self::ControlFrameTooLong => f.write_str("control frame payload above 125 octets"),
            Self::UnexpectedContinuation => f.write_str("continuation frame without an open message"),
            Self::ExpectedContinuation => f.write_str("new data frame inside a fragmented message"),
            Self::UnmaskedFrame => f.write_str("unmasked frame from the client"),
            Self::MaskedFrame => f.write_str("masked frame from the server"),
            Self::LengthNotMinimal => f.write_str("payload length not in its shortest form"),
            Self::LengthTopBit => f.write_str("payload length above 63 bits"),
            Self::HalfCloseCode => f.write_str("close frame with half a status code"),
            Self::InvalidCloseCode(code) => write!(f, "close frame with invalid status code {code}"),
            Self::InvalidCloseReason => f.write_str("close reason is not valid UTF-8"),
            Self::InvalidUtf8 => f.write_str("text message is not valid UTF-8"),
            Self::FrameTooBig => f.write_str("frame above the size limit"),
            Self::MessageTooBig => f.write_str("message above the size limit"),
            Self::TooManyEmptyFragments => f.write_str("too many empty fragments in a row"),
            Self::MessageTimeout => f.write_str("message not finished in time"),
            Self::InvalidCompressedData => f.write_str("compressed message that cannot be decompressed"),
            Self::TooManyFinalBlocks => f.write_str("compressed message with too many final blocks"),
            #[cfg(feature = "std")]
            Self::BudgetExhausted(_) => f.write_str("no memory left in the budget for this connection"),
        }?;
        write!(f, " (RFC {} section {})", self.rfc(), self.section())
    }
}

impl core::error::Error for ProtocolError {}

/// Why a connection ended without a finished closing handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The transport ended before the peer's Close frame came (1006): messages may be lost in both directions.
    EndOfStream,
    /// The transport failed; the layer that drives it knows the I/O error.
    Transport,
    /// The closing handshake was not finished within
    /// [`Config::close_timeout`](crate::Config::close_timeout).
    CloseTimeout,
    /// Nothing came from the peer within [`Config::dead_peer_timeout`](crate::Config::dead_peer_timeout) of a Ping
    /// (1006).
    DeadPeer,
    /// The peer took none of the octets that were queued for it within
    /// [`Config::write_timeout`](crate::Config::write_timeout) (1006).
    WriteTimeout,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::EndOfStream => f.write_str("the transport ended without a close frame"),
            Self::Transport => f.write_str("the transport failed"),
            Self::CloseTimeout => f.write_str("the peer did not finish the closing handshake in time"),
            Self::DeadPeer => f.write_str("the peer did not answer a ping in time"),
            Self::WriteTimeout => f.write_str("the peer did not take what was sent in time"),
        }
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

/// The caller asked for something that must not go on the wire: nothing did, and the connection goes on as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// This end has sent its Close frame, or has answered the peer's: no more data (RFC 6455 §5.5.1).
    SendAfterClose,
    /// The connection has failed or has ended.
    Closed,
    /// A Ping or Pong payload above 125 octets (RFC 6455 §5.5).
    ControlPayloadTooLong,
    /// A Close reason above 123 octets (RFC 6455 §5.5.1).
    ReasonTooLong,
    /// A Close reason without a status code has no place in the frame (RFC 6455 §5.5.1).
    ReasonWithoutCode,
    /// A status code that this role does not send: 1010 from a server (RFC 6455 §7.4.1).
    CodeNotForRole,
    /// A fragmented message of the caller's is open: it has to be finished first (RFC 6455 §5.4).
    MessageOpen,
    /// The fragment is not of the type that the open message began with (RFC 6455 §5.4).
    WrongFragmentKind,
    /// More than the high-water mark is queued already: wait until it has been flushed.
    QueueFull,
    /// The message needs more than is left of the [`Budget`](crate::Config::budget): wait until less is queued, here or on
    /// other connections, or give it up.
    #[cfg(feature = "std")]
    BudgetExhausted,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendAfterClose => "data after the close frame",
            Self::Closed => "the connection is closed",
            Self::ControlPayloadTooLong => "control payload above 125 octets",
            Self::ReasonTooLong => "close reason above 123 octets",
            Self::ReasonWithoutCode => "close reason without a status code",
            Self::CodeNotForRole => "status code that this role does not send",
            Self::MessageOpen => "a fragmented message is open",
            Self::WrongFragmentKind => "fragment of another type than its message",
            Self::QueueFull => "too much output is queued",
            #[cfg(feature = "std")]
            Self::BudgetExhausted => "no memory left in the budget for the message",
        })
    }
}

impl core::error::Error for SendError {}
