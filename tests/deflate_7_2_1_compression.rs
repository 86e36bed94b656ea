//! RFC 7692 §7.2.1: what compressed messages look like on the wire, and what they may refer to.
#![cfg(feature = "deflate")]

mod support;

use sansocket::connection::{Connection, OutgoingMessage};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Role, SendError};
use support::deflate::{
    NO_TAKEOVER, deflating, inflated_by_other, letters, random, sent_by, unlimited, window, with_takeover,
};
use support::raw_deflate::{Block, Inflated, message};
use support::{BOTH_ROLES, drain, wire_frames};

fn always<'a>(message: impl Into<OutgoingMessage<'a>>) -> OutgoingMessage<'a> {
    message.into().compression(Compression::Always)
}

fn never<'a>(message: impl Into<OutgoingMessage<'a>>) -> OutgoingMessage<'a> {
    message.into().compression(Compression::Never)
}

/// The peer, as far as it can be told from the octets on the wire: what it decodes is independent of the crate.
#[derive(Default)]
struct Peer {
    before: Vec<u8>,
    takeover: bool,
}

impl Peer {
    fn with_takeover() -> Self {
        Self { before: Vec::new(), takeover: true }
    }

    /// What one compressed payload is.
    #[track_caller]
    fn inflate(&mut self, payload: &[u8]) -> Inflated {
        let inflated = message(payload, &self.before).expect("it is a message");
        assert_eq!(inflated_by_other(payload, &self.before), inflated.octets, "two decoders differ");
        if self.takeover {
            self.before.extend(&inflated.octets);
        }
        inflated
    }
}

/// The payload of the only frame that is queued, and its first octet.
#[track_caller]
fn only_frame(connection: &mut Connection) -> (u8, Vec<u8>) {
    let frames = wire_frames(connection.role(), &drain(connection));
    assert_eq!(frames.len(), 1);
    let header = match frames[0][1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    (frames[0][0], frames[0][header..].to_vec())
}

#[track_caller]
fn compressed(connection: &mut Connection, octets: &[u8]) -> Vec<u8> {
    connection.send(always(octets)).expect("it may be sent");
    let (first, payload) = only_frame(connection);
    assert_eq!(first, 0xc2);
    payload
}

// 7692-7.2.1-1 7692-7.2.1-2 7692-7.2.1-3 CM-58
#[test]
fn both_send_payloads_without_header_and_without_tail() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        let mut peer = Peer::with_takeover();
        for text in ["Hello", "Hello", "Hello", "something else", "Hello, something else"] {
            let payload = compressed(&mut connection, text.as_bytes());
            assert_ne!(payload[0] & 0x0f, 0x08, "no zlib header");
            assert!(!payload.ends_with(&[0x00, 0x00, 0xff, 0xff]));
            let inflated = peer.inflate(&payload);
            assert_eq!(inflated.octets, text.as_bytes());
            assert_eq!(inflated.blocks.last(), Some(&Block::Stored), "it ends in the block of the flush");
        }
    }
}

// 7692-7.2.1-13 7692-7.2.1-5
#[test]
fn both_send_hello_again_by_reference() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let mut connection = deflating(role, &Config::default(), &agreement);
            assert_eq!(compressed(&mut connection, b"Hello"), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
            let again = compressed(&mut connection, b"Hello");
            assert!(again.len() < 7, "{again:02x?}");
            let mut peer = Peer { before: b"Hello".to_vec(), takeover: true };
            assert_eq!(peer.inflate(&again).octets, b"Hello");
            assert_eq!(message(&again, &[]), None, "it needs the first");
        }
    }
}

// 7692-7.2.1-11 7692-7.2.1-12 CM-60
#[test]
fn both_send_equal_messages_as_equal_octets_without_takeover() {
    let text = letters(1, 300);
    for role in BOTH_ROLES {
        for states in [States::Pooled, States::Dedicated] {
            let config = DeflateConfig::default().states(states);
            let own_wish = config.send_context_takeover(false);
            // Agreed, or wished for by this end alone.
            let agreements = [sent_by(role, config, NO_TAKEOVER), Agreement::new(own_wish)];
            for agreement in agreements {
                let mut connection = deflating(role, &Config::default(), &agreement);
                for text in [&b"Hello"[..], text.as_bytes(), &[b'x'; 70_000]] {
                    let first = compressed(&mut connection, text);
                    compressed(&mut connection, b"something else");
                    assert_eq!(compressed(&mut connection, text), first);
                    assert_eq!(message(&first, &[]).unwrap().octets, text);
                }
            }
            // What binds the peer does not bind this end.
            let mut connection =
                deflating(role, &Config::default(), &sent_by(role.peer(), config, NO_TAKEOVER));
            let first = compressed(&mut connection, text.as_bytes());
            assert!(compressed(&mut connection, text.as_bytes()).len() < first.len() / 4);
        }
    }
}

