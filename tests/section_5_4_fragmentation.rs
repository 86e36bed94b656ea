//! RFC 6455 §5.4: messages in fragments, and control frames between them.

mod support;

use sansocket::connection::{Fin, Fragment};
use sansocket::{Config, ProtocolError, Role, SendError};
use support::{
    BOTH_ROLES, Event, connection, drain, every_split, every_split_from_peer, key_len, server_frame,
    wire_frames,
};

// RFC 6455 §5.7: "Hel" and "lo".
// 6455-5.4-2 6455-5.4-6 6455-5.4-10
#[test]
fn both_receive_hello_in_two_fragments() {
    let received = every_split(
        Role::Client,
        &Config::default(),
        &[&[0x01, 0x03, 0x48, 0x65, 0x6c][..], &[0x80, 0x02, 0x6c, 0x6f]],
    );
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.events_at, [9]);
    received.assert_open();
    let received = every_split(
        Role::Server,
        &Config::default(),
        &[
            &[0x01, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d][..],
            &[0x80, 0x82, 0xa1, 0xb2, 0xc3, 0xd4, 0xcd, 0xdd],
        ],
    );
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.events_at, [17]);
    received.assert_open();
}

// 6455-5.4-4 6455-5.4-8 6455-5.5.2-2 CM-31
#[test]
fn both_receive_ping_between_fragments_and_answer_it_before_the_message_ends() {
    for role in BOTH_ROLES {
        let key = key_len(role);
        let received = every_split_from_peer(role, &[b"\x01\x03Hel", b"\x89\x01p", b"\x80\x02lo"]);
        assert_eq!(received.events, [Event::ping("p"), Event::text("Hello")]);
        assert_eq!(received.events_at, [8 + 2 * key, 12 + 3 * key]);
        assert_eq!(received.sent, [b"\x8a\x01p"]);
        received.assert_open();
        // Without the rest of the message the Pong is there all the same.
        let received = every_split_from_peer(role, &[b"\x01\x03Hel", b"\x89\x01p"]);
        assert_eq!(received.events, [Event::ping("p")]);
        assert_eq!(received.sent, [b"\x8a\x01p"]);
    }
}

// 6455-5.4-4 6455-5.4-8 6455-5.5-1 CM-31
#[test]
fn both_receive_longest_control_frames_between_fragments_and_keep_the_message() {
    let pings: Vec<Vec<u8>> = (0..3).map(|i| vec![b'0' + i; 125]).collect();
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[
                b"\x02\x01\x00",
                &server_frame(0x89, &pings[0]),
                b"\x8a\x00",
                b"\x00\x01\x01",
                &server_frame(0x89, &pings[1]),
                &server_frame(0x89, &pings[2]),
                b"\x80\x01\x02",
            ],
        );
        assert_eq!(
            received.events,
            [
                Event::ping(&pings[0]),
                Event::pong(""),
                Event::ping(&pings[1]),
                Event::ping(&pings[2]),
                Event::binary([0, 1, 2]),
            ]
        );
        let pongs: Vec<Vec<u8>> = pings.iter().map(|ping| server_frame(0x8a, ping)).collect();
        assert_eq!(received.sent, pongs);
        received.assert_open();
    }
}

// 6455-5.5.1-15 6455-5.4-4
#[test]
fn both_receive_close_between_fragments_and_drop_the_unfinished_message() {
    for role in BOTH_ROLES {
        let received =
            every_split_from_peer(role, &[b"\x01\x03Hel", b"\x88\x02\x03\xe8", b"\x80\x02lo", b"\x89\x00"]);
        assert_eq!(received.events, [Event::close(1000, "")]);
        assert_eq!(received.sent, [b"\x88\x02\x03\xe8"]);
        assert!(received.report.clean);
    }
}

