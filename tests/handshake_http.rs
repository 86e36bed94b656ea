//! Heads of HTTP messages as bytes: RFC 6455 §4.1, §4.2.1, §10.4 and RFC 9112.
#![cfg(feature = "std")]

use proptest::prelude::*;
use sansocket::handshake::{
    ClientRequest, HandshakeError, HeadLimits, HeadReader, Headers, Key, Refusal, ServerOptions, Version,
    accept,
};

/// What a reader said in the end: the head in words and where it ended, or the error.
type Outcome = Result<Option<(String, usize)>, HandshakeError>;

fn request(reader: &mut HeadReader, buffer: &[u8]) -> Outcome {
    let found = reader.request(buffer)?;
    Ok(found.map(|(head, len)| {
        let headers: Vec<_> = head.headers().map(|(name, value)| (name, value.to_vec())).collect();
        (format!("{} {} {:?} {headers:?}", head.method(), head.resource(), head.version()), len)
    }))
}

fn response(reader: &mut HeadReader, buffer: &[u8]) -> Outcome {
    let found = reader.response(buffer)?;
    Ok(found.map(|(head, len)| {
        let headers: Vec<_> = head.headers().map(|(name, value)| (name, value.to_vec())).collect();
        (format!("{} {:?} {headers:?}", head.status(), head.version()), len)
    }))
}

fn reader() -> HeadReader {
    HeadReader::new(HeadLimits::default())
}

/// Gives `input` whole, byte by byte, and in two pieces at every place; the outcome must be the same. A caller stops
/// at the first outcome that is not "more bytes".
fn at_every_split(read: fn(&mut HeadReader, &[u8]) -> Outcome, input: &[u8]) -> Outcome {
    let whole = read(&mut reader(), input);
    let mut dripped = reader();
    let by_byte = (0..=input.len())
        .map(|len| read(&mut dripped, &input[..len]))
        .find(|outcome| *outcome != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(by_byte, whole, "byte by byte");
    let again = read(&mut dripped, input);
    assert_eq!(again, whole, "asked again");
    for split in 0..=input.len() {
        let mut reader = reader();
        let first = read(&mut reader, &input[..split]);
        let outcome = if first == Ok(None) { read(&mut reader, input) } else { first };
        assert_eq!(outcome, whole, "split at {split}");
    }
    whole
}

const REQUEST: &[u8] = b"GET /chat?x=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn server_receives_a_request_head_in_any_pieces() {
    let (head, len) = at_every_split(request, REQUEST).unwrap().unwrap();
    assert!(head.starts_with("GET /chat?x=1 Http11 [(\"Host\", "), "{head}");
    assert_eq!(len, REQUEST.len());
}

#[test]
fn server_receives_frames_glued_to_the_request() {
    // 6455-4.2.2-22 CM-2
    let frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let input = [REQUEST, frame].concat();
    let (_, len) = at_every_split(request, &input).unwrap().unwrap();
    assert_eq!(&input[len..], frame);
    // Frames may look like anything, a second head included.
    let input = [REQUEST, b"\r\n\r\n", REQUEST].concat();
    assert_eq!(at_every_split(request, &input).unwrap().unwrap().1, REQUEST.len());
}

#[test]
fn server_receives_a_head_and_judges_it() {
    // 6455-4.2.2-1
    let (head, _) = HeadReader::new(HeadLimits::default()).request(REQUEST).unwrap().unwrap();
    assert_eq!(head.version(), Version::Http11);
    assert_eq!(head.target(), "/chat?x=1");
    let acceptance = accept(&head.as_request(), &ServerOptions::new()).unwrap();
    assert_eq!(acceptance.to_bytes(), RESPONSE);
}