// 7692-7.2.1-8 7692-7.2.1-9 7692-7.2.1-10 7692-7.1.2.2-10 CM-60
#[test]
fn both_send_no_reference_to_before_the_agreed_window() {
    for role in BOTH_ROLES {
        for bits in 9..=15 {
            let reach = 1 << bits;
            for level in [1, 6, 9] {
                for states in [States::Pooled, States::Dedicated] {
                    let config = DeflateConfig::default().level(level).states(states).send_window_bits(15);
                    let agreement = sent_by(role, config, window(bits));
                    let mut connection = deflating(role, &Config::default(), &agreement);
                    let mut peer = Peer::with_takeover();
                    let seed = u64::from(bits);
                    // What would be worth a reference lies at every distance around the window's size.
                    for len in [reach / 2, reach - 300, reach, reach + 1, reach / 2 + 7, 20, 3 * reach] {
                        let mut octets = random(seed, len);
                        octets.extend(random(seed, len.min(3000)));
                        let inflated = peer.inflate(&compressed(&mut connection, &octets));
                        assert_eq!(inflated.octets, octets);
                        assert!(inflated.farthest <= reach, "{} octets at {bits} bits", inflated.farthest);
                    }
                }
            }
        }
    }
}

// 7692-7.2.1-9 7692-7.2.1-10
#[test]
fn both_send_600_random_octets_twice_and_refer_to_the_first_if_the_window_reaches() {
    let octets = random(600, 600);
    let twice = octets.repeat(2);
    for role in BOTH_ROLES {
        let config = DeflateConfig::default().send_window_bits(15);
        for (bits, matched) in [(9, false), (10, true), (15, true)] {
            let agreement = sent_by(role, config, window(bits));
            let mut connection = deflating(role, &Config::default(), &agreement);
            let payload = compressed(&mut connection, &twice);
            assert_eq!(payload.len() < 700, matched, "{} octets at {bits} bits", payload.len());
            assert_eq!(message(&payload, &[]).unwrap().octets, twice);
            // In two messages it is the same.
            let mut connection = deflating(role, &Config::default(), &agreement);
            compressed(&mut connection, &octets);
            assert_eq!(compressed(&mut connection, &octets).len() < 100, matched);
            // What this end wants less of it does not use.
            let agreement = Agreement::new(config.send_window_bits(9));
            let mut connection = deflating(role, &Config::default(), &agreement);
            assert!(compressed(&mut connection, &twice).len() > 1200);
        }
    }
}

// 7692-7.1.2-1 CM-66
#[test]
fn both_send_nothing_compressed_when_the_agreed_window_has_8_bits() {
    for role in BOTH_ROLES {
        let agreement = sent_by(role, DeflateConfig::default(), window(8));
        let mut connection = deflating(role, &Config::default(), &agreement);
        let text = "a".repeat(300);
        for _ in 0..3 {
            connection.send(always(&text)).unwrap();
            connection.send(&text).unwrap();
            connection.send_fragment(always(&text), sansocket::connection::Fin::More).unwrap();
            connection.send_fragment(always(&text), sansocket::connection::Fin::Last).unwrap();
            let sent = wire_frames(role, &drain(&mut connection));
            assert_eq!(sent.iter().map(|frame| frame[0]).collect::<Vec<_>>(), [0x81, 0x81, 0x01, 0x80]);
            assert!(sent.iter().all(|frame| frame.ends_with(text.as_bytes())));
        }
    }
}

// 7692-7.2.3.6-1 7692-6.1-2 CM-68
#[test]
fn both_send_empty_messages_plain_and_leave_no_trace() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let mut connection = deflating(role, &Config::default(), &agreement);
            let mut peer = Peer::with_takeover();
            for _ in 0..3 {
                connection.send(always("")).unwrap();
                connection.send("").unwrap();
                connection.send(always(&b""[..])).unwrap();
                let sent = wire_frames(role, &drain(&mut connection));
                assert_eq!(sent, [b"\x81\x00", b"\x81\x00", b"\x82\x00"]);
                assert_eq!(peer.inflate(&compressed(&mut connection, b"Hello")).octets, b"Hello");
            }
        }
    }
}

