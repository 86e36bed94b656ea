//! WebSocket URIs: RFC 6455 §3, in the grammar of RFC 3986.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::Ipv6Addr;

/// The parts of a `ws` or `wss` URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) secure: bool,
    /// A name or an address, an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands in `Host`: brackets around an IPv6 address, no port that is the scheme's own.
    pub(super) authority: String,
    /// The path, and the query if there is one: the target of the request.
    pub(super) resource: String,
}

impl Uri {
    pub(super) fn parse(uri: &str) -> Result<Self, InvalidUri> {
        let (scheme, rest) = uri.split_once("://").ok_or(InvalidUri::Scheme)?;
        let secure = if scheme.eq_ignore_ascii_case("wss") {
            true
        } else if scheme.eq_ignore_ascii_case("ws") {
            false
        } else {
            return Err(InvalidUri::Scheme);
        };
        // RFC 6455 §3: a fragment means nothing here and must not be used.
        if rest.contains('#') {
            return Err(InvalidUri::Fragment);
        }
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let Authority { host, port } = Authority::parse(authority)?;
        let default_port = if secure { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        Ok(Self {
            secure,
            host: String::from(host.name()),
            port,
            authority: if port == default_port { format!("{host}") } else { format!("{host}:{port}") },
            resource: encoded_resource(resource)?,
        })
    }
}

/// A host and perhaps a port, as in `Host` or behind the `//` of a URI.
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    /// `None` where there is no port, or an empty one.
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(authority: &'a str) -> Result<Self, InvalidUri> {
        if authority.contains('@') {
            return Err(InvalidUri::Userinfo);
        }
        let (host, behind) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, behind) = rest.split_once(']').ok_or(InvalidUri::Host)?;
                address.parse::<Ipv6Addr>().map_err(|_| InvalidUri::Host)?;
                (Host::Ipv6(address), behind)
            }
            None => {
                let (name, behind) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
                if !name.is_ascii() {
                    return Err(InvalidUri::NonAsciiHost);
                }
                if name.is_empty() || !name.bytes().all(is_host_byte) {
                    return Err(InvalidUri::Host);
                }
                (Host::Name(name), behind)
            }
        };
        let port = match behind.strip_prefix(':') {
            Some("") => None,
            Some(digits) => Some(port(digits)?),
            None if behind.is_empty() => None,
            None => return Err(InvalidUri::Host),
        };
        Ok(Self { host, port })
    }
}

pub(super) enum Host<'a> {
    Name(&'a str),
    Ipv6(&'a str),
}

impl<'a> Host<'a> {
    fn name(&self) -> &'a str {
        match self {
            Host::Name(name) | Host::Ipv6(name) => name,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ipv6(address) => write!(f, "[{address}]"),
        }
    }
}

/// The resource name, a path and perhaps a query, that the target of a received request asks for: the target is a
/// path or an absolute `http` or `https` URI (RFC 6455 §4.2.1 item 1). `None` when it is neither.
///
/// ```
/// use sansocket::handshake::resource_name;
///
/// assert_eq!(resource_name("/chat?room=1").as_deref(), Some("/chat?room=1"));
/// assert_eq!(resource_name("http://example.com/chat?room=1").as_deref(), Some("/chat?room=1"));
/// assert_eq!(resource_name("example.com:80"), None);
/// ```
#[must_use]
pub fn resource_name(target: &str) -> Option<Cow<'_, str>> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    if target.starts_with('/') {
        return Some(Cow::Borrowed(target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Authority::parse(authority).ok()?;
    Some(match resource {
        "" => Cow::Borrowed("/"),
        path if path.starts_with('/') => Cow::Borrowed(path),
        query => Cow::Owned(format!("/{query}")),
    })
}

fn port(digits: &str) -> Result<u16, InvalidUri> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidUri::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(InvalidUri::Port),
        Ok(port) => Ok(port),
    }
}

/// RFC 6455 §3: the path or `/`, then `?` and the query unless it is empty. What is not ASCII is written as
/// percent-encoded UTF-8.
fn encoded_resource(resource: &str) -> Result<String, InvalidUri> {
    let resource = resource.strip_suffix('?').filter(|path| !path.contains('?')).unwrap_or(resource);
    let mut encoded = String::with_capacity(resource.len() + 1);
    if !resource.starts_with('/') {
        encoded.push('/');
    }
    let bytes = resource.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3).ok_or(InvalidUri::Character)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(InvalidUri::Character);
                }
                encoded.push('%');
            }
            _ if is_resource_byte(byte) => encoded.push(char::from(byte)),
            0x80.. => {
                encoded.push('%');
                encoded.push(char::from(HEX[usize::from(byte >> 4)]));
                encoded.push(char::from(HEX[usize::from(byte & 15)]));
            }
            _ => return Err(InvalidUri::Character),
        }
    }
    Ok(encoded)
}

/// RFC 3986 §3.2.2 without percent-encoding, which no resolver understands, and without the comma, which joins
/// header lines.
const fn is_host_byte(byte: u8) -> bool {
    is_unreserved(byte) || (is_sub_delimiter(byte) && byte != b',')
}

/// RFC 3986 §3.3 and §3.4: `pchar`, `/` and `?`.
const fn is_resource_byte(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delimiter(byte) || matches!(byte, b':' | b'@' | b'/' | b'?')
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Text that is no WebSocket URI (RFC 6455 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidUri {
    /// The scheme is neither `ws` nor `wss`.
    Scheme,
    /// There is a user name or a password. Send an `Authorization` header instead.
    Userinfo,
    /// There is no host, or it holds a character that no host name has, or it is no IPv6 address.
    Host,
    /// The host is not ASCII. Convert it with an IDNA library first.
    NonAsciiHost,
    /// The port is no number from 1 to 65,535.
    Port,
    /// There is a fragment. Write a `#` that belongs to the path or the query as `%23`.
    Fragment,
    /// The path or the query holds a character that must be percent-encoded, such as a space or a line break,
    /// or a `%` without two hexadecimal digits.
    Character,
}

impl fmt::Display for InvalidUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidUri::Scheme => "uri scheme is neither ws nor wss",
            InvalidUri::Userinfo => "uri holds a user name",
            InvalidUri::Host => "uri has no valid host",
            InvalidUri::NonAsciiHost => "uri host is not ascii",
            InvalidUri::Port => "uri port is no number from 1 to 65535",
            InvalidUri::Fragment => "uri has a fragment",
            InvalidUri::Character => "uri path or query holds a character that must be percent-encoded",
        })
    }
}

impl core::error::Error for InvalidUri {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn target_gives_its_resource_name() {
        // 6455-4.2.1-3
        let resource = |target| resource_name(target).map(|resource| resource.to_string());
        assert_eq!(resource("/chat?x=1").as_deref(), Some("/chat?x=1"));
        assert_eq!(resource("http://h:8080/chat?x=1").as_deref(), Some("/chat?x=1"));
        assert_eq!(resource("HTTPS://[::1]/chat").as_deref(), Some("/chat"));
        assert_eq!(resource("http://h").as_deref(), Some("/"));
        assert_eq!(resource("http://h?x=1").as_deref(), Some("/?x=1"));
        for target in ["*", "", "h:80", "ftp://h/", "http:///x", "http://u@h/", "/a#b", "/\u{e9}", "chat"] {
            assert_eq!(resource(target), None, "{target}");
        }
    }
}
