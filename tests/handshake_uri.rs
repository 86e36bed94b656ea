//! WebSocket URIs: RFC 6455 §3, §11.1.

use proptest::prelude::*;
use sansocket::handshake::{ClientRequest, InvalidUri, Key};

fn request(uri: &str) -> ClientRequest {
    ClientRequest::new(uri).unwrap_or_else(|error| panic!("{uri}: {error}"))
}

#[test]
fn client_receives_a_uri_and_splits_it() {
    // 6455-3-1 6455-3-2 6455-3-3 6455-4.1-20
    let table = [
        // uri, secure, host, port, authority, resource
        ("ws://h", false, "h", 80, "h", "/"),
        ("ws://h/", false, "h", 80, "h", "/"),
        ("WSS://h/", true, "h", 443, "h", "/"),
        ("wSs://Server.Example/Chat", true, "Server.Example", 443, "Server.Example", "/Chat"),
        ("ws://h:80/", false, "h", 80, "h", "/"),
        ("wss://h:80/", true, "h", 80, "h:80", "/"),
        ("wss://h:443", true, "h", 443, "h", "/"),
        ("ws://h:443", false, "h", 443, "h:443", "/"),
        ("ws://h:8080/x", false, "h", 8080, "h:8080", "/x"),
        ("ws://h:1", false, "h", 1, "h:1", "/"),
        ("ws://h:65535", false, "h", 65535, "h:65535", "/"),
        ("ws://h:/x", false, "h", 80, "h", "/x"),
        ("ws://127.0.0.1:9001/", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/"),
        ("ws://[::1]:9001/", false, "::1", 9001, "[::1]:9001", "/"),
        ("wss://[2001:db8::1]", true, "2001:db8::1", 443, "[2001:db8::1]", "/"),
        ("ws://h?a=1", false, "h", 80, "h", "/?a=1"),
        ("ws://h/p?a=1&b=/?", false, "h", 80, "h", "/p?a=1&b=/?"),
        ("ws://h/p?", false, "h", 80, "h", "/p"),
        ("ws://h?", false, "h", 80, "h", "/"),
        ("ws://h/p??", false, "h", 80, "h", "/p??"),
        ("ws://h//a/../b;c=1,@:!$&'()*+", false, "h", 80, "h", "//a/../b;c=1,@:!$&'()*+"),
        ("ws://my_host-1.example./~x", false, "my_host-1.example.", 80, "my_host-1.example.", "/~x"),
    ];
    for (uri, secure, host, port, authority, resource) in table {
        let request = request(uri);
        assert_eq!(
            (request.secure(), request.host(), request.port(), request.authority(), request.resource()),
            (secure, host, port, authority, resource),
            "{uri}"
        );
    }
}

#[test]
fn client_receives_a_uri_with_percent_encoding_and_keeps_it() {
    // 6455-3-5: `%23` is never decoded.
    assert_eq!(request("ws://h/a%23b%2f?c=%20").resource(), "/a%23b%2f?c=%20");
}

#[test]
fn client_receives_a_path_that_is_not_ascii_and_encodes_it() {
    // 6455-11.1-1
    assert_eq!(request("ws://h/\u{e9}?\u{20ac}=\u{1f600}").resource(), "/%C3%A9?%E2%82%AC=%F0%9F%98%80");
}

#[test]
fn client_receives_what_is_no_websocket_uri() {
    // 6455-3-1 6455-3-2 6455-3-4 6455-3-6 6455-4.1-2 6455-11.1-1 WS-16
    use InvalidUri::{Character, Fragment, Host, NonAsciiHost, Port, Scheme, Userinfo};
    let table = [
        ("", Scheme),
        ("h", Scheme),
        ("ws:", Scheme),
        ("ws:/h", Scheme),
        ("://h", Scheme),
        ("ftp://h/", Scheme),
        ("http://h/", Scheme),
        ("https://h/", Scheme),
        ("wsx://h/", Scheme),
        (" ws://h/", Scheme),
        ("ws://", Host),
        ("ws:///path", Host),
        ("ws://:80/", Host),
        ("ws://?q", Host),
        ("ws://a b/", Host),
        ("ws://a\r\nX: y/", Host),
        ("ws://a\\b/", Host),
        ("ws://a%41/", Host),
        ("ws://a,b/", Host),
        ("ws://[::1/", Host),
        ("ws://::1/", Host),
        ("ws://[::1]x/", Host),
        ("ws://[]/", Host),
        ("ws://[127.0.0.1]/", Host),
        ("ws://[fe80::1%25eth0]/", Host),
        ("ws://\u{e9}.example/", NonAsciiHost),
        ("ws://h:0/", Port),
        ("ws://h:65536/", Port),
        ("ws://h:99999999999/", Port),
        ("ws://h:+80/", Port),
        ("ws://h:80:80/", Port),
        ("ws://h:\u{661}/", Port),
        ("ws://h/p#x", Fragment),
        ("ws://h#", Fragment),
        ("ws://u:p@h/", Userinfo),
        ("ws://u@h/", Userinfo),
        ("ws://h/a b", Character),
        ("ws://h/a\r\nX: y", Character),
        ("ws://h/a\nb", Character),
        ("ws://h/\0", Character),
        ("ws://h/\x7f", Character),
        ("ws://h/?q=\t", Character),
        ("ws://h/a\"b", Character),
        ("ws://h/<>", Character),
        ("ws://h/%", Character),
        ("ws://h/%2", Character),
        ("ws://h/%zz", Character),
        ("ws://h/%\u{e9}", Character),
    ];
    for (uri, error) in table {
        assert_eq!(ClientRequest::new(uri), Err(error), "{uri:?}");
    }
}

proptest! {
    #[test]
    fn client_receives_any_uri_without_a_panic(
        text in ".{0,40}",
        tail in "[a-z0-9:/?#@%. \\[\\]\\r\\n\u{e9}]{0,30}",
    ) {
        // 6455-4.1-2 CM-13
        let key = Key::from_nonce([0; 16]);
        for uri in [text.clone(), format!("ws://{text}"), format!("wss://{tail}"), format!("ws://h/{tail}")] {
            let Ok(request) = ClientRequest::new(&uri) else { continue };
            let bytes = request.encode(&key);
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut headers);
            prop_assert_eq!(parsed.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
            prop_assert_eq!(parsed.path, Some(request.resource()));
            prop_assert_eq!(parsed.headers.len(), 5);
            prop_assert!(request.resource().bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