// 7692-6.1-2
#[test]
fn both_send_messages_below_the_threshold_plain_unless_asked() {
    for role in BOTH_ROLES {
        for threshold in [0, 1, 32, 100] {
            let config = DeflateConfig::default().threshold(threshold);
            let agreement = sent_by(role, config, Direction::UNLIMITED);
            for len in [1, 20, 31, 32, 33, 99, 100, 101, 1000] {
                let mut connection = deflating(role, &Config::default(), &agreement);
                let text = "a".repeat(len);
                connection.send(&text).unwrap();
                let (first, payload) = only_frame(&mut connection);
                // One octet never shrinks.
                let expected = if len >= threshold.max(2) { 0xc1 } else { 0x81 };
                assert_eq!(first, expected, "{len} octets at {threshold}");
                assert_eq!(payload.len() < len, first == 0xc1);
                connection.send(never(&text)).unwrap();
                assert_eq!(only_frame(&mut connection), (0x81, text.clone().into_bytes()));
                connection.send(always(&text)).unwrap();
                assert_eq!(only_frame(&mut connection).0, 0xc1);
            }
        }
    }
}

// 7692-6.1-2 7692-7.2.1-14 CM-67
#[test]
fn both_send_what_does_not_shrink_plain_and_the_next_one_decodes() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let mut connection = deflating(role, &Config::default(), &agreement);
            let mut peer = Peer::with_takeover();
            // Of less than is looked at before all is compressed, and of more.
            for (number, len) in [100, 5000, 70_000, 200_000, 60].into_iter().enumerate() {
                let text = letters(number as u64, 200);
                assert_eq!(
                    peer.inflate(&compressed(&mut connection, text.as_bytes())).octets,
                    text.as_bytes()
                );
                let octets = random(number as u64, len);
                connection.send(&octets[..]).unwrap();
                assert_eq!(only_frame(&mut connection), (0x82, octets));
                // The text before it is still there to refer to.
                let again = compressed(&mut connection, text.as_bytes());
                assert!(again.len() < 40, "{} octets", again.len());
                assert_eq!(peer.inflate(&again).octets, text.as_bytes());
            }
        }
    }
}

// Random letters shrink, but not by the fixed code that level 1 uses.
// 7692-7.2.1-14 CM-67
#[test]
fn both_send_a_message_that_was_given_up_plain_and_the_next_one_decodes() {
    for role in BOTH_ROLES {
        for (level, states) in (1..=9).flat_map(|level| [(level, States::Pooled), (level, States::Dedicated)])
        {
            let config = DeflateConfig::default().level(level).states(states);
            let agreement = sent_by(role, config, Direction::UNLIMITED);
            let mut connection = deflating(role, &Config::default().high_water_mark(1 << 20), &agreement);
            let mut peer = Peer::with_takeover();
            for octets in
                [letters(1, 65_537).into_bytes(), random(2, 100_000), letters(3, 200_000).into_bytes()]
            {
                connection.send(&octets[..]).unwrap();
                let (first, payload) = only_frame(&mut connection);
                let arrived = if first == 0xc2 { peer.inflate(&payload).octets } else { payload };
                assert!(arrived == octets, "level {level}");
                assert_eq!(
                    peer.inflate(&compressed(&mut connection, b"Hello")).octets,
                    b"Hello",
                    "level {level}"
                );
            }
        }
    }
}

// 7692-7.2.1-14 CM-67
#[test]
fn both_refuse_to_send_and_leave_no_trace() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let config = Config::default().high_water_mark(1);
            let mut connection = deflating(role, &config, &agreement);
            let mut peer = Peer::with_takeover();
            for number in 0..5 {
                let text = letters(number, 200);
                let payload = {
                    connection.send(always(&text)).unwrap();
                    // The queue is full.
                    for _ in 0..3 {
                        let refused = letters(number + 100, 200);
                        assert_eq!(connection.send(always(&refused)), Err(SendError::QueueFull));
                        assert_eq!(connection.send(&refused), Err(SendError::QueueFull));
                        let fragment = always(&refused);
                        let fin = sansocket::connection::Fin::More;
                        assert_eq!(connection.send_fragment(fragment, fin), Err(SendError::QueueFull));
                    }
                    only_frame(&mut connection).1
                };
                assert_eq!(peer.inflate(&payload).octets, text.as_bytes());
            }
            // A message is open.
            let fragment = always("the beginning, the beginning");
            connection.send_fragment(fragment, sansocket::connection::Fin::More).unwrap();
            let (first, begun) = only_frame(&mut connection);
            assert_eq!(first, 0x41);
            assert_eq!(connection.send(always("another")), Err(SendError::MessageOpen));
            let other_kind = always(&b"another"[..]);
            let refused = connection.send_fragment(other_kind, sansocket::connection::Fin::Last);
            assert_eq!(refused, Err(SendError::WrongFragmentKind));
            connection.send_fragment(always("the end"), sansocket::connection::Fin::Last).unwrap();
            let (_, ended) = only_frame(&mut connection);
            assert_eq!(peer.inflate(&[begun, ended].concat()).octets, b"the beginning, the beginningthe end");
            let payload = compressed(&mut connection, b"the beginning");
            assert_eq!(peer.inflate(&payload).octets, b"the beginning");
            // After Close.
            connection.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
            assert_eq!(connection.send(always("Hello")), Err(SendError::SendAfterClose));
            assert_eq!(wire_frames(role, &drain(&mut connection)), [b"\x88\x02\x03\xe8"]);
        }
    }
}

