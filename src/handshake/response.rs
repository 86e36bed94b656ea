//! The client checks the server's answer: RFC 6455 §4.1, "the client MUST validate the server's response".

use super::Negotiated;
use super::accept::Key;
#[cfg(feature = "deflate")]
use super::deflate;
use super::error::HandshakeError;
use super::extension::Extension;
use super::headers::{Headers, Version};
use super::server::version_number;
use super::token::{elements, has_token, only, token};
#[cfg(feature = "deflate")]
use crate::deflate::DeflateConfig;
use alloc::string::String;
use alloc::vec::Vec;

/// A response that some HTTP layer has read, to be checked by
/// [`ClientRequest::check`](super::ClientRequest::check).
#[derive(Debug)]
pub struct Response<'a, H: Headers + ?Sized> {
    /// The status.
    pub status: u16,
    /// The version of HTTP.
    pub version: Version,
    /// All headers.
    pub headers: &'a H,
}

impl<H: Headers + ?Sized> Clone for Response<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Headers + ?Sized> Copy for Response<'_, H> {}

#[cfg(feature = "http")]
impl<'a, B> From<&'a ::http::Response<B>> for Response<'a, ::http::HeaderMap> {
    fn from(response: &'a ::http::Response<B>) -> Self {
        Self {
            status: response.status().as_u16(),
            version: response.version().into(),
            headers: response.headers(),
        }
    }
}

/// A response to keep: what a server answered, in its own memory.
///
/// With a 101 its headers hold what else the server said, such as `Set-Cookie`; with any other status they, and
/// the beginning of the body, say why there is no WebSocket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedResponse {
    /// The status.
    pub status: u16,
    /// All headers in order: name as received, and value.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The first bytes of the body, as many as were kept; empty with a 101.
    pub body_prefix: Vec<u8>,
}

impl Headers for ReceivedResponse {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers.values_of(name)
    }
}

/// What a request offers, of which a response may choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<DeflateConfig>,
}

impl Offered {
    /// What the request says in `Sec-WebSocket-Protocol`.
    pub(super) fn subprotocols(&self) -> Option<String> {
        if self.subprotocols.is_empty() { None } else { Some(self.subprotocols.join(", ")) }
    }

    /// What the request says in `Sec-WebSocket-Extensions`.
    pub(super) fn extensions(&self) -> Option<String> {
        #[cfg(feature = "deflate")]
        return self.deflate.as_ref().map(deflate::offer);
        #[cfg(not(feature = "deflate"))]
        None
    }
}

pub(super) fn check<H: Headers + ?Sized>(
    response: &Response<'_, H>,
    key: &Key,
    offered: &Offered,
) -> Result<Negotiated, HandshakeError> {
    let headers = response.headers;
    if response.status != 101 {
        return Err(refused(response));
    }
    if response.version != Version::Http11 {
        return Err(HandshakeError::ResponseHttpVersion);
    }
    if !only(headers.values_of("upgrade")).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
        return Err(HandshakeError::ResponseUpgrade);
    }
    if !has_token(headers.values_of("connection"), "upgrade") {
        return Err(HandshakeError::ResponseConnection);
    }
    if only(headers.values_of("sec-websocket-accept")) != Some(key.accept_value().as_bytes()) {
        return Err(HandshakeError::Accept);
    }
    let extensions = Extension::parse(headers)?;
    #[cfg(feature = "deflate")]
    let deflate = deflate::agree(&extensions, offered.deflate.as_ref())?;
    // RFC 6455 §9.1: this client offers no extension, so there is none that the server may agree to.
    #[cfg(not(feature = "deflate"))]
    if !extensions.is_empty() {
        return Err(HandshakeError::ExtensionNotOffered);
    }
    let subprotocol = subprotocol(headers)?;
    if subprotocol.is_some_and(|name| !offered.subprotocols.iter().any(|offered| offered == name)) {
        return Err(HandshakeError::SubprotocolNotOffered);
    }
    Ok(Negotiated {
        subprotocol: subprotocol.map(String::from),
        #[cfg(feature = "deflate")]
        deflate,
    })
}

/// RFC 6455 §11.3.4: at most one line, and one token on it.
fn subprotocol<H: Headers + ?Sized>(headers: &H) -> Result<Option<&str>, HandshakeError> {
    if headers.values_of("sec-websocket-protocol").next().is_none() {
        return Ok(None);
    }
    only(headers.values_of("sec-websocket-protocol"))
        .and_then(token)
        .map(Some)
        .ok_or(HandshakeError::ResponseSubprotocol)
}

/// RFC 6455 §4.4: a server that does not speak this version answers 426 and lists those it does. What is not
/// a version in that list is ignored.
fn refused<H: Headers + ?Sized>(response: &Response<'_, H>) -> HandshakeError {
    let mut supported: Vec<u8> = Vec::new();
    if response.status == 426 {
        let versions = elements(response.headers.values_of("sec-websocket-version"));
        supported.extend(versions.filter_map(version_number));
        supported.sort_unstable();
        supported.dedup();
    }
    if supported.is_empty() {
        return HandshakeError::Status(response.status);
    }
    HandshakeError::VersionRejected { supported }
}
