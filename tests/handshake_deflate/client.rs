//! The client offers, and checks the answer.

use super::{check, direction, key, offer, request, unlimited};
use sansocket::deflate::{DeflateConfig, Direction};
use sansocket::handshake::{ClientRequest, HandshakeError, Negotiated};

const DEFAULT_OFFER: &str = "permessage-deflate; server_max_window_bits=12; client_max_window_bits, \
    permessage-deflate; client_max_window_bits";

/// What the client takes the answer to mean: for the server, and for itself.
fn client_receives(
    line: &str,
    config: DeflateConfig,
) -> Result<Option<(Direction, Direction)>, HandshakeError> {
    check(&request(config), &[line]).map(|negotiated| {
        negotiated.deflate().map(|agreement| {
            assert_eq!(agreement.config(), config);
            (agreement.server(), agreement.client())
        })
    })
}

#[test]
fn client_sends_the_offer_behind_the_subprotocols() {
    // 7692-5-1 7692-9-1 6455-9.1-4 6455-9.1-5
    let request = ClientRequest::new("ws://server.example.com/chat")
        .unwrap()
        .deflate(DeflateConfig::default())
        .subprotocols(["chat"])
        .unwrap()
        .origin("http://example.com")
        .unwrap();
    assert_eq!(
        String::from_utf8(request.encode(&key())).unwrap(),
        format!(
            "GET /chat HTTP/1.1\r\n\
             Host: server.example.com\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat\r\n\
             Sec-WebSocket-Extensions: {DEFAULT_OFFER}\r\n\
             Origin: http://example.com\r\n\r\n"
        )
    );
}

#[test]
fn client_offers_what_it_wants_and_then_what_any_server_knows() {
    // 7692-5-1 7692-5-13 7692-7.1.1.1-1 7692-7.1.1.2-1 7692-7.1.2.1-1 7692-7.1.2.2-1
    let plain = "permessage-deflate; client_max_window_bits";
    let narrow = DeflateConfig::default().receive_window_bits(9);
    let without = unlimited().send_context_takeover(false).receive_context_takeover(false);
    let all =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";
    let table = [
        (DeflateConfig::default(), DEFAULT_OFFER.to_owned()),
        (unlimited(), plain.to_owned()),
        // Its own window needs no word.
        (unlimited().send_window_bits(9), plain.to_owned()),
        (narrow, format!("permessage-deflate; server_max_window_bits=9; client_max_window_bits, {plain}")),
        (without, format!("{all}, {plain}")),
        (without.fallback_offer(false), all.to_owned()),
        (
            unlimited().receive_context_takeover(false).fallback_offer(false),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits".to_owned(),
        ),
        (
            unlimited().send_context_takeover(false).fallback_offer(false),
            "permessage-deflate; client_no_context_takeover; client_max_window_bits".to_owned(),
        ),
    ];
    for (config, expected) in table {
        assert_eq!(offer(config), expected);
    }
}

#[test]
fn client_receives_an_answer_to_one_of_its_offers() {
    // 7692-5-13 7692-7-9 7692-7-10 CM-60
    let unlimited = Direction::UNLIMITED;
    let table = [
        ("permessage-deflate", unlimited, unlimited),
        ("permessage-deflate; server_max_window_bits=12", direction(12, true), unlimited),
        // 7692-7.1.1.1-2 7692-7.1.1.1-6
        ("permessage-deflate; server_no_context_takeover", direction(15, false), unlimited),
        // 7692-7.1.1.2-3 7692-7.1.1.2-5
        ("permessage-deflate; client_no_context_takeover", unlimited, direction(15, false)),
        // 7692-7.1.2.1-6 7692-7.1.2.1-7
        ("permessage-deflate; server_max_window_bits=8", direction(8, true), unlimited),
        ("permessage-deflate; server_max_window_bits=15", unlimited, unlimited),
        ("permessage-deflate;server_max_window_bits=\"9\"", direction(9, true), unlimited),
        // 7692-7.1.2.2-4
        ("permessage-deflate; client_max_window_bits=15", unlimited, unlimited),
        ("permessage-deflate; client_max_window_bits=9", unlimited, direction(9, true)),
        // 7692-7.1.2-1 CM-66: then it sends nothing compressed.
        ("permessage-deflate; client_max_window_bits=8", unlimited, direction(8, true)),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=11",
            direction(10, false),
            direction(11, false),
        ),
        (" ,, permessage-deflate ; client_max_window_bits = 13 ,", unlimited, direction(13, true)),
    ];
    for (line, server, client) in table {
        assert_eq!(client_receives(line, DeflateConfig::default()), Ok(Some((server, client))), "{line}");
    }
}

#[test]
fn client_receives_no_extension_and_goes_without() {
    // 7692-5-9
    for line in ["", " , "] {
        let negotiated = check(&request(DeflateConfig::default()), &[line]).unwrap();
        assert_eq!(negotiated, Negotiated::default());
        assert_eq!(negotiated.deflate(), None);
    }
}

