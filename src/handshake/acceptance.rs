//! The server accepts: the 101 and what it agrees to, RFC 6455 §4.2.2.

use super::Negotiated;
use super::accept::AcceptValue;
#[cfg(feature = "deflate")]
use super::deflate::AcceptedOffer;
use super::error::HandshakeError;
use super::field::{Fields, InvalidHeader, RESERVED_IN_RESPONSES, write_field};
use super::refusal::Refusal;
#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The plan to accept a request: a 101 that has not been sent yet (RFC 6455 §4.2.2).
///
/// Send it, as [bytes](Self::to_bytes), as [pairs](Self::headers) or as an `http::Response`, flush it, and only
/// then make the connection from [`negotiated`](Self::negotiated). Dropped, it leaves no trace; to say no
/// after all, send a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the client waits until the 101 is sent"]
pub struct Acceptance {
    accept: AcceptValue,
    offered: Vec<String>,
    /// Where in `offered` the selected subprotocol stands, so that no other can be.
    selected: Option<usize>,
    #[cfg(feature = "deflate")]
    deflate: Option<AcceptedOffer>,
    origin: Option<Vec<u8>>,
    headers: Fields,
}

impl Acceptance {
    pub(super) fn new(
        accept: AcceptValue,
        offered: Vec<String>,
        selected: Option<usize>,
        origin: Option<Vec<u8>>,
        headers: Fields,
    ) -> Self {
        Self {
            accept,
            offered,
            selected,
            #[cfg(feature = "deflate")]
            deflate: None,
            origin,
            headers,
        }
    }

    #[cfg(feature = "deflate")]
    pub(super) fn with_deflate(self, deflate: Option<AcceptedOffer>) -> Self {
        Self { deflate, ..self }
    }

    /// The origin of the page that connects, as it was received, or `None` when the request named none and so
    /// does not come from a browser. Its [`OriginPolicy`](super::OriginPolicy) has accepted it already.
    #[must_use]
    pub fn origin(&self) -> Option<&[u8]> {
        self.origin.as_deref()
    }

    /// The subprotocols that the client offers, in its order of preference; each once.
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        self.offered.iter().map(String::as_str)
    }

    /// The selected subprotocol, or `None` when there is none: then the response does not mention any.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.selected.and_then(|at| self.offered.get(at)).map(String::as_str)
    }

    /// Selects one of the offered subprotocols, compared with regard to case, in place of what the options
    /// selected.
    ///
    /// # Errors
    ///
    /// [`NotOffered`], and nothing has changed, when the client did not offer it: a client must fail the
    /// connection on a subprotocol it did not offer. As a [`Refusal`] it is a 500.
    pub fn select_subprotocol(&mut self, name: &str) -> Result<(), NotOffered> {
        self.selected = Some(self.offered.iter().position(|offered| offered == name).ok_or(NotOffered)?);
        Ok(())
    }

    /// Selects no subprotocol.
    pub fn decline_subprotocols(&mut self) {
        self.selected = None;
    }

    /// How messages will be compressed, or `None` when they will not: the client offered nothing that the options agree
    /// to, or [`decline_deflate`](Self::decline_deflate) was called.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&Agreement> {
        self.deflate.as_ref().map(|accepted| &accepted.agreement)
    }

    /// Does without compression on this connection, such as one whose messages hold secrets beside what an attacker
    /// can choose (RFC 7692 §8). For single messages there is
    /// [`Compression::Never`](crate::deflate::Compression::Never).
    #[cfg(feature = "deflate")]
    pub fn decline_deflate(&mut self) {
        self.deflate = None;
    }

    /// Adds a header, such as `Set-Cookie`. Fields are sent in the order in which they were added.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`], and nothing has changed, when the field cannot stand in a response or the handshake itself
    /// writes it.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidHeader> {
        self.headers.add(name, value.as_ref(), RESERVED_IN_RESPONSES)
    }

    /// The status: 101.
    #[must_use]
    pub const fn status(&self) -> u16 {
        101
    }

    /// All headers of the response. There is no body.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        [
            ("Upgrade", &b"websocket"[..]),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Accept", self.accept.as_bytes()),
        ]
        .into_iter()
        .chain(self.subprotocol().map(|name| ("Sec-WebSocket-Protocol", name.as_bytes())))
        .chain(self.extensions().map(|element| ("Sec-WebSocket-Extensions", element.as_bytes())))
        .chain(self.headers.iter())
    }

    /// What the response says in `Sec-WebSocket-Extensions`.
    fn extensions(&self) -> Option<&str> {
        #[cfg(feature = "deflate")]
        return self.deflate.as_ref().map(|accepted| accepted.element.as_str());
        #[cfg(not(feature = "deflate"))]
        None
    }

    /// The whole HTTP/1.1 response, up to and including its blank line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::from(*b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.headers() {
            write_field(&mut bytes, name, value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The response for an HTTP server that sends [`http::Response`]s.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn into_response(self) -> ::http::Response<()> {
        let mut response = ::http::Response::new(());
        *response.status_mut() = ::http::StatusCode::SWITCHING_PROTOCOLS;
        super::field::append_all(response.headers_mut(), self.headers());
        response
    }

    /// What the two ends have agreed on once the response is sent.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        Negotiated {
            subprotocol: self.subprotocol().map(String::from),
            #[cfg(feature = "deflate")]
            deflate: self.deflate().copied(),
        }
    }
}

/// The client did not offer the subprotocol that the application wants to select.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOffered;

impl From<NotOffered> for Refusal {
    fn from(_: NotOffered) -> Self {
        HandshakeError::SelectionNotOffered.into()
    }
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("subprotocol was not offered by the client")
    }
}

impl core::error::Error for NotOffered {}