// 6455-5.4-2 CM-30
#[test]
fn both_receive_continuation_without_a_message() {
    // Autobahn 5.9 to 5.17: as the first frame, and after a message that is finished.
    let cases: [(&[&[u8]], usize); 6] = [
        (&[b"\x80\x00"], 0),
        (&[b"\x00\x00"], 0),
        (&[b"\x80\x05Hello"], 0),
        (&[b"\x00\x05Hello", b"\x80\x00"], 0),
        (&[b"\x81\x02ok", b"\x80\x05Hello"], 1),
        (&[b"\x01\x01o", b"\x80\x01k", b"\x00\x05Hello"], 2),
    ];
    for role in BOTH_ROLES {
        for (frames, before) in cases {
            let received = every_split_from_peer(role, frames);
            let at: usize = frames[..before].iter().map(|frame| frame.len() + key_len(role)).sum();
            let expected = if before == 0 { vec![] } else { vec![Event::text("ok")] };
            assert_eq!(received.events, expected);
            received.assert_failed(ProtocolError::UnexpectedContinuation, 1002, at + 1);
        }
    }
}

// 6455-5.4-3 6455-5.4-15 CM-30
#[test]
fn both_receive_new_data_frame_inside_a_message() {
    for role in BOTH_ROLES {
        for first in [b"\x01\x00", b"\x02\x00"] {
            for second in [
                &b"\x81\x00"[..],
                b"\x82\x00",
                b"\x01\x02ab",
                b"\x02\x02ab",
                b"\x81\x7e\x01\x00",
                // Whole messages, as they usually come.
                b"\x81\x07Goodbye",
                &server_frame(0x82, &[7; 200]),
            ] {
                let received = every_split_from_peer(role, &[first, second]);
                assert_eq!(received.events, []);
                received.assert_failed(ProtocolError::ExpectedContinuation, 1002, 3 + key_len(role));
            }
        }
        // Behind a control frame and a further fragment too.
        let received = every_split_from_peer(role, &[b"\x01\x01a", b"\x00\x01b", b"\x8a\x00", b"\x81\x01c"]);
        assert_eq!(received.events, [Event::pong("")]);
        received.assert_failed(ProtocolError::ExpectedContinuation, 1002, 9 + 3 * key_len(role));
    }
}

// 6455-5.4-5 6455-5.5-2
#[test]
fn both_receive_fragmented_control_frame() {
    for role in BOTH_ROLES {
        for frame in [&b"\x09\x00"[..], b"\x0a\x00", b"\x08\x00", b"\x08\x02\x03\xe8", b"\x09\x01a"] {
            let received = every_split_from_peer(role, &[frame, b"\x80\x01b"]);
            assert_eq!(received.events, []);
            received.assert_failed(ProtocolError::FragmentedControlFrame, 1002, 1);
        }
    }
}

// 6455-5.4-11 CM-32
#[test]
fn both_receive_empty_fragments() {
    let cases: [(&[&[u8]], &str); 6] = [
        (&[b"\x01\x00", b"\x80\x00"], ""),
        (&[b"\x01\x00", b"\x00\x00", b"\x80\x00"], ""),
        (&[b"\x01\x00", b"\x00\x02ab", b"\x80\x00"], "ab"),
        (&[b"\x01\x01a", b"\x00\x00", b"\x80\x01b"], "ab"),
        (&[b"\x01\x02ab", b"\x80\x00"], "ab"),
        (&[b"\x01\x00", b"\x80\x02ab"], "ab"),
    ];
    for role in BOTH_ROLES {
        for (frames, text) in cases {
            let received = every_split_from_peer(role, frames);
            assert_eq!(received.events, [Event::text(text)]);
            received.assert_open();
        }
    }
}

// 6455-5.4-6 6455-5.4-16 6455-6.2-4 6455-6.2-5
#[test]
fn both_receive_many_fragments_in_the_order_sent() {
    let payload: Vec<u8> = (0..250).collect();
    for role in BOTH_ROLES {
        for fragment_len in [1, 7, 125, 126, 249] {
            let mut frames = Vec::new();
            for (i, fragment) in payload.chunks(fragment_len).enumerate() {
                frames.push(server_frame(if i == 0 { 0x02 } else { 0x00 }, fragment));
            }
            frames.last_mut().unwrap()[0] |= 0x80;
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let received = every_split_from_peer(role, &frames);
            assert_eq!(received.events, [Event::binary(&payload)]);
            received.assert_open();
        }
    }
}

