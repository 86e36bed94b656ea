//! RFC 7692 §7.2.2: what compressed payloads turn into, and which turn into nothing.
#![cfg(feature = "deflate")]

mod support;

use sansocket::deflate::{Agreement, DeflateConfig};
use sansocket::{Config, ProtocolError, Role};
use support::deflate::{
    Blocks, NO_TAKEOVER, OtherEncoder, compressed, every_split_deflated, fragments, letters, random, sent_by,
    unlimited, window, with_takeover,
};
use support::raw_deflate::{Block, BlockWriter, Symbol, message};
use support::{BOTH_ROLES, Event, Transcript, key_len, server_frame};

/// "Hello", as a first message, as one behind a message that ends in "Hello", and behind both.
const FIRST: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];
const THIRD: &[u8] = &[0x02, 0x13, 0x00, 0x00];

fn received(role: Role, agreement: &Agreement, payloads: &[&[u8]]) -> Transcript {
    let frames: Vec<_> = payloads.iter().map(|payload| server_frame(0xc1, payload)).collect();
    every_split_deflated(role, &Config::default(), agreement, &frames)
}

/// After the last octet of the message behind these payloads.
#[track_caller]
fn assert_refused(transcript: &Transcript, role: Role, payloads: &[&[u8]]) {
    let before: usize =
        payloads.iter().map(|payload| server_frame(0xc1, payload).len() + key_len(role)).sum();
    transcript.assert_failed(ProtocolError::InvalidCompressedData, 1007, before);
    assert_eq!(transcript.events.len(), payloads.len() - 1);
}

// 7692-7.2.2-2 7692-7.2.2-3 7692-7.2.1-13 CM-61
#[test]
fn both_receive_hello_three_times_from_the_window() {
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            let received = received(role, &agreement, &[FIRST, AGAIN, THIRD, AGAIN]);
            assert_eq!(received.events, [const { "Hello" }; 4].map(Event::text));
            received.assert_open();
        }
    }
}

// 7692-6.2-1 7692-7.2.2-1 7692-7.2.1-7 CM-59
#[test]
fn both_receive_a_compressed_message_in_fragments_cut_anywhere() {
    for role in BOTH_ROLES {
        for first in 0..=FIRST.len() {
            for second in first..=FIRST.len() {
                let mut frames = fragments(0xc1, FIRST, &[first, second]);
                // The tail belongs to the message, not to its frames: what follows needs the window.
                frames.push(server_frame(0xc1, AGAIN));
                let received = every_split_deflated(role, &Config::default(), &unlimited(), &frames);
                assert_eq!(received.events, ["Hello", "Hello"].map(Event::text), "cut at {first}, {second}");
                received.assert_open();
            }
        }
    }
}

// 7692-7.2.2-1 7692-7.2.2-5 7692-7.2.1-4 7692-7.2.1-5 7692-7.2.1-6 CM-64
#[test]
fn both_receive_every_form_of_blocks_and_then_a_reference_to_them() {
    let payloads: [(&[u8], &str); 12] = [
        // A stored block.
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], "Hello"),
        // A final block, and an empty one behind it, and none.
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], "Hello"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], "Hello"),
        // Two final blocks.
        (
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            "HelloHello",
        ),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], "HelloHello"),
        // A final block and one that is not.
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], "HelloHello"),
        // A final block, and a reference over it.
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00], "HelloHello"),
        // Two blocks, "He" and "llo", with the tail between them.
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], "Hello"),
        // A flush and an empty stored block.
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00], "Hello"),
        // The empty block at the end says that it is final.
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff, 0x01], "Hello"),
        // A final stored block, and a reference over it.
        (
            &[0x01, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0xf2, 0x00, 0x11, 0x00, 0x00],
            "HelloHello",
        ),
        // Empty final blocks on both sides.
        (&[0x03, 0x00, 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x03, 0x00, 0x00], "Hello"),
    ];
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            for (payload, text) in payloads {
                assert_eq!(message(payload, &[]).unwrap().octets, text.as_bytes());
                let once = received(role, &agreement, &[payload, AGAIN]);
                assert_eq!(once.events, [text, "Hello"].map(Event::text), "{payload:02x?}");
                once.assert_open();
                let twice = received(role, &agreement, &[FIRST, payload, payload, AGAIN]);
                assert_eq!(twice.events, ["Hello", text, text, "Hello"].map(Event::text), "{payload:02x?}");
                twice.assert_open();
            }
        }
    }
}

