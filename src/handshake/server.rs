//! The server reads the client's opening handshake: RFC 6455 §4.2.1.

use super::accept::Key;
use super::acceptance::Acceptance;
#[cfg(feature = "deflate")]
use super::deflate;
use super::error::HandshakeError;
use super::extension::Extension;
use super::field::{Fields, InvalidHeader, RESERVED_IN_RESPONSES};
use super::headers::{Headers, Version};
use super::origin::OriginPolicy;
use super::refusal::Refusal;
use super::subprotocol::{self, InvalidSubprotocol};
use super::token::{elements, has_token, only};
use super::uri::Authority;
#[cfg(feature = "deflate")]
use crate::deflate::DeflateConfig;
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// Judges a request to open a WebSocket (RFC 6455 §4.2.1).
///
/// This is a pure function: it reads nothing from the socket and sends nothing. Send what the returned
/// [`Acceptance`] or [`Refusal`] says, and give the bytes that the HTTP layer read behind the request's blank line
/// to the connection: they are the client's first frames.
///
/// Which path is a WebSocket, and who may open it, is the application's to decide: before this call, or
/// between it and sending the 101, with a [`Refusal`] of its own.
///
/// ```
/// use sansocket::handshake::{accept, Refusal, Request, ServerOptions, Version};
///
/// let headers = [
///     ("Host", "example.com"),
///     ("Upgrade", "websocket"),
///     ("Connection", "Upgrade"),
///     ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("Sec-WebSocket-Version", "13"),
///     ("Sec-WebSocket-Protocol", "superchat, chat"),
///     ("Cookie", "session=stolen"),
/// ];
/// let request = Request { method: b"GET", version: Version::Http11, headers: &headers };
/// let options = ServerOptions::new().subprotocols(["chat"])?;
///
/// let acceptance = accept(&request, &options)?;
/// assert_eq!(acceptance.status(), 101);
/// assert_eq!(acceptance.subprotocol(), Some("chat"));
///
/// // Nothing has been sent yet, so the application can still say no.
/// let refusal = Refusal::new(401).header("WWW-Authenticate", "Basic")?;
/// assert!(refusal.to_bytes().starts_with(b"HTTP/1.1 401 Unauthorized\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The [`Refusal`] to send. Its [`reason`](Refusal::reason) says what was wrong, its [`status`](Refusal::status) is 400
/// unless a better one fits: 405 for a method other than `GET`, 426 without `Upgrade: websocket` or with a version
/// other than 13, 403 for an origin that is not allowed, 431 for more than 64 subprotocols or extensions, or 256 parameters of
/// extensions: what stands behind is not looked at.
pub fn accept<H: Headers + ?Sized>(
    request: &Request<'_, H>,
    options: &ServerOptions,
) -> Result<Acceptance, Refusal> {
    judge(request, options).map_err(|reason| {
        let refusal = Refusal::from(reason);
        if request.method == b"HEAD" { refusal.without_body() } else { refusal }
    })
}

/// A request that some HTTP layer has read.
///
/// The target is not part of it: RFC 6455 leaves what a path means to the application.
#[derive(Debug)]
pub struct Request<'a, H: Headers + ?Sized> {
    /// The method, in the case in which it was received.
    pub method: &'a [u8],
    /// The version of HTTP.
    pub version: Version,
    /// All headers.
    pub headers: &'a H,
}

impl<H: Headers + ?Sized> Clone for Request<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Headers + ?Sized> Copy for Request<'_, H> {}

#[cfg(feature = "http")]
impl<'a, B> From<&'a ::http::Request<B>> for Request<'a, ::http::HeaderMap> {
    fn from(request: &'a ::http::Request<B>) -> Self {
        Self {
            method: request.method().as_str().as_bytes(),
            version: request.version().into(),
            headers: request.headers(),
        }
    }
}

#[cfg(feature = "http")]
impl<'a> From<&'a ::http::request::Parts> for Request<'a, ::http::HeaderMap> {
    fn from(request: &'a ::http::request::Parts) -> Self {
        Self {
            method: request.method.as_str().as_bytes(),
            version: request.version.into(),
            headers: &request.headers,
        }
    }
}

/// What a server agrees to in the opening handshake.
///
/// The default supports no subprotocol and no extension, accepts every origin and adds no headers. Build it once and
/// use it for every request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerOptions {
    subprotocols: Vec<String>,
    require_subprotocol: bool,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
    origins: OriginPolicy,
    require_origin: bool,
    headers: Fields,
}

