//! The server's side of the opening handshake: RFC 6455 §4.2.1, §4.2.2, §4.3, §4.4, §10.

use proptest::prelude::*;
use sansocket::handshake::{
    Acceptance, HandshakeError, InvalidHeader, InvalidOrigin, InvalidSubprotocol, NotOffered, Origin,
    OriginPolicy, Refusal, Request, ServerOptions, Version, accept,
};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

/// The request of RFC 6455 §1.2 without what is optional.
const REQUEST: [(&str, &[u8]); 5] = [
    ("Host", b"server.example.com"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];

/// That request with these lines as its only ones of this name.
fn request_with<'a>(name: &'a str, lines: &[&'a [u8]]) -> Headers<'a> {
    let mut headers = REQUEST.to_vec();
    headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    headers.extend(lines.iter().map(|line| (name, *line)));
    headers
}

fn receive(headers: &Headers<'_>, options: &ServerOptions) -> Result<Acceptance, Refusal> {
    accept(&Request { method: b"GET", version: Version::Http11, headers }, options)
}

fn receives(name: &str, lines: &[&[u8]]) -> Result<(), HandshakeError> {
    let answer = receive(&request_with(name, lines), &ServerOptions::new());
    answer.map(|_| ()).map_err(|refusal| refusal.reason().clone())
}

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

// §4.2.1: reading the request.

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
fn server_receives_a_request_with_one_thing_wrong() {
    // 6455-4.2.1-1 6455-10.7-1 6455-10.7-4
    use HandshakeError as E;
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    let table: &[(&str, &[&[u8]], E, u16)] = &[
        // 6455-4.2.1-4
        ("Host", &[], E::Host, 400),
        ("Host", &[b""], E::Host, 400),
        ("Host", &[b" "], E::Host, 400),
        ("Host", &[b"a.example", b"a.example"], E::Host, 400),
        ("Host", &[b"a.example, b.example"], E::Host, 400),
        ("Host", &[b"a b"], E::Host, 400),
        ("Host", &[b"user@a.example"], E::Host, 400),
        ("Host", &[b"http://a.example"], E::Host, 400),
        ("Host", &[b"a.example:http"], E::Host, 400),
        ("Host", &[b"a.example:65536"], E::Host, 400),
        ("Host", &[b":80"], E::Host, 400),
        ("Host", &[b"[::1"], E::Host, 400),
        ("Host", &[b"[::g]"], E::Host, 400),
        ("Host", &[b"\xff.example"], E::Host, 400),
        // 6455-4.2.1-5 CM-5 CM-11
        ("Upgrade", &[], E::Upgrade, 426),
        ("Upgrade", &[b""], E::Upgrade, 426),
        ("Upgrade", &[b"h2c"], E::Upgrade, 426),
        ("Upgrade", &[b"websocketx"], E::Upgrade, 426),
        ("Upgrade", &[b"web socket"], E::Upgrade, 426),
        ("Upgrade", &[b"websocket/13"], E::Upgrade, 426),
        ("Upgrade", &[b"\"websocket\""], E::Upgrade, 426),
        ("Upgrade", &[b"\xffwebsocket"], E::Upgrade, 426),
        // 6455-4.2.1-6 CM-5
        ("Connection", &[], E::Connection, 400),
        ("Connection", &[b"close"], E::Connection, 400),
        ("Connection", &[b"keep-alive"], E::Connection, 400),
        ("Connection", &[b"upgraded"], E::Connection, 400),
        ("Connection", &[b"\"Upgrade\""], E::Connection, 400),
        // 6455-4.2.1-7 6455-4.3-2 6455-11.3.1-1
        ("Sec-WebSocket-Key", &[], E::Key, 400),
        ("Sec-WebSocket-Key", &[b""], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"AAAAAAAAAAAAAAAAAAAA"], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"AAAAAAAAAAAAAAAAAAAAAAA="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBsZSBub25jZQ="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBsZSBub25jZQ==="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBsZSBub25jZQAA"], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBsZSBub25jZQ"], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBs-SBub25jZQ=="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBs_SBub25jZQ=="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbX sZSBub25jZQ=="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbX=sZSBub25jZQ=="], E::Key, 400),
        ("Sec-WebSocket-Key", &[b"dGhlIHNhbXBsZSBub25jZ\xff=="], E::Key, 400),
        ("Sec-WebSocket-Key", &[key, key], E::Key, 400),
        ("Sec-WebSocket-Key", &[key, b"AAAAAAAAAAAAAAAAAAAAAA=="], E::Key, 400),
        // 6455-4.2.1-8 6455-4.3-3 6455-11.3.5-1
        ("Sec-WebSocket-Version", &[], E::Version, 400),
        ("Sec-WebSocket-Version", &[b""], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"13, 8"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"13", b"13"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"013"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"00"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"+13"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"-1"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"256"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"99999999999999999999"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"13.0"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"\xef\xbc\x91\xef\xbc\x93"], E::Version, 400),
        ("Sec-WebSocket-Version", &[b"0"], E::UnsupportedVersion(0), 426),
        ("Sec-WebSocket-Version", &[b"8"], E::UnsupportedVersion(8), 426),
        ("Sec-WebSocket-Version", &[b"14"], E::UnsupportedVersion(14), 426),
        ("Sec-WebSocket-Version", &[b"255"], E::UnsupportedVersion(255), 426),
        // A body would be read as frames.
        ("Content-Length", &[b"5"], E::Body, 400),
        ("Content-Length", &[b"0", b"5"], E::Body, 400),
        ("Content-Length", &[b"-0"], E::Body, 400),
        ("Content-Length", &[b"zero"], E::Body, 400),
        ("Transfer-Encoding", &[b"chunked"], E::Body, 400),
        ("Transfer-Encoding", &[b""], E::Body, 400),
        ("Origin", &[b"https://a.example", b"https://a.example"], E::Origin, 400),
        // 6455-4.2.1-10 6455-4.3-4
        ("Sec-WebSocket-Protocol", &[b"chat;x"], E::Subprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"a b"], E::Subprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"\"chat\""], E::Subprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"a/b"], E::Subprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"chat", b"\xc3\xa9"], E::Subprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"chat, chat"], E::DuplicateSubprotocol, 400),
        ("Sec-WebSocket-Protocol", &[b"chat", b"x, chat"], E::DuplicateSubprotocol, 400),
        // 6455-4.2.1-11
        ("Sec-WebSocket-Extensions", &[b"a;;b"], E::Extensions, 400),
        ("Sec-WebSocket-Extensions", &[b"a", b"b c"], E::Extensions, 400),
    ];
    for (name, lines, reason, status) in table {
        let refusal = receive(&request_with(name, lines), &ServerOptions::new()).unwrap_err();
        assert_eq!((refusal.reason(), refusal.status()), (reason, *status), "{name}: {lines:?}");
        assert!(refusal.to_bytes().starts_with(format!("HTTP/1.1 {status} ").as_bytes()));
        assert!(reason.section().starts_with("RFC "), "{reason:?}");
    }
}

