//! RFC 7692 §7.2.2 and RFC 6455 §10.4: what a compressed message may turn into, and what it may cost.
#![cfg(feature = "deflate")]

mod support;

use sansocket::connection::{Fin, OutgoingMessage, TransportPhase};
use sansocket::deflate::Compression;
use sansocket::{Config, Limits, ProtocolError, Role};
use support::allocations::{Counting, peak_of};
use support::deflate::{
    Blocks, OtherEncoder, compressed, deflating, every_split_deflated, fragments, random, unlimited,
    with_takeover,
};
use support::raw_deflate::message;
use support::{BOTH_ROLES, Event, drain, from_peer, key_len, server_frame};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn limited(octets: usize) -> Config {
    Config::default().limits(Limits::default().max_message_len(octets))
}

// Around the steps in which is inflated, 32 KiB, and the smallest ones.
// 7692-7.2.2-9 CM-65
#[test]
fn both_receive_a_message_of_the_longest_length_and_refuse_one_octet_more() {
    for len in [1, 5, 100, 4096, 32767, 32768, 32769, 65535, 65536, 65537, 100_000] {
        // What shrinks, and what grows.
        let kinds = [
            (vec![b'a'; len], Blocks::Best, Role::Client),
            (random(len as u64, len), Blocks::Stored, Role::Server),
            (vec![0xff; len.min(100)], Blocks::Fixed, Role::Client),
            (random(len as u64, len.min(4096)), Blocks::Fixed, Role::Server),
        ];
        for (octets, blocks, role) in kinds {
            let len = octets.len();
            let payload = compressed(blocks, &octets);
            let frames = [server_frame(0xc2, &payload)];
            let received = every_split_deflated(role, &limited(len), &unlimited(), &frames);
            assert_eq!(received.events, [Event::binary(&octets)], "{len} octets in {}", payload.len());
            received.assert_open();
            let cuts = [0, payload.len() / 3, payload.len() / 2, payload.len() - 1];
            let frames = fragments(0xc2, &payload, &cuts);
            let received = every_split_deflated(role, &limited(len), &unlimited(), &frames);
            assert_eq!(received.events, [Event::binary(&octets)]);
            let received = every_split_deflated(role, &limited(len - 1), &unlimited(), &frames);
            assert_eq!(received.failure, Some(ProtocolError::MessageTooBig.into()));
            assert_eq!(received.sent, [b"\x88\x02\x03\xf1"]);
        }
    }
}

// 7692-7.2.2-9 CM-65
#[test]
fn both_receive_hello_with_a_limit_and_refuse_it_with_a_lower_one() {
    let hello = [&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\xc1\x05\xf2\x00\x11\x00\x00"];
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            // The message that is done no longer counts.
            let received = every_split_deflated(role, &limited(5), &agreement, &hello);
            assert_eq!(received.events, ["Hello", "Hello"].map(Event::text));
            let received = every_split_deflated(role, &limited(4), &agreement, &hello);
            received.assert_failed(ProtocolError::MessageTooBig, 1009, 9 + key_len(role));
            // An empty one is always allowed.
            let empty = [&b"\xc1\x01\x00"[..], b"\xc1\x00", b"\xc1\x02\x02\x00"];
            let received = every_split_deflated(role, &limited(0), &agreement, &empty);
            assert_eq!(received.events, ["", "", ""].map(Event::text));
            // Text is judged up to the limit.
            let bad = server_frame(0xc1, b"\x00\x04\x00\xfb\xff\xffabc\x00");
            let received = every_split_deflated(role, &limited(3), &agreement, &[bad]);
            received.assert_failed(ProtocolError::InvalidUtf8, 1007, 12 + key_len(role));
            let bad_behind = server_frame(0xc1, b"\x00\x04\x00\xfb\xffabc\xff\x00");
            let received = every_split_deflated(role, &limited(3), &agreement, &[bad_behind]);
            received.assert_failed(ProtocolError::MessageTooBig, 1009, 12 + key_len(role));
        }
    }
}

