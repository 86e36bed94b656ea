//! What can go wrong on an open connection.

use std::sync::Arc;
use std::{fmt, io};

use crate::error::{ProtocolError, SendError};

/// Why a call on a WebSocket did not do what it was asked.
///
/// Everything but [`Send`](Self::Send) says that the connection is gone; it is then returned by every later call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol. It has been told so in a Close frame.
    Protocol(ProtocolError),
    /// The transport ended without a Close frame (1006): what was sent may not have been received, and what the peer
    /// sent may be cut off.
    EndOfStream,
    /// The peer did not finish the closing handshake within [`Config::close_timeout`](crate::Config::close_timeout).
    CloseTimeout,
    /// The transport failed.
    Io(Arc<io::Error>),
    /// The caller asked for something that must not be sent. Nothing was; the connection goes on.
    Send(SendError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::EndOfStream => f.write_str("the transport ended without a close frame"),
            Self::CloseTimeout => f.write_str("the peer did not finish the closing handshake in time"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Send(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::EndOfStream | Self::CloseTimeout => None,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}
