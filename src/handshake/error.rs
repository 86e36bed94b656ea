//! Why an opening handshake failed, and the HTTP status that says so: RFC 6455 §4.1, §4.2.

use alloc::vec::Vec;
use core::fmt;

/// Why an opening handshake failed.
///
/// What a server finds wrong with a request has a [`status`](Self::status) to answer with;
/// [`Refusal`](super::Refusal) is the whole answer. What a client finds wrong with a response has none: it
/// closes the transport and sends nothing (RFC 6455 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The bytes are no HTTP/1.1 head: a folded line, a control character, a line that does not end in CRLF…
    MalformedHead,
    /// The head is longer than the limit.
    HeadTooLarge,
    /// The head has more header lines than the limit.
    TooManyHeaders,
    /// The handshake was not done before its deadline. Nothing in this module has a clock; who has one
    /// reports it with this.
    Timeout,

    /// The request's method is not `GET`.
    Method,
    /// The request came over a version of HTTP that cannot be upgraded: only HTTP/1.1 can.
    HttpVersion,
    /// The request's target is neither a path nor an absolute `http` or `https` URI.
    Target,
    /// The request does not name exactly one valid host.
    Host,
    /// The request's `Upgrade` does not list `websocket`.
    Upgrade,
    /// The request's `Connection` does not list `upgrade`.
    Connection,
    /// The request does not have exactly one `Sec-WebSocket-Key` of 16 bytes in base64.
    Key,
    /// The request does not have exactly one well-formed `Sec-WebSocket-Version`.
    Version,
    /// The request asks for this version of the protocol, which is not 13.
    UnsupportedVersion(u8),
    /// The request announces a body, whose bytes would be taken for frames.
    Body,
    /// The request has more than one `Origin`.
    Origin,
    /// The request's `Origin` is not one that the server accepts.
    OriginNotAllowed,
    /// A subprotocol in the request is no token.
    Subprotocol,
    /// The request offers the same subprotocol twice.
    DuplicateSubprotocol,
    /// The server wants a subprotocol and the request offers none that it supports.
    NoCommonSubprotocol,
    /// `Sec-WebSocket-Extensions` breaks its grammar, in a request or in a response.
    Extensions,
    /// `Sec-WebSocket-Extensions` names more than 64 extensions, or more than 256 parameters, in a request or in a response.
    TooManyExtensions,
    /// The request offers more than 64 subprotocols.
    TooManySubprotocols,
    /// The application selected a subprotocol that the client had not offered.
    SelectionNotOffered,
    /// The application refused the request with this status.
    Refused(u16),

    /// The response's status is not 101 but this.
    Status(u16),
    /// The server speaks other versions of the protocol: those it named in its 426.
    VersionRejected {
        /// The versions that the server named, each once, in ascending order.
        supported: Vec<u8>,
    },
    /// The response is not HTTP/1.1.
    ResponseHttpVersion,
    /// The response's `Upgrade` is not `websocket` alone.
    ResponseUpgrade,
    /// The response's `Connection` does not list `upgrade`.
    ResponseConnection,
    /// The response does not have exactly one `Sec-WebSocket-Accept` that answers the key of the request.
    Accept,
    /// The response does not have exactly one token as its subprotocol.
    ResponseSubprotocol,
    /// The response names a subprotocol that was not offered.
    SubprotocolNotOffered,
    /// The response names an extension that was not offered.
    ExtensionNotOffered,
    /// The response names an extension twice.
    DuplicateExtension,
    /// The response names an extension with parameters that answer none of its offers.
    ExtensionParameters,
}