// 7692-7.2.2-5 CM-64
#[test]
fn both_receive_a_final_block_with_a_reference_to_the_message_before() {
    // f3 instead of f2: the same blocks, final.
    let again_final = [0xf3, 0x00, 0x11, 0x00, 0x00];
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            let payloads =
                [FIRST, &again_final[..4], &again_final, &[&again_final[..4], AGAIN].concat(), AGAIN];
            let received = received(role, &agreement, &payloads);
            let texts = ["Hello", "Hello", "Hello", "HelloHello", "Hello"];
            assert_eq!(received.events, texts.map(Event::text));
        }
    }
}

// 7692-7.2.1-4 7692-7.2.1-7 7692-7.2.3.6-1 CM-59
#[test]
fn both_receive_what_a_streaming_writer_sends() {
    let messages: [&[&[u8]]; 4] = [
        &[b"\x41\x08\xf2\x48\x05\x00\x00\x00\xff\xff", b"\x80\x05\xca\xc9\xc9\x07\x00"],
        // An empty last fragment.
        &[b"\x41\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", b"\x80\x01\x00"],
        // An empty first one, and one in the middle.
        &[
            b"\x41\x00",
            b"\x00\x08\xf2\x48\x05\x00\x00\x00\xff\xff",
            b"\x00\x00",
            b"\x80\x05\xca\xc9\xc9\x07\x00",
        ],
        &[b"\x41\x05\x00\x00\x00\xff\xff", b"\x80\x07\xf2\x48\xcd\xc9\xc9\x07\x00"],
    ];
    for role in BOTH_ROLES {
        for frames in messages {
            let frames = [frames, &[b"\xc1\x05\xf2\x00\x11\x00\x00"]].concat();
            let received = every_split_deflated(role, &Config::default(), &unlimited(), &frames);
            assert_eq!(received.events, ["Hello", "Hello"].map(Event::text));
            received.assert_open();
        }
    }
}

// 7692-7.2.2-8 7692-7.2.3.6-1 CM-68
#[test]
fn both_receive_empty_messages_of_all_forms_and_keep_the_window() {
    let messages: [&[&[u8]]; 14] = [
        &[b"\xc1\x01\x00"],
        &[b"\xc1\x02\x02\x00"],
        &[b"\xc1\x03\x03\x00\x00"],
        &[b"\xc1\x02\x03\x00"],
        &[b"\xc1\x01\x01"],
        &[b"\xc1\x05\x01\x00\x00\xff\xff"],
        &[b"\xc1\x06\x00\x00\x00\xff\xff\x00"],
        // No octet at all is not DEFLATE, and is taken as empty.
        &[b"\xc1\x00"],
        &[b"\x41\x00", b"\x80\x00"],
        &[b"\x41\x00", b"\x00\x00", b"\x80\x01\x00"],
        &[b"\x41\x01\x00", b"\x80\x00"],
        &[b"\x41\x05\x00\x00\x00\xff\xff", b"\x80\x01\x00"],
        // Not compressed.
        &[b"\x81\x00"],
        &[b"\x01\x00", b"\x80\x00"],
    ];
    let again = server_frame(0xc1, AGAIN);
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            for empty in messages {
                // First of all, twice, and between two that need the window.
                let first = server_frame(0xc1, FIRST);
                let frames = [empty, &[&first[..]], empty, empty, &[&again[..], &again]].concat();
                let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
                assert_eq!(received.events, ["", "Hello", "", "", "Hello", "Hello"].map(Event::text));
                received.assert_open();
            }
        }
    }
}

