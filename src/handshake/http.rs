//! Heads of HTTP/1.1 messages for callers without an HTTP layer: RFC 9112 §2 to §5, no I/O.

use super::error::HandshakeError;
use super::headers::{Headers, Version};
use super::response::{ReceivedResponse, Response};
use super::server::Request;
use super::uri::resource_name;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Finds and reads the head of the one HTTP message that begins a connection.
///
/// Call it again with the same buffer each time bytes were appended. It remembers how far it has looked, so a peer
/// that sends one byte at a time costs no more than one that sends all at once; it copies nothing, and allocates
/// only when the head is complete. However the bytes come, the result is the same.
///
/// ```
/// use sansocket::handshake::{accept, HeadLimits, HeadReader, ServerOptions};
///
/// let mut reader = HeadReader::new(HeadLimits::default());
/// let mut buffer = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n".to_vec();
/// assert!(reader.request(&buffer)?.is_none());
/// buffer.extend_from_slice(
///     b"Connection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///       Sec-WebSocket-Version: 13\r\n\r\n\x81\x80",
/// );
/// let (head, len) = reader.request(&buffer)?.expect("the blank line is there");
/// assert_eq!(head.resource(), "/chat");
/// let acceptance = accept(&head.as_request(), &ServerOptions::new())?;
/// assert_eq!(acceptance.status(), 101);
/// // What stands behind the head is the client's first frame.
/// assert_eq!(buffer[len..], [0x81, 0x80]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct HeadReader {
    limits: HeadLimits,
    /// Where the head begins: behind empty lines and interim responses.
    start: usize,
    /// How many bytes have been looked at.
    scanned: usize,
    /// How many of these the limit leaves out: empty lines before a request.
    uncounted: usize,
    line: Line,
    /// How many lines of the head have begun.
    lines: usize,
}

/// What was last seen of the current line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nothing: the line before has ended.
    Start,
    /// A carriage return, and nothing before it.
    EmptyReturn,
    /// Something.
    Inside,
    /// Something, and a carriage return behind it.
    InsideReturn,
    /// Nothing can follow: this was the empty line that ends the head.
    HeadEnd,
}

/// What a head may cost (RFC 6455 §10.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The longest head in bytes, up to and including its blank line; default 32 KiB. Frames that came right
    /// behind the blank line do not count. With interim responses (1xx) before the head, all of them together.
    pub max_bytes: usize,
    /// The most header lines; default 100. A complete head costs 32 bytes for each while it is held.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 32 * 1024, max_headers: 100 }
    }
}

impl HeadReader {
    /// A reader for a new connection.
    #[must_use]
    pub const fn new(limits: HeadLimits) -> Self {
        Self { limits, start: 0, scanned: 0, uncounted: 0, line: Line::Start, lines: 0 }
    }