#[test]
fn client_keeps_to_its_hint_whether_or_not_the_server_repeats_it() {
    // 7692-7.1.1.2-2 7692-7.1.1.2-4
    let config = DeflateConfig::default().send_context_takeover(false);
    for line in ["permessage-deflate", "permessage-deflate; client_no_context_takeover"] {
        let expected = (Direction::UNLIMITED, direction(15, false));
        assert_eq!(client_receives(line, config), Ok(Some(expected)));
    }
}

#[test]
fn client_receives_an_answer_that_is_not_what_it_asked_for() {
    let strict = DeflateConfig::default().fallback_offer(false);
    let table = [
        // 7692-7.1.2.1-4
        (strict, "permessage-deflate"),
        (strict, "permessage-deflate; server_max_window_bits=13"),
        (strict, "permessage-deflate; client_max_window_bits=12"),
        // 7692-7.1.1.1-4
        (unlimited().receive_context_takeover(false).fallback_offer(false), "permessage-deflate"),
        (
            unlimited().receive_context_takeover(false).fallback_offer(false),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
        ),
    ];
    for (config, line) in table {
        assert_eq!(client_receives(line, config), Err(HandshakeError::ExtensionParameters), "{line}");
        // 7692-5-13: the last offer asks for nothing.
        assert!(client_receives(line, config.fallback_offer(true)).is_ok());
    }
    let wanted = "permessage-deflate; server_max_window_bits=11";
    let expected = (direction(11, true), Direction::UNLIMITED);
    assert_eq!(client_receives(wanted, strict), Ok(Some(expected)));
}

#[test]
fn client_receives_an_answer_that_is_wrong() {
    use HandshakeError as E;
    let table = [
        // 7692-7-5
        ("permessage-deflate; foo", E::ExtensionParameters),
        ("permessage-deflate; Server_no_context_takeover", E::ExtensionParameters),
        // 7692-7-6 7692-7.1.2.1-2 7692-7.1.2.2-2
        ("permessage-deflate; server_no_context_takeover=1", E::ExtensionParameters),
        ("permessage-deflate; client_no_context_takeover=1", E::ExtensionParameters),
        ("permessage-deflate; server_max_window_bits", E::ExtensionParameters),
        ("permessage-deflate; server_max_window_bits=7", E::ExtensionParameters),
        ("permessage-deflate; server_max_window_bits=16", E::ExtensionParameters),
        ("permessage-deflate; server_max_window_bits=08", E::ExtensionParameters),
        ("permessage-deflate; client_max_window_bits=7", E::ExtensionParameters),
        ("permessage-deflate; client_max_window_bits=16", E::ExtensionParameters),
        ("permessage-deflate; client_max_window_bits=08", E::ExtensionParameters),
        // 7692-7.1.2.2-8 7692-7-8
        ("permessage-deflate; client_max_window_bits", E::ExtensionParameters),
        // 7692-7-7
        (
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            E::ExtensionParameters,
        ),
        (
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            E::ExtensionParameters,
        ),
        ("permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", E::ExtensionParameters),
        ("permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", E::ExtensionParameters),
        // 7692-5-5 7692-5-7 6455-9.1-10
        ("permessage-deflate, permessage-deflate", E::DuplicateExtension),
        ("permessage-deflate; foo, permessage-deflate, permessage-deflate", E::DuplicateExtension),
        ("permessage-deflate, x-foo", E::ExtensionNotOffered),
        ("x-foo, permessage-deflate", E::ExtensionNotOffered),
        ("permessage-deflate, x-webkit-deflate-frame, permessage-deflate", E::ExtensionNotOffered),
        // 7692-5-10
        ("permessage-bzip2", E::ExtensionNotOffered),
        ("Permessage-Deflate", E::ExtensionNotOffered),
        // 7692-5-12
        ("permessage-deflate; =1", E::Extensions),
        ("permessage-deflate;;", E::Extensions),
        ("permessage-deflate; client_max_window_bits=\"\"", E::Extensions),
    ];
    for (line, error) in table {
        assert_eq!(client_receives(line, DeflateConfig::default()), Err(error.clone()), "{line}");
        assert!(matches!((&error, error.status()), (E::Extensions, _) | (_, None)));
    }
    // Two lines are one list: 6455-11.3.2-1
    let twice = ["permessage-deflate", "permessage-deflate"];
    assert_eq!(check(&request(DeflateConfig::default()), &twice), Err(E::DuplicateExtension));
    // 7692-5-10: nothing was offered.
    let plain = ClientRequest::new("ws://server.example.com/chat").unwrap();
    assert_eq!(check(&plain, &["permessage-deflate"]), Err(E::ExtensionNotOffered));
    assert_eq!(check(&plain, &twice), Err(E::ExtensionNotOffered));
}