// 7692-7.2.2-6 7692-7.2.2-7 7692-7.2.1-3 CM-58
#[test]
fn both_receive_a_payload_that_is_no_message() {
    let bad: [&[u8]; 20] = [
        // The last octet is missing.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07],
        // The sender has not left the tail out, of a block, of nothing, of a final block, of a part of it.
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        &[0x00, 0x00, 0x00, 0xff, 0xff],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00],
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff],
        // It has left out too much, or twice.
        &[0xf2, 0x48, 0xcd],
        // Block type 3.
        &[0x07],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x06],
        // A stored block whose length is not its complement, or that the tail would be in.
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0x00, 0x04, 0x00, 0xfb, 0xff],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48],
        &[0x00, 0x09, 0x00, 0xf6, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
        // A dynamic block with too many symbols, and one that is all zero.
        &[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
        // A literal that the fixed code has no symbol for, and a reference to before everything.
        &[0x1b, 0x03],
        &[0x02, 0x13, 0x00, 0x00],
        // A zlib header.
        &[0x78, 0x9c, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for payload in bad {
        assert_eq!(message(payload, &[]), None, "{payload:02x?}");
        for agreement in with_takeover() {
            for role in BOTH_ROLES {
                assert_refused(&received(role, &agreement, &[payload]), role, &[payload]);
                // In fragments, and behind messages that were fine; nothing of what follows is looked at.
                let frames = fragments(0xc1, payload, &[payload.len() / 2, payload.len()]);
                let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
                assert_eq!(received.failure, Some(ProtocolError::InvalidCompressedData.into()));
                assert_eq!(received.events, []);
            }
        }
    }
}

// 7692-7.2.2-10
#[test]
fn both_receive_nothing_more_behind_a_payload_that_is_no_message() {
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            let frames: Vec<Vec<u8>> = [FIRST, AGAIN, &[0x07], AGAIN, FIRST]
                .iter()
                .map(|payload| server_frame(0xc1, payload))
                .collect();
            let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
            assert_eq!(received.events, ["Hello", "Hello"].map(Event::text));
            let at = 9 + 7 + 3 + 3 * key_len(role);
            received.assert_failed(ProtocolError::InvalidCompressedData, 1007, at);
            // Another connection is not touched by what this one left behind.
            let other = self::received(role, &agreement, &[FIRST, AGAIN]);
            assert_eq!(other.events, ["Hello", "Hello"].map(Event::text));
        }
    }
}

// Which prefixes are whole messages, the oracle says, which knows RFC 1951 by the letter: one is, if it ends where the
// length of a stored block would begin, or behind a final block.
// 7692-7.2.2-7
#[test]
fn both_receive_a_message_that_was_cut_at_any_octet() {
    let text = letters(1, 90);
    let twice = format!("{text}{}", &text[10..80]);
    let mut piece_by_piece = OtherEncoder::new(Blocks::Best);
    let mut pieces = piece_by_piece.flushed(text.as_bytes());
    pieces.extend(piece_by_piece.flushed(&text.as_bytes()[20..60]));
    pieces.extend(piece_by_piece.message(b"and the end"));
    let mut final_blocks = BlockWriter::default();
    final_blocks.fixed(true, &[Symbol::Literal(b'a'), Symbol::Reference { len: 10, distance: 1 }]).align();
    final_blocks.fixed(false, &[Symbol::Literal(b'b'), Symbol::Reference { len: 10, distance: 12 }]).flush();
    let long = letters(2, 700);
    let payloads = [
        (compressed(Blocks::Fixed, twice.as_bytes()), Block::Fixed, 0),
        (compressed(Blocks::Best, long.as_bytes()), Block::Dynamic, 0),
        // Whole is: what comes before the length of the block.
        (compressed(Blocks::Stored, text.as_bytes()), Block::Stored, 1),
        // Whole are: the empty beginning of a flush, twice.
        (pieces, Block::Stored, 2),
        // Whole is: what ends with the final block.
        (final_blocks.octets(), Block::Fixed, 1),
    ];
    for (payload, block, whole) in payloads {
        let all = message(&payload, &[]).unwrap();
        assert!(all.blocks.contains(&block), "{:?}", all.blocks);
        let mut found_whole = 0;
        for cut in 1..payload.len() {
            let prefix = &payload[..cut];
            for role in BOTH_ROLES {
                let frame = server_frame(0xc1, prefix);
                let received = every_split_deflated(role, &Config::default(), &unlimited(), &[frame]);
                if let Some(part) = message(prefix, &[]) {
                    found_whole += 1;
                    assert_eq!(received.events, [Event::text(std::str::from_utf8(&part.octets).unwrap())]);
                } else {
                    assert_refused(&received, role, &[prefix]);
                }
            }
        }
        assert_eq!(found_whole, 2 * whole, "{block:?}");
        let received = received(Role::Client, &unlimited(), &[&payload]);
        assert_eq!(received.events, [Event::text(std::str::from_utf8(&all.octets).unwrap())]);
    }
}