    /// Reads the head of a request: `buffer` is all that was received on the connection so far. `None` means that
    /// more bytes are needed. Otherwise the head, and the length of all that belongs to it: what stands
    /// behind are frames.
    ///
    /// At most two empty lines before the request are skipped (RFC 9112 §2.2).
    ///
    /// # Errors
    ///
    /// The request cannot become acceptable, whatever follows: answer with the
    /// [`Refusal`](super::Refusal) made from the error, and close.
    pub fn request<'b>(
        &mut self,
        buffer: &'b [u8],
    ) -> Result<Option<(RequestHead<'b>, usize)>, HandshakeError> {
        let Some(head) = self.find_head(buffer, EMPTY_LINES_BEFORE_REQUEST)? else { return Ok(None) };
        let head = RequestHead::parse(head, self.lines.saturating_sub(1))?;
        Ok(Some((head, self.scanned)))
    }

    /// Reads the head of a response, like [`request`](Self::request). Interim responses with status 100, 102 or 103
    /// before it are skipped.
    ///
    /// # Errors
    ///
    /// The response is none that a WebSocket server sends: close the transport.
    pub fn response<'b>(
        &mut self,
        buffer: &'b [u8],
    ) -> Result<Option<(ResponseHead<'b>, usize)>, HandshakeError> {
        loop {
            let Some(head) = self.find_head(buffer, 0)? else { return Ok(None) };
            let head = ResponseHead::parse(head, self.lines.saturating_sub(1))?;
            if !matches!(head.status, 100 | 102 | 103) {
                return Ok(Some((head, self.scanned)));
            }
            self.start = self.scanned;
            self.line = Line::Start;
            self.lines = 0;
        }
    }

    /// Looks at the bytes that are new. An error leaves the state as it was before the offending byte, so that it
    /// is found again.
    fn find_head<'b>(
        &mut self,
        buffer: &'b [u8],
        empty_lines: usize,
    ) -> Result<Option<&'b [u8]>, HandshakeError> {
        while self.line != Line::HeadEnd {
            let Some(&byte) = buffer.get(self.scanned) else { return Ok(None) };
            if self.scanned - self.uncounted >= self.limits.max_bytes {
                return Err(HandshakeError::HeadTooLarge);
            }
            let next = self.step(byte, empty_lines)?;
            if self.line == Line::Start && next == Line::Inside {
                // The first line is no header.
                if self.lines > self.limits.max_headers {
                    return Err(HandshakeError::TooManyHeaders);
                }
                self.lines += 1;
            }
            self.scanned += 1;
            if self.line == Line::EmptyReturn && next == Line::Start {
                self.start = self.scanned;
                self.uncounted = self.scanned;
            }
            self.line = next;
        }
        Ok(buffer.get(self.start..self.scanned))
    }

    /// RFC 9112 §2.2 wants lines that end in CRLF and lets a receiver take a bare LF for one; this one does not,
    /// and refuses folded lines (§5.2) and control characters (RFC 9110 §5.5), since two readers that see
    /// different lines in the same bytes are how requests are smuggled.
    fn step(&self, byte: u8, empty_lines: usize) -> Result<Line, HandshakeError> {
        match (self.line, byte) {
            (Line::Start, b'\r') => Ok(Line::EmptyReturn),
            (Line::Start, b' ' | b'\t') => Err(HandshakeError::MalformedHead),
            (Line::EmptyReturn, b'\n') if self.lines > 0 => Ok(Line::HeadEnd),
            (Line::EmptyReturn, b'\n') if self.start < empty_lines * "\r\n".len() => Ok(Line::Start),
            (Line::Inside, b'\r') => Ok(Line::InsideReturn),
            (Line::InsideReturn, b'\n') => Ok(Line::Start),
            (Line::Start | Line::Inside, byte) if byte == b'\t' || !byte.is_ascii_control() => {
                Ok(Line::Inside)
            }
            _ => Err(HandshakeError::MalformedHead),
        }
    }
}

/// The head of a request, borrowed from the buffer in which it was received.
///
/// ```
/// use sansocket::handshake::{HeadLimits, HeadReader, Headers};
///
/// let buffer = b"GET http://example.com/page?x=1 HTTP/1.1\r\nHost: example.com\r\nX: \xff\r\n\r\n";
/// let (head, _) = HeadReader::new(HeadLimits::default()).request(buffer)?.expect("the head is complete");
/// assert_eq!((head.method(), head.resource()), ("GET", "/page?x=1"));
/// assert_eq!(head.values_of("x").next(), Some(&b"\xff"[..]));
/// # Ok::<(), sansocket::handshake::HandshakeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead<'b> {
    method: &'b str,
    target: &'b str,
    resource: Cow<'b, str>,
    version: Version,
    headers: Vec<httparse::Header<'b>>,
}

