//! RFC 6455 §10.4: limits, inclusive, and memory for what has come instead of for what was claimed.

mod support;

use sansocket::connection::{self, Connection};
use sansocket::{Config, Limits, ProtocolError, Role};
use support::allocations::{Counting, allocated_by, held_by, peak_of};
use support::{BOTH_ROLES, Event, connection, every_split, from_peer, key_len, server_frame};

/// What a message that is not whole costs besides its octets.
const STATE: usize = 104;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn limited(message: usize, frame: usize) -> Config {
    Config::default().limits(Limits::default().max_message_len(message).max_frame_len(frame))
}

// 6455-10.4-1 6455-10.4-2
#[test]
fn both_receive_frame_of_the_longest_length_and_refuse_one_octet_more() {
    // 125, 126 and 65535, 65536: where the form of the length changes.
    for limit in [0, 1, 5, 125, 126, 1000, 65535, 65536] {
        for role in BOTH_ROLES {
            for (config, error) in [
                (limited(limit, limit), ProtocolError::FrameTooBig),
                (limited(usize::MAX, limit), ProtocolError::FrameTooBig),
                (limited(limit, usize::MAX), ProtocolError::MessageTooBig),
            ] {
                let longest = vec![b'x'; limit];
                let received = every_split(role, &config, &[from_peer(role, &server_frame(0x82, &longest))]);
                assert_eq!(received.events, [Event::binary(&longest)]);

                let too_long = server_frame(0x82, &vec![b'x'; limit + 1]);
                let header_len = too_long.len() - (limit + 1);
                // The header alone, without its masking-key, is refused, and so is what lies whole in the input.
                let header = from_peer(role, &too_long[..header_len]);
                for frame in [header[..header_len].to_vec(), from_peer(role, &too_long)] {
                    let received = every_split(role, &config, &[frame]);
                    assert_eq!(received.events, []);
                    received.assert_failed(error, 1009, header_len);
                }
            }
        }
    }
}

// 6455-10.4-1
#[test]
fn both_receive_frame_above_the_limit_for_messages() {
    for role in BOTH_ROLES {
        let config = limited(5, 1000);
        let received = every_split(role, &config, &[from_peer(role, b"\x81\x05Hello")]);
        assert_eq!(received.events, [Event::text("Hello")]);
        let received = every_split(role, &config, &[from_peer(role, b"\x81\x06")]);
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 2);
    }
}

// 6455-10.4-1
#[test]
fn both_receive_fragments_up_to_the_limit_and_refuse_one_octet_more() {
    for role in BOTH_ROLES {
        let key = key_len(role);
        let config = limited(6, 4);
        let frames = |frames: &[&[u8]]| -> Vec<Vec<u8>> {
            frames.iter().map(|frame| from_peer(role, frame)).collect()
        };
        // Six octets in all, twice: the message that is done no longer counts.
        let allowed =
            frames(&[b"\x01\x04abcd", b"\x89\x05pings", b"\x80\x02ef", b"\x01\x02ab", b"\x80\x04cdef"]);
        let received = every_split(role, &config, &allowed);
        assert_eq!(received.events, [Event::ping("pings"), Event::text("abcdef"), Event::text("abcdef")]);
        received.assert_open();

        let received = every_split(role, &config, &frames(&[b"\x01\x04abcd", b"\x80\x03efg"]));
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 8 + key);
        let received = every_split(role, &config, &frames(&[b"\x01\x04abcd", b"\x00\x02ef", b"\x00\x01g"]));
        received.assert_failed(ProtocolError::MessageTooBig, 1009, 12 + 2 * key);
        let received = every_split(role, &config, &frames(&[b"\x01\x04abcd", b"\x00\x02ef", b"\x80\x00"]));
        assert_eq!(received.events, [Event::text("abcdef")]);
        // The limit on frames holds for fragments too, and comes first.
        let received = every_split(role, &config, &frames(&[b"\x01\x04abcd", b"\x80\x05efghi"]));
        received.assert_failed(ProtocolError::FrameTooBig, 1009, 8 + key);
    }
}

