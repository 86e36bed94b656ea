//! The client's side of the opening handshake: RFC 6455 §4.1.

use proptest::prelude::*;
use sansocket::handshake::{
    ClientRequest, HandshakeError, InvalidHeader, InvalidSubprotocol, Key, Response, Version,
};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

/// The response of RFC 6455 §1.2 to the request made by `request()` with `key()`.
const RESPONSE: [(&str, &[u8]); 3] = [
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
];

fn key() -> Key {
    Key::from_nonce(*b"the sample nonce")
}

fn request() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat").expect("the URI is right")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("this crate writes text")
}

fn response_with<'a>(name: &'a str, lines: &[&'a [u8]]) -> Headers<'a> {
    let mut headers = RESPONSE.to_vec();
    headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    headers.extend(lines.iter().map(|line| (name, *line)));
    headers
}

/// The subprotocol in use after this response.
fn check(
    request: &ClientRequest,
    status: u16,
    headers: &Headers<'_>,
) -> Result<Option<String>, HandshakeError> {
    let response = Response { status, version: Version::Http11, headers };
    request.check(&key(), &response).map(|negotiated| negotiated.subprotocol().map(String::from))
}

// The request.

#[test]
fn client_sends_the_request_of_the_rfc() {
    // 6455-4.1-16 6455-4.1-17 6455-4.1-18 6455-4.1-19 6455-4.1-20 6455-4.1-21 6455-4.1-22 6455-4.1-23 6455-4.1-26
    // 6455-4.1-29: with nothing offered there is no header for it.
    assert_eq!(
        text(request().encode(&key())),
        "GET /chat HTTP/1.1\r\n\
         Host: server.example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
}

#[test]
fn client_sends_what_it_was_told_to_add() {
    // 6455-4.1-25 6455-4.1-29 6455-4.1-30
    let request = ClientRequest::new("wss://[::1]:8443?token=x%23")
        .unwrap()
        .subprotocols(["v2.chat", "chat", "Chat"])
        .unwrap()
        .origin("https://app.example")
        .unwrap()
        .header("Authorization", "Bearer abc")
        .unwrap()
        .header("Cookie", b"a=\xe9\t ")
        .unwrap();
    assert_eq!(
        request.encode(&key()),
        b"GET /?token=x%23 HTTP/1.1\r\n\
          Host: [::1]:8443\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Protocol: v2.chat, chat, Chat\r\n\
          Origin: https://app.example\r\n\
          Authorization: Bearer abc\r\n\
          Cookie: a=\xe9\r\n\r\n"
    );
}

#[test]
fn client_sends_a_request_that_another_parser_reads() {
    // 6455-4.1-16 6455-4.1-17 6455-4.1-18 6455-4.1-19
    let request = request().subprotocols(["chat"]).unwrap();
    let bytes = request.encode(&key());
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut parsed = httparse::Request::new(&mut headers);
    assert_eq!(parsed.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
    assert_eq!((parsed.method, parsed.path, parsed.version), (Some("GET"), Some("/chat"), Some(1)));
    for name in ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"] {
        assert_eq!(parsed.headers.iter().filter(|header| header.name == name).count(), 1, "{name}");
    }
}

#[test]
fn client_sends_a_subprotocol_only_when_it_is_a_token() {
    // 6455-4.1-27 CM-13
    for name in ["", "a b", "a,b", "a/b", "\u{e9}", "a\r\nX: y", "a\"", "a;b", "a\0", "a=b", "(a)"] {
        assert_eq!(request().subprotocols([name]), Err(InvalidSubprotocol::NotAToken), "{name:?}");
    }
}

#[test]
fn client_sends_each_subprotocol_once() {
    // 6455-4.1-28
    assert_eq!(request().subprotocols(["chat", "chat"]), Err(InvalidSubprotocol::Duplicate));
    assert!(request().subprotocols(["chat", "Chat"]).is_ok());
    // 6455-4.1-29
    let none: [&str; 0] = [];
    assert_eq!(request().subprotocols(none).unwrap().encode(&key()), request().encode(&key()));
}

#[test]
fn client_sends_only_headers_that_stay_on_their_line() {
    // 6455-4.1-30 CM-13
    for value in ["x\r\nX: y", "x\n", "\r", "\0", "a\x0bb"] {
        assert_eq!(request().header("X", value), Err(InvalidHeader::Value), "{value:?}");
        assert_eq!(request().origin(value), Err(InvalidHeader::Value), "{value:?}");
    }
    for origin in ["", "a b", "\u{e9}"] {
        assert_eq!(request().origin(origin), Err(InvalidHeader::Value), "{origin:?}");
    }
    for name in ["", "X:", "X Y", "X\r\nY", "\u{e9}"] {
        assert_eq!(request().header(name, "x"), Err(InvalidHeader::Name), "{name:?}");
    }
    for name in [
        "Host",
        "UPGRADE",
        "connection",
        "Origin",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-",
    ] {
        assert_eq!(request().header(name, "x"), Err(InvalidHeader::Reserved), "{name}");
    }
}

#[cfg(feature = "std")]
#[test]
fn client_sends_a_new_key_each_time() {
    // 6455-4.1-23 6455-4.1-24
    let mut keys = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let key = Key::generate().unwrap();
        let (characters, padding) = key.as_str().split_at(22);
        assert!(characters.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/'));
        assert_eq!(padding, "==");
        assert!(keys.insert(key), "{key} came twice");
    }
}

#[test]
fn client_sends_the_base64_of_sixteen_bytes_as_its_key() {
    // 6455-4.1-23, with the corrected example of erratum 3150.
    let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    assert_eq!(Key::from_nonce(nonce).as_str(), "AQIDBAUGBwgJCgsMDQ4PEA==");
    assert_eq!(Key::from_nonce([0xff; 16]).to_string(), "/////////////////////w==");
}

// The response.

#[test]
fn client_receives_more_extensions_than_it_looks_at() {
    // 6455-10.4-1
    for line in [["x-foo"; 65].join(","), format!("permessage-deflate{}", ";a".repeat(257))] {
        let mut response = RESPONSE.to_vec();
        response.push(("Sec-WebSocket-Extensions", line.as_bytes()));
        assert_eq!(check(&request(), 101, &response), Err(HandshakeError::TooManyExtensions));
    }
}

#[test]
fn client_receives_the_response_of_the_rfc() {
    // 6455-4.1-32 6455-4.1-41
    assert_eq!(check(&request(), 101, &RESPONSE.to_vec()), Ok(None));
    let request = request().subprotocols(["chat", "superchat"]).unwrap();
    let headers = response_with("Sec-WebSocket-Protocol", &[b"superchat"]);
    assert_eq!(check(&request, 101, &headers), Ok(Some("superchat".into())));
    assert_eq!(check(&request, 101, &RESPONSE.to_vec()), Ok(None));
}

#[test]
fn client_receives_a_header_in_an_unusual_but_right_form() {
    let table: &[(&str, &[&[u8]])] = &[
        // 6455-4.1-34
        ("Upgrade", &[b"WebSocket"]),
        ("Upgrade", &[b" websocket\t"]),
        // 6455-4.1-35
        ("Connection", &[b"keep-alive, Upgrade"]),
        ("Connection", &[b"keep-alive", b"UPGRADE"]),
        // 6455-4.1-36
        ("Sec-WebSocket-Accept", &[b" \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= "]),
        // 6455-4.1-40
        ("sec-websocket-ACCEPT", &[b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]),
        // A 101 has no body, whatever these say.
        ("Content-Length", &[b"5"]),
        ("Transfer-Encoding", &[b"chunked"]),
        ("Sec-WebSocket-Extensions", &[b"", b" , "]),
        // 6455-8.1-3
        ("Set-Cookie", &[b"\xff\x80"]),
    ];
    for (name, lines) in table {
        assert_eq!(check(&request(), 101, &response_with(name, lines)), Ok(None), "{name}: {lines:?}");
    }
}

#[test]
fn client_receives_a_response_with_one_thing_wrong() {
    // 6455-4.1-32 6455-4.1-39 6455-10.7-1 CM-7
    use HandshakeError as E;
    let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let table: &[(&str, &[&[u8]], E)] = &[
        // 6455-4.1-34 CM-5
        ("Upgrade", &[], E::ResponseUpgrade),
        ("Upgrade", &[b""], E::ResponseUpgrade),
        ("Upgrade", &[b"websocketx"], E::ResponseUpgrade),
        ("Upgrade", &[b"websocket, h2c"], E::ResponseUpgrade),
        ("Upgrade", &[b"websocket", b"websocket"], E::ResponseUpgrade),
        // 6455-4.1-35 CM-5
        ("Connection", &[], E::ResponseConnection),
        ("Connection", &[b"upgraded"], E::ResponseConnection),
        ("Connection", &[b"close"], E::ResponseConnection),
        // 6455-4.1-36 6455-11.3.3-1
        ("Sec-WebSocket-Accept", &[], E::Accept),
        ("Sec-WebSocket-Accept", &[b""], E::Accept),
        ("Sec-WebSocket-Accept", &[b"S3PPLMBITXAQ9KYGZZHZRBK+XOO="], E::Accept),
        ("Sec-WebSocket-Accept", &[b"s3pplmbitxaq9kygzzhzrbk+xoo="], E::Accept),
        ("Sec-WebSocket-Accept", &[b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], E::Accept),
        ("Sec-WebSocket-Accept", &[b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="], E::Accept),
        ("Sec-WebSocket-Accept", &[b"\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\""], E::Accept),
        ("Sec-WebSocket-Accept", &[b"\x0bs3pPLMBiTxaQ9kYGzzhZRbK+xOo="], E::Accept),
        ("Sec-WebSocket-Accept", &[b"C/0nmHhBztSRGR1CwL6Tf4ZjwpY="], E::Accept),
        ("Sec-WebSocket-Accept", &[b"dGhlIHNhbXBsZSBub25jZQ=="], E::Accept),
        ("Sec-WebSocket-Accept", &[accept, accept], E::Accept),
        // 6455-4.1-37 6455-9.1-10 6455-11.3.2-1
        ("Sec-WebSocket-Extensions", &[b"permessage-deflate"], E::ExtensionNotOffered),
        ("Sec-WebSocket-Extensions", &[b"", b"x-foo"], E::ExtensionNotOffered),
        ("Sec-WebSocket-Extensions", &[b"permessage-deflate, permessage-deflate"], E::ExtensionNotOffered),
        // 6455-9.1-1
        ("Sec-WebSocket-Extensions", &[b"a;;b"], E::Extensions),
        // 6455-4.1-38
        ("Sec-WebSocket-Protocol", &[b"Chat"], E::SubprotocolNotOffered),
        ("Sec-WebSocket-Protocol", &[b"superchat"], E::SubprotocolNotOffered),
        // 6455-4.3-4 6455-11.3.4-2
        ("Sec-WebSocket-Protocol", &[b""], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"chat, x"], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"chat,"], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"chat", b"chat"], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"a b"], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"a;b"], E::ResponseSubprotocol),
        ("Sec-WebSocket-Protocol", &[b"\xc3\xa9"], E::ResponseSubprotocol),
    ];
    let request = request().subprotocols(["chat"]).unwrap();
    for (name, lines, error) in table {
        assert_eq!(
            check(&request, 101, &response_with(name, lines)),
            Err(error.clone()),
            "{name}: {lines:?}"
        );
        assert!(matches!((error, error.status()), (E::Extensions, Some(400)) | (_, None)));
        assert!(error.section().starts_with("RFC 6455 §"), "{error:?}");
    }
}

