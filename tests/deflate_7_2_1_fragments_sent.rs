//! RFC 7692 §7.2.1: a message that is compressed piece by piece, up to a flush each.
#![cfg(feature = "deflate")]

mod support;

use sansocket::connection::{Connection, Fin, Fragment, OutgoingMessage};
use sansocket::deflate::{Compression, DeflateConfig};
use sansocket::{Config, Role};
use support::deflate::{NO_TAKEOVER, deflating, letters, random, sent_by, unlimited, with_takeover};
use support::raw_deflate::message;
use support::{BOTH_ROLES, drain, wire_frames};

fn text(text: &str) -> OutgoingMessage<'_> {
    OutgoingMessage::from(Fragment::Text(text)).compression(Compression::Always)
}

fn octets(octets: &[u8]) -> OutgoingMessage<'_> {
    OutgoingMessage::from(Fragment::Binary(octets)).compression(Compression::Always)
}

fn sent(connection: &mut Connection) -> Vec<Vec<u8>> {
    wire_frames(connection.role(), &drain(connection))
}

/// The payloads of frames, one behind the other.
fn payloads(frames: &[Vec<u8>]) -> Vec<u8> {
    let header = |frame: &[u8]| match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    frames.iter().flat_map(|frame| frame[header(frame)..].to_vec()).collect()
}

// 7692-7.2.1-4 7692-7.2.1-3 7692-6-2 CM-58
#[test]
fn both_send_the_tail_in_every_fragment_but_the_last() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        connection.send_fragment(text("He"), Fin::More).unwrap();
        connection.send_fragment(text("llo"), Fin::Last).unwrap();
        assert_eq!(
            sent(&mut connection),
            [&b"\x41\x08\xf2\x48\x05\x00\x00\x00\xff\xff"[..], b"\x80\x05\xca\xc9\xc9\x07\x00"]
        );
    }
}

// 7692-7.2.3.6-1 7692-7.2.1-4 CM-68
#[test]
fn both_send_empty_fragments() {
    for role in BOTH_ROLES {
        for agreement in with_takeover() {
            let mut connection = deflating(role, &Config::default(), &agreement);
            // The last one, after a flush: zlib would write no second empty block.
            connection.send_fragment(text("Hello"), Fin::More).unwrap();
            connection.send_fragment(text(""), Fin::Last).unwrap();
            assert_eq!(
                sent(&mut connection),
                [&b"\x41\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"[..], b"\x80\x01\x00"]
            );
            // All of them.
            connection.send_fragment(text(""), Fin::More).unwrap();
            connection.send_fragment(text(""), Fin::More).unwrap();
            connection.send_fragment(text(""), Fin::Last).unwrap();
            assert_eq!(sent(&mut connection), [&b"\x41\x00"[..], b"\x00\x00", b"\x80\x01\x00"]);
            // The first one, and one in the middle; and the window is as it was.
            for piece in [text(""), text("Hel"), text(""), text("lo, Hello")] {
                connection.send_fragment(piece, Fin::More).unwrap();
            }
            connection.send_fragment(text("!"), Fin::Last).unwrap();
            let frames = sent(&mut connection);
            assert_eq!(frames.iter().map(|frame| frame[0]).collect::<Vec<_>>(), [0x41, 0, 0, 0, 0x80]);
            assert_eq!((&frames[0][1..], &frames[2][1..]), (&[0][..], &[0][..]));
            assert_eq!(message(&payloads(&frames), b"Hello").unwrap().octets, b"Hello, Hello!");
            connection.send(text("Hello!")).unwrap();
            let next = payloads(&sent(&mut connection));
            assert_eq!(message(&next, b"HelloHello, Hello!").unwrap().octets, b"Hello!");
        }
    }
}

// 7692-7.2.3.6-1 7692-6-1 CM-58
#[test]
fn both_send_a_first_fragment_that_is_the_last() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        connection.send_fragment(text("Hello"), Fin::Last).unwrap();
        connection.send_fragment(text(""), Fin::Last).unwrap();
        let plain = OutgoingMessage::from(Fragment::Text("Hello"));
        connection.send_fragment(plain, Fin::Last).unwrap();
        assert_eq!(
            sent(&mut connection),
            [&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\x81\x00", b"\x81\x05Hello"]
        );
        // What does not shrink is a plain message, whole.
        let noise = random(1, 500);
        connection.send_fragment(Fragment::Binary(&noise), Fin::Last).unwrap();
        assert_eq!(sent(&mut connection)[0][0], 0x82);
        connection.send(text("Hello")).unwrap();
        let next = payloads(&sent(&mut connection));
        assert_eq!(message(&next, b"Hello").unwrap().octets, b"Hello");
    }
}