#[test]
fn server_receives_a_target_in_absolute_form() {
    // 6455-4.2.1-3
    let (head, _) =
        at_every_split(request, b"GET http://h:80/chat?x=1 HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().unwrap();
    assert!(head.starts_with("GET /chat?x=1 "), "{head}");
    for target in ["*", "h:80", "ftp://h/", "chat", "http://u@h/", "/a#b", "/\u{e9}", "http://"] {
        let input = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(at_every_split(request, input.as_bytes()), Err(HandshakeError::Target), "{target}");
        // Another method has other targets and is refused for what it is.
        let input = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(at_every_split(request, input.as_bytes()).unwrap().is_some(), "{target}");
    }
}

#[test]
fn server_receives_empty_lines_before_the_request() {
    for lines in ["\r\n", "\r\n\r\n"] {
        let input = [lines.as_bytes(), REQUEST, b"\x88\x80"].concat();
        let (head, len) = at_every_split(request, &input).unwrap().unwrap();
        assert!(head.starts_with("GET /chat?x=1 "));
        assert_eq!(len, lines.len() + REQUEST.len());
    }
    for lines in ["\r\n\r\n\r\n", "\n", "\r", " \r\n", "\t"] {
        let input = [lines.as_bytes(), REQUEST].concat();
        assert_eq!(at_every_split(request, &input), Err(HandshakeError::MalformedHead), "{lines:?}");
    }
}

#[test]
fn server_receives_a_malformed_head() {
    // 6455-4.2.1-1 6455-8.1-3 6455-10.7-1
    let table: &[&[u8]] = &[
        // A folded line.
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\tX: a\r\n\r\n",
        // Refused at the folding, not at the end of the head.
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n ",
        // Lines that do not end in CRLF.
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n\rX",
        b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        // Control characters.
        b"GET / HTTP/1.1\r\nHost: h\0\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x7f\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x0b\r\n\r\n",
        // Names.
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET / HTTP/1.1\r\n: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nH\xf6st: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n(x): h\r\n\r\n",
        // Request lines.
        b"GET /\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"{\r\n\r\n",
        // The first bytes of TLS: refused before a line could end.
        b"\x16\x03\x01",
    ];
    for input in table {
        let outcome = at_every_split(request, input);
        assert_eq!(outcome, Err(HandshakeError::MalformedHead), "{:?}", String::from_utf8_lossy(input));
        assert_eq!(Refusal::from(outcome.unwrap_err()).status(), 400);
    }
}

#[test]
fn server_receives_another_version_of_http() {
    // 6455-4.2.1-2
    let (head, _) = at_every_split(request, b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
    assert_eq!(head, "GET / Http10 []");
    for line in ["PRI * HTTP/2.0", "GET / HTTP/1.2", "GET / HTTP/0.9", "GET / http/1.1"] {
        let input = format!("{line}\r\n\r\nSM\r\n\r\n");
        assert_eq!(at_every_split(request, input.as_bytes()), Err(HandshakeError::HttpVersion), "{line}");
    }
}

#[test]
fn server_receives_header_bytes_that_are_not_ascii() {
    // 6455-8.1-3: opaque.
    let input = b"GET / HTTP/1.1\r\nX: \x80\xff\t\r\nx: \xc3\xa9\r\n\r\n";
    let (head, _) = HeadReader::new(HeadLimits::default()).request(input).unwrap().unwrap();
    assert_eq!(head.values_of("X").collect::<Vec<_>>(), [&b"\x80\xff"[..], "\u{e9}".as_bytes()]);
}

/// A request of exactly this many bytes.
fn request_of_len(len: usize) -> Vec<u8> {
    let mut input = b"GET / HTTP/1.1\r\nX: ".to_vec();
    input.resize(len - 4, b'x');
    input.extend_from_slice(b"\r\n\r\n");
    input
}

#[test]
fn server_receives_a_head_at_the_limit_of_bytes() {
    // 6455-10.4-1 6455-10.4-2
    assert_eq!(HeadLimits::default().max_bytes, 32_768);
    let mut input = request_of_len(32_768);
    // What comes behind the blank line does not count.
    input.extend_from_slice(&[0x82; 100_000]);
    assert_eq!(request(&mut reader(), &input).unwrap().unwrap().1, 32_768);
    // Nor does an empty line before.
    let input = [&b"\r\n\r\n"[..], &request_of_len(32_768)].concat();
    assert_eq!(request(&mut reader(), &input).unwrap().unwrap().1, 32_772);
    let input = request_of_len(32_769);
    assert_eq!(request(&mut reader(), &input), Err(HandshakeError::HeadTooLarge));
    // One byte more than the limit is enough to know.
    assert_eq!(request(&mut reader(), &input[..32_768]), Ok(None));
    let mut dripped = reader();
    for len in 0..=32_768 {
        assert_eq!(request(&mut dripped, &input[..len]), Ok(None));
    }
    let error = request(&mut dripped, &input).unwrap_err();
    assert_eq!((error.status(), error), (Some(431), HandshakeError::HeadTooLarge));
}

#[test]
fn server_receives_headers_at_the_limit_of_their_number() {
    // 6455-10.4-1 6455-10.4-2
    assert_eq!(HeadLimits::default().max_headers, 100);
    #[cfg(target_pointer_width = "64")]
    assert_eq!(size_of::<httparse::Header<'_>>(), 32, "the cost that the documentation names");
    let head = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
    let hundred = head(100);
    assert!(at_every_split(request, hundred.as_bytes()).unwrap().is_some());
    let error = at_every_split(request, head(101).as_bytes()).unwrap_err();
    assert_eq!((error.status(), &error), (Some(431), &HandshakeError::TooManyHeaders));
    assert_eq!(Refusal::from(error).body(), "Request Header Fields Too Large\n");
    // The first byte of one header too many is enough to know.
    let early = format!("{}X", &hundred[..hundred.len() - 2]);
    assert_eq!(request(&mut reader(), early.as_bytes()), Err(HandshakeError::TooManyHeaders));
}

#[test]
fn server_receives_heads_under_limits_of_its_own() {
    let mut limits = HeadLimits::default();
    limits.max_headers = 0;
    limits.max_bytes = 18;
    let input = b"GET / HTTP/1.1\r\n\r\n";
    assert!(request(&mut HeadReader::new(limits), input).unwrap().is_some());
    limits.max_bytes = 17;
    assert_eq!(request(&mut HeadReader::new(limits), input), Err(HandshakeError::HeadTooLarge));
    limits.max_bytes = 0;
    assert_eq!(request(&mut HeadReader::new(limits), b""), Ok(None));
    assert_eq!(request(&mut HeadReader::new(limits), input), Err(HandshakeError::HeadTooLarge));
}

#[test]
fn client_receives_a_response_head_in_any_pieces() {
    // 6455-4.1-43 CM-2
    let input = [RESPONSE, b"\x81\x05Hello"].concat();
    let (head, len) = at_every_split(response, &input).unwrap().unwrap();
    assert!(head.starts_with("101 Http11 [(\"Upgrade\", "), "{head}");
    assert_eq!(&input[len..], b"\x81\x05Hello");
}

#[test]
fn client_receives_a_head_and_checks_it() {
    // 6455-4.1-32 6455-4.1-42
    let input = b"HTTP/1.1 101 \r\n\
        Upgrade: websocket\r\n\
        Set-Cookie: a=b\r\n\
        Connection: Upgrade\r\n\
        Set-Cookie: c=\xff\r\n\
        Sec-WebSocket-Accept:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo=  \r\n\r\n";
    let (head, _) = HeadReader::new(HeadLimits::default()).response(input).unwrap().unwrap();
    let request = ClientRequest::new("ws://h").unwrap();
    let key = Key::from_nonce(*b"the sample nonce");
    assert!(request.check(&key, &head.as_response()).is_ok());
    let received = head.to_received(b"");
    assert_eq!(received.values_of("set-cookie").collect::<Vec<_>>(), [&b"a=b"[..], b"c=\xff"]);
    assert_eq!((received.status, received.headers.len(), received.body_prefix.len()), (101, 5, 0));
}

#[test]
fn client_receives_a_response_without_a_reason() {
    for line in ["HTTP/1.1 101 \r\n", "HTTP/1.1 101\r\n", "HTTP/1.1 101 Anything at all\r\n"] {
        let input = format!("{line}\r\n");
        assert_eq!(at_every_split(response, input.as_bytes()).unwrap().unwrap().0, "101 Http11 []");
    }
}

#[test]
fn client_receives_a_refusal_with_its_body() {
    // 6455-4.1-33
    let input = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno\n";
    let (head, len) = HeadReader::new(HeadLimits::default()).response(input).unwrap().unwrap();
    let received = head.to_received(&input[len..]);
    assert_eq!((received.status, received.body_prefix.as_slice()), (401, &b"no\n"[..]));
    assert_eq!(received.values_of("www-authenticate").next(), Some(&b"Basic"[..]));
}

#[test]
fn client_receives_interim_responses_and_skips_them() {
    let input = [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 \r\n\r\n",
        RESPONSE,
        b"\x81\x00",
    ]
    .concat();
    let (head, len) = at_every_split(response, &input).unwrap().unwrap();
    assert!(head.starts_with("101 "), "{head}");
    assert_eq!(&input[len..], b"\x81\x00");
    // A final status is not skipped, nor is an interim one that this client does not know.
    for status in [104, 199, 200] {
        let input = format!("HTTP/1.1 {status} X\r\n\r\nHTTP/1.1 101 X\r\n\r\n");
        assert!(
            at_every_split(response, input.as_bytes()).unwrap().unwrap().0.starts_with(&status.to_string())
        );
    }
    // 6455-10.4-1: all of them together stay below the limit of one head.
    let endless = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1400);
    assert_eq!(response(&mut reader(), &endless), Err(HandshakeError::HeadTooLarge));
}

#[test]
fn client_receives_a_malformed_response() {
    // 6455-4.1-39
    for input in [
        &b"\r\nHTTP/1.1 101 X\r\n\r\n"[..],
        b"HTTP/1.1 101 X\nUpgrade: websocket\n\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n folded\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade : websocket\r\n\r\n",
        b"HTTP/1.1 101 X\0\r\n\r\n",
        b"HTTP/1.1 10 X\r\n\r\n",
        b"HTTP/1.1 1010 X\r\n\r\n",
        b"HTTP/1.1 abc X\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"\x15\x03\x03",
    ] {
        let outcome = at_every_split(response, input);
        let text = String::from_utf8_lossy(input);
        assert!(
            matches!(outcome, Err(HandshakeError::MalformedHead | HandshakeError::ResponseHttpVersion)),
            "{text:?}: {outcome:?}"
        );
    }
    for input in [&b"HTTP/2.0 101 X\r\n\r\n"[..], b"HTTP/1.2 101 X\r\n\r\n", b"ICY 200 OK\r\n\r\n"] {
        assert_eq!(at_every_split(response, input), Err(HandshakeError::ResponseHttpVersion));
    }
    let head = format!("HTTP/1.1 101 X\r\n{}\r\n", "X: y\r\n".repeat(101));
    assert_eq!(at_every_split(response, head.as_bytes()), Err(HandshakeError::TooManyHeaders));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_alike_in_all_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        near in "(GET|POST|HTTP/1\\.1|HTTP/1\\.0| |/|\\*|101|100|200|\r\n|\r\n\r\n|\r|\n|Host|:|x|\t|,){0,24}",
    ) {
        // 6455-10.7-1 6455-8.1-3
        for input in [&bytes, near.as_bytes(), &[near.as_bytes(), &bytes].concat()] {
            let _ = at_every_split(request, input);
            let _ = at_every_split(response, input);
        }
    }

    #[test]
    fn a_reader_that_is_given_another_buffer_does_not_panic(
        first in proptest::collection::vec(any::<u8>(), 0..60),
        second in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut reader = reader();
        for input in [REQUEST, RESPONSE, &first, &second, b""] {
            let _ = request(&mut reader, input);
            let _ = response(&mut reader, input);
        }
    }
}
