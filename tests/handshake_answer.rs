//! The server answers the client's opening handshake: RFC 6455 §4.2.2, §4.4.

#[path = "support/handshake.rs"]
mod support;

use sansocket::handshake::{
    Acceptance, HandshakeError, InvalidHeader, InvalidSubprotocol, NotOffered, Refusal, Request,
    ServerOptions, Version, accept,
};
use support::{REQUEST, receive, request_with};

fn header<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, name: &str) -> Vec<String> {
    headers
        .filter(|(own, _)| *own == name)
        .map(|(_, value)| String::from_utf8(value.to_vec()).expect("this crate writes text"))
        .collect()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("this crate writes text")
}

const GOLDEN: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn server_receives_the_request_of_the_rfc() {
    // 6455-4.2.2-1 6455-4.2.2-15 6455-4.2.2-16 6455-4.2.2-17 6455-4.2.2-18 6455-4.2.2-19 6455-4.2.2-20
    let acceptance = receive(&REQUEST.to_vec(), &ServerOptions::new()).unwrap();
    assert_eq!(acceptance.status(), 101);
    assert_eq!(acceptance.subprotocol(), None);
    assert_eq!(acceptance.negotiated().subprotocol(), None);
    assert_eq!(text(acceptance.to_bytes()), GOLDEN);
}