#[test]
fn server_receives_a_header_in_an_unusual_but_right_form() {
    let table: &[(&str, &[&[u8]])] = &[
        ("Host", &[b"example.com:8080"]),
        ("Host", &[b"[::1]:80"]),
        ("Host", &[b" 127.0.0.1\t"]),
        ("Host", &[b"my_host"]),
        // 6455-4.2.1-5
        ("Upgrade", &[b"WebSocket"]),
        ("Upgrade", &[b"foo, WebSocket"]),
        ("Upgrade", &[b"h2c", b"websocket"]),
        ("Upgrade", &[b" ,websocket,, "]),
        // 6455-4.2.1-6 CM-4
        ("Connection", &[b"keep-alive, Upgrade"]),
        ("Connection", &[b"keep-alive", b"upgrade"]),
        ("Connection", &[b"UPGRADE\t,close"]),
        ("connection", &[b"upgrade"]),
        // 6455-4.2.1-7: pad bits that are not zero.
        ("Sec-WebSocket-Key", &[b"AQIDBAUGBwgJCgsMDQ4PEC=="]),
        ("Sec-WebSocket-Key", &[b" \tdGhlIHNhbXBsZSBub25jZQ== "]),
        ("Sec-WebSocket-Version", &[b" 13\t"]),
        ("Content-Length", &[b"0"]),
        ("Expect", &[b"100-continue"]),
        ("Origin", &[b"https://a.example"]),
        ("Origin", &[b"null"]),
        // 6455-4.2.1-10: a list without an element counts as absent.
        ("Sec-WebSocket-Protocol", &[b"", b" , "]),
        ("Sec-WebSocket-Protocol", &[b"chat, Chat"]),
        // 6455-4.2.1-11 6455-9.1-9
        ("Sec-WebSocket-Extensions", &[b"x-foo, permessage-deflate"]),
        ("Sec-WebSocket-Extensions", &[b""]),
        // 6455-4.2.1-12
        ("X-Unknown", &[b"\x80\xff", b"\"", b",;="]),
    ];
    for (name, lines) in table {
        assert_eq!(receives(name, lines), Ok(()), "{name}: {lines:?}");
    }
}