// 6455-10.4-1
#[test]
fn both_receive_control_frames_whatever_the_limits() {
    for role in BOTH_ROLES {
        let frames = [&server_frame(0x89, &[b'p'; 125])[..], b"\x88\x05\x03\xe8bye"];
        let frames = frames.map(|frame| from_peer(role, frame));
        let received = every_split(role, &limited(0, 0), &frames);
        assert_eq!(received.events, [Event::ping([b'p'; 125]), Event::close(1000, "bye")]);
    }
}

// 6455-10.4-2
#[test]
fn both_receive_16_mib_by_default_and_no_more() {
    assert_eq!(Limits::default().message_len(), 16 << 20);
    assert_eq!(Limits::default().frame_len(), 16 << 20);
    assert_eq!(Limits::default().empty_fragments(), 100_000);
    for role in BOTH_ROLES {
        // 16 MiB are waited for, one octet more is not.
        let header = from_peer(role, b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00");
        let received = every_split(role, &Config::default(), &[&header]);
        assert_eq!((received.failure, received.unconsumed), (None, 0));
        let header = from_peer(role, b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x01");
        let received = every_split(role, &Config::default(), &[header]);
        received.assert_failed(ProtocolError::FrameTooBig, 1009, 10);
    }
}

// 6455-10.4-1 6455-10.4-2 CM-19
#[test]
fn both_receive_huge_claim_and_allocate_nothing() {
    let claims: [&[u8]; 3] = [
        b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x82\x7f\x10\x00\x00\x00\x00\x00\x00\x00",
        b"\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
    ];
    for role in BOTH_ROLES {
        for claim in claims {
            let received = every_split(role, &Config::default(), &[from_peer(role, claim)]);
            received.assert_failed(ProtocolError::FrameTooBig, 1009, 10);
        }
        // With no limit to refuse it the claim is waited for: 2^60 octets, of which a few come.
        for claim in &claims[..2] {
            let mut connection = connection(role, &limited(usize::MAX, usize::MAX));
            let mut header = from_peer(role, claim);
            let mut payload = *b"\0\0\0\0\0\0\0\0";
            let (allocated, ()) = allocated_by(|| {
                let received = connection.receive(&mut header).unwrap();
                assert_eq!((received.consumed, received.event), (10 + key_len(role), None));
                assert!(connection.missing() >= 1 << 60);
                let room = connection.destination().unwrap().room();
                assert_eq!(room, 0, "nothing has come that would justify room");
            });
            assert!(allocated <= STATE, "{allocated} octets for a header");
            let (allocated, ()) = allocated_by(|| {
                assert_eq!(connection.receive(&mut payload).unwrap().consumed, 8);
                let room = connection.destination().unwrap().room();
                assert!(room <= 64);
            });
            assert!(allocated <= 128, "{allocated} octets for 8");
        }
    }
}

// 6455-10.4-2 CM-19
#[test]
fn both_receive_payload_and_allocate_in_proportion_to_what_has_come() {
    for role in BOTH_ROLES {
        let header = from_peer(role, b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00");
        for piece_len in [1, 100, 4096, 65536] {
            let mut connection = connection(role, &Config::default());
            let _ = connection.receive(&mut header.clone()).unwrap();
            let mut piece = vec![0; piece_len];
            let mut come = 0;
            let (allocated, ()) = allocated_by(|| {
                while come < 200_000 {
                    assert_eq!(connection.receive(&mut piece).unwrap().consumed, piece_len);
                    come += piece_len;
                }
            });
            // A vector that doubles has up to twice the room it needs, and had half, a quarter and so on before.
            assert!(allocated <= 4 * come, "{allocated} for {come} in pieces of {piece_len}");
        }
    }
}

// What large messages leave behind is for peers that send, not for those that claim.
// 6455-10.4-2 CM-19
#[test]
fn both_receive_claims_beside_large_messages_and_give_them_nothing() {
    const SLOW: usize = 50;
    for role in BOTH_ROLES {
        for len in [100_000, 1 << 20] {
            let message = from_peer(role, &server_frame(0x82, &vec![0; len]));
            let begun = message[..10 + key_len(role) + 1].to_vec();
            let (held, slow) = held_by(|| {
                let mut slow: Vec<_> = (0..SLOW).map(|_| connection(role, &Config::default())).collect();
                let mut sending = connection(role, &Config::default());
                for claiming in &mut slow {
                    for piece in message.clone().chunks_mut(50_000) {
                        let _ = sending.receive(piece).unwrap();
                    }
                    // Only now nobody looks at it any more.
                    let _ = sending.receive(&mut []).unwrap();
                    sending.release_buffers();
                    let _ = claiming.receive(&mut begun.clone()).unwrap();
                    let _ = claiming.destination();
                    claiming.release_buffers();
                }
                slow
            });
            // And what the thread keeps, once.
            let bound = (2 << 20) + SLOW * 2048;
            assert!(held <= bound, "{held} octets for {} claims of {len}", slow.len());
        }
    }
}

// However little a peer sends at a time, what has come is moved a few times only.
// 6455-10.4-2 CM-19
#[test]
fn both_receive_payload_that_trickles_to_its_destination_and_seldom_move_it() {
    for role in BOTH_ROLES {
        let header = from_peer(role, b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00");
        for piece_len in [1, 100, 4096, 65536] {
            let mut connection = connection(role, &Config::default());
            let _ = connection.receive(&mut header.clone()).unwrap();
            let mut come = piece_len;
            let (allocated, ()) = allocated_by(|| {
                assert_eq!(connection.receive(&mut vec![0; piece_len]).unwrap().consumed, piece_len);
                while come < 200_000 {
                    let mut destination = connection.destination().unwrap();
                    assert!(destination.room() > 0);
                    come += destination.append(&[0; 65536][..piece_len]);
                    assert_eq!(connection.receive(&mut []).unwrap().event, None);
                }
            });
            // The room is five times what has come, and was so when that was two fifths of it, and so on.
            assert!(allocated <= 10 * come, "{allocated} for {come} in pieces of {piece_len}");
        }
    }
}

// 6455-10.4-2
#[test]
fn server_receives_small_whole_messages_and_allocates_nothing() {
    let mut server = connection(Role::Server, &Config::default());
    let frame = from_peer(Role::Server, b"\x81\x05Hello");
    let mut input = frame.repeat(100);
    let (allocated, ()) = allocated_by(|| {
        let mut at = 0;
        while at < input.len() {
            let received = server.receive(&mut input[at..]).unwrap();
            assert!(received.event.is_some());
            at += received.consumed;
        }
    });
    assert_eq!(allocated, 0);
}

/// A message whose fragments are empty but for those with an `x`.
fn fragments(role: Role, payloads: &str) -> Vec<Vec<u8>> {
    let last = payloads.len() - 1;
    payloads
        .bytes()
        .enumerate()
        .map(|(i, payload)| {
            let first = if i == 0 { 0x01 } else { 0x00 } | if i == last { 0x80 } else { 0x00 };
            from_peer(role, &server_frame(first, if payload == b'x' { b"x" } else { b"" }))
        })
        .collect()
}

// 6455-10.4-1 6455-5.4-11
#[test]
fn both_receive_empty_fragments_up_to_the_limit_and_refuse_one_more() {
    // What comes, for a limit of two, and how many frames of it are taken.
    let cases = [
        ("--x", 3),
        ("x--x", 4),
        ("--x--x--x", 9),
        ("x--", 3),
        ("---x", 2),
        ("x---x", 3),
        ("--x---x", 5),
        ("x---", 3),
    ];
    for role in BOTH_ROLES {
        let config = Config::default().limits(Limits::default().max_empty_fragments(2));
        for (payloads, taken) in cases {
            let frames = fragments(role, payloads);
            let received = every_split(role, &config, &frames);
            if taken == payloads.len() {
                assert_eq!(received.events, [Event::text(&payloads.replace('-', ""))], "{payloads}");
                received.assert_open();
            } else {
                let at = frames[..=taken].iter().map(Vec::len).sum();
                assert_eq!(received.events, []);
                received.assert_failed(ProtocolError::TooManyEmptyFragments, 1008, at);
            }
        }
        // They are counted message by message, past control frames, and empty messages are no fragments.
        let mut frames = fragments(role, "x--");
        frames.insert(1, from_peer(role, b"\x89\x00"));
        frames.extend((0..5).map(|_| from_peer(role, b"\x81\x00")));
        frames.extend(fragments(role, "--x"));
        let received = every_split(role, &config, &frames);
        assert_eq!(received.events.len(), 8);
        received.assert_open();

        let none = Config::default().limits(Limits::default().max_empty_fragments(0));
        let received =
            every_split(role, &none, &[from_peer(role, b"\x81\x00"), from_peer(role, b"\x01\x00")]);
        assert_eq!(received.events, [Event::text("")]);
        assert_eq!(received.failure, Some(ProtocolError::TooManyEmptyFragments.into()));
    }
}

// 6455-10.4-1 6455-10.4-2
#[test]
fn both_receive_100_000_empty_fragments_by_default_and_refuse_one_more() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let mut first = from_peer(role, b"\x01\x00");
        let mut more = from_peer(role, b"\x00\x00");
        let (allocated, ()) = allocated_by(|| {
            assert!(connection.receive(&mut first).is_ok());
            for _ in 1..100_000 {
                assert!(connection.receive(&mut more).is_ok());
            }
        });
        assert!(allocated <= STATE, "{allocated} octets, however many they are");
        assert_eq!(connection.receive(&mut more), Err(ProtocolError::TooManyEmptyFragments.into()));
    }
}

// 6455-10.4-1 6455-5.5.3-2 CM-28
#[test]
fn both_receive_without_end_and_hold_bounded_memory() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &limited(4000, 4000));
        let round: Vec<u8> = [
            server_frame(0x01, &[b'x'; 1500]),
            server_frame(0x89, &[b'p'; 125]),
            server_frame(0x00, b""),
            server_frame(0x8a, &[b'p'; 125]),
            server_frame(0x80, &[b'x'; 2500]),
            server_frame(0x82, &[0xff; 4000]),
        ]
        .iter()
        .flat_map(|frame| from_peer(role, frame))
        .collect();
        // Ten megabytes in pieces that never fit the frames; what is to be sent is never written.
        let mut unread = Vec::with_capacity(1000);
        let (peak, events) = peak_of(|| {
            let mut events = 0;
            for piece in 0..20_000 {
                unread.extend((0..501).map(|i| round[(piece * 501 + i) % round.len()]));
                loop {
                    let received = connection.receive(&mut unread).unwrap();
                    events += usize::from(received.event.is_some());
                    unread.drain(..received.consumed);
                    if received.event.is_none() {
                        break;
                    }
                }
            }
            events
        });
        assert!(events > 4000, "{events}");
        assert!(peak <= 96 << 10, "{peak} octets at most");
    }
}

