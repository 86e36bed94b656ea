//! Header fields that an application adds to a handshake, checked so that no value can end its line: RFC 9110
//! §5.5.

use super::token::{token, trim};
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Fields whose names and values fit on a line of their own and do not touch the handshake itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, Vec<u8>)>);

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value may be a cookie or a password: only names.
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Adds a field, unless its name is one of `reserved` or begins with `sec-websocket-`.
    pub(super) fn add(&mut self, name: &str, value: &[u8], reserved: &[&str]) -> Result<(), InvalidHeader> {
        // An HTTP library may count a name's bytes in 16 bits.
        if token(name.as_bytes()).is_none() || name.len() > usize::from(u16::MAX) {
            return Err(InvalidHeader::Name);
        }
        let handshake =
            name.get(..HANDSHAKE.len()).is_some_and(|start| start.eq_ignore_ascii_case(HANDSHAKE));
        if handshake || reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(InvalidHeader::Reserved);
        }
        if !is_field_value(value) {
            return Err(InvalidHeader::Value);
        }
        self.0.push((name.to_owned(), trim(value).to_owned()));
        Ok(())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// Whether `value` holds no control character but the tab.
fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Appends `name: value` and the end of the line.
pub(super) fn write_field(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// Appends fields that are known to be well-formed.
#[cfg(feature = "http")]
pub(super) fn append_all<'a>(
    headers: &mut ::http::HeaderMap,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) {
    for (name, value) in fields {
        let name = ::http::HeaderName::from_bytes(name.as_bytes());
        let value = ::http::HeaderValue::from_bytes(value);
        // INVARIANT: `Fields::add` checks by the same grammar, so both are there. What does not fit into a
        // map of 32,768 entries is left out: a caller's mistake that must not be a panic.
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = headers.try_append(name, value);
        }
    }
}

/// Fields that decide what an answer means or where it ends, in either direction.
pub(super) const RESERVED_IN_RESPONSES: &[&str] =
    &["connection", "content-length", "transfer-encoding", "upgrade"];

/// The same in a request, and those that have a method of their own.
pub(super) const RESERVED_IN_REQUESTS: &[&str] =
    &["connection", "content-length", "host", "origin", "transfer-encoding", "upgrade"];

const HANDSHAKE: &str = "sec-websocket-";

/// A header field that cannot be added to a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is no token (RFC 9110 §5.6.2), or longer than 65,535 bytes.
    Name,
    /// The value holds a control character, such as CR, LF or NUL.
    Value,
    /// The handshake itself writes this field.
    Reserved,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidHeader::Name => "header name is no token",
            InvalidHeader::Value => "header value holds a control character",
            InvalidHeader::Reserved => "header is written by the handshake itself",
        })
    }
}

impl core::error::Error for InvalidHeader {}