// 7692-7.2.1-3 CM-69
#[test]
fn both_send_incompressible_messages_of_sizes_around_every_buffer() {
    let noise = random(69, 300 << 10);
    let mut sizes: Vec<usize> = vec![1, 2, 3, 64 << 10, 128 << 10, 192 << 10, 256 << 10];
    sizes.extend((0..=10).map(|power| 256 << power));
    // Where the output, of five octets more for each block, comes to such a size.
    sizes.extend((0..=8).map(|power| (256 << power) - 5 * (1 + (256 << power) / 16_000)));
    for role in [Role::Server, Role::Client] {
        for (level, memory_level) in [(1, 9), (6, 6), (6, 1)] {
            let config = DeflateConfig::default().level(level).memory_level(memory_level);
            let agreement = sent_by(role, config, Direction::UNLIMITED);
            let mut connection = deflating(role, &Config::default().high_water_mark(1 << 20), &agreement);
            let mut before: Vec<u8> = Vec::new();
            for &size in &sizes {
                for len in size.saturating_sub(8)..=size + 8 {
                    // The client's are every third: what differs is the mask.
                    if role == Role::Client && len % 3 != 0 || len == 0 {
                        continue;
                    }
                    let octets = &noise[noise.len() - len..];
                    let payload = compressed(&mut connection, octets);
                    assert!(!payload.ends_with(&[0x00, 0x00, 0xff, 0xff]));
                    assert_eq!(inflated_by_other(&payload, &before), octets, "{len} octets");
                    before.extend(octets);
                    before.drain(..before.len().saturating_sub(32 << 10));
                }
            }
        }
    }
}

/// Whether each of these messages was sent compressed.
fn sent_compressed<'a>(
    connection: &mut Connection,
    messages: impl IntoIterator<Item = OutgoingMessage<'a>>,
) -> Vec<bool> {
    let mut sent = Vec::new();
    for message in messages {
        connection.send(message).expect("it may be sent");
        sent.push(only_frame(connection).0 & 0x40 != 0);
    }
    sent
}

// 7692-6.1-2 7692-6-8
#[test]
fn both_send_what_did_not_shrink_lately_without_trying_and_find_again_what_does() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        let noise: Vec<Vec<u8>> = (0..200).map(|seed| random(seed, 500)).collect();
        let sent = sent_compressed(&mut connection, noise.iter().map(|octets| octets.as_slice().into()));
        assert!(!sent.contains(&true));
        // Now what would shrink is not tried at once, but soon; from then on always.
        let binary = [7; 500];
        let sent = sent_compressed(&mut connection, (0..200).map(|_| (&binary).into()));
        let found = sent.iter().position(|&compressed| compressed).unwrap();
        assert!((1..=64).contains(&found), "the {found}th is tried");
        assert!(!sent[found..].contains(&false));
        // Text was not judged by that.
        let mut connection = deflating(role, &Config::default(), &unlimited());
        sent_compressed(&mut connection, noise.iter().map(|octets| octets.as_slice().into()));
        let text = "all the same ".repeat(20);
        assert_eq!(sent_compressed(&mut connection, [text.as_str().into(), (&binary).into()]), [true, false]);
        // Who asks for it gets it all the same.
        assert_eq!(sent_compressed(&mut connection, [always(&binary), always(&noise[0])]), [true, true]);
    }
}

// 7692-7.2.1-13 7692-7.2.1-14
#[test]
fn both_send_large_messages_one_after_the_other_and_all_of_them_decode() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let config = Config::default().high_water_mark(4 << 20);
            let mut connection = deflating(role, &config, &agreement);
            let mut peer = Peer::with_takeover();
            for len in [100_000, 65_535, 65_536, 65_537, 131_072, 300_000] {
                let text = letters(len as u64, len);
                connection.send(&text).unwrap();
                let (first, payload) = only_frame(&mut connection);
                assert_eq!(first, 0xc1);
                assert_eq!(peer.inflate(&payload).octets, text.as_bytes());
                peer.before.drain(..peer.before.len() - (32 << 10));
            }
        }
    }
}
