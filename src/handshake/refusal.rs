//! The server refuses: an HTTP error in place of the 101, RFC 6455 §4.2.2, §4.4.

use super::error::HandshakeError;
use super::field::{Fields, InvalidHeader, write_field};
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// The answer to a request that is not accepted: an HTTP response that has not been sent yet.
///
/// It comes from [`accept`](super::accept), from a [`HandshakeError`], or is the application's own:
///
/// ```
/// use sansocket::handshake::Refusal;
///
/// let moved = Refusal::new(302).header("Location", "/chat/v2")?;
/// assert_eq!(
///     moved.to_bytes(),
///     b"HTTP/1.1 302 Found\r\n\
///       Location: /chat/v2\r\n\
///       Connection: close\r\n\
///       Content-Type: text/plain\r\n\
///       Content-Length: 6\r\n\r\n\
///       Found\n"
/// );
/// # Ok::<(), sansocket::handshake::InvalidHeader>(())
/// ```
///
/// A browser tells its page nothing but that the connection failed, follows no redirect and shows no login.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the client waits until the refusal is sent"]
pub struct Refusal {
    status: u16,
    reason: HandshakeError,
    headers: Fields,
    has_body: bool,
}

impl Refusal {
    /// A refusal of the application's own, such as 401, 403, 404 or 503.
    ///
    /// `status` is a final one, 200 to 599; any other number is a mistake that the client must not see, and is
    /// answered with 500. A 405 names `GET` as the allowed method and a 426 names `websocket` as the upgrade.
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 200..=599) { status } else { 500 };
        Self::with(status, HandshakeError::Refused(status))
    }

    /// Adds a header, such as `WWW-Authenticate` or `Retry-After`.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] when the field cannot stand in a response, or says what only the writer of the response
    /// can know: where it ends, its type, and what happens to the transport.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidHeader> {
        self.headers.add(name, value.as_ref(), RESERVED)?;
        Ok(self)
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Why: what was wrong with the request, or [`HandshakeError::Refused`] when the application did not want it.
    #[must_use]
    pub const fn reason(&self) -> &HandshakeError {
        &self.reason
    }

    /// The headers that the refusal needs and those that were added, for an HTTP server that adds its own about the
    /// body and the transport.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let allow: &[(&str, &[u8])] = if self.status == 405 { &[("Allow", b"GET")] } else { &[] };
        // RFC 9110 §15.5.22: a 426 says to what to upgrade; RFC 9110 §7.8: and then lists Upgrade in Connection.
        let upgrade: &[(&str, &[u8])] =
            if self.status == 426 { &[("Upgrade", b"websocket"), ("Connection", b"Upgrade")] } else { &[] };
        // RFC 6455 §4.4: whose version is not understood is told which is.
        let is_version =
            matches!(self.reason, HandshakeError::Version | HandshakeError::UnsupportedVersion(_));
        let version: &[(&str, &[u8])] = if is_version { &[("Sec-WebSocket-Version", b"13")] } else { &[] };
        allow.iter().chain(upgrade).chain(version).copied().chain(self.headers.iter())
    }

    /// A short text for the body: the status in words, and a line break.
    #[must_use]
    pub fn body(&self) -> &'static str {
        words(self.status)
    }

    /// The whole HTTP/1.1 response with its body. Close the transport behind it: it says `Connection: close`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.body();
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, body.trim_end()).into_bytes();
        for (name, value) in self.headers() {
            write_field(&mut bytes, name, value);
        }
        write_field(&mut bytes, "Connection", b"close");
        // RFC 9110 §15.3.5, §15.4.5: these two end with their head.
        if matches!(self.status, 204 | 304) {
            bytes.extend_from_slice(b"\r\n");
            return bytes;
        }
        write_field(&mut bytes, "Content-Type", b"text/plain");
        write_field(&mut bytes, "Content-Length", format!("{}", body.len()).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        if self.has_body {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }

    /// The response for an HTTP server that sends [`http::Response`]s; [`body`](Self::body) has a text for it.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn into_response(self) -> ::http::Response<()> {
        let mut response = ::http::Response::new(());
        // `new` and `From` let no number in that is no status.
        *response.status_mut() =
            ::http::StatusCode::from_u16(self.status).unwrap_or(::http::StatusCode::INTERNAL_SERVER_ERROR);
        super::field::append_all(response.headers_mut(), self.headers());
        response
    }

    /// RFC 9110 §9.3.2: the answer to HEAD has no body, whatever its Content-Length says.
    pub(crate) fn without_body(mut self) -> Self {
        self.has_body = false;
        self
    }

    fn with(status: u16, reason: HandshakeError) -> Self {
        Self { status, reason, headers: Fields::default(), has_body: true }
    }
}

impl From<HandshakeError> for Refusal {
    /// The answer with the error's own status, or 500 when it has none.
    fn from(reason: HandshakeError) -> Self {
        let status = reason.status().filter(|status| matches!(status, 200..=599)).unwrap_or(500);
        Self::with(status, reason)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshake refused with status {}: {}", self.status, self.reason)
    }
}

impl core::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// The reason phrase of a status, with a line break behind it.
const fn words(status: u16) -> &'static str {
    match status {
        200 => "OK\n",
        204 => "No Content\n",
        301 => "Moved Permanently\n",
        302 => "Found\n",
        303 => "See Other\n",
        304 => "Not Modified\n",
        307 => "Temporary Redirect\n",
        308 => "Permanent Redirect\n",
        400 => "Bad Request\n",
        401 => "Unauthorized\n",
        403 => "Forbidden\n",
        404 => "Not Found\n",
        405 => "Method Not Allowed\n",
        406 => "Not Acceptable\n",
        408 => "Request Timeout\n",
        409 => "Conflict\n",
        410 => "Gone\n",
        413 => "Content Too Large\n",
        421 => "Misdirected Request\n",
        426 => "Upgrade Required\n",
        429 => "Too Many Requests\n",
        431 => "Request Header Fields Too Large\n",
        500 => "Internal Server Error\n",
        501 => "Not Implemented\n",
        502 => "Bad Gateway\n",
        503 => "Service Unavailable\n",
        504 => "Gateway Timeout\n",
        505 => "HTTP Version Not Supported\n",
        _ => match status / 100 {
            2 => "Success\n",
            3 => "Redirect\n",
            4 => "Client Error\n",
            _ => "Server Error\n",
        },
    }
}

const RESERVED: &[&str] = &["connection", "content-length", "content-type", "transfer-encoding", "upgrade"];