// 6455-6.2-3 6455-6.2-5 6455-5.4-15
#[test]
fn both_receive_fragmented_messages_of_alternating_kinds() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[
                b"\x02\x01\xff",
                b"\x80\x01\xfe",
                b"\x01\x01a",
                b"\x80\x01b",
                b"\x82\x01\xfd",
                b"\x02\x00",
                b"\x80\x00",
                b"\x81\x01c",
            ],
        );
        assert_eq!(
            received.events,
            [
                Event::binary(b"\xff\xfe"),
                Event::text("ab"),
                Event::binary(b"\xfd"),
                Event::binary(b""),
                Event::text("c")
            ]
        );
        received.assert_open();
    }
}

// 6455-5.4-9 6455-6.1-4 6455-6.1-5 6455-6.1-6
#[test]
fn both_send_message_in_fragments_of_the_configured_length() {
    let cases: [(usize, &[&[u8]]); 6] = [
        (1, &[b"\x01\x01H", b"\x00\x01e", b"\x00\x01l", b"\x00\x01l", b"\x80\x01o"]),
        (2, &[b"\x01\x02He", b"\x00\x02ll", b"\x80\x01o"]),
        (4, &[b"\x01\x04Hell", b"\x80\x01o"]),
        (5, &[b"\x81\x05Hello"]),
        (6, &[b"\x81\x05Hello"]),
        // Zero is taken as one.
        (0, &[b"\x01\x01H", b"\x00\x01e", b"\x00\x01l", b"\x00\x01l", b"\x80\x01o"]),
    ];
    for role in BOTH_ROLES {
        for (fragment_len, frames) in cases {
            let config = Config::default().fragment_len(Some(fragment_len));
            let mut borrowed = connection(role, &config);
            borrowed.send("Hello").unwrap();
            assert_eq!(wire_frames(role, &drain(&mut borrowed)), frames);
            let mut owned = connection(role, &config);
            owned.send("Hello".to_owned()).unwrap();
            assert_eq!(wire_frames(role, &drain(&mut owned)), frames);
            let mut empty = connection(role, &config);
            empty.send(b"").unwrap();
            assert_eq!(wire_frames(role, &drain(&mut empty)), [b"\x82\x00"]);
        }
    }
}

// 6455-5.4-7 6455-5.4-15 6455-6.1-6
#[test]
fn both_send_nothing_else_inside_an_open_message_but_control_frames() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        connection.send_fragment(Fragment::Text("a"), Fin::More).unwrap();
        assert_eq!(connection.send("b"), Err(SendError::MessageOpen));
        assert_eq!(connection.send(b"b"), Err(SendError::MessageOpen));
        assert_eq!(
            connection.send_fragment(Fragment::Binary(b"b"), Fin::Last),
            Err(SendError::WrongFragmentKind)
        );
        connection.ping(b"p").unwrap();
        connection.send_fragment(Fragment::Text(""), Fin::More).unwrap();
        connection.send_fragment(Fragment::Text("c"), Fin::Last).unwrap();
        connection.send("d").unwrap();
        assert_eq!(
            wire_frames(role, &drain(&mut connection)),
            [&b"\x01\x01a"[..], b"\x89\x01p", b"\x00\x00", b"\x80\x01c", b"\x81\x01d"]
        );
    }
}

// What is received has no bearing on what is sent: each direction has its own open message.
// 6455-5.4-7
#[test]
fn both_send_message_while_a_fragmented_one_is_received() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let mut input = support::from_peer(role, b"\x01\x03Hel");
        let received = connection.receive(&mut input).unwrap();
        assert_eq!((received.consumed, received.event), (input.len(), None));
        connection.send("x").unwrap();
        assert_eq!(wire_frames(role, &drain(&mut connection)), [b"\x81\x01x"]);
    }
}