// The octets that were left out would be the end of a table of codes, and the end of its block: they end no block with
// nothing in it, and bits of them are left over.
// 7692-7.2.2-7
#[test]
fn both_receive_a_dynamic_block_that_was_cut_where_the_tail_could_go_on() {
    let mut cut = BlockWriter::default();
    // Four octets, so that the table ends with an octet.
    cut.fixed(false, &[Symbol::Literal(0xff); 4]);
    // 257 symbols, 4 distances, lengths of codes: `0` is 0, `10` is 1, `11` is 2.
    cut.bits(0, 1).bits(2, 2).bits(0, 5).bits(3, 5).bits(14, 4);
    for place in 0..18 {
        // RFC 1951 §3.2.7 has 0 at the fourth place, 2 at the sixteenth, 1 at the eighteenth.
        let len = match place {
            3 => 1,
            15 | 17 => 2,
            _ => 0,
        };
        cut.bits(len, 3);
    }
    // Three symbols with two bits, and none for all but the last 17: 16 that the zeros of the tail stand for, and the
    // end of the block.
    cut.code(0b11_1111, 6)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 31)
        .bits(0, 20);
    let cut = cut.octets();
    // With the tail the block ends in its last octet: at the 12th of 16 ones.
    let whole = [&cut[..], &[0x00, 0x00, 0xff, 0x0f]].concat();
    assert_eq!(message(&whole, &[]).unwrap().octets, [0xff; 4]);
    assert_eq!(message(&cut, &[]), None);
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            let frames = [server_frame(0xc2, &whole), server_frame(0xc2, &cut), server_frame(0xc1, FIRST)];
            let at = frames[0].len() + frames[1].len() + 2 * key_len(role);
            let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
            assert_eq!(received.events, [Event::binary([0xff; 4])]);
            received.assert_failed(ProtocolError::InvalidCompressedData, 1007, at);
        }
    }
}

// 7692-7.2.2-6 7692-7.2.2-4 CM-61
#[test]
fn both_receive_a_reference_to_a_message_that_never_was() {
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            assert_refused(&received(role, &agreement, &[AGAIN]), role, &[AGAIN]);
            // A plain "Hello" is none that could be referred to, and an empty message neither.
            let frames =
                [server_frame(0x81, b"Hello"), server_frame(0xc1, &[0x00]), server_frame(0xc1, AGAIN)];
            let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
            assert_eq!(received.events, ["Hello", ""].map(Event::text));
            let at = 7 + 3 + 7 + 3 * key_len(role);
            received.assert_failed(ProtocolError::InvalidCompressedData, 1007, at);
        }
    }
}

// 7692-7.2.2-4 CM-60
#[test]
fn both_receive_a_reference_to_the_message_before_without_takeover() {
    for role in BOTH_ROLES {
        for config in
            [DeflateConfig::default(), DeflateConfig::default().states(sansocket::deflate::States::Dedicated)]
        {
            let agreement = sent_by(role.peer(), config, NO_TAKEOVER);
            assert_refused(&received(role, &agreement, &[FIRST, AGAIN]), role, &[FIRST, AGAIN]);
            let whole = received(role, &agreement, &[FIRST, FIRST, FIRST]);
            assert_eq!(whole.events, ["Hello"; 3].map(Event::text));
            // What binds this end says nothing of its peer.
            let agreement = sent_by(role, config, NO_TAKEOVER);
            let whole = received(role, &agreement, &[FIRST, AGAIN, THIRD]);
            assert_eq!(whole.events, ["Hello"; 3].map(Event::text));
        }
    }
}