#[test]
fn client_receives_a_subprotocol_without_an_offer() {
    // 6455-4.1-38
    let headers = response_with("Sec-WebSocket-Protocol", &[b"chat"]);
    assert_eq!(check(&request(), 101, &headers), Err(HandshakeError::SubprotocolNotOffered));
}

#[test]
fn client_receives_the_answer_to_another_key() {
    // 6455-4.1-36 CM-6: both keys stand for the same sixteen bytes.
    let response = Response { status: 101, version: Version::Http11, headers: &RESPONSE };
    assert_eq!(request().check(&Key::from_nonce([0; 16]), &response), Err(HandshakeError::Accept));
}

#[test]
fn client_receives_another_status() {
    // 6455-4.1-33
    for status in [0, 100, 200, 204, 301, 302, 400, 401, 403, 404, 426, 500, 503, 999] {
        assert_eq!(check(&request(), status, &RESPONSE.to_vec()), Err(HandshakeError::Status(status)));
    }
    assert_eq!(HandshakeError::Status(401).status(), None);
}

#[test]
fn client_receives_another_version_of_http() {
    for version in [Version::Http10, Version::Http2, Version::Http3] {
        let response = Response { status: 101, version, headers: &RESPONSE };
        assert_eq!(request().check(&key(), &response), Err(HandshakeError::ResponseHttpVersion));
    }
}