#[test]
fn server_receives_headers_in_any_order_and_case() {
    // 6455-4.2.1-12 6455-4.1-40
    let mut headers: Headers<'_> = REQUEST.to_vec();
    headers.push(("x-junk", b"1"));
    for _ in 0..headers.len() {
        headers.rotate_left(1);
        assert!(receive(&headers, &ServerOptions::new()).is_ok());
    }
    let lower: Vec<(String, &[u8])> = headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), *v)).collect();
    let upper: Vec<(String, &[u8])> = headers.iter().map(|(n, v)| (n.to_ascii_uppercase(), *v)).collect();
    for headers in [&lower, &upper] {
        let request = Request { method: b"GET", version: Version::Http11, headers };
        assert!(accept(&request, &ServerOptions::new()).is_ok());
    }
}

#[test]
fn server_receives_headers_of_the_parser_it_was_given() {
    // CM-1: the request is never read again; these are all the faces it has.
    let parsed: Vec<httparse::Header<'_>> =
        REQUEST.iter().map(|&(name, value)| httparse::Header { name, value }).collect();
    let request = Request { method: b"GET", version: Version::Http11, headers: parsed.as_slice() };
    assert_eq!(text(accept(&request, &ServerOptions::new()).unwrap().to_bytes()), GOLDEN);
    let request = Request { method: b"GET", version: Version::Http11, headers: &REQUEST };
    assert_eq!(text(accept(&request, &ServerOptions::new()).unwrap().to_bytes()), GOLDEN);
    let request = Request { method: b"GET", version: Version::Http11, headers: &REQUEST[..] };
    assert_eq!(text(accept(&request, &ServerOptions::new()).unwrap().to_bytes()), GOLDEN);
}

#[test]
fn server_receives_another_method_or_version() {
    // 6455-4.2.1-2
    for method in [&b"POST"[..], b"HEAD", b"CONNECT", b"get", b"GET ", b"", b"\xff"] {
        let request = Request { method, version: Version::Http11, headers: &REQUEST };
        let refusal = accept(&request, &ServerOptions::new()).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (405, &HandshakeError::Method));
        assert_eq!(header(refusal.headers(), "Allow"), ["GET"]);
    }
    for version in [Version::Http10, Version::Http2, Version::Http3] {
        let request = Request { method: b"GET", version, headers: &REQUEST };
        let refusal = accept(&request, &ServerOptions::new()).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (400, &HandshakeError::HttpVersion));
    }
    assert_eq!(Version::from_minor(0), Some(Version::Http10));
    assert_eq!(Version::from_minor(1), Some(Version::Http11));
    assert_eq!(Version::from_minor(2), None);
}