// A message may have eight times as many compressed octets as it may have itself, and 64 KiB.
// 7692-7.2.2-9 6455-10.4-1
#[test]
fn both_receive_a_message_that_is_far_longer_compressed_than_it_may_be() {
    for role in BOTH_ROLES {
        for limit in [0, 8, 80] {
            let allowed = 8 * limit + (64 << 10);
            // Empty stored blocks, of five octets each.
            let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat((allowed - 1) / 5);
            let empty = [&blocks[..], &[0x00]].concat();
            let received =
                every_split_deflated(role, &limited(limit), &unlimited(), &[server_frame(0xc2, &empty)]);
            assert_eq!(received.events, [Event::binary("")]);
            // Refused from the header, and over all fragments from that of the one that is too much.
            let too_long = server_frame(0xc2, &vec![0x00; allowed + 1]);
            let header_len = too_long.len() - (allowed + 1);
            let received = every_split_deflated(role, &limited(limit), &unlimited(), &[&too_long]);
            received.assert_failed(ProtocolError::MessageTooBig, 1009, header_len);
            let frames =
                [server_frame(0x42, &blocks), server_frame(0x80, &vec![0x00; allowed - blocks.len() + 1])];
            let received = every_split_deflated(role, &limited(limit), &unlimited(), &frames);
            let before = frames[0].len() + key_len(role);
            received.assert_failed(ProtocolError::MessageTooBig, 1009, before + 2);
        }
        // A plain message may not be longer than it is.
        let frames = [server_frame(0x82, b"123456789")];
        let received = every_split_deflated(role, &limited(8), &unlimited(), &frames);
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 2);
        let frames = [server_frame(0x02, b"12345678"), server_frame(0x80, b"9")];
        let received = every_split_deflated(role, &limited(8), &unlimited(), &frames);
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 10 + key_len(role) + 2);
        // Nor behind one that was compressed.
        let frames = [server_frame(0xc2, b"\x00"), server_frame(0x82, b"123456789")];
        let received = every_split_deflated(role, &limited(8), &unlimited(), &frames);
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 3 + key_len(role) + 2);
    }
}

// 7692-7.2.2-9 CM-65
#[test]
fn both_receive_16_mib_of_zeros_in_16_kib_and_stop_at_the_limit() {
    let bomb = compressed(Blocks::Best, &vec![0; 16 << 20]);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            for first in [0xc1, 0xc2] {
                let frame = from_peer(role, &server_frame(first, &bomb));
                let mut connection = deflating(role, &limited(1 << 20), &agreement);
                let (peak, result) = peak_of(|| connection.receive(&mut frame.clone()));
                assert_eq!(result, Err(ProtocolError::MessageTooBig.into()));
                // What the message has come to, doubled when it last grew, a step and a state.
                assert!(peak < (1 << 20) + (1 << 19) + (256 << 10), "{peak} octets");
                assert_eq!(connection.phase(), TransportPhase::Flush);
            }
        }
        let received =
            every_split_deflated(role, &limited(1 << 20), &unlimited(), &[server_frame(0xc2, &bomb)]);
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 4 + key_len(role) + 4097);
    }
    // By default the limit is just that.
    let mut connection = deflating(Role::Client, &Config::default(), &unlimited());
    let mut frame = server_frame(0xc2, &bomb);
    let received = connection.receive(&mut frame).unwrap();
    assert!(received.event.is_some());
    let mut larger = OtherEncoder::new(Blocks::Best).flushed(&vec![0; 16 << 20]);
    larger.extend(compressed(Blocks::Stored, b"x"));
    assert_eq!(message(&larger, &[]).unwrap().octets.len(), (16 << 20) + 1);
    let mut frame = server_frame(0xc2, &larger);
    assert_eq!(connection.receive(&mut frame), Err(ProtocolError::MessageTooBig.into()));
}

// After each final block the state has to begin anew: 64, and one more for 64 octets, are enough.
// 7692-7.2.2-5 7692-7.2.2-9 6455-10.4-1
#[test]
fn both_receive_so_many_final_blocks_and_no_more() {
    let final_blocks = |count: usize| {
        let mut payload = [0x03, 0x00].repeat(count);
        payload.push(0x00);
        payload
    };
    for role in BOTH_ROLES {
        let received = every_split_deflated(
            role,
            &Config::default(),
            &unlimited(),
            &[server_frame(0xc1, &final_blocks(66))],
        );
        assert_eq!(received.events, [Event::text("")]);
        let payload = final_blocks(67);
        let received =
            every_split_deflated(role, &Config::default(), &unlimited(), &[server_frame(0xc1, &payload)]);
        received.assert_failed(ProtocolError::TooManyFinalBlocks, 1008, 4 + key_len(role) + payload.len());
    }
    // In a message that is inflated as it comes, with the block that is too much.
    let payload = final_blocks(5000);
    let received =
        every_split_deflated(Role::Client, &Config::default(), &unlimited(), &[server_frame(0xc1, &payload)]);
    received.assert_failed(ProtocolError::TooManyFinalBlocks, 1008, 4 + 4097);
}

// 7692-7.2.2-9 7692-7.2.1-7
#[test]
fn both_receive_a_message_at_the_limit_that_was_flushed_after_every_octet() {
    let text = "Sent as it is thought of. ".repeat(30);
    for role in BOTH_ROLES {
        let mut sender = deflating(role.peer(), &Config::default(), &unlimited());
        let last = text.len() - 1;
        for at in 0..last {
            let fragment = OutgoingMessage::from(&text[at..=at]).compression(Compression::Always);
            sender.send_fragment(fragment, Fin::More).unwrap();
        }
        sender.send_fragment(&text[last..], Fin::Last).unwrap();
        let mut octets = drain(&mut sender);
        assert!(octets.len() > 6 * text.len());
        let mut receiver = deflating(role, &limited(text.len()), &unlimited());
        let received = receiver.receive(&mut octets).unwrap();
        let taken = receiver.take(received.event.unwrap(), &octets).unwrap();
        assert_eq!(taken.as_text(), Some(&*text));
    }
}
