//! RFC 7692 §6: RSV1 says per message whether it is compressed; frames are made of the result.
#![cfg(feature = "deflate")]

mod support;

use sansocket::connection::{Fin, Fragment, OutgoingMessage, ReceivedClose};
use sansocket::deflate::Compression;
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, ProtocolError, Role};
use support::deflate::{deflating, every_split_deflated, unlimited, with_takeover};
use support::{
    BOTH_ROLES, Event, Transcript, connection, drain, every_split, from_peer, key_len, wire_frames,
};

fn received(role: Role, frames: &[&[u8]]) -> Transcript {
    every_split_deflated(role, &Config::default(), &unlimited(), frames)
}

fn always(message: impl Into<OutgoingMessage<'static>>) -> OutgoingMessage<'static> {
    message.into().compression(Compression::Always)
}

// 7692-6-1 7692-6.2-1 7692-7.2.2-1
#[test]
fn client_receives_hello_compressed() {
    // Not masked and masked, as both ends have it.
    let frame = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let received = every_split_deflated(Role::Client, &Config::default(), &unlimited(), &[frame]);
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.events_at, [9]);
    received.assert_open();
}

// 7692-6-1 7692-6.2-1 7692-7.2.2-1
#[test]
fn server_receives_hello_compressed_and_masked() {
    let frame = [0xc1, 0x87, 0x37, 0xfa, 0x21, 0x3d, 0xc5, 0xb2, 0xec, 0xf4, 0xfe, 0xfd, 0x21];
    assert_eq!(frame[..], from_peer(Role::Server, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"));
    let open = || deflating(Role::Server, &Config::default(), &unlimited());
    let received = support::every_split_of(&open, &[frame]);
    assert_eq!(received.events, [Event::text("Hello")]);
    assert_eq!(received.events_at, [13]);
    received.assert_open();
}

// 7692-6-4 CM-63
#[test]
fn both_receive_rsv1_on_a_continuation() {
    for role in BOTH_ROLES {
        let key = key_len(role);
        for second in [&b"\xc0\x04\xc9\xc9\x07\x00"[..], b"\x40\x04\xc9\xc9\x07\x00", b"\xc0\x00"] {
            let received = received(role, &[b"\x41\x03\xf2\x48\xcd", second]);
            assert_eq!(received.events, []);
            received.assert_failed(ProtocolError::ReservedBits, 1002, 6 + key);
        }
        // Of a plain message too.
        let received = received(role, &[b"\x01\x03Hel", b"\xc0\x02lo"]);
        received.assert_failed(ProtocolError::ReservedBits, 1002, 6 + key);
    }
}

// 7692-6-3 CM-63
#[test]
fn both_receive_rsv1_on_a_control_frame() {
    for role in BOTH_ROLES {
        for control in [&b"\xc8\x00"[..], b"\xc9\x00", b"\xca\x00", b"\xc9\x01p"] {
            received(role, &[control]).assert_failed(ProtocolError::ReservedBits, 1002, 1);
            let between = received(role, &[b"\x41\x03\xf2\x48\xcd", control]);
            between.assert_failed(ProtocolError::ReservedBits, 1002, 6 + key_len(role));
        }
    }
}

// 7692-6-5
#[test]
fn both_receive_rsv2_or_rsv3_with_compression_agreed() {
    for role in BOTH_ROLES {
        for rsv in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
            for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8a] {
                received(role, &[&[first | rsv, 0x00]]).assert_failed(ProtocolError::ReservedBits, 1002, 1);
            }
        }
    }
}

// 7692-6-5
#[test]
fn both_receive_rsv1_without_compression_agreed() {
    for role in BOTH_ROLES {
        for first in [0xc1, 0xc2, 0x41, 0x42] {
            let frame = from_peer(role, &[first, 0x01, 0x00]);
            let received = every_split(role, &Config::default(), &[frame]);
            received.assert_failed(ProtocolError::ReservedBits, 1002, 1);
        }
    }
}

