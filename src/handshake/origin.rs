//! Which web pages may connect: RFC 6455 §10.2, with origins as in RFC 6454.

use super::uri::Authority;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Which values of `Origin` a server accepts (RFC 6455 §10.2).
///
/// A browser sends the origin of the page that connects, together with the user's cookies, and applies no
/// same-origin rule to WebSockets. A server that knows its users by cookies must therefore list the pages it
/// trusts, or any page can act in their name. Programs that are no browsers can send any origin: this is no
/// authentication.
///
/// ```
/// use sansocket::handshake::{OriginPolicy, ServerOptions};
///
/// let options = ServerOptions::new()
///     .origins(OriginPolicy::allow_list(["https://app.example", "http://localhost:8080"])?);
/// # Ok::<(), sansocket::handshake::InvalidOrigin>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// Every origin. The default; right for public services and where something else authenticates.
    #[default]
    Any,
    /// These origins. Others are refused with 403; a request without `Origin` does not come from a browser and
    /// is accepted, unless `ServerOptions::require_origin` says otherwise.
    AllowList(Vec<Origin>),
}

impl OriginPolicy {
    /// A policy that accepts these origins.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] when one of them is no serialised origin, and so could never be equal to one.
    pub fn allow_list<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, InvalidOrigin> {
        let origins: Result<_, _> = origins.into_iter().map(|origin| Origin::new(origin.as_ref())).collect();
        origins.map(Self::AllowList)
    }

    pub(super) fn allows(&self, origin: &[u8]) -> bool {
        match self {
            OriginPolicy::Any => true,
            OriginPolicy::AllowList(allowed) => core::str::from_utf8(origin)
                .ok()
                .and_then(normalised)
                .is_some_and(|origin| allowed.iter().any(|allowed| allowed.0 == origin)),
        }
    }
}

/// A serialised origin (RFC 6454 §6.2): scheme, host and port of a page, or `null`.
///
/// Two origins are equal when all three parts are, letters compared without case and a scheme's own port equal
/// to none: never because one ends with, or holds, the other.
///
/// ```
/// use sansocket::handshake::Origin;
///
/// assert_eq!(Origin::new("HTTPS://App.Example:443")?, Origin::new("https://app.example")?);
/// assert_ne!(Origin::new("https://app.example:8443")?, Origin::new("https://app.example")?);
/// // A path is no part of an origin, not even a slash.
/// assert!(Origin::new("https://app.example/").is_err());
/// # Ok::<(), sansocket::handshake::InvalidOrigin>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin that `text` is the serialisation of: `scheme://host`, `scheme://host:port`, or `null`.
    ///
    /// `null` is what a browser sends for every sandboxed frame and every local file, whoever wrote it.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] for anything else, such as a URI with a path or a pattern with `*`.
    pub fn new(text: &str) -> Result<Self, InvalidOrigin> {
        normalised(text).map(Self).ok_or(InvalidOrigin)
    }

    /// The origin in lower case, without its scheme's own port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::new(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn normalised(text: &str) -> Option<String> {
    if text == "null" {
        return Some(String::from(text));
    }
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme {
        return None;
    }
    // RFC 3986 lets a name hold an asterisk, and no browser sends one. Who lists it means a pattern, which would
    // never match.
    if authority.contains('*') {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let Authority { host, port } = Authority::parse(authority).ok()?;
    let host = format!("{host}").to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    Some(match port {
        Some(port) if Some(port) != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

/// Text that is no serialised origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("origin is neither scheme://host[:port] nor null")
    }
}

impl core::error::Error for InvalidOrigin {}