// 7692-6-1 7692-6-8
#[test]
fn both_send_all_fragments_as_the_first_says() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        let never = |text| OutgoingMessage::from(Fragment::Text(text)).compression(Compression::Never);
        connection.send_fragment(never("Hel"), Fin::More).unwrap();
        connection.send_fragment(text("lo"), Fin::More).unwrap();
        connection.send_fragment(text(""), Fin::Last).unwrap();
        assert_eq!(sent(&mut connection), [&b"\x01\x03Hel"[..], b"\x00\x02lo", b"\x80\x00"]);
        connection.send_fragment(text("Hel"), Fin::More).unwrap();
        connection.send_fragment(never("lo"), Fin::Last).unwrap();
        let frames = sent(&mut connection);
        assert_eq!((frames[0][0], frames[1][0]), (0x41, 0x80));
        assert_eq!(message(&payloads(&frames), b"").unwrap().octets, b"Hello");
        // Large ones, which would go plain as whole messages: what has begun goes on.
        let noise = random(2, 70_000);
        connection.send_fragment(octets(&noise), Fin::More).unwrap();
        connection.send_fragment(octets(&noise[..100]), Fin::More).unwrap();
        connection.send_fragment(octets(&noise), Fin::Last).unwrap();
        let expected = [&noise[..], &noise[..100], &noise].concat();
        assert_eq!(message(&payloads(&sent(&mut connection)), b"Hello").unwrap().octets, expected);
    }
}

// 7692-7.2.1-11 7692-7.2.1-12 7692-7.2.1-4
#[test]
fn both_send_fragments_that_refer_to_each_other_but_not_to_the_message_before_without_takeover() {
    let piece = letters(3, 400);
    for role in BOTH_ROLES {
        for states in [sansocket::deflate::States::Pooled, sansocket::deflate::States::Dedicated] {
            let agreement = sent_by(role, DeflateConfig::default().states(states), NO_TAKEOVER);
            let mut connection = deflating(role, &Config::default(), &agreement);
            let mut send = |last_empty: bool| {
                connection.send_fragment(text(&piece), Fin::More).unwrap();
                connection.send_fragment(text(&piece), Fin::More).unwrap();
                let last = if last_empty { "" } else { &piece };
                connection.send_fragment(text(last), Fin::Last).unwrap();
                sent(&mut connection)
            };
            for last_empty in [false, true, false] {
                let first = send(last_empty);
                assert!(first[1].len() < 40, "the second refers to the first");
                assert_eq!(send(last_empty), first);
                let times = if last_empty { 2 } else { 3 };
                assert_eq!(message(&payloads(&first), b"").unwrap().octets, piece.repeat(times).as_bytes());
            }
        }
    }
}

// Another connection has the state of this one in between.
// 7692-7.2.1-4 7692-7.2.1-7
#[test]
fn both_send_fragments_of_several_connections_in_turn() {
    for agreement in with_takeover() {
        let mut ends: Vec<(Connection, Vec<u8>)> = (0..7)
            .map(|number| {
                let role = if number % 2 == 0 { Role::Client } else { Role::Server };
                (deflating(role, &Config::default(), &agreement), Vec::new())
            })
            .collect();
        for round in 0..4 {
            let mut begun = vec![Vec::new(); ends.len()];
            for (piece, fin) in [(0, Fin::More), (1, Fin::More), (2, Fin::Last)] {
                for (number, (connection, _)) in ends.iter_mut().enumerate() {
                    let piece = letters(10 * number as u64 + piece, 150 + 10 * round);
                    connection.send_fragment(text(&piece), fin).unwrap();
                    begun[number].extend(payloads(&sent(connection)));
                }
            }
            for (number, (_, before)) in ends.iter_mut().enumerate() {
                let inflated = message(&begun[number], before).unwrap();
                let expected: String =
                    (0..3).map(|piece| letters(10 * number as u64 + piece, 150 + 10 * round)).collect();
                assert_eq!(inflated.octets, expected.as_bytes());
                before.extend(inflated.octets);
            }
        }
    }
}