impl<'b> RequestHead<'b> {
    /// The method, in the case in which it was received.
    #[must_use]
    pub const fn method(&self) -> &'b str {
        self.method
    }

    /// The target as it was received.
    #[must_use]
    pub const fn target(&self) -> &'b str {
        self.target
    }

    /// The path and the query that are asked for, whether the target is a path or an absolute `http` or `https`
    /// URI; with another method than `GET`, which may have targets of other forms, the target.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The version of HTTP.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// All headers in order: name as received, and value without the white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// RFC 9110 §7.8: who asks for a 100 as well gets it before the 101.
    pub(crate) fn expects_continue(&self) -> bool {
        let is_continue = |expectation: &[u8]| expectation.trim_ascii().eq_ignore_ascii_case(b"100-continue");
        self.values_of("expect").any(|list| list.split(|&octet| octet == b',').any(is_continue))
    }

    /// The request as [`accept`](super::accept) takes it.
    #[must_use]
    pub fn as_request(&self) -> Request<'_, Self> {
        Request { method: self.method.as_bytes(), version: self.version, headers: self }
    }

    fn parse(head: &'b [u8], header_lines: usize) -> Result<Self, HandshakeError> {
        let mut headers = vec![httparse::EMPTY_HEADER; header_lines];
        let mut request = httparse::Request::new(&mut headers);
        complete(request.parse(head), head, HandshakeError::HttpVersion)?;
        let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
        else {
            return Err(HandshakeError::MalformedHead);
        };
        let resource = match resource_name(target) {
            Some(resource) => resource,
            None if method == "GET" => return Err(HandshakeError::Target),
            None => Cow::Borrowed(target),
        };
        let version = Version::from_minor(minor).ok_or(HandshakeError::HttpVersion)?;
        Ok(Self { method, target, resource, version, headers })
    }
}

impl Headers for RequestHead<'_> {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers.values_of(name)
    }
}

/// The head of a response, borrowed from the buffer in which it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead<'b> {
    status: u16,
    version: Version,
    headers: Vec<httparse::Header<'b>>,
}

impl<'b> ResponseHead<'b> {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The version of HTTP.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// All headers in order: name as received, and value without the white space around it.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// How long the body is, as far as the head says (RFC 9112 §6.3).
    pub(crate) fn body_len(&self) -> Option<usize> {
        if matches!(self.status, 100..=199 | 204 | 304) {
            return Some(0);
        }
        // A transfer coding overrides the length.
        if self.values_of("transfer-encoding").next().is_some() {
            return None;
        }
        core::str::from_utf8(self.values_of("content-length").next()?).ok()?.parse().ok()
    }

    /// The response as [`ClientRequest::check`](super::ClientRequest::check) takes it.
    #[must_use]
    pub fn as_response(&self) -> Response<'_, Self> {
        Response { status: self.status, version: self.version, headers: self }
    }

    /// A copy to keep, with as much of the body as the caller wants in it.
    #[must_use]
    pub fn to_received(&self, body_prefix: &[u8]) -> ReceivedResponse {
        ReceivedResponse {
            status: self.status,
            headers: self.headers().map(|(name, value)| (String::from(name), Vec::from(value))).collect(),
            body_prefix: Vec::from(body_prefix),
        }
    }

    fn parse(head: &'b [u8], header_lines: usize) -> Result<Self, HandshakeError> {
        let mut headers = vec![httparse::EMPTY_HEADER; header_lines];
        let mut response = httparse::Response::new(&mut headers);
        complete(response.parse(head), head, HandshakeError::ResponseHttpVersion)?;
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(HandshakeError::MalformedHead);
        };
        let version = Version::from_minor(minor).ok_or(HandshakeError::ResponseHttpVersion)?;
        Ok(Self { status, version, headers })
    }
}

impl Headers for ResponseHead<'_> {
    fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers.values_of(name)
    }
}

/// The parser must agree that this is one whole head and nothing more.
fn complete(
    parsed: httparse::Result<usize>,
    head: &[u8],
    wrong_version: HandshakeError,
) -> Result<(), HandshakeError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) if len == head.len() => Ok(()),
        Err(httparse::Error::Version) => Err(wrong_version),
        _ => Err(HandshakeError::MalformedHead),
    }
}

const EMPTY_LINES_BEFORE_REQUEST: usize = 2;
