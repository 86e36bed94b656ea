//! What can go wrong over a transport: before the WebSocket is open, and after.

use std::sync::Arc;
use std::{fmt, io};

use crate::error::{Failure, ProtocolError, SendError};
use crate::handshake::{HandshakeError, InvalidUri, ReceivedResponse, Refusal};

/// Why a call on a WebSocket did not do what it was asked.
///
/// Everything but [`Send`](Self::Send) and [`WouldBlock`](Self::WouldBlock) says that the connection is gone; it is
/// then returned by every later call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol. It has been told so in a Close frame.
    Protocol(ProtocolError),
    /// The transport ended without a Close frame (1006): what was sent may not have been received, and what the peer
    /// sent may be cut off: [`CloseReport::cut_off`](crate::connection::CloseReport::cut_off) tells.
    EndOfStream,
    /// The peer did not finish the closing handshake within [`Config::close_timeout`](crate::Config::close_timeout).
    CloseTimeout,
    /// Nothing came from the peer within [`Config::dead_peer_timeout`](crate::Config::dead_peer_timeout) of a Ping.
    DeadPeer,
    /// The peer took none of what was queued for it within
    /// [`Config::write_timeout`](crate::Config::write_timeout).
    WriteTimeout,
    /// The transport failed.
    Io(Arc<io::Error>),
    /// The caller asked for something that must not be sent. Nothing was; the connection goes on.
    Send(SendError),
    /// A blocking transport was not ready, or its own timeout has passed. Nothing is lost: call again.
    WouldBlock,
}

impl Error {
    /// The failure as the caller sees it, with the error of the transport that belongs to it.
    pub(crate) fn of(failure: Failure, io: Option<&Arc<io::Error>>) -> Self {
        match failure {
            Failure::Protocol(error) => Self::Protocol(error),
            Failure::EndOfStream => Self::EndOfStream,
            Failure::CloseTimeout => Self::CloseTimeout,
            Failure::DeadPeer => Self::DeadPeer,
            Failure::WriteTimeout => Self::WriteTimeout,
            Failure::Transport => {
                Self::Io(io.cloned().unwrap_or_else(|| Arc::new(io::ErrorKind::ConnectionAborted.into())))
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::EndOfStream => f.write_str("the transport ended without a close frame"),
            Self::CloseTimeout => f.write_str("the peer did not finish the closing handshake in time"),
            Self::DeadPeer => f.write_str("the peer did not answer a ping in time"),
            Self::WriteTimeout => f.write_str("the peer did not take what was sent in time"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Send(error) => fmt::Display::fmt(error, f),
            Self::WouldBlock => f.write_str("the transport is not ready"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Io(error) => Some(&**error),
            Self::Send(error) => Some(error),
            Self::EndOfStream
            | Self::CloseTimeout
            | Self::DeadPeer
            | Self::WriteTimeout
            | Self::WouldBlock => None,
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

/// Why there is no WebSocket for this transport.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// The request was refused with this answer, of which the client has got what it took.
    Refused(Refusal),
    /// The client went away before its request was whole.
    EndOfStream,
    /// The client did not take the response in time.
    Timeout,
    /// The transport failed.
    Io(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => fmt::Display::fmt(refusal, f),
            Self::EndOfStream => f.write_str("the client went away before its request was whole"),
            Self::Timeout => f.write_str("the client did not take the response in time"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Io(error) => Some(error),
            Self::EndOfStream | Self::Timeout => None,
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why there is no WebSocket. The application sees it as 1006 (RFC 6455 §7.1.5); no Close frame was sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI is not one of a WebSocket, or `wss` with a host for which there can be no certificate. Nothing was
    /// connected.
    Uri(InvalidUri),
    /// The server did not agree. The response is there when its head was whole, with the first 4 KiB of its body.
    Handshake(HandshakeError, Option<Box<ReceivedResponse>>),
    /// The proxy did not open a tunnel.
    ProxyHandshake(HandshakeError),
    /// The server, or the proxy, ended the transport before its response was whole.
    EndOfStream,
    /// It took longer than the handshake timeout.
    Timeout,
    /// The transport failed, or could not be had.
    Io(io::Error),
    /// TLS failed, for example because the certificate is not valid for the host.
    Tls(io::Error),
    /// The URI is `wss`, and there is no TLS: the feature `rustls` is off, or the connector is a blocking one. Nothing was
    /// connected.
    TlsNotEnabled,
    /// The gate (`stream::ConnectGate`) has as many attempts waiting as it allows.
    TooManyPending,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(error) => fmt::Display::fmt(error, f),
            Self::Handshake(error, _) => write!(f, "the opening handshake failed: {error}"),
            Self::ProxyHandshake(error) => write!(f, "the proxy opened no tunnel: {error}"),
            Self::EndOfStream => f.write_str("the transport ended before the response was whole"),
            Self::Timeout => f.write_str("the opening handshake took too long"),
            Self::Io(error) => write!(f, "the transport failed: {error}"),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::TlsNotEnabled => f.write_str("there is no TLS for a wss URI"),
            Self::TooManyPending => f.write_str("too many connection attempts are waiting"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Uri(error) => Some(error),
            Self::Handshake(error, _) | Self::ProxyHandshake(error) => Some(error),
            Self::Io(error) | Self::Tls(error) => Some(error),
            Self::EndOfStream | Self::Timeout | Self::TlsNotEnabled | Self::TooManyPending => None,
        }
    }
}

impl From<InvalidUri> for ConnectError {
    fn from(error: InvalidUri) -> Self {
        Self::Uri(error)
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