// 7692-6-6
#[test]
fn both_receive_messages_of_the_kind_their_opcode_says() {
    for role in BOTH_ROLES {
        let received = received(
            role,
            &[
                b"\xc2\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
                b"\xc1\x05\xf2\x00\x11\x00\x00",
                b"\x42\x01\x02",
                b"\x80\x03\x13\x00\x00",
            ],
        );
        assert_eq!(received.events, [Event::binary("Hello"), Event::text("Hello"), Event::binary("Hello")]);
        received.assert_open();
    }
}

// 7692-6-8 7692-6.2-2 CM-62
#[test]
fn both_receive_plain_messages_between_compressed_ones_as_they_are() {
    for agreement in with_takeover() {
        for role in BOTH_ROLES {
            let frames: [&[u8]; 9] = [
                b"\x81\x05Hello",
                b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
                b"\x81\x05world",
                // What would be a compressed payload is none.
                b"\x82\x05\xf2\x00\x11\x00\x00",
                b"\x01\x03Hel",
                b"\x80\x02lo",
                b"\x82\x00",
                // Refers to the compressed "Hello", five octets before.
                b"\xc1\x05\xf2\x00\x11\x00\x00",
                b"\x81\x05again",
            ];
            let received = every_split_deflated(role, &Config::default(), &agreement, &frames);
            assert_eq!(
                received.events,
                [
                    Event::text("Hello"),
                    Event::text("Hello"),
                    Event::text("world"),
                    Event::binary(b"\xf2\x00\x11\x00\x00"),
                    Event::text("Hello"),
                    Event::binary(""),
                    Event::text("Hello"),
                    Event::text("again"),
                ]
            );
            received.assert_open();
        }
    }
}

// 7692-6-9 CM-63
#[test]
fn both_receive_control_frames_between_compressed_fragments() {
    for role in BOTH_ROLES {
        let key = key_len(role);
        let received = received(
            role,
            &[
                b"\x41\x03\xf2\x48\xcd",
                // What is in a control frame is not compressed, whatever it looks like.
                b"\x89\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
                b"\x8a\x00",
                b"\x00\x02\xc9\xc9",
                b"\x89\x00",
                b"\x80\x02\x07\x00",
            ],
        );
        let ping = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        assert_eq!(
            received.events,
            [Event::ping(ping), Event::pong(""), Event::ping(""), Event::text("Hello")]
        );
        assert_eq!(received.events_at[..2], [14 + 2 * key, 16 + 3 * key]);
        assert_eq!(received.sent, [&b"\x8a\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], b"\x8a\x00"]);
        received.assert_open();
    }
}

// 7692-6-9
#[test]
fn both_receive_close_between_compressed_fragments_and_drop_the_unfinished_message() {
    for role in BOTH_ROLES {
        let received = received(
            role,
            &[b"\x41\x03\xf2\x48\xcd", b"\x88\x02\x03\xe8", b"\x80\x04\xc9\xc9\x07\x00", b"\x89\x00"],
        );
        assert_eq!(received.events, [Event::close(1000, "")]);
        received.assert_closed_cleanly(role, ReceivedClose::Code(CloseCode::NORMAL), b"\x88\x02\x03\xe8");
        // A large one too, of which more is inflated already.
        let mut large = vec![0x41, 0x7e, 0x17, 0x70];
        for _ in 0..60 {
            // A stored block with 95 octets, which is not the last one.
            large.extend([0x00, 0x5f, 0x00, 0xa0, 0xff]);
            large.extend([b'x'; 95]);
        }
        let received = every_split_deflated(
            role,
            &Config::default(),
            &unlimited(),
            &[&large[..], b"\x88\x02\x03\xe8", b"\x80\x01\x00"],
        );
        assert_eq!(received.events, [Event::close(1000, "")]);
    }
}

// RFC 6455 §5.4 holds for compressed messages as for others.
// 7692-6.2-1
#[test]
fn both_receive_a_new_message_inside_a_compressed_one() {
    for role in BOTH_ROLES {
        for second in [&b"\xc1\x01\x00"[..], b"\x81\x00", b"\x02\x00"] {
            let received = received(role, &[b"\x41\x03\xf2\x48\xcd", second]);
            received.assert_failed(ProtocolError::ExpectedContinuation, 1002, 6 + key_len(role));
        }
    }
}

// 6455-6.1-8 7692-6-1 7692-6.1-1 7692-7.2.1-1 7692-7.2.1-3 CM-58
#[test]
fn both_send_hello_compressed() {
    let golden: [(Role, &[u8]); 2] = [
        (Role::Server, &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]),
        (Role::Client, &[0xc1, 0x87, 0x37, 0xfa, 0x21, 0x3d, 0xc5, 0xb2, 0xec, 0xf4, 0xfe, 0xfd, 0x21]),
    ];
    for (role, expected) in golden {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        connection.send(always("Hello")).unwrap();
        assert_eq!(drain(&mut connection), expected);
    }
}

// 7692-6-6 7692-6.1-2 7692-8-1
#[test]
fn both_send_the_opcode_of_the_message_and_plain_ones_without_rsv1() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        connection.send(always(&b"Hello"[..])).unwrap();
        connection.send(OutgoingMessage::from("Hello").compression(Compression::Never)).unwrap();
        connection.send("Hello").unwrap();
        connection.send(&b"Hello"[..]).unwrap();
        let sent = wire_frames(role, &drain(&mut connection));
        assert_eq!(
            sent,
            [
                &b"\xc2\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
                b"\x81\x05Hello",
                b"\x81\x05Hello",
                b"\x82\x05Hello"
            ]
        );
    }
}

