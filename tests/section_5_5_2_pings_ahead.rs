//! RFC 6455 §5.5.2: Pings that are answered while the messages before them wait for the application.

mod support;

use sansocket::connection::Connection;
use sansocket::{Config, Role};
use support::{BOTH_ROLES, Event, connection, drain, from_peer, key_len, server_frame, wire_frames};

fn input(role: Role, frames: &[&[u8]]) -> Vec<u8> {
    frames.iter().flat_map(|frame| from_peer(role, frame)).collect()
}

fn sent(role: Role, connection: &mut Connection) -> Vec<Vec<u8>> {
    wire_frames(role, &drain(connection))
}

/// Receives all of `input`.
fn receive_all(connection: &mut Connection, input: &mut [u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at = 0;
    loop {
        let received = connection.receive(&mut input[at..]).expect("it is valid");
        let Some(located) = received.event else { return events };
        events.push(connection.event(located, &input[at..]).into());
        at += received.consumed;
    }
}

// 6455-5.5.2-1 6455-5.5.2-2 6455-5.5.3-1
#[test]
fn both_receive_pings_behind_messages_and_answer_each_once() {
    for role in BOTH_ROLES {
        let mut input = input(
            role,
            &[
                b"\x81\x01a",
                b"\x89\x02p1",
                b"\x02\x01b",
                b"\x89\x00",
                b"\x8a\x01n",
                b"\x80\x01c",
                b"\x89\x02p3",
            ],
        );
        for len in 0..=input.len() {
            // Asked again while the input grows, and before it is received.
            let mut connection = connection(role, &Config::default());
            connection.answer_pings_ahead(&input[..len]);
            let mut pongs = sent(role, &mut connection);
            connection.answer_pings_ahead(&input);
            connection.answer_pings_ahead(&input);
            pongs.extend(sent(role, &mut connection));
            assert_eq!(pongs, [&b"\x8a\x02p1"[..], b"\x8a\x00", b"\x8a\x02p3"], "asked at {len}");

            let events = receive_all(&mut connection, &mut input.clone());
            assert_eq!(
                events,
                [
                    Event::text("a"),
                    Event::ping("p1"),
                    Event::ping(""),
                    Event::pong("n"),
                    Event::binary("bc"),
                    Event::ping("p3"),
                ]
            );
            assert_eq!(sent(role, &mut connection), [[]; 0], "they are answered already");
        }
        // The next one is owed again.
        let mut connection = connection(role, &Config::default());
        connection.answer_pings_ahead(&input);
        drain(&mut connection);
        input.extend(from_peer(role, b"\x89\x02p4"));
        receive_all(&mut connection, &mut input);
        assert_eq!(sent(role, &mut connection), [b"\x8a\x02p4"]);
    }
}

// 6455-5.5.2-1 6455-5.5.3-2
#[test]
fn both_receive_ping_of_which_a_part_was_taken_and_answer_it_first() {
    for role in BOTH_ROLES {
        let input = input(role, &[b"\x89\x05Hello", b"\x89\x02p2"]);
        let header_len = 2 + key_len(role);
        for taken in header_len..header_len + 5 {
            let mut connection = connection(role, &Config::default());
            let received = connection.receive(&mut input[..taken].to_vec()).unwrap();
            assert_eq!((received.consumed, received.event), (taken, None));
            let mut rest = input[taken..].to_vec();
            for len in 0..=rest.len() {
                connection.answer_pings_ahead(&rest[..len]);
            }
            assert_eq!(sent(role, &mut connection), [&b"\x8a\x05Hello"[..], b"\x8a\x02p2"]);
            assert_eq!(receive_all(&mut connection, &mut rest), [Event::ping("Hello"), Event::ping("p2")]);
            assert_eq!(sent(role, &mut connection), [[]; 0]);
        }
    }
}

// 6455-5.5.1-15 6455-5.5.2-1
#[test]
fn both_receive_pings_behind_a_close_and_do_not_answer_them() {
    for role in BOTH_ROLES {
        let input = input(role, &[b"\x81\x01a", b"\x88\x05\x03\xe8bye", b"\x89\x01p"]);
        let message_len = 3 + key_len(role);
        let mut whole = connection(role, &Config::default());
        whole.answer_pings_ahead(&input);
        assert_eq!(whole.queued(), 0);
        for taken in message_len..input.len() {
            let mut connection = connection(role, &Config::default());
            let mut front = input[..taken].to_vec();
            receive_all(&mut connection, &mut front);
            drain(&mut connection);
            let header_taken = taken >= message_len + 2 + key_len(role);
            let rest = if header_taken { taken } else { message_len };
            connection.answer_pings_ahead(&input[rest..]);
            assert_eq!(connection.queued(), 0, "{taken} octets taken");
        }
    }
}

// 6455-5.5.2-1
#[test]
fn both_receive_ping_behind_a_payload_that_is_read_to_its_place() {
    let payload = vec![b'x'; 10_000];
    for role in BOTH_ROLES {
        let frame = from_peer(role, &server_frame(0x82, &payload));
        let ping = from_peer(role, b"\x89\x01p");
        // Asked before some of the payload is read to its place, while that has not been taken, and after.
        for asked in 0..8 {
            let mut connection = connection(role, &Config::default());
            assert_eq!(connection.receive(&mut frame[..4000].to_vec()).unwrap().consumed, 4000);
            if asked & 1 != 0 {
                connection.answer_pings_ahead(&[]);
            }
            let mut destination = connection.destination().unwrap();
            let room = destination.room();
            assert!(room >= 3000);
            destination.append(&frame[4000..7000]);
            if asked & 2 != 0 {
                connection.answer_pings_ahead(&frame[7000..]);
            }
            assert_eq!(connection.receive(&mut []).unwrap().event, None);
            let mut rest = [&frame[7000..], &ping].concat();
            if asked & 4 != 0 {
                connection.answer_pings_ahead(&rest);
                assert_eq!(sent(role, &mut connection), [b"\x8a\x01p"], "asked {asked:b}");
            }
            assert_eq!(receive_all(&mut connection, &mut rest), [Event::binary(&payload), Event::ping("p")]);
            let expected: &[&[u8]] = if asked & 4 != 0 { &[] } else { &[b"\x8a\x01p"] };
            assert_eq!(sent(role, &mut connection), expected, "asked {asked:b}");
        }
    }
}

// 6455-7.1.7-5
#[test]
fn both_receive_ping_behind_a_bad_frame_and_do_not_answer_it() {
    for role in BOTH_ROLES {
        for bad in [&b"\x83\x00"[..], b"\xc1\x00", b"\x80\x00", b"\x09\x00", b"\x82\x7e\x00\x01x"] {
            let mut connection = connection(role, &Config::default());
            connection.answer_pings_ahead(&input(role, &[b"\x89\x01p", b"\x81\x01a", bad, b"\x89\x01q"]));
            assert_eq!(sent(role, &mut connection), [b"\x8a\x01p"]);
        }
        // A message inside a fragmented one, and its continuation behind it.
        let mut connection = connection(role, &Config::default());
        connection.answer_pings_ahead(&input(role, &[b"\x01\x01a", b"\x81\x01b", b"\x89\x01q"]));
        assert_eq!(connection.queued(), 0);
    }
}

/// Messages long enough to be read in one go, with Pings that are told apart between them.
fn messages_and_pings() -> [Vec<u8>; 10] {
    [
        server_frame(0x81, b"one of the usual"),
        b"\x89\x02p1".to_vec(),
        server_frame(0x82, &[7; 200]),
        server_frame(0x81, b"another"),
        b"\x89\x02p2".to_vec(),
        b"\x89\x02p3".to_vec(),
        server_frame(0x82, b""),
        server_frame(0x81, b"and another"),
        b"\x89\x02p4".to_vec(),
        server_frame(0x81, b"the last one"),
    ]
}

// 6455-5.5.2-1 6455-5.5.2-2 6455-5.5.3-1 6455-6.2-4
#[test]
fn both_receive_messages_after_a_scan_at_any_event_and_answer_each_ping_once() {
    for role in BOTH_ROLES {
        let frames = messages_and_pings();
        let input: Vec<u8> = frames.iter().flat_map(|frame| from_peer(role, frame)).collect();
        let mut plain = connection(role, &Config::default());
        let expected = receive_all(&mut plain, &mut input.clone());
        assert_eq!(expected.len(), frames.len());
        // Where each Ping ends.
        let mut end = 0;
        let ends = frames.iter().map(|frame| {
            end += frame.len() + key_len(role);
            (frame[0] == 0x89, end)
        });
        let pings: Vec<usize> = ends.filter_map(|(is_ping, end)| is_ping.then_some(end)).collect();
        let answers = [b"\x8a\x02p1", b"\x8a\x02p2", b"\x8a\x02p3", b"\x8a\x02p4"];
        // A bit for each event before which the scan looks ahead: over all that is there, or over a part of it.
        for asked in 0..1 << frames.len() {
            for seen in [usize::MAX, 100, 40] {
                let mut connection = connection(role, &Config::default());
                let (mut input, mut at, mut reached) = (input.clone(), 0, 0);
                let mut pongs = Vec::new();
                for (i, expected) in expected.iter().enumerate() {
                    if asked >> i & 1 != 0 {
                        let ahead = &input[at..];
                        let ahead = &ahead[..ahead.len().min(seen)];
                        connection.answer_pings_ahead(ahead);
                        reached = reached.max(at + ahead.len());
                        pongs.extend(sent(role, &mut connection));
                        let owed = pings.iter().filter(|&&end| end <= reached).count();
                        assert_eq!(pongs, answers[..owed], "asked {asked:b}, {seen} octets seen, at {at}");
                    }
                    let received = connection.receive(&mut input[at..]).expect("it is valid");
                    let located = received.event.expect("all of it is there");
                    assert_eq!(&Event::from(connection.event(located, &input[at..])), expected);
                    at += received.consumed;
                    reached = reached.max(at);
                    pongs.extend(sent(role, &mut connection));
                    let owed = pings.iter().filter(|&&end| end <= reached).count();
                    assert_eq!(pongs, answers[..owed], "asked {asked:b}, {seen} octets seen, behind {at}");
                }
                assert_eq!(at, input.len());
            }
        }
    }
}
