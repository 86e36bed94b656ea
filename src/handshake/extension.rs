//! The `Sec-WebSocket-Extensions` header: RFC 6455 §9.1.

use super::Headers;
use super::error::HandshakeError;
use super::token::{elements, is_space, is_token_byte};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// One extension as a `Sec-WebSocket-Extensions` header names it: an offer in a request, an agreement in a
/// response (RFC 6455 §9.1).
///
/// ```
/// use sansocket::handshake::Extension;
///
/// let headers = [("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=\"10\", x-foo")];
/// let extensions = Extension::parse(&headers)?;
/// assert_eq!(extensions[0].name(), "permessage-deflate");
/// assert_eq!(extensions[0].parameters().next(), Some(("server_max_window_bits", Some("10"))));
/// assert_eq!(extensions[1].name(), "x-foo");
/// # Ok::<(), sansocket::handshake::HandshakeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

impl<'a> Extension<'a> {
    /// All extensions that `headers` name, in the order in which they stand there. Several lines are one list.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Extensions`] when the header breaks the grammar; then nothing of it may be used.
    /// [`HandshakeError::TooManyExtensions`] when it names more than 64 extensions, or more than 256 parameters in all of
    /// them: nothing behind is looked at, so that a long header costs no more than its own octets and 32 KiB.
    pub fn parse<H: Headers + ?Sized>(headers: &'a H) -> Result<Vec<Self>, HandshakeError> {
        Self::list(headers.values_of("sec-websocket-extensions"))
    }

    pub(super) fn list(lines: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Self>, HandshakeError> {
        let (mut list, mut parameters) = (Vec::new(), 0);
        for element in elements(lines) {
            // RFC 6455 §10.4: what is left out could not be told from what was declined, so it is refused.
            if list.len() == MAX_EXTENSIONS {
                return Err(HandshakeError::TooManyExtensions);
            }
            let extension = Self::one(element, MAX_PARAMETERS - parameters)?;
            parameters += extension.parameters.len();
            list.push(extension);
        }
        Ok(list)
    }

    /// The extension's name, in the case in which it was received.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The parameters in order: name, and value unless there is none. Quotes are gone from the values.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.parameters.iter().map(|(name, value)| (*name, value.as_deref()))
    }

    /// `extension-token *( ";" extension-param )`, with white space around `;` and `=` (RFC 6455 §4.3 is written
    /// in the grammar of RFC 2616, which implies it).
    fn one(element: &'a [u8], max_parameters: usize) -> Result<Self, HandshakeError> {
        let mut cursor = Cursor { rest: element };
        let name = cursor.token().ok_or(HandshakeError::Extensions)?;
        let mut parameters = Vec::new();
        while !cursor.is_at_end() {
            if parameters.len() == max_parameters {
                return Err(HandshakeError::TooManyExtensions);
            }
            parameters.push(cursor.parameter().ok_or(HandshakeError::Extensions)?);
        }
        Ok(Self { name, parameters })
    }
}

/// What is left of one element. Every step takes at least one byte or fails, so a parse is linear.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// `";" token [ "=" ( token | quoted-string ) ]`
    fn parameter(&mut self) -> Option<(&'a str, Option<Cow<'a, str>>)> {
        self.separator(b';')?;
        let name = self.token()?;
        let value = match self.separator(b'=') {
            Some(()) => Some(self.value()?),
            None => None,
        };
        Some((name, value))
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        if token.is_empty() { None } else { core::str::from_utf8(token).ok() }
    }

    /// `separator` with the white space around it; takes nothing when it is not there.
    fn separator(&mut self, separator: u8) -> Option<()> {
        let rest = self.skip_space(self.rest).strip_prefix(&[separator])?;
        self.rest = self.skip_space(rest);
        Some(())
    }

    fn skip_space(&self, bytes: &'a [u8]) -> &'a [u8] {
        let start = bytes.iter().position(|&byte| !is_space(byte)).unwrap_or(bytes.len());
        &bytes[start..]
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        match self.rest.strip_prefix(b"\"") {
            Some(rest) => {
                self.rest = rest;
                self.quoted().map(Cow::Owned)
            }
            None => self.token().map(Cow::Borrowed),
        }
    }

    /// The rest of a quoted string behind its first quote. RFC 6455 §9.1: the value after unescaping must be
    /// a token, so any other character ends the attempt at once.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        loop {
            let (mut byte, mut rest) = self.rest.split_first()?;
            if *byte == b'"' {
                self.rest = rest;
                return if value.is_empty() { None } else { Some(value) };
            }
            if *byte == b'\\' {
                (byte, rest) = rest.split_first()?;
            }
            if !is_token_byte(*byte) {
                return None;
            }
            value.push(char::from(*byte));
            self.rest = rest;
        }
    }
}

/// How many extensions are looked at …
const MAX_EXTENSIONS: usize = 64;
/// … and how many parameters, in all of them: four for each, as many as permessage-deflate has.
const MAX_PARAMETERS: usize = 256;
