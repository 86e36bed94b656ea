//! The request of RFC 6455 §1.2, whole and with one header changed.

use sansocket::handshake::{Acceptance, Refusal, Request, ServerOptions, Version, accept};

pub(crate) type Headers<'a> = Vec<(&'a str, &'a [u8])>;

/// That request without what is optional.
pub(crate) const REQUEST: [(&str, &[u8]); 5] = [
    ("Host", b"server.example.com"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];

/// That request with these lines as its only ones of this name.
pub(crate) fn request_with<'a>(name: &'a str, lines: &[&'a [u8]]) -> Headers<'a> {
    let mut headers = REQUEST.to_vec();
    headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    headers.extend(lines.iter().map(|line| (name, *line)));
    headers
}

pub(crate) fn receive(headers: &Headers<'_>, options: &ServerOptions) -> Result<Acceptance, Refusal> {
    accept(&Request { method: b"GET", version: Version::Http11, headers }, options)
}
