//! The server chooses an offer and answers it.

use super::support::{REQUEST, receive};
use super::{direction, sent, server_receives, unlimited};
use sansocket::deflate::{Agreement, DeflateConfig, Direction};
use sansocket::handshake::{HandshakeError, Negotiated, ServerOptions};

/// The header that the server sends, and what it takes it to mean: for itself, and for the client.
fn answer(lines: &[&str], config: DeflateConfig) -> Option<(String, Direction, Direction)> {
    let acceptance = server_receives(lines, config).expect("the request is right");
    let agreement = acceptance.deflate().copied();
    assert_eq!(acceptance.negotiated().deflate().copied(), agreement);
    sent(&acceptance).zip(agreement).map(|(sent, agreement)| {
        assert_eq!(agreement.config(), config);
        (sent, agreement.server(), agreement.client())
    })
}

fn answered(line: &str, config: DeflateConfig) -> Option<String> {
    answer(&[line], config).map(|(sent, ..)| sent)
}

#[test]
fn server_sends_the_101_with_what_it_agreed_to() {
    // 7692-5-3 6455-9-2 6455-9.1-5
    let options = ServerOptions::new()
        .subprotocols(["chat"])
        .unwrap()
        .header("Server", "x")
        .unwrap()
        .deflate(unlimited());
    let mut headers = REQUEST.to_vec();
    headers.push(("Sec-WebSocket-Protocol", b"chat"));
    headers.push((
        "Sec-WebSocket-Extensions",
        b"permessage-deflate; client_max_window_bits=10; server_no_context_takeover; server_max_window_bits=\"11\"",
    ));
    let mut acceptance = receive(&headers, &options).unwrap();
    assert_eq!(
        String::from_utf8(acceptance.to_bytes()).unwrap(),
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Sec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; server_max_window_bits=11; \
         client_max_window_bits=10\r\n\
         Server: x\r\n\r\n"
    );
    assert_eq!(acceptance.negotiated().subprotocol(), Some("chat"));
    let expected =
        Agreement::new(unlimited()).with_server(direction(11, false)).with_client(direction(10, true));
    assert_eq!(acceptance.negotiated().deflate(), Some(&expected));

    // 7692-8-1 7692-5-8: an application can do without, for this connection.
    acceptance.decline_deflate();
    assert_eq!((acceptance.deflate(), sent(&acceptance)), (None, None));
    assert_eq!(acceptance.negotiated().deflate(), None);
}

#[test]
fn server_receives_what_browsers_offer() {
    // WS-1 7692-7.1.2.2-1 7692-7.1.2.2-9 7692-7.1.2.2-11 7692-7.1.1.2-7
    let chrome = "permessage-deflate; client_max_window_bits";
    let firefox = "permessage-deflate";
    let config = DeflateConfig::default();
    let narrow = String::from("permessage-deflate; client_max_window_bits=12");
    let plain = || String::from("permessage-deflate");
    assert_eq!(answer(&[chrome], config), Some((narrow, Direction::UNLIMITED, direction(12, true))));
    assert_eq!(answer(&[chrome], unlimited()), Some((plain(), Direction::UNLIMITED, Direction::UNLIMITED)));
    for config in [config, unlimited(), config.receive_window_bits(9)] {
        assert_eq!(answer(&[firefox], config), Some((plain(), Direction::UNLIMITED, Direction::UNLIMITED)));
    }
}

#[test]
fn server_receives_what_the_autobahn_suite_offers() {
    // 7692-5-1 7692-5-2 7692-7.1.1.1-5
    let table = [
        (
            "permessage-deflate; client_no_context_takeover; client_max_window_bits; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_no_context_takeover; client_max_window_bits; server_no_context_takeover; \
             server_max_window_bits=9, permessage-deflate; server_no_context_takeover; client_max_window_bits, \
             permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
        ),
    ];
    for (offer, expected) in table {
        assert_eq!(answered(offer, unlimited()).as_deref(), Some(expected));
    }
}

#[test]
fn server_accepts_the_first_offer_that_it_can() {
    // 7692-5-2 7692-5-4 7692-5-6 7692-7-1 7692-7-2 7692-7-3 7692-7-4 7692-7.1.2.1-5 7692-7.1.2-1 CM-66
    // 6455-9.1-4 6455-9.1-7 6455-9.1-9
    let table: &[(&[&str], Option<&str>)] = &[
        (&["permessage-deflate; server_max_window_bits=8, permessage-deflate"], Some("permessage-deflate")),
        (
            &["permessage-deflate; server_max_window_bits=10, permessage-deflate"],
            Some("permessage-deflate; server_max_window_bits=10"),
        ),
        (&["permessage-deflate, permessage-deflate; server_max_window_bits=10"], Some("permessage-deflate")),
        (&["permessage-deflate; foo", "permessage-deflate"], Some("permessage-deflate")),
        (&["x-foo, permessage-deflate", "x-webkit-deflate-frame"], Some("permessage-deflate")),
        (
            &["", ", permessage-deflate;server_max_window_bits=\"8\" ,,", " permessage-deflate\t"],
            Some("permessage-deflate"),
        ),
        (&["permessage-deflate; server_max_window_bits=8"], None),
        (&["permessage-deflate; foo, permessage-deflate; server_no_context_takeover=1"], None),
        (&["x-foo; server_max_window_bits=10"], None),
        (&["Permessage-Deflate", "PERMESSAGE-DEFLATE", "permessage-bzip2", "permessage-deflate2"], None),
        (&[""], None),
        (&[], None),
    ];
    for (lines, expected) in table {
        assert_eq!(answer(lines, unlimited()).map(|(sent, ..)| sent).as_deref(), *expected, "{lines:?}");
    }
}