// 7692-6-2 7692-6.1-1 7692-7.2.1-7 CM-63
#[test]
fn both_send_fragments_of_the_compressed_payload_with_rsv1_on_the_first() {
    for role in BOTH_ROLES {
        let config = Config::default().fragment_len(Some(3));
        let mut connection = deflating(role, &config, &unlimited());
        connection.send(always("Hello")).unwrap();
        let sent = wire_frames(role, &drain(&mut connection));
        assert_eq!(
            sent,
            [&b"\x41\x03\xf2\x48\xcd"[..], b"\x00\x03\xc9\xc9\x07", b"\x80\x01\x00"],
            "cut every three octets, and the tail is left out once"
        );
        // Exactly full fragments have no empty one behind them.
        let config = Config::default().fragment_len(Some(7));
        let mut connection = deflating(role, &config, &unlimited());
        connection.send(always("Hello")).unwrap();
        assert_eq!(wire_frames(role, &drain(&mut connection)), [b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"]);
    }
}

// 7692-6-2 7692-6-9 CM-63
#[test]
fn both_send_control_frames_without_compression() {
    for role in BOTH_ROLES {
        let mut connection = deflating(role, &Config::default(), &unlimited());
        let fragment = |text| OutgoingMessage::from(Fragment::Text(text)).compression(Compression::Always);
        let ping = [b'p'; 125];
        connection.send_fragment(fragment("Hel"), Fin::More).unwrap();
        connection.ping(&ping).unwrap();
        connection.pong(&ping).unwrap();
        let received = connection.receive(&mut from_peer(role, b"\x89\x03abc")).unwrap();
        assert!(received.event.is_some());
        connection.send_fragment(fragment("lo"), Fin::Last).unwrap();
        connection
            .close(&CloseFrame::new(CloseCode::NORMAL, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap())
            .unwrap();
        let sent = wire_frames(role, &drain(&mut connection));
        let firsts: Vec<u8> = sent.iter().map(|frame| frame[0]).collect();
        assert_eq!(firsts, [0x41, 0x89, 0x8a, 0x8a, 0x80, 0x88]);
        assert_eq!(sent[1][2..], ping);
        assert_eq!(sent[2][2..], ping);
        assert_eq!(sent[3], b"\x8a\x03abc");
        assert_eq!(sent[5], b"\x88\x20\x03\xe8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
}

// 7692-6.1-2
#[test]
fn both_send_plain_messages_without_compression_agreed_whatever_is_asked() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        connection.send(always("Hello")).unwrap();
        assert_eq!(wire_frames(role, &drain(&mut connection)), [b"\x81\x05Hello"]);
    }
}