impl HandshakeError {
    /// The HTTP status with which a server answers, or `None` for what only a client can find.
    ///
    /// ```
    /// use sansocket::handshake::HandshakeError;
    ///
    /// assert_eq!(HandshakeError::Method.status(), Some(405));
    /// assert_eq!(HandshakeError::UnsupportedVersion(8).status(), Some(426));
    /// assert_eq!(HandshakeError::Accept.status(), None);
    /// ```
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        Some(match self {
            Self::MalformedHead
            | Self::HttpVersion
            | Self::Target
            | Self::Host
            | Self::Connection
            | Self::Key
            | Self::Version
            | Self::Body
            | Self::Origin
            | Self::Subprotocol
            | Self::DuplicateSubprotocol
            | Self::NoCommonSubprotocol
            | Self::Extensions => 400,
            Self::OriginNotAllowed => 403,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::Upgrade | Self::UnsupportedVersion(_) => 426,
            Self::HeadTooLarge
            | Self::TooManyHeaders
            | Self::TooManyExtensions
            | Self::TooManySubprotocols => 431,
            Self::SelectionNotOffered => 500,
            Self::Refused(status) => *status,
            Self::Status(_)
            | Self::VersionRejected { .. }
            | Self::ResponseHttpVersion
            | Self::ResponseUpgrade
            | Self::ResponseConnection
            | Self::Accept
            | Self::ResponseSubprotocol
            | Self::SubprotocolNotOffered
            | Self::ExtensionNotOffered
            | Self::DuplicateExtension
            | Self::ExtensionParameters => return None,
        })
    }

    /// The section of the RFC that was broken, such as `RFC 6455 §4.2.1`.
    #[must_use]
    pub const fn section(&self) -> &'static str {
        match self {
            Self::MalformedHead => "RFC 9112 §2.2",
            Self::HeadTooLarge
            | Self::TooManyHeaders
            | Self::TooManyExtensions
            | Self::TooManySubprotocols => "RFC 6455 §10.4",
            Self::Method
            | Self::HttpVersion
            | Self::Target
            | Self::Host
            | Self::Upgrade
            | Self::Connection
            | Self::Key
            | Self::Origin
            | Self::Subprotocol
            | Self::DuplicateSubprotocol => "RFC 6455 §4.2.1",
            Self::Body => "RFC 9112 §6",
            Self::Version => "RFC 6455 §4.3",
            Self::UnsupportedVersion(_) | Self::VersionRejected { .. } => "RFC 6455 §4.4",
            Self::OriginNotAllowed => "RFC 6455 §10.2",
            Self::NoCommonSubprotocol | Self::SelectionNotOffered | Self::Refused(_) => "RFC 6455 §4.2.2",
            Self::Extensions => "RFC 6455 §9.1",
            Self::Timeout
            | Self::Status(_)
            | Self::ResponseHttpVersion
            | Self::ResponseUpgrade
            | Self::ResponseConnection
            | Self::Accept
            | Self::ResponseSubprotocol
            | Self::SubprotocolNotOffered
            | Self::ExtensionNotOffered => "RFC 6455 §4.1",
            Self::DuplicateExtension => "RFC 7692 §5",
            Self::ExtensionParameters => "RFC 7692 §7",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MalformedHead => "malformed http head",
            Self::HeadTooLarge => "http head is too large",
            Self::TooManyHeaders => "http head has too many headers",
            Self::Timeout => "opening handshake timed out",
            Self::Method => "request method is not GET",
            Self::HttpVersion => "request is not http/1.1",
            Self::Target => "request target is no path and no http uri",
            Self::Host => "request does not name exactly one valid host",
            Self::Upgrade => "request does not upgrade to websocket",
            Self::Connection => "request has no connection header that lists upgrade",
            Self::Key => "request does not have exactly one valid sec-websocket-key",
            Self::Version => "request does not have exactly one valid sec-websocket-version",
            Self::UnsupportedVersion(version) => {
                return write!(f, "request asks for websocket version {version}, not 13");
            }
            Self::Body => "request announces a body",
            Self::Origin => "request has more than one origin",
            Self::OriginNotAllowed => "origin is not allowed",
            Self::Subprotocol => "request offers a subprotocol that is no token",
            Self::DuplicateSubprotocol => "request offers a subprotocol twice",
            Self::NoCommonSubprotocol => "request offers no supported subprotocol",
            Self::Extensions => "malformed sec-websocket-extensions",
            Self::TooManyExtensions => "too many extensions or parameters of extensions",
            Self::TooManySubprotocols => "request offers too many subprotocols",
            Self::SelectionNotOffered => "selected subprotocol was not offered by the client",
            Self::Refused(status) => return write!(f, "request was refused with status {status}"),
            Self::Status(status) => return write!(f, "server answered with status {status}, not 101"),
            Self::VersionRejected { .. } => "server does not speak websocket version 13",
            Self::ResponseHttpVersion => "response is not http/1.1",
            Self::ResponseUpgrade => "response does not upgrade to websocket alone",
            Self::ResponseConnection => "response has no connection header that lists upgrade",
            Self::Accept => "response does not have exactly one right sec-websocket-accept",
            Self::ResponseSubprotocol => "response does not name exactly one subprotocol",
            Self::SubprotocolNotOffered => "response names a subprotocol that was not offered",
            Self::ExtensionNotOffered => "response names an extension that was not offered",
            Self::DuplicateExtension => "response names an extension twice",
            Self::ExtensionParameters => "response names an extension with parameters that answer no offer",
        })
    }
}