#[test]
fn client_receives_a_426_with_the_versions_of_the_server() {
    // 6455-4.4-2 6455-4.3-3 6455-11.3.5-2
    let rejected = |supported: &[u8]| HandshakeError::VersionRejected { supported: supported.to_vec() };
    for (lines, supported) in [
        (&[&b"13, 8"[..]][..], &[8, 13][..]),
        (&[b"13", b"8"], &[8, 13]),
        (&[b"8, 7", b"8,,0"], &[0, 7, 8]),
        (&[b"013, +8, 256, x, 7"], &[7]),
    ] {
        let headers = response_with("Sec-WebSocket-Version", lines);
        assert_eq!(check(&request(), 426, &headers), Err(rejected(supported)), "{lines:?}");
    }
    for lines in [&[&b"013, +13, 256"[..]][..], &[b""]] {
        let headers = response_with("Sec-WebSocket-Version", lines);
        assert_eq!(check(&request(), 426, &headers), Err(HandshakeError::Status(426)), "{lines:?}");
    }
    // With any other status the header says nothing about why.
    let headers = response_with("Sec-WebSocket-Version", &[b"13"]);
    assert_eq!(check(&request(), 400, &headers), Err(HandshakeError::Status(400)));
    assert_eq!(check(&request(), 101, &headers), Ok(None));
}