#[test]
fn server_sends_a_101_that_another_parser_reads() {
    // 6455-4.2.2-15 6455-4.2.2-20
    let options = ServerOptions::new().header("Server", "sansocket").unwrap();
    let mut acceptance = receive(&REQUEST.to_vec(), &options).unwrap();
    acceptance.add_header("Set-Cookie", "a=b").unwrap();
    let bytes = acceptance.to_bytes();
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(response.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
    assert_eq!((response.version, response.code), (Some(1), Some(101)));
    let names: Vec<&str> = response.headers.iter().map(|header| header.name).collect();
    assert_eq!(names, ["Upgrade", "Connection", "Sec-WebSocket-Accept", "Server", "Set-Cookie"]);
}

#[test]
fn server_sends_the_accept_value_of_the_key_as_received() {
    // 6455-4.2.2-7 6455-4.2.2-18 CM-6
    let vectors: [(&[u8], &str); 4] = [
        (b"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        (b"AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY="),
        (b"  AQIDBAUGBwgJCgsMDQ4PEC== ", "OfS0wDaT5NoxF2gqm7Zj2YtetzM="),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="),
    ];
    for (key, expected) in vectors {
        let headers = request_with("Sec-WebSocket-Key", &[key]);
        let acceptance = receive(&headers, &ServerOptions::new()).unwrap();
        assert_eq!(header(acceptance.headers(), "Sec-WebSocket-Accept"), [expected]);
    }
}

#[test]
fn server_sends_a_426_with_its_version_when_the_version_is_not_understood() {
    // 6455-4.2.2-8 6455-4.4-1 6455-11.3.5-2
    let headers = request_with("Sec-WebSocket-Version", &[b"8"]);
    let refusal = receive(&headers, &ServerOptions::new()).unwrap_err();
    assert_eq!(
        text(refusal.to_bytes()),
        "HTTP/1.1 426 Upgrade Required\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Connection: close\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: 17\r\n\r\n\
         Upgrade Required\n"
    );
}

#[test]
fn server_sends_its_version_when_the_version_is_malformed() {
    // 6455-4.2.1-8
    for version in [&b"013"[..], b"13, 8", b""] {
        let headers = request_with("Sec-WebSocket-Version", &[version]);
        let refusal = receive(&headers, &ServerOptions::new()).unwrap_err();
        assert_eq!(refusal.status(), 400);
        assert_eq!(header(refusal.headers(), "Sec-WebSocket-Version"), ["13"]);
        assert_eq!(header(refusal.headers(), "Upgrade"), Vec::<String>::new());
    }
}

#[test]
fn server_sends_a_426_when_upgrade_is_missing() {
    // 6455-4.2.1-5 CM-11
    let refusal = receive(&request_with("Upgrade", &[]), &ServerOptions::new()).unwrap_err();
    assert_eq!(header(refusal.headers(), "Upgrade"), ["websocket"]);
    assert_eq!(header(refusal.headers(), "Connection"), ["Upgrade"]);
    assert_eq!(header(refusal.headers(), "Sec-WebSocket-Version"), Vec::<String>::new());
}

#[test]
fn server_sends_no_body_in_answer_to_head() {
    let request = Request { method: b"HEAD", version: Version::Http11, headers: &REQUEST };
    assert_eq!(
        text(accept(&request, &ServerOptions::new()).unwrap_err().to_bytes()),
        "HTTP/1.1 405 Method Not Allowed\r\n\
         Allow: GET\r\n\
         Connection: close\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: 19\r\n\r\n"
    );
}

#[test]
fn server_sends_refusals_of_the_application() {
    // 6455-4.2.2-3 6455-4.2.2-4 6455-4.2.2-9 6455-10.5-1 CM-9: nothing has been sent when the application decides.
    let acceptance = receive(&REQUEST.to_vec(), &ServerOptions::new()).unwrap();
    drop(acceptance);
    let refusal = Refusal::new(401).header("WWW-Authenticate", "Bearer").unwrap();
    assert_eq!(refusal.reason(), &HandshakeError::Refused(401));
    assert_eq!(
        text(refusal.to_bytes()),
        "HTTP/1.1 401 Unauthorized\r\n\
         WWW-Authenticate: Bearer\r\n\
         Connection: close\r\n\
         Content-Type: text/plain\r\n\
         Content-Length: 13\r\n\r\n\
         Unauthorized\n"
    );
    let moved = Refusal::new(302).header("Location", "/new").unwrap();
    assert_eq!(header(moved.headers(), "Location"), ["/new"]);
    assert_eq!(text(Refusal::new(304).to_bytes()), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
    assert_eq!(header(Refusal::new(405).headers(), "Allow"), ["GET"]);
    for status in [0, 100, 101, 199, 600, u16::MAX] {
        assert_eq!(Refusal::new(status).status(), 500, "{status}");
    }
}

#[test]
fn server_sends_refusals_that_another_parser_reads() {
    // 6455-10.7-4
    for status in 200..=599 {
        let bytes = Refusal::new(status).to_bytes();
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(&bytes).unwrap() else {
            panic!("{status}: no whole head")
        };
        assert_eq!(response.code, Some(status));
        let length = response.headers.iter().find(|header| header.name == "Content-Length");
        let length = length.map_or("0", |header| std::str::from_utf8(header.value).unwrap());
        assert_eq!(length, (bytes.len() - head).to_string());
    }
}

#[test]
fn server_sends_only_headers_that_stay_on_their_line() {
    // CM-13
    let refusal = || Refusal::new(403);
    for value in ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "\x1b[0m", "\x7f"] {
        assert_eq!(refusal().header("X", value), Err(InvalidHeader::Value), "{value:?}");
        assert_eq!(ServerOptions::new().header("X", value), Err(InvalidHeader::Value), "{value:?}");
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}", "(x)"] {
        assert_eq!(refusal().header(name, "x"), Err(InvalidHeader::Name), "{name:?}");
    }
    let mut acceptance = receive(&REQUEST.to_vec(), &ServerOptions::new()).unwrap();
    for name in [
        "Upgrade",
        "connection",
        "Content-Length",
        "TRANSFER-ENCODING",
        "Sec-WebSocket-Accept",
        "sec-websocket-protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Version",
    ] {
        assert_eq!(acceptance.add_header(name, "x"), Err(InvalidHeader::Reserved), "{name}");
        assert_eq!(refusal().header(name, "x"), Err(InvalidHeader::Reserved), "{name}");
        assert_eq!(ServerOptions::new().header(name, "x"), Err(InvalidHeader::Reserved), "{name}");
    }
    assert_eq!(text(acceptance.to_bytes()), GOLDEN);
    acceptance.add_header("Set-Cookie", b" a=\xe9\t ").unwrap();
    acceptance.add_header("Set-Cookie", "c").unwrap();
    let cookies: Vec<&[u8]> =
        acceptance.headers().filter(|(name, _)| *name == "Set-Cookie").map(|(_, value)| value).collect();
    assert_eq!(cookies, [&b"a=\xe9"[..], b"c"]);
}

// Subprotocols.

fn offer(lines: &[&[u8]], supported: &[&str]) -> (Acceptance, Vec<String>) {
    let options = ServerOptions::new().subprotocols(supported).expect("all are tokens");
    let headers = request_with("Sec-WebSocket-Protocol", lines);
    let acceptance = receive(&headers, &options).expect("the request is right");
    let sent = header(acceptance.headers(), "Sec-WebSocket-Protocol");
    (acceptance, sent)
}

#[test]
fn server_sends_the_first_offered_subprotocol_that_it_supports() {
    // 6455-4.2.1-10 6455-4.2.2-10 6455-4.2.2-12 6455-4.2.2-19 6455-11.3.4-1 CM-8
    for lines in [&[&b"v2, v1, v0"[..]][..], &[b"v2", b"v1,v0"], &[b" v2 ,,", b"", b"v1\t, v0"]] {
        let (acceptance, sent) = offer(lines, &["v0", "v1"]);
        assert_eq!(acceptance.offered_subprotocols().collect::<Vec<_>>(), ["v2", "v1", "v0"]);
        assert_eq!(sent, ["v1"]);
        assert_eq!(acceptance.subprotocol(), Some("v1"));
        assert_eq!(acceptance.negotiated().subprotocol(), Some("v1"));
        assert!(text(acceptance.to_bytes()).contains("\r\nSec-WebSocket-Protocol: v1\r\n"));
    }
}

#[test]
fn server_sends_no_subprotocol_when_none_is_agreed() {
    // 6455-4.2.2-11 CM-8: `Chat` is not `chat`.
    for (lines, supported) in [
        (&[&b"a, b"[..]][..], &[][..]),
        (&[], &["chat"]),
        (&[b"Chat, superchat, chatter"], &["chat"]),
        (&[b" , "], &["chat"]),
    ] {
        let (acceptance, sent) = offer(lines, supported);
        assert_eq!(sent, Vec::<String>::new());
        assert_eq!(acceptance.negotiated(), Default::default());
    }
}

#[test]
fn server_sends_the_subprotocol_that_the_application_selects_when_it_was_offered() {
    // 6455-4.2.2-10 6455-4.2.2-12 CM-8
    let (mut acceptance, _) = offer(&[b"v2, v1"], &["v2"]);
    assert_eq!(acceptance.select_subprotocol("v1"), Ok(()));
    assert_eq!(acceptance.subprotocol(), Some("v1"));
    for name in ["v3", "V1", "", "v2, v1"] {
        assert_eq!(acceptance.select_subprotocol(name), Err(NotOffered));
        assert_eq!(acceptance.subprotocol(), Some("v1"));
    }
    acceptance.decline_subprotocols();
    assert_eq!(text(acceptance.to_bytes()), GOLDEN);
    let refusal = Refusal::from(NotOffered);
    assert_eq!((refusal.status(), refusal.reason()), (500, &HandshakeError::SelectionNotOffered));
}

#[test]
fn server_receives_no_common_subprotocol_when_one_is_required() {
    // WS-2
    let options = ServerOptions::new().subprotocols(["chat"]).unwrap().require_subprotocol(true);
    for lines in [&[][..], &[&b"other"[..]]] {
        let refusal = receive(&request_with("Sec-WebSocket-Protocol", lines), &options).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (400, &HandshakeError::NoCommonSubprotocol));
    }
    assert!(receive(&request_with("Sec-WebSocket-Protocol", &[b"chat"]), &options).is_ok());
    assert_eq!(ServerOptions::new().subprotocols([""]), Err(InvalidSubprotocol::NotAToken));
    assert_eq!(ServerOptions::new().subprotocols(["a", "a"]), Err(InvalidSubprotocol::Duplicate));
}

// Extensions: this server agrees to none.

#[test]
fn server_sends_no_extension() {
    // 6455-4.2.2-13 6455-4.2.2-14 6455-9-1 6455-9.1-9
    for lines in [&[][..], &[&b"permessage-deflate; client_max_window_bits"[..], b"x-foo; a=\"b\""]] {
        let headers = request_with("Sec-WebSocket-Extensions", lines);
        assert_eq!(text(receive(&headers, &ServerOptions::new()).unwrap().to_bytes()), GOLDEN);
    }
}
