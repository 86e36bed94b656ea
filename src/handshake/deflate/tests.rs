use super::*;
use proptest::prelude::*;

/// One element as a header names it.
fn parse(element: &str) -> Option<Parameters> {
    let extensions = Extension::list([element.as_bytes()].into_iter()).expect("the grammar is right");
    let [extension] = &extensions[..] else { panic!("one element: {element}") };
    assert_eq!(extension.name(), NAME);
    Parameters::parse(extension)
}

fn config() -> DeflateConfig {
    DeflateConfig::default().send_window_bits(15).receive_window_bits(15)
}

/// The answer to an offer, as a header names it.
fn answer(offer: &str, config: DeflateConfig) -> Option<String> {
    parse(offer)?.answer(&config).map(|answer| answer.to_string())
}

fn fits(answer: &str, offer: &str) -> bool {
    parse(answer).is_some_and(|answer| answer.fits(&parse(offer).expect("the offer is right")))
}

#[test]
fn window_is_a_decimal_number_from_8_to_15() {
    // 7692-7.1.2.1-2 7692-7.1.2.2-2
    for bits in 8..=15_u8 {
        assert_eq!(window_bits(&bits.to_string()), Some(bits));
    }
    for value in [
        "",
        "0",
        "1",
        "7",
        "16",
        "17",
        "19",
        "20",
        "80",
        "08",
        "015",
        "+9",
        "-9",
        "9.0",
        "0x9",
        "9 ",
        " 9",
        "9 9",
        "1:",
        "1/",
        "99999999999",
        "ten",
        "\u{0669}",
        "\u{ff19}",
    ] {
        assert_eq!(window_bits(value), None, "{value:?}");
    }
}

#[test]
fn element_is_read_in_any_order_and_written_in_one() {
    // 7692-7-10
    let table = [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate;server_max_window_bits=\"10\"", "permessage-deflate; server_max_window_bits=10"),
        (
            "permessage-deflate ; client_max_window_bits = \"1\\5\"",
            "permessage-deflate; client_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=8; client_no_context_takeover; \
             server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; \
             client_max_window_bits",
        ),
    ];
    for (received, written) in table {
        assert_eq!(parse(received).expect(received).to_string(), written);
        assert_eq!(parse(written), parse(received));
    }
}

#[test]
fn element_is_refused_for_one_wrong_parameter_anywhere() {
    // 7692-7-1 7692-7-2 7692-7-3 7692-7-5 7692-7-6 7692-7-7 7692-7-10
    let table = [
        "foo",
        "foo=1",
        "Server_no_context_takeover",
        "SERVER_MAX_WINDOW_BITS=10",
        "server_max_window_bits ;server_max_window_bits=10",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=\"08\"",
        "client_max_window_bits=16",
        "client_max_window_bits=+9",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=9",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=10; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
    ];
    for wrong in table {
        assert_eq!(parse(&format!("permessage-deflate; {wrong}")), None, "{wrong}");
        assert_eq!(parse(&format!("permessage-deflate; {wrong}; client_max_window_bits=9")), None, "{wrong}");
        assert_eq!(
            parse(&format!("permessage-deflate; server_no_context_takeover; {wrong}")),
            None,
            "{wrong}"
        );
    }
}

#[test]
fn server_answers_with_the_smaller_server_window() {
    // 7692-7.1.2.1-3 7692-7.1.2-1
    for own in 9..=15_u8 {
        let config = config().send_window_bits(own);
        // Nothing is said unasked, although a smaller one is used.
        assert_eq!(answer("permessage-deflate", config).as_deref(), Some("permessage-deflate"));
        assert_eq!(answer("permessage-deflate; server_max_window_bits=8", config), None);
        for offered in 9..=15_u8 {
            let offer = format!("permessage-deflate; server_max_window_bits={offered}");
            let expected = format!("permessage-deflate; server_max_window_bits={}", own.min(offered));
            assert_eq!(answer(&offer, config), Some(expected));
        }
    }
}

#[test]
fn server_answers_with_the_smaller_client_window_where_it_was_named() {
    // 7692-7.1.2.2-4 7692-7.1.2.2-5 7692-7.1.2.2-9
    for own in 9..=15_u8 {
        let config = config().receive_window_bits(own);
        assert_eq!(answer("permessage-deflate", config).as_deref(), Some("permessage-deflate"));
        let expected = |bits: u8| match bits {
            15 => String::from("permessage-deflate"),
            bits => format!("permessage-deflate; client_max_window_bits={bits}"),
        };
        assert_eq!(answer("permessage-deflate; client_max_window_bits", config), Some(expected(own)));
        for offered in 8..=15_u8 {
            let offer = format!("permessage-deflate; client_max_window_bits={offered}");
            assert_eq!(answer(&offer, config), Some(expected(own.min(offered))));
        }
    }
}

#[test]
fn server_answers_what_concerns_the_windows_between_messages() {
    // 7692-7.1.1.1-3 7692-7.1.1.2-3 7692-7.1.1.2-4
    let plain = "permessage-deflate";
    let server = "permessage-deflate; server_no_context_takeover";
    let client = "permessage-deflate; client_no_context_takeover";
    let both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for config in [config(), config().send_context_takeover(false), config().receive_context_takeover(false)]
    {
        for offer in [plain, server, client, both] {
            assert_eq!(answer(offer, config).as_deref(), Some(offer));
        }
    }
    let unasked = config().receive_context_takeover(false).answer_unasked(true);
    for (offer, expected) in [(plain, client), (server, both), (client, client), (both, both)] {
        assert_eq!(answer(offer, unasked).as_deref(), Some(expected));
        assert_eq!(answer(offer, config().answer_unasked(true)).as_deref(), Some(offer));
    }
}

