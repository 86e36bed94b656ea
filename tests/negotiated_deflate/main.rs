//! What the opening handshake agreed on reaches the connection, in each layer that moves octets: RFC 7692 §5, §6.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod over_std;
#[cfg(feature = "tokio")]
mod over_tokio;

#[path = "../stream_support/frames.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod frames;

use sansocket::handshake::accept_value;

/// RFC 7692 §7.2.3.1: "Hello", compressed, and the first octet of its frame.
const COMPRESSED_HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const COMPRESSED_TEXT: u8 = 0xc1;

/// A request that offers this.
fn request(offer: &str) -> Vec<u8> {
    format!(
        "GET /chat HTTP/1.1\r\n\
         Host: server.example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    )
    .into_bytes()
}

/// The response to this request that agrees to this, or to nothing.
fn response(request: &[u8], answer: Option<&str>) -> Vec<u8> {
    let request = std::str::from_utf8(request).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let answer = answer.map(|answer| format!("Sec-WebSocket-Extensions: {answer}\r\n"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{}\r\n",
        accept_value(key.as_bytes()),
        answer.unwrap_or_default()
    )
    .into_bytes()
}

/// Longer than what is sent uncompressed because it is short, and easy to compress.
fn text() -> String {
    "compress me, ".repeat(1000)
}
