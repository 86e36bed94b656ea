//! RFC 6455 §5.6 and §5.8: text and binary, and no extension that was not negotiated.

mod support;

use sansocket::{Config, ProtocolError, Role};
use support::{BOTH_ROLES, Event, every_split, every_split_from_peer, from_peer, key_len, server_frame};

// 6455-5.6-5 CM-32
#[test]
fn both_receive_empty_messages() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[b"\x81\x00", b"\x82\x00", b"\x81\x00"]);
        assert_eq!(received.events, [Event::text(""), Event::binary(""), Event::text("")]);
        received.assert_open();
    }
}

// Fewer octets than the longest header has, and nothing behind them.
// 6455-5.6-5 6455-6.2-4 CM-15 CM-32
#[test]
fn both_receive_short_messages_at_the_end_of_the_input() {
    for role in BOTH_ROLES {
        for len in 0..=7 {
            let short = &b"lengths"[..len];
            for frames in [
                &[server_frame(0x82, short)][..],
                &[server_frame(0x81, short)],
                &[server_frame(0x81, b"a longer one before"), server_frame(0x82, short)],
                &[server_frame(0x82, &[7; 200]), server_frame(0x81, short)],
                &[server_frame(0x82, short), server_frame(0x81, short)],
            ] {
                let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
                let received = every_split_from_peer(role, &frames);
                // Each with its last octet, and none before.
                let mut end = 0;
                let ends = frames.iter().map(|frame| {
                    end += frame.len() + key_len(role);
                    end
                });
                assert_eq!(received.events_at, ends.collect::<Vec<_>>());
                let last = match frames[frames.len() - 1][0] {
                    0x81 => Event::text(std::str::from_utf8(short).unwrap()),
                    _ => Event::binary(short),
                };
                assert_eq!(received.events.last(), Some(&last));
                received.assert_open();
            }
        }
    }
}

// 6455-5.6-4
#[test]
fn both_receive_binary_that_is_no_text() {
    let every_octet: Vec<u8> = (0..=255).collect();
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[&server_frame(0x82, &every_octet), b"\x82\x02\xc3\x28", b"\x02\x02\xed\xa0", b"\x80\x01\x80"],
        );
        assert_eq!(
            received.events,
            [Event::binary(&every_octet), Event::binary(b"\xc3\x28"), Event::binary(b"\xed\xa0\x80")]
        );
        received.assert_open();
    }
}

// 6455-5.6-1
#[test]
fn both_receive_text_with_nul_and_non_characters() {
    let text = "\0 \u{fffe} \u{ffff} \u{fdd0} \u{1fffe} \u{10ffff} \u{feff} é € 😀";
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[&server_frame(0x81, text.as_bytes())]);
        assert_eq!(received.events, [Event::text(text)]);
        received.assert_open();
    }
}

// 6455-5.6-2 CM-33
#[test]
fn client_receives_euro_sign_in_three_frames() {
    let received = every_split(
        Role::Client,
        &Config::default(),
        &[[0x01, 0x01, 0xe2], [0x00, 0x01, 0x82], [0x80, 0x01, 0xac]],
    );
    assert_eq!(received.events, [Event::text("€")]);
    received.assert_open();
}

// 6455-5.6-2 6455-5.4-4 CM-33
#[test]
fn both_receive_character_cut_by_frames_and_control_frames() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[
                b"\x01\x02a\xf0",
                b"\x89\x02\xff\xfe",
                b"\x00\x00",
                b"\x00\x02\x9f\x98",
                b"\x8a\x00",
                b"\x80\x02\x80b",
            ],
        );
        assert_eq!(received.events, [Event::ping(b"\xff\xfe"), Event::pong(""), Event::text("a😀b")]);
        received.assert_open();
    }
}

// A character that one message leaves open is not closed by the next.
// 6455-5.6-2 6455-6.2-5
#[test]
fn both_receive_text_that_ends_inside_a_character() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[b"\x81\x02\xe2\x82", b"\x81\x01\xac"]);
        assert_eq!(received.events, []);
        received.assert_failed(ProtocolError::InvalidUtf8, 1007, 4 + key_len(role));

        let received = every_split_from_peer(role, &[b"\x01\x02\xe2\x82", b"\x80\x00", b"\x81\x01\xac"]);
        assert_eq!(received.events, []);
        received.assert_failed(ProtocolError::InvalidUtf8, 1007, 6 + 2 * key_len(role));
    }
}

// The text of one message says nothing about the next, whatever lies between.
// 6455-5.6-1 6455-5.6-4
#[test]
fn both_receive_text_after_binary_that_ends_like_a_cut_character() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[b"\x02\x01a", b"\x80\x01\xe2", b"\x81\x02ok", b"\x01\x01o", b"\x80\x01k"],
        );
        assert_eq!(received.events, [Event::binary(b"a\xe2"), Event::text("ok"), Event::text("ok")]);
    }
}

// Around every length at which a header changes its form, or the way of validating does.
// 6455-5.6-1 6455-5.6-4
#[test]
fn both_receive_messages_around_every_threshold() {
    for role in BOTH_ROLES {
        for len in [1, 3, 124, 125, 126, 127, 128, 129, 255, 256, 257, 65534, 65535, 65536, 65537] {
            let text = format!("{}é", "x".repeat(len));
            let frames = [server_frame(0x81, text.as_bytes()), server_frame(0x82, &vec![0xff; len])];
            let frames: Vec<Vec<u8>> = frames.iter().map(|frame| from_peer(role, frame)).collect();
            let received = every_split(role, &Config::default(), &frames);
            assert_eq!(received.events, [Event::text(&text), Event::binary(vec![0xff; len])]);
            received.assert_open();
        }
    }
}

// 6455-5.8-1 CM-29
#[test]
fn both_receive_compressed_message_without_having_negotiated_it() {
    // "Hello" as RFC 7692 §7.2.3.1 compresses it.
    let frame = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[&frame]);
        assert_eq!(received.events, []);
        received.assert_failed(ProtocolError::ReservedBits, 1002, 1);
    }
}
