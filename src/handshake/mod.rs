//! The opening handshake as pure functions over headers that somebody else has parsed: RFC 6455 §4.
//!
//! A server gives the request that its HTTP layer has read to [`accept`] and gets a plan, [`Acceptance`], or a
//! [`Refusal`]; both can be written as bytes, as pairs or as an `http::Response`. Everything that must be decided
//! before the 101 is decided in between: nothing has been sent yet.
//!
//! ```
//! use sansocket::handshake::{accept, Request, ServerOptions, Version};
//!
//! let headers = [
//!     ("Host", "server.example.com"),
//!     ("Upgrade", "websocket"),
//!     ("Connection", "keep-alive, Upgrade"),
//!     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
//!     ("Sec-WebSocket-Version", "13"),
//! ];
//! let request = Request { method: b"GET", version: Version::Http11, headers: &headers };
//! let acceptance = accept(&request, &ServerOptions::new())?;
//! assert_eq!(
//!     acceptance.to_bytes(),
//!     b"HTTP/1.1 101 Switching Protocols\r\n\
//!       Upgrade: websocket\r\n\
//!       Connection: Upgrade\r\n\
//!       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
//! );
//! # Ok::<(), sansocket::handshake::Refusal>(())
//! ```
//!
//! A client describes what it wants in a [`ClientRequest`], sends it with a fresh [`Key`] and checks the answer.
//! Who has no HTTP layer finds a small one in `HeadReader` (feature `std`).

mod accept;
mod acceptance;
mod client;
#[cfg(feature = "deflate")]
mod deflate;
mod error;
mod extension;
mod field;
mod headers;
#[cfg(feature = "std")]
mod http;
mod origin;
mod refusal;
mod response;
mod server;
mod subprotocol;
mod token;
mod uri;

pub use accept::{AcceptValue, Key, accept_value};
pub use acceptance::{Acceptance, NotOffered};
pub use client::ClientRequest;
pub use error::HandshakeError;
pub use extension::Extension;
pub use field::InvalidHeader;
pub use headers::{Headers, Version};
#[cfg(feature = "std")]
pub use http::{HeadLimits, HeadReader, RequestHead, ResponseHead};
pub use origin::{InvalidOrigin, Origin, OriginPolicy};
pub use refusal::Refusal;
pub use response::{ReceivedResponse, Response};
pub use server::{Request, ServerOptions, accept};
pub use subprotocol::InvalidSubprotocol;
pub use uri::{InvalidUri, resource_name};

use alloc::string::String;

/// What the two ends agreed on in the opening handshake: a plain value to carry over to the connection.
///
/// Its default is what an answer without further headers means: no subprotocol and no extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiated {
    subprotocol: Option<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<crate::deflate::Agreement>,
}

impl Negotiated {
    /// The subprotocol in use, or `None` when the ends agreed on none (RFC 6455 §1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// With compression as a handshake agreed on it that this crate has not made.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, agreement: &crate::deflate::Agreement) -> Self {
        Self { deflate: Some(*agreement), ..self }
    }

    /// How messages are compressed, or `None` when they are not (RFC 7692 §5): for
    /// [`Connection::with_deflate`](crate::connection::Connection::with_deflate). The layers that move octets do that.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn deflate(&self) -> Option<&crate::deflate::Agreement> {
        self.deflate.as_ref()
    }
}