// What an application keeps is what the message is long, and a large one is not copied to come to that.
// 6455-10.4-2
#[test]
fn both_receive_message_in_pieces_and_give_it_away_in_memory_of_its_length() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let frame = from_peer(role, &server_frame(0x82, &[b'x'; 300_000]));
        let mut begin = frame[..100_000].to_vec();
        assert_eq!(connection.receive(&mut begin).unwrap().event, None);
        let mut at = begin.len();
        let large = loop {
            let mut destination = connection.destination().unwrap();
            let room = destination.room();
            destination.append(&frame[at..at + room]);
            at += room;
            if let Some(located) = connection.receive(&mut []).unwrap().event {
                break located;
            }
        };
        let (allocated, message) = allocated_by(|| connection.take(large, &[]).unwrap());
        assert_eq!(message.payload().len(), 300_000);
        assert!(allocated <= 64, "{allocated} octets to give 300,000 away");

        // Behind a longer one, whose room was kept, in the same place.
        for (len, taken) in [(30_000, false), (100, true)] {
            let frame = from_peer(role, &server_frame(0x82, &vec![b'x'; len]));
            let (mut begin, mut end) = (frame[..20].to_vec(), frame[20..].to_vec());
            assert_eq!(connection.receive(&mut begin).unwrap().event, None);
            let located = connection.receive(&mut end).unwrap().event.unwrap();
            if taken {
                let (allocated, message) = allocated_by(|| connection.take(located, &end).unwrap());
                assert_eq!(message.payload().len(), len);
                assert!((len..len + 64).contains(&allocated), "{allocated} octets for {len}");
            }
        }
    }
}