impl core::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;

    #[test]
    fn error_has_the_status_and_the_section_of_its_requirement() {
        // 6455-10.7-4
        use HandshakeError as E;
        let table = [
            (E::MalformedHead, Some(400), "RFC 9112 §2.2"),
            (E::HeadTooLarge, Some(431), "RFC 6455 §10.4"),
            (E::TooManyHeaders, Some(431), "RFC 6455 §10.4"),
            (E::Timeout, Some(408), "RFC 6455 §4.1"),
            (E::Method, Some(405), "RFC 6455 §4.2.1"),
            (E::HttpVersion, Some(400), "RFC 6455 §4.2.1"),
            (E::Target, Some(400), "RFC 6455 §4.2.1"),
            (E::Host, Some(400), "RFC 6455 §4.2.1"),
            (E::Upgrade, Some(426), "RFC 6455 §4.2.1"),
            (E::Connection, Some(400), "RFC 6455 §4.2.1"),
            (E::Key, Some(400), "RFC 6455 §4.2.1"),
            (E::Version, Some(400), "RFC 6455 §4.3"),
            (E::UnsupportedVersion(8), Some(426), "RFC 6455 §4.4"),
            (E::Body, Some(400), "RFC 9112 §6"),
            (E::Origin, Some(400), "RFC 6455 §4.2.1"),
            (E::OriginNotAllowed, Some(403), "RFC 6455 §10.2"),
            (E::Subprotocol, Some(400), "RFC 6455 §4.2.1"),
            (E::DuplicateSubprotocol, Some(400), "RFC 6455 §4.2.1"),
            (E::NoCommonSubprotocol, Some(400), "RFC 6455 §4.2.2"),
            (E::Extensions, Some(400), "RFC 6455 §9.1"),
            (E::TooManyExtensions, Some(431), "RFC 6455 §10.4"),
            (E::TooManySubprotocols, Some(431), "RFC 6455 §10.4"),
            (E::SelectionNotOffered, Some(500), "RFC 6455 §4.2.2"),
            (E::Refused(401), Some(401), "RFC 6455 §4.2.2"),
            (E::Status(200), None, "RFC 6455 §4.1"),
            (E::VersionRejected { supported: vec![8] }, None, "RFC 6455 §4.4"),
            (E::ResponseHttpVersion, None, "RFC 6455 §4.1"),
            (E::ResponseUpgrade, None, "RFC 6455 §4.1"),
            (E::ResponseConnection, None, "RFC 6455 §4.1"),
            (E::Accept, None, "RFC 6455 §4.1"),
            (E::ResponseSubprotocol, None, "RFC 6455 §4.1"),
            (E::SubprotocolNotOffered, None, "RFC 6455 §4.1"),
            (E::ExtensionNotOffered, None, "RFC 6455 §4.1"),
            (E::DuplicateExtension, None, "RFC 7692 §5"),
            (E::ExtensionParameters, None, "RFC 7692 §7"),
        ];
        for (error, status, section) in table {
            assert_eq!((error.status(), error.section()), (status, section), "{error:?}");
            let text = error.to_string();
            assert!(text.starts_with(|first: char| first.is_ascii_lowercase()), "{text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }
}
