//! The opening handshake as pure functions over headers that somebody else has parsed: RFC 6455 §4.
