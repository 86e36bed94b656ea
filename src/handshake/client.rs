//! The client's opening handshake: RFC 6455 §4.1.

use super::Negotiated;
use super::accept::Key;
use super::error::HandshakeError;
use super::field::{Fields, InvalidHeader, RESERVED_IN_REQUESTS, write_field};
use super::headers::Headers;
use super::response::{self, Offered, Response};
use super::subprotocol::{self, InvalidSubprotocol};
use super::uri::{InvalidUri, Uri};
#[cfg(feature = "deflate")]
use crate::deflate::DeflateConfig;
use alloc::vec::Vec;

/// A request to open a WebSocket, without the key that makes each attempt different (RFC 6455 §4.1).
///
/// Connect to [`host`](Self::host) and [`port`](Self::port), inside TLS when [`secure`](Self::secure) says so, send
/// [`encode`](Self::encode) with a fresh [`Key`], send nothing more, and give the response to
/// [`check`](Self::check). What was read behind the response's blank line are the server's first frames.
///
/// RFC 6455 §4.1 allows one attempt at a time for each address. This type opens no connection and does not count
/// them; who opens many must.
///
/// ```
/// use sansocket::handshake::{ClientRequest, Key, Response, Version};
///
/// let request = ClientRequest::new("ws://server.example.com/chat")?
///     .origin("http://example.com")?
///     .subprotocols(["chat", "superchat"])?;
/// let key = Key::from_nonce(*b"the sample nonce"); // Key::generate()? in a program
/// assert_eq!(
///     request.encode(&key),
///     b"GET /chat HTTP/1.1\r\n\
///       Host: server.example.com\r\n\
///       Upgrade: websocket\r\n\
///       Connection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///       Sec-WebSocket-Version: 13\r\n\
///       Sec-WebSocket-Protocol: chat, superchat\r\n\
///       Origin: http://example.com\r\n\r\n"
/// );
///
/// let headers = [
///     ("Upgrade", "websocket"),
///     ("Connection", "Upgrade"),
///     ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
///     ("Sec-WebSocket-Protocol", "chat"),
/// ];
/// let response = Response { status: 101, version: Version::Http11, headers: &headers };
/// assert_eq!(request.check(&key, &response)?.subprotocol(), Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRequest {
    uri: Uri,
    offered: Offered,
    origin: Option<Vec<u8>>,
    headers: Fields,
}

impl ClientRequest {
    /// A request for a `ws` or `wss` URI, with no origin, no subprotocols and no headers of its own.
    ///
    /// What is not ASCII in the path and the query is sent as percent-encoded UTF-8; everything else must already
    /// be as RFC 3986 wants it, and is sent as it stands.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] says which part is wrong. Nothing else about the request can be wrong later.
    pub fn new(uri: &str) -> Result<Self, InvalidUri> {
        Ok(Self {
            uri: Uri::parse(uri)?,
            offered: Offered::default(),
            origin: None,
            headers: Fields::default(),
        })
    }

    /// Offers subprotocols, the preferred one first; default none. The server picks one of them or none.
    ///
    /// # Errors
    ///
    /// [`InvalidSubprotocol`] when a name is no token or is listed twice.
    pub fn subprotocols<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidSubprotocol> {
        self.offered.subprotocols = subprotocol::checked(names)?;
        Ok(self)
    }