#[test]
fn server_declines_an_offer_with_a_wrong_parameter() {
    // 7692-5-8 7692-7-1 7692-7-2 7692-7-3 7692-7-10 7692-7.1.1.1-1 7692-7.1.2.1-2 7692-7.1.2.2-2
    let names = ["server_max_window_bits", "client_max_window_bits"];
    let values = [
        "0",
        "1",
        "7",
        "16",
        "17",
        "08",
        "015",
        "+9",
        "-9",
        "9.0",
        "0x9",
        "\"7\"",
        "99999999999",
        "4294967305",
        "x",
    ];
    let mut wrong: Vec<String> =
        names.iter().flat_map(|name| values.iter().map(move |value| format!("{name}={value}"))).collect();
    for flag in ["server_no_context_takeover", "client_no_context_takeover"] {
        wrong.extend([format!("{flag}=1"), format!("{flag}=\"8\""), format!("{flag}; {flag}")]);
    }
    wrong.extend(names.iter().map(|name| format!("{name}=10; {name}=10")));
    for more in [
        "server_max_window_bits",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "foo",
        "Client_max_window_bits",
        "permessage-deflate",
    ] {
        wrong.push(more.to_owned());
    }
    for wrong in wrong {
        let line = format!("permessage-deflate; {wrong}");
        let acceptance = server_receives(&[&line], DeflateConfig::default()).expect(&line);
        assert_eq!(sent(&acceptance), None, "{line}");
        assert_eq!(acceptance.negotiated(), Negotiated::default());
        // The next one still counts.
        let line = format!("{line}, permessage-deflate");
        assert_eq!(answered(&line, unlimited()).as_deref(), Some("permessage-deflate"), "{line}");
    }
}

#[test]
fn server_refuses_a_request_whose_offers_break_the_grammar() {
    // 7692-5-12 6455-9.1-1
    for line in [
        "permessage-deflate; =1",
        "permessage-deflate;;",
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"1",
        "permessage-deflate; server_max_window_bits=9 9",
        "permessage-deflate client_max_window_bits",
    ] {
        for lines in [&[line][..], &["permessage-deflate", line], &[line, "permessage-deflate"]] {
            assert_eq!(server_receives(lines, DeflateConfig::default()), Err(HandshakeError::Extensions));
        }
    }
    assert_eq!(HandshakeError::Extensions.status(), Some(400));
}

#[test]
fn server_says_nothing_that_was_not_asked() {
    // 7692-7.1.2.2-5 6455-9-1
    let narrow = DeflateConfig::default()
        .send_window_bits(9)
        .receive_window_bits(9)
        .send_context_takeover(false)
        .receive_context_takeover(false);
    let expected = (String::from("permessage-deflate"), Direction::UNLIMITED, Direction::UNLIMITED);
    assert_eq!(answer(&["permessage-deflate"], narrow), Some(expected));
    // 7692-7.1.1.2-3: unless it is told to, and then only what every client has to support.
    let (sent, server, client) = answer(&["permessage-deflate"], narrow.answer_unasked(true)).unwrap();
    assert_eq!(sent, "permessage-deflate; client_no_context_takeover");
    assert_eq!((server, client), (Direction::UNLIMITED, direction(15, false)));
    // And nothing at all to a client that offers nothing.
    assert_eq!(answer(&[], narrow.answer_unasked(true)), None);
}

#[test]
fn server_tells_the_directions_apart() {
    // 7692-7-9 7692-7.1.1.1-3 7692-7.1.2.1-3 CM-60
    let table = [
        ("server_no_context_takeover", direction(15, false), Direction::UNLIMITED),
        ("client_no_context_takeover", Direction::UNLIMITED, direction(15, false)),
        ("server_max_window_bits=9", direction(9, true), Direction::UNLIMITED),
        ("client_max_window_bits=8", Direction::UNLIMITED, direction(8, true)),
        ("server_max_window_bits=10; client_max_window_bits=13", direction(10, true), direction(13, true)),
    ];
    for (parameters, server, client) in table {
        let element = format!("permessage-deflate; {parameters}");
        assert_eq!(answer(&[&element], unlimited()), Some((element, server, client)));
    }
}