#[test]
fn server_receives_several_mistakes_and_names_the_first() {
    // 6455-4.2.1-1: the order in which §4.2.1 lists them.
    let mut headers: Headers<'_> = vec![
        ("Sec-WebSocket-Extensions", b";"),
        ("Sec-WebSocket-Protocol", b";"),
        ("Origin", b"https://evil.example"),
        ("Content-Length", b"1"),
        ("Sec-WebSocket-Version", b"8"),
        ("Sec-WebSocket-Key", b"x"),
        ("Connection", b"close"),
        ("Upgrade", b"h2c"),
        ("Host", b""),
    ];
    let options = ServerOptions::new().origins(OriginPolicy::allow_list(["https://good.example"]).unwrap());
    let request = Request { method: b"PUT", version: Version::Http10, headers: &headers };
    assert_eq!(accept(&request, &options).unwrap_err().reason(), &HandshakeError::Method);
    let request = Request { method: b"GET", version: Version::Http10, headers: &headers };
    assert_eq!(accept(&request, &options).unwrap_err().reason(), &HandshakeError::HttpVersion);
    let repairs: [(&[u8], HandshakeError); 9] = [
        (b"a.example", HandshakeError::Host),
        (b"websocket", HandshakeError::Upgrade),
        (b"upgrade", HandshakeError::Connection),
        (b"dGhlIHNhbXBsZSBub25jZQ==", HandshakeError::Key),
        (b"13", HandshakeError::UnsupportedVersion(8)),
        (b"0", HandshakeError::Body),
        (b"https://good.example", HandshakeError::OriginNotAllowed),
        (b"chat", HandshakeError::Subprotocol),
        (b"x-foo", HandshakeError::Extensions),
    ];
    for (at, (repair, reason)) in repairs.into_iter().enumerate() {
        assert_eq!(receive(&headers, &options).unwrap_err().reason(), &reason);
        let last = headers.len() - 1 - at;
        headers[last].1 = repair;
    }
    assert!(receive(&headers, &options).is_ok());
}

// §4.2.2: answering.

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

#[test]
fn server_receives_ten_thousand_subprotocols() {
    let line: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let line = line.join(",");
    let (acceptance, _) = offer(&[line.as_bytes()], &["p9999"]);
    assert_eq!(acceptance.subprotocol(), Some("p9999"));
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

// §10.2: origins.

#[test]
fn server_receives_an_origin_against_an_allow_list() {
    // 6455-4.2.2-5 6455-4.2.2-6 6455-10.2-1 6455-10.2-2 CM-10
    let policy = OriginPolicy::allow_list([
        "https://good.example",
        "http://localhost:8080",
        "http://[::1]:80",
        "chrome-extension://abcdef",
    ]);
    let options = ServerOptions::new().origins(policy.unwrap());
    for (origin, allowed) in [
        ("https://good.example", true),
        ("HTTPS://Good.Example", true),
        ("https://good.example:443", true),
        (" https://good.example ", true),
        ("http://localhost:8080", true),
        ("http://[::1]", true),
        ("chrome-extension://abcdef", true),
        ("https://good.example.evil.com", false),
        ("https://evilgood.example", false),
        ("https://evil.example/https://good.example", false),
        ("https://user@good.example", false),
        ("https://good.example/", false),
        ("https://good.example:8443", false),
        ("http://good.example", false),
        ("http://localhost", false),
        ("http://localhost:80800", false),
        ("good.example", false),
        ("https://good.example, https://good.example", false),
        ("https://good.example https://evil.example", false),
        ("https://good.ex\u{e4}mple", false),
        ("null", false),
        ("", false),
    ] {
        let answer = receive(&request_with("Origin", &[origin.as_bytes()]), &options);
        match answer {
            Ok(acceptance) => {
                assert!(allowed, "{origin}");
                assert_eq!(acceptance.origin(), Some(origin.trim().as_bytes()));
            }
            Err(refusal) => {
                assert!(!allowed, "{origin}");
                assert_eq!((refusal.status(), refusal.reason()), (403, &HandshakeError::OriginNotAllowed));
            }
        }
    }
    let refusal = receive(&request_with("Origin", &[b"\xff"]), &options).unwrap_err();
    assert_eq!(refusal.status(), 403);
}

#[test]
fn server_receives_no_origin() {
    // 6455-4.2.1-9 6455-10.1-1: no browser, and the application sees that.
    let policy = OriginPolicy::allow_list(["https://good.example"]).unwrap();
    let lenient = ServerOptions::new().origins(policy.clone());
    assert_eq!(receive(&REQUEST.to_vec(), &lenient).unwrap().origin(), None);
    let strict = ServerOptions::new().origins(policy).require_origin(true);
    let refusal = receive(&REQUEST.to_vec(), &strict).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (403, &HandshakeError::OriginNotAllowed));
}

#[test]
fn server_receives_the_null_origin_only_when_it_is_listed() {
    // CM-10
    let options = ServerOptions::new().origins(OriginPolicy::allow_list(["null"]).unwrap());
    assert!(receive(&request_with("Origin", &[b"null"]), &options).is_ok());
    assert!(receive(&request_with("Origin", &[b"https://a.example"]), &options).is_err());
}

