//! Which pages a server lets connect: RFC 6455 §10.2.

#[path = "support/handshake.rs"]
mod support;

use sansocket::handshake::{HandshakeError, InvalidOrigin, Origin, OriginPolicy, ServerOptions};
use support::{REQUEST, receive, request_with};

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
