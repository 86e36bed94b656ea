//! What a client and a server of this crate agree on, and what neither of them can be made to do.

use super::support::{receive, request_with};
use super::{check, direction, key, offer, request, sent, server_receives, unlimited};
use proptest::prelude::*;
use sansocket::deflate::{Agreement, DeflateConfig, Direction};
use sansocket::handshake::{Negotiated, Response, ServerOptions, Version};

/// What the two of them say to each other, and what each takes it to mean.
fn between(client: DeflateConfig, server: DeflateConfig) -> (Option<String>, Negotiated, Negotiated) {
    let acceptance = server_receives(&[&offer(client)], server).expect("the request is right");
    let sent = sent(&acceptance);
    let lines: Vec<&str> = sent.as_deref().into_iter().collect();
    let client = check(&request(client), &lines).expect("the response is right");
    (sent, client, acceptance.negotiated())
}

#[test]
fn client_and_server_agree_on_the_same() {
    // 7692-5-11 7692-5-13 7692-7-9 CM-60
    let narrow = DeflateConfig::default().send_window_bits(9).receive_window_bits(10);
    let default = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
    let table = [
        (
            DeflateConfig::default(),
            DeflateConfig::default(),
            default,
            direction(12, true),
            direction(12, true),
        ),
        (unlimited(), unlimited(), "permessage-deflate", Direction::UNLIMITED, Direction::UNLIMITED),
        (
            unlimited(),
            narrow,
            "permessage-deflate; client_max_window_bits=10",
            Direction::UNLIMITED,
            direction(10, true),
        ),
        (
            narrow,
            unlimited(),
            "permessage-deflate; server_max_window_bits=10",
            direction(10, true),
            Direction::UNLIMITED,
        ),
        (
            narrow.send_context_takeover(false),
            narrow.receive_window_bits(11),
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=11",
            direction(9, true),
            direction(11, false),
        ),
        (
            unlimited().receive_context_takeover(false),
            unlimited().receive_context_takeover(false).answer_unasked(true),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            direction(15, false),
            direction(15, false),
        ),
    ];
    for (client, server, expected, server_keeps_to, client_keeps_to) in table {
        let (sent, at_client, at_server) = between(client, server);
        assert_eq!(sent.as_deref(), Some(expected));
        let agreement =
            |config| Some(Agreement::new(config).with_server(server_keeps_to).with_client(client_keeps_to));
        assert_eq!(at_client.deflate(), agreement(client).as_ref());
        assert_eq!(at_server.deflate(), agreement(server).as_ref());
    }
}

#[test]
fn what_was_negotiated_is_a_plain_value() {
    let (_, negotiated, _) = between(unlimited(), unlimited());
    assert_eq!(negotiated.clone(), negotiated);
    assert_ne!(negotiated, Negotiated::default());
    assert_eq!(Negotiated::default().deflate(), None);
    assert_ne!(ServerOptions::new(), ServerOptions::new().deflate(unlimited()));
    assert_ne!(request(unlimited()), request(DeflateConfig::default()));
}

#[cfg(feature = "http")]
#[test]
fn both_carry_the_extension_in_http_messages() {
    // 7692-5-3
    let sent = request(unlimited()).to_http_request(&key()).unwrap();
    assert_eq!(sent.headers()["sec-websocket-extensions"], "permessage-deflate; client_max_window_bits");
    let acceptance = server_receives(&[&offer(unlimited())], DeflateConfig::default()).unwrap();
    let received = acceptance.into_response();
    let answer = "permessage-deflate; client_max_window_bits=12";
    assert_eq!(received.headers()["sec-websocket-extensions"], answer);
    let negotiated = request(unlimited()).check(&key(), &Response::from(&received)).unwrap();
    assert_eq!(negotiated.deflate().map(Agreement::client), Some(direction(12, true)));
}

/// The largest window to receive, and the whole configuration.
fn config() -> impl Strategy<Value = (u8, DeflateConfig)> {
    (9..=15_u8, 9..=15_u8, any::<[bool; 4]>()).prop_map(
        |(send, receive, [sent, received, unasked, fallback])| {
            let config = DeflateConfig::default()
                .send_window_bits(send)
                .receive_window_bits(receive)
                .send_context_takeover(sent)
                .receive_context_takeover(received)
                .answer_unasked(unasked)
                .fallback_offer(fallback);
            (receive, config)
        },
    )
}

/// Something like an element, right more often than not.
fn element() -> impl Strategy<Value = String> {
    let parameter = prop_oneof![
        Just("server_no_context_takeover".to_owned()),
        Just("client_no_context_takeover".to_owned()),
        Just("client_max_window_bits".to_owned()),
        (7..=16_u8).prop_map(|bits| format!("server_max_window_bits={bits}")),
        (7..=16_u8).prop_map(|bits| format!("client_max_window_bits=\"{bits}\"")),
        "[a-z_]{1,4}(=[0-9]{1,3})?",
    ];
    ("permessage-deflate|x-foo", proptest::collection::vec(parameter, 0..5))
        .prop_map(|(name, parameters)| [vec![name], parameters].concat().join("; "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    // 7692-5-11 7692-7-8
    #[test]
    fn client_accepts_what_any_server_answers_and_means_the_same(
        (at_most_from_server, client) in config(),
        (at_most_from_client, server) in config(),
    ) {
        let (sent, at_client, at_server) = between(client, server);
        let (at_client, at_server) = (at_client.deflate().unwrap(), at_server.deflate().unwrap());
        prop_assert_eq!(at_client.server(), at_server.server(), "{:?}", sent);
        prop_assert_eq!(at_client.client(), at_server.client(), "{:?}", sent);
        // Each is granted what it asked for.
        prop_assert!(at_client.server().max_window_bits <= at_most_from_server);
        prop_assert!(at_client.client().max_window_bits <= at_most_from_client);
    }

    // 6455-10.7-1
    #[test]
    fn both_receive_any_octets_without_a_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..64),
        elements in proptest::collection::vec(element(), 0..4),
        (_, client) in config(),
        (_, server) in config(),
    ) {
        let near = elements.join(", ");
        let lines: [&[u8]; 2] = [near.as_bytes(), &octets];
        for lines in [&lines[..], &lines[..1], &lines[1..]] {
            let headers = request_with("Sec-WebSocket-Extensions", lines);
            let _ = receive(&headers, &ServerOptions::new().deflate(server));
            let mut headers = vec![
                ("Upgrade", &b"websocket"[..]),
                ("Connection", b"Upgrade"),
                ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ];
            headers.extend(lines.iter().map(|line| ("Sec-WebSocket-Extensions", *line)));
            let response = Response { status: 101, version: Version::Http11, headers: &headers };
            let _ = request(client).check(&key(), &response);
        }
    }
}