impl ServerOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The subprotocols that the server supports; default none. The first one in the *client's* order of
    /// preference that is among them is selected, compared with regard to case (RFC 7936 §2). An
    /// application that knows better can [`select`](Acceptance::select_subprotocol) another.
    ///
    /// # Errors
    ///
    /// [`InvalidSubprotocol`] when a name is no token or is listed twice.
    pub fn subprotocols<S: AsRef<str>>(
        mut self,
        supported: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidSubprotocol> {
        self.subprotocols = subprotocol::checked(supported)?;
        Ok(self)
    }

    /// Whether to refuse, with 400, a request that offers none of the supported subprotocols; default `false`:
    /// such a request is accepted without a subprotocol. A browser whose page offered some then fails the
    /// connection by itself.
    #[must_use]
    pub fn require_subprotocol(mut self, require: bool) -> Self {
        self.require_subprotocol = require;
        self
    }

    /// Agrees to compress messages (permessage-deflate, RFC 7692 §7.1) with clients that offer it; default not. The
    /// first of a client's offers that can be accepted is; when there is none, the connection goes without. An
    /// application that knows better can [`decline`](Acceptance::decline_deflate).
    ///
    /// The answer repeats what binds this server if the client asked for it, limits the client's window where the
    /// client offered that, and repeats `client_no_context_takeover`. An offer of `server_max_window_bits=8` is
    /// declined: zlib cannot compress with so small a window.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, config: DeflateConfig) -> Self {
        self.deflate = Some(config);
        self
    }

    /// The origins that the server accepts; default [`OriginPolicy::Any`].
    #[must_use]
    pub fn origins(mut self, policy: OriginPolicy) -> Self {
        self.origins = policy;
        self
    }

    /// Whether to refuse, with 403, a request without `Origin`; default `false`, since only browsers must send
    /// one.
    #[must_use]
    pub fn require_origin(mut self, require: bool) -> Self {
        self.require_origin = require;
        self
    }

    /// Adds a header to every 101, such as `Server`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] when the field cannot stand in a response or the handshake itself writes it.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        self.headers.add(name, value.as_ref(), RESERVED_IN_RESPONSES)?;
        Ok(self)
    }
}

fn judge<H: Headers + ?Sized>(
    request: &Request<'_, H>,
    options: &ServerOptions,
) -> Result<Acceptance, HandshakeError> {
    let headers = request.headers;
    if request.method != b"GET" {
        return Err(HandshakeError::Method);
    }
    // RFC 9110 §7.8: HTTP/1.0 has no Upgrade. Later versions have none either: RFC 9113 §8.6.
    if request.version != Version::Http11 {
        return Err(HandshakeError::HttpVersion);
    }
    check_host(headers)?;
    if !has_token(headers.values_of("upgrade"), "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !has_token(headers.values_of("connection"), "upgrade") {
        return Err(HandshakeError::Connection);
    }
    let key = Key::received(only(headers.values_of("sec-websocket-key")).ok_or(HandshakeError::Key)?)?;
    check_version(headers)?;
    check_no_body(headers)?;
    let origin = check_origin(headers, options)?;
    let offered = subprotocol::offered(headers.values_of("sec-websocket-protocol"))?;
    let selected = offered.iter().position(|offered| options.subprotocols.contains(offered));
    if options.require_subprotocol && selected.is_none() {
        return Err(HandshakeError::NoCommonSubprotocol);
    }
    // RFC 6455 §9.1: an offer that breaks the grammar fails the handshake; an unknown extension is only skipped.
    #[cfg_attr(not(feature = "deflate"), allow(unused_variables, reason = "then only the grammar matters"))]
    let extensions = Extension::parse(headers)?;
    let acceptance = Acceptance::new(key.accept_value(), offered, selected, origin, options.headers.clone());
    #[cfg(feature = "deflate")]
    let acceptance = acceptance
        .with_deflate(options.deflate.as_ref().and_then(|config| deflate::accept(&extensions, config)));
    Ok(acceptance)
}

fn check_host<H: Headers + ?Sized>(headers: &H) -> Result<(), HandshakeError> {
    only(headers.values_of("host"))
        .and_then(|host| core::str::from_utf8(host).ok())
        .and_then(|host| Authority::parse(host).ok())
        .map(|_| ())
        .ok_or(HandshakeError::Host)
}

fn check_version<H: Headers + ?Sized>(headers: &H) -> Result<(), HandshakeError> {
    let text = only(headers.values_of("sec-websocket-version")).ok_or(HandshakeError::Version)?;
    match version_number(text) {
        Some(13) => Ok(()),
        Some(other) => Err(HandshakeError::UnsupportedVersion(other)),
        None => Err(HandshakeError::Version),
    }
}

/// RFC 6455 §4.3 `version`: 0 to 255 in decimal without leading zeros.
pub(super) fn version_number(text: &[u8]) -> Option<u8> {
    match text {
        [b'0'] | [b'1'..=b'9', ..] => core::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// A body would stand where the client's frames are expected.
fn check_no_body<H: Headers + ?Sized>(headers: &H) -> Result<(), HandshakeError> {
    let is_zero = |length: &[u8]| length.iter().all(|&digit| digit == b'0');
    if headers.values_of("transfer-encoding").next().is_some()
        || !elements(headers.values_of("content-length")).all(is_zero)
    {
        return Err(HandshakeError::Body);
    }
    Ok(())
}

fn check_origin<H: Headers + ?Sized>(
    headers: &H,
    options: &ServerOptions,
) -> Result<Option<Vec<u8>>, HandshakeError> {
    if headers.values_of("origin").next().is_none() {
        return if options.require_origin { Err(HandshakeError::OriginNotAllowed) } else { Ok(None) };
    }
    let origin = only(headers.values_of("origin")).ok_or(HandshakeError::Origin)?;
    if !options.origins.allows(origin) {
        return Err(HandshakeError::OriginNotAllowed);
    }
    Ok(Some(origin.to_owned()))
}