#[test]
fn answer_fits_what_was_offered() {
    let table = [
        ("", "", true),
        // 7692-7.1.1.1-4 7692-7.1.1.1-6
        ("server_no_context_takeover", "", true),
        ("server_no_context_takeover", "server_no_context_takeover", true),
        ("", "server_no_context_takeover", false),
        ("client_no_context_takeover", "server_no_context_takeover", false),
        // 7692-7.1.1.2-3 7692-7.1.1.2-4
        ("client_no_context_takeover", "", true),
        ("client_no_context_takeover", "client_no_context_takeover", true),
        ("", "client_no_context_takeover", true),
        // 7692-7.1.2.1-4 7692-7.1.2.1-6
        ("server_max_window_bits=8", "", true),
        ("server_max_window_bits=15", "", true),
        ("server_max_window_bits=10", "server_max_window_bits=10", true),
        ("server_max_window_bits=8", "server_max_window_bits=10", true),
        ("server_max_window_bits=11", "server_max_window_bits=10", false),
        ("", "server_max_window_bits=10", false),
        ("", "server_max_window_bits=14", false),
        ("", "server_max_window_bits=15", true),
        ("client_max_window_bits=10", "server_max_window_bits=10", false),
        // 7692-7.1.2.2-6 7692-7.1.2.2-7 7692-7.1.2.2-8
        ("", "client_max_window_bits", true),
        ("", "client_max_window_bits=10", true),
        ("client_max_window_bits=8", "client_max_window_bits", true),
        ("client_max_window_bits=15", "client_max_window_bits", true),
        ("client_max_window_bits=10", "client_max_window_bits=10", true),
        ("client_max_window_bits=9", "client_max_window_bits=10", true),
        ("client_max_window_bits=11", "client_max_window_bits=10", false),
        ("client_max_window_bits=10", "", false),
        ("client_max_window_bits=15", "", false),
        ("client_max_window_bits", "", false),
        ("client_max_window_bits", "client_max_window_bits", false),
        ("client_max_window_bits", "client_max_window_bits=10", false),
    ];
    let element = |parameters: &str| match parameters {
        "" => String::from(NAME),
        parameters => format!("{NAME}; {parameters}"),
    };
    for (answer, offer, expected) in table {
        assert_eq!(fits(&element(answer), &element(offer)), expected, "{answer:?} to {offer:?}");
    }
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let bits = || proptest::option::of(8..=15_u8);
    let client_window = prop_oneof![
        Just(ClientWindow::Unnamed),
        Just(ClientWindow::Named),
        (8..=15_u8).prop_map(ClientWindow::Limited)
    ];
    (any::<bool>(), any::<bool>(), bits(), client_window).prop_map(|(server, client, bits, client_window)| {
        Parameters {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: bits,
            client_window,
        }
    })
}

fn configs() -> impl Strategy<Value = DeflateConfig> {
    (9..=15_u8, 9..=15_u8, any::<[bool; 4]>()).prop_map(
        |(send, receive, [sent, received, unasked, fallback])| {
            DeflateConfig::default()
                .send_window_bits(send)
                .receive_window_bits(receive)
                .send_context_takeover(sent)
                .receive_context_takeover(received)
                .answer_unasked(unasked)
                .fallback_offer(fallback)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    // 7692-7-10
    #[test]
    fn element_reads_as_it_was_written(parameters in parameters()) {
        prop_assert_eq!(parse(&parameters.to_string()), Some(parameters));
    }

    // 7692-5-13 7692-7-8
    #[test]
    fn every_answer_of_the_server_fits_its_offer(offer in parameters(), config in configs()) {
        let answer = offer.answer(&config);
        prop_assert_eq!(answer.is_none(), offer.server_max_window_bits == Some(8));
        if let Some(answer) = answer {
            prop_assert!(answer.fits(&offer), "{answer} to {offer}");
        }
    }

    // 7692-7.1.1.2-6 7692-7.1.1.2-7 7692-7.1.2.2-11 CM-61
    #[test]
    fn nothing_binds_the_client_but_what_stands_in_the_answer(offer in parameters(), config in configs()) {
        if let Some(answer) = offer.answer(&config) {
            let client = answer.agreement(&config).client();
            let element = answer.to_string();
            prop_assert_eq!(client.context_takeover, !element.contains("client_no_context_takeover"));
            prop_assert_eq!(client.max_window_bits == 15, !element.contains("client_max_window_bits"));
        }
    }

    // 7692-5-1 7692-7-8 7692-7.1.2-1
    #[test]
    fn no_offer_asks_for_what_this_crate_cannot_do(config in configs()) {
        let elements: Vec<_> = offers(&config).collect();
        for offer in &elements {
            prop_assert!(offer.server_max_window_bits.is_none_or(|bits| (9..15).contains(&bits)));
            prop_assert_eq!(offer.client_window, ClientWindow::Named);
        }
        prop_assert!(elements.len() == 1 || elements[0] != elements[1]);
        prop_assert!(elements.len() == 1 || config.fallback_offer);
    }
}