/// A message of `len` octets, and one that refers to the first of `distance` octets before.
fn reference_to(len: usize, distance: u32) -> [Vec<u8>; 2] {
    let first = compressed(Blocks::Stored, letters(3, len).as_bytes());
    let mut second = BlockWriter::default();
    second.fixed(false, &[Symbol::Reference { len: 10, distance }]).flush();
    [first, second.octets()]
}

// 7692-7.2.2-2 7692-7.2.2-3 7692-7.2.2-6 CM-60
#[test]
fn both_receive_references_as_far_back_as_the_agreed_window() {
    for role in BOTH_ROLES {
        // 8 as some take it: 9.
        for (bits, farthest) in [(8, 512), (9, 512), (10, 1024), (12, 4096), (14, 16384), (15, 32768)] {
            let agreement = sent_by(role.peer(), DeflateConfig::default(), window(bits));
            let [first, second] = reference_to(farthest as usize + 5, farthest);
            let text = letters(3, farthest as usize + 5);
            let received = received(role, &agreement, &[&first, &second, &second]);
            let [once, twice] = [&text[5..15], &text[15..25]];
            assert_eq!(received.events, [&text, once, twice].map(Event::text), "{bits} bits");
            received.assert_open();
        }
        // What this end may use is not what its peer may.
        let agreement = sent_by(role, DeflateConfig::default(), window(9));
        let [first, second] = reference_to(32768, 32768);
        let received = received(role, &agreement, &[&first, &second]);
        assert_eq!(received.events.len(), 2);
    }
}

// Whether a state still knows more is chance: it must not show.
// 7692-7.2.2-6 CM-60
#[test]
fn both_receive_a_reference_to_before_the_agreed_window() {
    for role in BOTH_ROLES {
        for bits in 8..15 {
            let farthest = 1 << u32::from(bits).max(9);
            let agreement = sent_by(role.peer(), DeflateConfig::default(), window(bits));
            let [first, second] = reference_to(farthest as usize + 5, farthest + 1);
            let received = received(role, &agreement, &[&first, &second]);
            assert_refused(&received, role, &[&first, &second]);
        }
    }
}

// A window that is limited is so between messages; what a message refers to within itself is there anyway.
// 7692-7.2.2-2 7692-7.2.2-5 CM-64
#[test]
fn both_receive_references_far_back_within_a_message() {
    let text = letters(4, 32768);
    let mut payload = OtherEncoder::new(Blocks::Stored).flushed(text.as_bytes());
    for last in [false, true] {
        let mut more = BlockWriter::default();
        more.fixed(last, &[Symbol::Reference { len: 10, distance: 32768 }]);
        if last {
            more.align().fixed(false, &[Symbol::Reference { len: 10, distance: 32768 }]);
        }
        let mut all = payload.clone();
        all.extend(more.flush().octets());
        let expected = format!("{text}{}", &text[..if last { 20 } else { 10 }]);
        for agreement in with_takeover() {
            for role in BOTH_ROLES {
                let received = received(role, &agreement, &[FIRST, &all]);
                assert_eq!(received.events, ["Hello", &expected].map(Event::text));
            }
        }
    }
    payload.truncate(payload.len() - 4);
    assert_eq!(message(&payload, &[]).unwrap().octets, text.as_bytes());
}

// 7692-7.2.2-2 7692-7.2.2-3 7692-6.2-1
#[test]
fn both_receive_what_another_encoder_sends_with_takeover() {
    let config = DeflateConfig::default();
    let agreement = Agreement::new(config);
    for role in BOTH_ROLES {
        for blocks in [Blocks::Fixed, Blocks::Best, Blocks::Stored] {
            let mut encoder = OtherEncoder::new(blocks);
            let messages: Vec<Vec<u8>> = (0..12)
                .map(|number| match number % 3 {
                    0 => letters(7, 300 * number as usize).into_bytes(),
                    1 => random(8, 700),
                    _ => b"all the same, again and again; ".repeat(1 + number as usize),
                })
                .collect();
            let frames: Vec<Vec<u8>> =
                messages.iter().map(|octets| server_frame(0xc2, &encoder.message(octets))).collect();
            let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
            let expected: Vec<Event> = messages.iter().map(Event::binary).collect();
            assert_eq!(received.events, expected);
        }
    }
}