// 6455-10.4-1
#[test]
fn both_receive_fragments_and_hold_no_more_than_the_limit() {
    const LIMIT: usize = 1 << 20;
    for role in BOTH_ROLES {
        let mut connection = connection(role, &limited(LIMIT, LIMIT));
        let (held, ()) = held_by(|| {
            let mut first = from_peer(role, &server_frame(0x02, &[b'x'; 1000]));
            assert_eq!(connection.receive(&mut first).unwrap().event, None);
            for _ in 1..LIMIT / 1000 {
                let mut next = from_peer(role, &server_frame(0x00, &[b'x'; 1000]));
                assert_eq!(connection.receive(&mut next).unwrap().event, None);
            }
        });
        assert!((LIMIT - 1000..=LIMIT + STATE).contains(&held), "{held} octets for a limit of {LIMIT}");
    }
}

// 6455-10.4-1 6455-7.1.7-5
#[test]
fn both_receive_the_end_and_free_the_unfinished_message() {
    let ends: [fn(&mut Connection, Role); 4] = [
        |connection, role| assert!(connection.receive(&mut from_peer(role, b"\x83\x00")).is_err()),
        |connection, role| {
            let _ = connection.receive(&mut from_peer(role, b"\x88\x02\x03\xe8")).unwrap();
        },
        |connection, _| {
            connection.end_of_stream();
            assert!(connection.receive(&mut []).is_err());
        },
        |connection, _| {
            connection.abort();
            assert!(connection.receive(&mut []).is_err());
        },
    ];
    for role in BOTH_ROLES {
        for end in ends {
            let mut connection = connection(role, &Config::default());
            let (held, ()) = held_by(|| {
                let mut first = from_peer(role, &server_frame(0x02, &[b'x'; 100_000]));
                assert_eq!(connection.receive(&mut first).unwrap().event, None);
                end(&mut connection, role);
            });
            assert!(held < 2000, "{held} octets");
        }
    }
}

// 6455-10.4-2
#[test]
fn both_receive_an_event_that_stays_until_the_next_call() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        for (frame, payload) in [(b"\x81\x05Hello", b"Hello"), (b"\x89\x05Hello", b"Hello")] {
            let frame = from_peer(role, frame);
            let (mut begin, mut end) = (frame[..frame.len() - 2].to_vec(), frame[frame.len() - 2..].to_vec());
            assert_eq!(connection.receive(&mut begin).unwrap().event, None);
            let located = connection.receive(&mut end).unwrap().event.unwrap();
            let _ = connection.release_buffers();
            match connection.event(located, &end) {
                connection::Event::Text(text) => assert_eq!(text.as_bytes(), payload),
                connection::Event::Ping(ping) => assert_eq!(ping, payload),
                other => panic!("{other:?}"),
            }
        }
    }
}