proptest! {
    #[test]
    fn client_receives_anything_without_a_panic(
        status in prop_oneof![Just(101u16), Just(426), any::<u16>()],
        junk in proptest::collection::vec((0usize..6, proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
    ) {
        // 6455-8.1-3 6455-10.7-1
        const NAMES: [&str; 6] = [
            "Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions", "Sec-WebSocket-Version",
        ];
        let request = request().subprotocols(["chat"]).unwrap();
        for (at, value) in &junk {
            let _ = check(&request, status, &response_with(NAMES[*at], &[value]));
        }
        let junk: Headers<'_> = junk.iter().map(|(at, value)| (NAMES[*at], value.as_slice())).collect();
        prop_assert!(check(&request, status, &junk).is_err());
    }
}

#[cfg(feature = "http")]
mod with_http_types {
    use super::*;

    #[test]
    fn client_sends_an_http_request_and_receives_an_http_response() {
        // 6455-4.1-19 6455-4.1-20
        let request = request().subprotocols(["chat"]).unwrap().header("Cookie", "a=b").unwrap();
        let sent = request.to_http_request(&key()).unwrap();
        assert_eq!((sent.method(), sent.uri()), (&http::Method::GET, &"/chat".parse().unwrap()));
        assert_eq!(sent.version(), http::Version::HTTP_11);
        let pairs: Vec<(&str, &[u8])> =
            sent.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(
            pairs,
            [
                ("host", &b"server.example.com"[..]),
                ("upgrade", b"websocket"),
                ("connection", b"Upgrade"),
                ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
                ("sec-websocket-version", b"13"),
                ("sec-websocket-protocol", b"chat"),
                ("cookie", b"a=b"),
            ]
        );
        let response = http::Response::builder()
            .status(101)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            .header("Sec-WebSocket-Protocol", "chat")
            .body(())
            .unwrap();
        let negotiated = request.check(&key(), &Response::from(&response)).unwrap();
        assert_eq!(negotiated.subprotocol(), Some("chat"));
    }

    #[test]
    fn client_sends_no_http_request_with_a_path_that_is_too_long_for_it() {
        let request = ClientRequest::new(&format!("ws://h/{}", "x".repeat(70_000))).unwrap();
        assert!(request.to_http_request(&key()).is_err());
    }
}
