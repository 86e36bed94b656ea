//! The opening handshake agrees on permessage-deflate, or does without: RFC 7692 §5, §7.1.
#![cfg(feature = "deflate")]

#[path = "../support/handshake.rs"]
mod support;

mod both;
mod client;
mod server;

use sansocket::deflate::{DeflateConfig, Direction};
use sansocket::handshake::{
    Acceptance, ClientRequest, HandshakeError, Key, Negotiated, Response, ServerOptions, Version,
};
use support::{receive, request_with};

fn direction(max_window_bits: u8, context_takeover: bool) -> Direction {
    Direction { max_window_bits, context_takeover }
}

/// Windows as large as they can be, both ways.
fn unlimited() -> DeflateConfig {
    DeflateConfig::default().send_window_bits(15).receive_window_bits(15)
}

fn server_receives(lines: &[&str], config: DeflateConfig) -> Result<Acceptance, HandshakeError> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    let headers = request_with("Sec-WebSocket-Extensions", &lines);
    receive(&headers, &ServerOptions::new().deflate(config)).map_err(|refusal| refusal.reason().clone())
}

fn sent(acceptance: &Acceptance) -> Option<String> {
    let mut values = acceptance.headers().filter(|(name, _)| *name == "Sec-WebSocket-Extensions");
    let value =
        values.next().map(|(_, value)| String::from_utf8(value.to_vec()).expect("this crate writes text"));
    assert_eq!(values.next(), None);
    assert_eq!(value.is_some(), acceptance.deflate().is_some());
    value
}

fn request(config: DeflateConfig) -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").expect("the URI is right").deflate(config)
}

fn key() -> Key {
    Key::from_nonce(*b"the sample nonce")
}

fn offer(config: DeflateConfig) -> String {
    let request = request(config);
    let offers: Vec<_> =
        request.headers(&key()).filter(|(name, _)| *name == "Sec-WebSocket-Extensions").collect();
    let [(_, offer)] = &offers[..] else { panic!("one header: {offers:?}") };
    String::from_utf8(offer.clone()).expect("this crate writes text")
}

fn check(request: &ClientRequest, lines: &[&str]) -> Result<Negotiated, HandshakeError> {
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ];
    headers.extend(lines.iter().map(|line| ("Sec-WebSocket-Extensions", line.as_bytes())));
    request.check(&key(), &Response { status: 101, version: Version::Http11, headers: &headers })
}
