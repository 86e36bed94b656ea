//! RFC 6455 §5.3: the masking-key and what it does to a payload.

mod support;

use bytes::Bytes;
use sansocket::connection::{Fin, Fragment};
use sansocket::frame::{CloseFrame, MaskingKey};
use sansocket::{CloseCode, Config, Role};
use support::{
    Event, SECOND_KEY, client_frame, client_frame_with, connection, drain, every_split, server_frame,
};

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

// 6455-5.3-5 6455-6.2-6 CM-17
#[test]
fn server_receives_fragments_and_restarts_the_mask_at_each_frame() {
    let received = every_split(
        Role::Server,
        &Config::default(),
        &[
            &[0x01, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d][..],
            &[0x80, 0x82, 0xa1, 0xb2, 0xc3, 0xd4, 0xcd, 0xdd],
        ],
    );
    assert_eq!(received.events, [Event::text("Hello")]);
    received.assert_open();
}

// The harness cuts the payload at every octet: the mask goes on where it was.
// 6455-5.3-5 6455-5.3-6 CM-17 CM-18
#[test]
fn server_receives_payload_of_every_length_cut_at_every_octet() {
    for len in 0..=300 {
        let payload = counting(len);
        let frame = client_frame_with(SECOND_KEY, 0x82, &payload);
        assert_eq!(frame.len(), payload.len() + if len < 126 { 6 } else { 8 });
        let received = every_split(Role::Server, &Config::default(), &[frame]);
        assert_eq!(received.events, [Event::binary(payload)]);
    }
}

// 6455-5.3-5 CM-17
#[test]
fn server_receives_payload_in_pieces_of_every_length() {
    let payload = counting(1000);
    let frame = client_frame(0x82, &payload);
    for step in 1..=70 {
        let mut server = connection(Role::Server, &Config::default());
        let mut events = Vec::new();
        let mut unread = Vec::new();
        for piece in frame.chunks(step) {
            unread.extend_from_slice(piece);
            let received = server.receive(&mut unread).unwrap();
            events.extend(received.event.map(|located| Event::from(server.event(located, &unread))));
            unread.drain(..received.consumed);
        }
        assert_eq!(events, [Event::binary(&payload)], "in pieces of {step}");
    }
}

// 6455-5.3-7
#[test]
fn server_receives_any_key() {
    for key in [
        [0x00, 0x00, 0x00, 0x00],
        [0xff, 0xff, 0xff, 0xff],
        [0x00, 0x00, 0x00, 0x01],
        [0x81, 0x85, 0x88, 0x89],
    ] {
        let received = every_split(
            Role::Server,
            &Config::default(),
            &[
                client_frame_with(key, 0x01, b"Hel"),
                client_frame_with(key, 0x89, b"p"),
                client_frame_with(key, 0x80, b"lo"),
            ],
        );
        assert_eq!(received.events, [Event::ping("p"), Event::text("Hello")]);
        assert_eq!(received.sent, [b"\x8a\x01p"]);
    }
    // With the key 00 00 00 00 the payload stands there as it is.
    let received = every_split(Role::Server, &Config::default(), &[b"\x81\x85\x00\x00\x00\x00Hello"]);
    assert_eq!(received.events, [Event::text("Hello")]);
}

// 6455-5.3-5 6455-5.3-6
#[test]
fn client_sends_what_the_definition_says() {
    let definition = |payload: &[u8]| -> Vec<u8> {
        payload.iter().enumerate().map(|(i, octet)| octet ^ SECOND_KEY[i % 4]).collect()
    };
    let key = MaskingKey::new(SECOND_KEY);
    for len in 0..=300 {
        let payload = counting(len);
        let expected = definition(&payload);

        let mut in_place = payload.clone();
        key.mask(&mut in_place);
        assert_eq!(in_place, expected);

        let mut copied = vec![0; len];
        key.mask_copy(&mut copied, &payload);
        assert_eq!(copied, expected);

        for cut in 0..=len {
            let mut pieces = payload.clone();
            let (front, back) = pieces.split_at_mut(cut);
            key.mask(front);
            key.advanced(cut).mask(back);
            assert_eq!(pieces, expected, "{len} cut at {cut}");
        }
    }
}

// 6455-5.3-1 6455-5.3-2 6455-5.5.1-5 6455-6.1-7
#[test]
fn client_sends_each_frame_with_a_key_of_its_own() {
    let config = Config::default().fragment_len(Some(3));
    let mut client = connection(Role::Client, &config);
    client.send("Hello").unwrap();
    client.ping(b"p").unwrap();
    client.send_fragment(Fragment::Binary(b"x"), Fin::More).unwrap();
    client.pong(b"").unwrap();
    client.send_fragment(Fragment::Binary(b""), Fin::Last).unwrap();
    client.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
    assert_eq!(
        drain(&mut client),
        [
            &[0x01, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d][..],
            &[0x80, 0x82, 0xa1, 0xb2, 0xc3, 0xd4, 0xcd, 0xdd],
            &[0x89, 0x81, 0x00, 0x00, 0x00, 0x03, b'p'],
            &[0x02, 0x81, 0x00, 0x00, 0x00, 0x04, b'x'],
            &[0x8a, 0x80, 0x00, 0x00, 0x00, 0x05],
            &[0x80, 0x80, 0x00, 0x00, 0x00, 0x06],
            &[0x88, 0x82, 0x00, 0x00, 0x00, 0x07, 0x03, 0xe8],
        ]
        .concat()
    );
}

// 6455-5.3-2
#[test]
fn client_receives_pings_and_answers_each_with_a_key_of_its_own() {
    let received = every_split(
        Role::Client,
        &Config::default(),
        &[&b"\x89\x05Hello"[..], b"\x89\x02lo", b"\x88\x02\x03\xe8"],
    );
    assert_eq!(
        received.output,
        [
            &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58][..],
            &[0x8a, 0x82, 0xa1, 0xb2, 0xc3, 0xd4, 0xcd, 0xdd],
            &[0x88, 0x82, 0x00, 0x00, 0x00, 0x03, 0x03, 0xe8],
        ]
        .concat()
    );
}

// A payload above 16 KiB is not copied into the output and is masked 64 KiB at a time; borrowed, it is copied once.
// 6455-5.3-5 6455-6.1-7
#[test]
fn client_sends_large_payload_masked_throughout() {
    for len in [16 << 10, (16 << 10) + 1, 64 << 10, (64 << 10) + 1, 200_003] {
        let payload = counting(len);
        let expected = client_frame(0x82, &payload);
        let mut borrowed = connection(Role::Client, &Config::default());
        borrowed.send(&payload).unwrap();
        assert!(drain(&mut borrowed) == expected, "borrowed, {len}");
        let mut shared = connection(Role::Client, &Config::default());
        shared.send(Bytes::from(payload)).unwrap();
        assert!(drain(&mut shared) == expected, "shared, {len}");
    }
}

// 6455-5.3-1
#[test]
fn server_sends_large_payload_without_mask() {
    let payload = counting(200_003);
    let mut server = connection(Role::Server, &Config::default());
    server.send(Bytes::from(payload.clone())).unwrap();
    assert!(drain(&mut server) == server_frame(0x82, &payload));
}