    /// Offers to compress messages (permessage-deflate, RFC 7692 §7.1); default not. The server agrees or declines;
    /// [`Negotiated::deflate`] says which.
    ///
    /// Offered is what `config` wants, and behind it, with [`fallback_offer`](DeflateConfig::fallback_offer), the plain
    /// extension. A response that accepts neither as it was offered fails the handshake with
    /// [`HandshakeError::ExtensionParameters`].
    ///
    /// ```
    /// use sansocket::deflate::DeflateConfig;
    /// use sansocket::handshake::{ClientRequest, Key};
    ///
    /// let request = ClientRequest::new("ws://server.example.com/")?.deflate(DeflateConfig::default());
    /// let headers: Vec<(&str, Vec<u8>)> = request.headers(&Key::generate()?).collect();
    /// let (name, value) = headers.last().unwrap();
    /// assert_eq!(*name, "Sec-WebSocket-Extensions");
    /// assert_eq!(
    ///     value,
    ///     b"permessage-deflate; server_max_window_bits=12; client_max_window_bits, \
    ///       permessage-deflate; client_max_window_bits"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.offered.deflate = Some(config);
        self
    }

    /// Sends this `Origin`; default none, since only browsers must. Sent as it stands.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Value`] when it is empty, not ASCII, or holds a control character or a space.
    pub fn origin(mut self, origin: &str) -> Result<Self, InvalidHeader> {
        if origin.is_empty() || !origin.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidHeader::Value);
        }
        self.origin = Some(Vec::from(origin));
        Ok(self)
    }

    /// Adds a header, such as `Authorization` or `Cookie`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] when the field cannot stand in a request, or the handshake itself writes it.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        self.headers.add(name, value.as_ref(), RESERVED_IN_REQUESTS)?;
        Ok(self)
    }

    /// Whether the connection runs inside TLS: the scheme is `wss`.
    #[must_use]
    pub const fn secure(&self) -> bool {
        self.uri.secure
    }

    /// The host to resolve, and to name in the TLS handshake unless it is an address. An IPv6 address has no
    /// brackets here.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.uri.host
    }

    /// The port: the URI's, or else 80, or 443 when [`secure`](Self::secure).
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.uri.port
    }

    /// The value of `Host`: the host, an IPv6 address in brackets, and the port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.uri.authority
    }

    /// The target of the request: the path, and the query if there is one (RFC 6455 §3 calls it the resource
    /// name).
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.uri.resource
    }

    /// All headers of the request, `Host` first.
    pub fn headers(&self, key: &Key) -> impl Iterator<Item = (&str, Vec<u8>)> {
        [
            ("Host", Vec::from(self.authority())),
            ("Upgrade", Vec::from("websocket")),
            ("Connection", Vec::from("Upgrade")),
            ("Sec-WebSocket-Key", Vec::from(key.as_bytes())),
            ("Sec-WebSocket-Version", Vec::from("13")),
        ]
        .into_iter()
        .chain(self.offered.subprotocols().map(|offer| ("Sec-WebSocket-Protocol", offer.into_bytes())))
        .chain(self.offered.extensions().map(|offer| ("Sec-WebSocket-Extensions", offer.into_bytes())))
        .chain(self.origin.iter().map(|origin| ("Origin", origin.clone())))
        .chain(self.headers.iter().map(|(name, value)| (name, Vec::from(value))))
    }

    /// The whole HTTP/1.1 request, up to and including its blank line.
    #[must_use]
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let mut bytes = Vec::from("GET ");
        bytes.extend_from_slice(self.resource().as_bytes());
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in self.headers(key) {
            write_field(&mut bytes, name, &value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The request for an HTTP client that sends [`http::Request`]s. Its URI is the path and the query only, as
    /// it goes on the wire.
    ///
    /// # Errors
    ///
    /// When the path and the query are longer than an `http::Uri` can be, 65,534 bytes.
    #[cfg(feature = "http")]
    pub fn to_http_request(&self, key: &Key) -> Result<::http::Request<()>, ::http::Error> {
        let mut request = ::http::Request::builder().uri(self.resource()).body(())?;
        for (name, value) in self.headers(key) {
            super::field::append_all(request.headers_mut(), [(name, value.as_slice())].into_iter());
        }
        Ok(request)
    }

    /// Checks the response to the request that was sent with `key` (RFC 6455 §4.1, after item 12 of the
    /// request's).
    ///
    /// # Errors
    ///
    /// Why the response does not open a WebSocket. Close the transport and send nothing: without a connection
    /// there is no Close frame. [`HandshakeError::Status`] is plain HTTP: a 401 may ask for credentials, a 3xx
    /// may name another place; following either is a new request.
    pub fn check<H: Headers + ?Sized>(
        &self,
        key: &Key,
        response: &Response<'_, H>,
    ) -> Result<Negotiated, HandshakeError> {
        response::check(response, key, &self.offered)
    }
}
