//! RFC 7692 §6.2 and RFC 6455 §8.1: text is what comes out of a compressed message, and is judged as it does.
#![cfg(feature = "deflate")]

mod support;

use sansocket::{Config, ProtocolError, Role};
use support::deflate::{
    Blocks, OtherEncoder, compressed, every_split_deflated, fragments, letters, unlimited,
};
use support::{BOTH_ROLES, Event, Transcript, key_len, server_frame};

fn received(role: Role, payload: &[u8]) -> Transcript {
    every_split_deflated(role, &Config::default(), &unlimited(), &[server_frame(0xc1, payload)])
}

// 7692-6-7 7692-6.2-1 CM-70
#[test]
fn both_receive_text_and_validate_it_when_it_is_inflated() {
    // "Grüße, Jürgen ❤" in letters: the payload is no UTF-8, the text is.
    let text = "Grüße, Jürgen ❤ Grüße";
    for blocks in [Blocks::Fixed, Blocks::Stored] {
        let payload = compressed(blocks, text.as_bytes());
        assert!(std::str::from_utf8(&payload).is_err());
        for role in BOTH_ROLES {
            for cut in 0..=payload.len() {
                let frames = fragments(0xc1, &payload, &[cut]);
                let received = every_split_deflated(role, &Config::default(), &unlimited(), &frames);
                assert_eq!(received.events, [Event::text(text)]);
            }
        }
    }
}

// 7692-6-7 CM-70
#[test]
fn both_receive_compressed_text_that_is_not_utf8() {
    let bad: [&[u8]; 6] =
        [b"\xc3\x28", b"ok \xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok \xe2\x82", b"\xf0\x9f\x98"];
    for role in BOTH_ROLES {
        for octets in bad {
            for blocks in [Blocks::Fixed, Blocks::Stored] {
                let payload = compressed(blocks, octets);
                let text = received(role, &payload);
                let at = 2 + payload.len() + key_len(role);
                text.assert_failed(ProtocolError::InvalidUtf8, 1007, at);
                // Binary is not looked at.
                let frame = server_frame(0xc2, &payload);
                let binary = every_split_deflated(role, &Config::default(), &unlimited(), &[frame]);
                assert_eq!(binary.events, [Event::binary(octets)]);
            }
        }
        // Of the text and the DEFLATE data, what is wrong first.
        let text_first = received(role, b"\x00\x02\x00\xfd\xff\xc3\x28\x07");
        text_first.assert_failed(ProtocolError::InvalidUtf8, 1007, 10 + key_len(role));
        let data_first = received(role, b"\x00\x01\x00\xfe\xff\xc3\x07");
        data_first.assert_failed(ProtocolError::InvalidCompressedData, 1007, 9 + key_len(role));
    }
}

// Up to 4 KiB of compressed octets are held back; with one more they are inflated as they come.
// 7692-6-7 7692-7.2.2-6 CM-70
#[test]
fn both_receive_a_bad_octet_early_in_a_large_message_and_do_not_wait_for_the_rest() {
    let mut octets = letters(5, 20_000).into_bytes();
    octets[100] = 0xff;
    let bad_text = compressed(Blocks::Best, &octets);
    let mut bad_data = OtherEncoder::new(Blocks::Best).flushed(letters(6, 100).as_bytes());
    bad_data.push(0x07);
    bad_data.extend([0x55; 9000]);
    // Later than what is held back: at once.
    octets[100] = b'a';
    let mut late = OtherEncoder::new(Blocks::Stored).flushed(&octets[..8000]);
    late.extend([0x06, 0x55, 0x55]);
    let late_at = late.len() - 2;
    late.extend([0x55; 500]);
    for role in BOTH_ROLES {
        let header = 4 + key_len(role);
        received(role, &bad_text).assert_failed(ProtocolError::InvalidUtf8, 1007, header + 4097);
        received(role, &bad_data).assert_failed(ProtocolError::InvalidCompressedData, 1007, header + 4097);
        received(role, &late).assert_failed(ProtocolError::InvalidCompressedData, 1007, header + late_at);
    }
}

// 7692-6-7 7692-6.2-1 CM-70
#[test]
fn both_receive_large_text_with_characters_across_every_boundary() {
    // Four octets a character, begun at each of them: one lies across each 32 KiB.
    for shift in 0..4 {
        let text = format!("{}{}", &"abc"[..shift], "😀é€".repeat(15_000));
        let stored = compressed(Blocks::Stored, text.as_bytes());
        let best = compressed(Blocks::Best, text.as_bytes());
        for payload in [&stored, &best] {
            let frames = fragments(0xc1, payload, &[payload.len() / 3, payload.len() / 2]);
            let received = every_split_deflated(Role::Client, &Config::default(), &unlimited(), &frames);
            assert_eq!(received.events, [Event::text(&text)]);
        }
    }
}
