//! The server reads the client's opening handshake: RFC 6455 §4.2.1, §4.3.

#[path = "support/handshake.rs"]
mod support;

use proptest::prelude::*;
use sansocket::handshake::{HandshakeError, OriginPolicy, Request, ServerOptions, Version, accept};
use support::{Headers, REQUEST, receive, request_with};

fn receives(name: &str, lines: &[&[u8]]) -> Result<(), HandshakeError> {
    let answer = receive(&request_with(name, lines), &ServerOptions::new());
    answer.map(|_| ()).map_err(|refusal| refusal.reason().clone())
}

#[test]
fn server_receives_64_subprotocols_and_no_more() {
    // 6455-10.4-1
    let names = |count: usize| (0..count).map(|number| format!("p{number}")).collect::<Vec<_>>().join(",");
    let options = ServerOptions::new().subprotocols(["p63"]).unwrap();
    let accepted = receive(&request_with("Sec-WebSocket-Protocol", &[names(64).as_bytes()]), &options);
    assert_eq!(accepted.unwrap().subprotocol(), Some("p63"));
    for lines in [vec![names(65)], vec![names(64), "last".into()], vec![format!("{}, a b", names(64))]] {
        let lines: Vec<_> = lines.iter().map(String::as_bytes).collect();
        let refusal = receive(&request_with("Sec-WebSocket-Protocol", &lines), &options).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (431, &HandshakeError::TooManySubprotocols));
    }
}

#[test]
fn server_receives_too_many_extensions_and_refuses_with_431() {
    // 6455-10.4-1
    for line in [["x-foo"; 65].join(","), format!("permessage-deflate{}", ";a".repeat(257))] {
        let request = request_with("Sec-WebSocket-Extensions", &[line.as_bytes()]);
        let refusal = receive(&request, &ServerOptions::new()).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (431, &HandshakeError::TooManyExtensions));
    }
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
    assert!(accept(&request, &ServerOptions::new()).is_ok());
    let request = Request { method: b"GET", version: Version::Http11, headers: &REQUEST };
    assert!(accept(&request, &ServerOptions::new()).is_ok());
    let request = Request { method: b"GET", version: Version::Http11, headers: &REQUEST[..] };
    assert!(accept(&request, &ServerOptions::new()).is_ok());
}

#[test]
fn server_receives_another_method_or_version() {
    // 6455-4.2.1-2
    for method in [&b"POST"[..], b"HEAD", b"CONNECT", b"get", b"GET ", b"", b"\xff"] {
        let request = Request { method, version: Version::Http11, headers: &REQUEST };
        let refusal = accept(&request, &ServerOptions::new()).unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (405, &HandshakeError::Method));
        assert!(refusal.headers().eq([("Allow", &b"GET"[..])]));
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
    use sansocket::handshake::Headers as _;

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
        // Called as a method: `HeaderMap` has none of its own that hides it.
        let connection = request.headers().values_of("CONNECTION");
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