#[test]
fn origin_is_refused_when_it_could_never_match() {
    let table = [
        "",
        "good.example",
        "https://",
        "https://a/",
        "https://u@a",
        "://a",
        "1s://a",
        "*",
        "https://*.example",
    ];
    for text in table {
        assert_eq!(Origin::new(text), Err(InvalidOrigin), "{text}");
    }
    assert_eq!(OriginPolicy::allow_list(["https://a", "b"]), Err(InvalidOrigin));
    assert_eq!("HTTP://A:80".parse::<Origin>().unwrap().as_str(), "http://a");
}

// Whatever comes.

proptest! {
    #[test]
    fn server_receives_anything_without_a_panic(
        method in proptest::collection::vec(any::<u8>(), 0..6),
        junk in proptest::collection::vec((0usize..10, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        // 6455-8.1-3 6455-10.7-1
        const NAMES: [&str; 10] = [
            "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Content-Length",
            "Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "\u{e9}",
        ];
        let options = ServerOptions::new()
            .origins(OriginPolicy::allow_list(["https://good.example"]).unwrap())
            .subprotocols(["chat"]).unwrap();
        let junk: Vec<(&str, &[u8])> = junk.iter().map(|(at, value)| (NAMES[*at], value.as_slice())).collect();
        let _ = accept(&Request { method: &method, version: Version::Http11, headers: &junk }, &options);
        for &(name, value) in &junk {
            match receive(&request_with(name, &[value]), &options) {
                Ok(acceptance) => prop_assert!(acceptance.to_bytes().ends_with(b"\r\n\r\n")),
                Err(refusal) => prop_assert!(matches!(refusal.status(), 400..=426)),
            }
        }
    }
}

#[cfg(feature = "http")]
mod with_http_types {
    use super::*;

    fn request() -> http::Request<()> {
        let mut request = http::Request::new(());
        for (name, value) in REQUEST {
            request.headers_mut().append(
                http::HeaderName::from_bytes(name.as_bytes()).expect("a token"),
                http::HeaderValue::from_bytes(value).expect("visible ASCII"),
            );
        }
        request
    }

    #[test]
    fn server_receives_an_http_request_and_sends_an_http_response() {
        // 6455-4.1-40 CM-4: several lines of one name are there.
        let mut request = request();
        request.headers_mut().insert("connection", http::HeaderValue::from_static("keep-alive"));
        request.headers_mut().append("connection", http::HeaderValue::from_static("Upgrade"));
        request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("chat"));
        let options = ServerOptions::new().subprotocols(["chat"]).unwrap();
        let connection = sansocket::handshake::Headers::values(request.headers(), "CONNECTION");
        assert_eq!(connection.collect::<Vec<_>>(), [&b"keep-alive"[..], b"Upgrade"]);
        let mut acceptance = accept(&Request::from(&request), &options).unwrap();
        let (parts, ()) = request.into_parts();
        assert_eq!(accept(&Request::from(&parts), &options).as_ref(), Ok(&acceptance));
        acceptance.add_header("set-cookie", "a=b").unwrap();
        acceptance.add_header("Set-Cookie", "c=d").unwrap();
        let response = acceptance.into_response();
        assert_eq!(response.status(), 101);
        let sent: Vec<(&str, &[u8])> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(
            sent,
            [
                ("upgrade", &b"websocket"[..]),
                ("connection", b"Upgrade"),
                ("sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                ("sec-websocket-protocol", b"chat"),
                ("set-cookie", b"a=b"),
                ("set-cookie", b"c=d"),
            ]
        );
    }

    #[test]
    fn server_sends_an_http_response_that_refuses() {
        let mut request = request();
        request.headers_mut().insert("sec-websocket-version", http::HeaderValue::from_static("8"));
        let response = accept(&Request::from(&request), &ServerOptions::new()).unwrap_err().into_response();
        assert_eq!(response.status(), 426);
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert_eq!(response.headers()["upgrade"], "websocket");
        *request.version_mut() = http::Version::HTTP_2;
        let refusal = accept(&Request::from(&request), &ServerOptions::new()).unwrap_err();
        assert_eq!(refusal.reason(), &HandshakeError::HttpVersion);
    }
}
