//! What `{:?}` prints: where things stand, and nothing that a peer or an application would not want in a log.

mod support;

use sansocket::connection::KeySource;
use sansocket::frame::MaskingKey;
use sansocket::handshake::{ClientRequest, Key, Origin, Refusal, ServerOptions, accept_value};
use sansocket::{CloseCode, Config, Limits};
#[cfg(feature = "deflate")]
use support::drain;
use support::{BOTH_ROLES, connection, from_peer};

/// In each message of these tests: as text, and as a list of octets.
const SECRET: &str = "secret";
const OCTETS: &str = "115, 101, 99";

fn hides_the_secret(printed: &str) {
    assert!(!printed.contains(SECRET) && !printed.contains(OCTETS), "{printed}");
}

#[test]
fn both_print_no_payload_of_an_unfinished_message() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let mut fragment = from_peer(role, b"\x01\x06secret");
        assert_eq!(connection.receive(&mut fragment).unwrap().event, None);
        let printed = format!("{connection:?}");
        hides_the_secret(&printed);
        assert!(printed.contains("Assembly { kind: Text, len: 6, .. }"), "{printed}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn both_print_no_payload_of_what_is_compressed() {
    use sansocket::deflate::{Agreement, DeflateConfig};
    for role in BOTH_ROLES {
        let agreement = Agreement::new(DeflateConfig::default());
        let mut near = connection(role, &Config::default()).with_deflate(&agreement);
        let far = if role == BOTH_ROLES[0] { BOTH_ROLES[1] } else { BOTH_ROLES[0] };
        let mut far = connection(far, &Config::default()).with_deflate(&agreement);
        let message = SECRET.repeat(100);
        far.send(message.as_str()).unwrap();
        let mut octets = drain(&mut far);
        assert!(octets[0] & 0x40 != 0, "compressed");
        assert!(near.receive(&mut octets).unwrap().event.is_some());
        near.send(message.as_str()).unwrap();
        for connection in [&near, &far] {
            let printed = format!("{connection:?}");
            hides_the_secret(&printed);
            assert!(printed.contains("Window { len: 600, size: "), "{printed}");
        }
    }
}

#[test]
fn headers_are_printed_without_their_values() {
    let client = ClientRequest::new("ws://example.com/").unwrap().header("Cookie", SECRET).unwrap();
    let server = ServerOptions::new().header("X-Token", SECRET).unwrap();
    let refusal = Refusal::new(401).header("WWW-Authenticate", SECRET).unwrap();
    for (printed, name) in [
        (format!("{client:?}"), "Cookie"),
        (format!("{server:?}"), "X-Token"),
        (format!("{refusal:?}"), "WWW-Authenticate"),
    ] {
        hides_the_secret(&printed);
        assert!(printed.contains(name), "{printed}");
    }
}

#[test]
fn keys_are_printed_as_they_are_sent_and_masking_keys_never() {
    let key = Key::from_nonce(*b"the sample nonce");
    assert_eq!(format!("{key:?}"), "Key(\"dGhlIHNhbXBsZSBub25jZQ==\")");
    let accept = accept_value(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(format!("{accept:?}"), "AcceptValue(\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\")");
    assert_eq!(format!("{:?}", KeySource::injected(|| MaskingKey::new([7; 4]))), "KeySource::injected");
    #[cfg(feature = "std")]
    assert_eq!(format!("{:?}", KeySource::operating_system()), "KeySource::operating_system");
}

#[test]
fn small_values_are_printed_as_what_they_are() {
    assert_eq!(format!("{0:?} {0}", CloseCode::NORMAL), "CloseCode(1000) 1000");
    assert_eq!(Origin::new("https://a.example").unwrap().to_string(), "https://a.example");
    assert_eq!(
        format!("{:?}", Limits::default()),
        format!("{:?}", Limits::default().max_message_len(16 << 20))
    );
}
