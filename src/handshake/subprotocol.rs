//! Names of subprotocols: RFC 6455 §1.9, §4.1 item 10; compared with regard to case, RFC 7936 §2.

use super::error::HandshakeError;
use super::token::{elements, token};
use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The subprotocols that a request offers, in the client's order of preference.
pub(super) fn offered<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, HandshakeError> {
    let mut seen = BTreeSet::new();
    let mut offered = Vec::new();
    for element in elements(lines) {
        // RFC 6455 §10.4: a list without end must not cost many times its octets.
        if offered.len() == MAX_OFFERED {
            return Err(HandshakeError::TooManySubprotocols);
        }
        let name = token(element).ok_or(HandshakeError::Subprotocol)?;
        // RFC 6455 §4.1 item 10: the client's values must all be different. A client that breaks this is
        // refused, since which of the two it would act on is anybody's guess.
        if !seen.insert(name) {
            return Err(HandshakeError::DuplicateSubprotocol);
        }
        offered.push(name.to_owned());
    }
    Ok(offered)
}

/// How many subprotocols a request may offer.
const MAX_OFFERED: usize = 64;

/// The names that an application wants to offer or support.
pub(super) fn checked<S: AsRef<str>>(
    names: impl IntoIterator<Item = S>,
) -> Result<Vec<String>, InvalidSubprotocol> {
    let mut checked: Vec<String> = Vec::new();
    for name in names {
        let name = token(name.as_ref().as_bytes()).ok_or(InvalidSubprotocol::NotAToken)?;
        if checked.iter().any(|earlier| earlier == name) {
            return Err(InvalidSubprotocol::Duplicate);
        }
        checked.push(name.to_owned());
    }
    Ok(checked)
}

/// A list of subprotocols that cannot be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSubprotocol {
    /// A name is empty or holds a character that no token may hold, such as a space, `,` or `/`.
    NotAToken,
    /// A name stands in the list twice. `chat` and `Chat` are two names (RFC 7936).
    Duplicate,
}

impl fmt::Display for InvalidSubprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidSubprotocol::NotAToken => "subprotocol is no token",
            InvalidSubprotocol::Duplicate => "subprotocol is listed twice",
        })
    }
}

impl core::error::Error for InvalidSubprotocol {}
