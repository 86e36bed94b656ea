//! RFC 6455 §5.5: Close, Ping and Pong as they are received.

mod support;

use sansocket::connection::{ClosedBy, Connection, ReceivedClose, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, ProtocolError, Role};
use support::{
    BOTH_ROLES, Event, connection, drain, every_split, every_split_after, every_split_from_peer, from_peer,
    key_len, server_frame, wire_frames,
};

fn close_1000(connection: &mut Connection) {
    connection.close(&CloseFrame::with_code(CloseCode::NORMAL)).expect("it is open");
}

// RFC 6455 §5.7: an unmasked Ping "Hello" and its masked Pong.
// 6455-5.5.2-1 6455-5.5.3-1
#[test]
fn client_receives_ping_hello() {
    let received = every_split(Role::Client, &Config::default(), &[b"\x89\x05\x48\x65\x6c\x6c\x6f"]);
    assert_eq!(received.events, [Event::ping("Hello")]);
    assert_eq!(received.output, [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    received.assert_open();
}

// 6455-5.5.2-1 6455-5.5.3-1
#[test]
fn server_receives_ping_hello() {
    let ping = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let received = every_split(Role::Server, &Config::default(), &[ping]);
    assert_eq!(received.events, [Event::ping("Hello")]);
    assert_eq!(received.output, b"\x8a\x05\x48\x65\x6c\x6c\x6f");
    received.assert_open();
}

// 6455-5.5.2-1
#[test]
fn both_receive_empty_ping() {
    let received = every_split(Role::Client, &Config::default(), &[[0x89, 0x00]]);
    assert_eq!(received.events, [Event::ping("")]);
    assert_eq!(received.output, [0x8a, 0x80, 0x37, 0xfa, 0x21, 0x3d]);
    let received = every_split(Role::Server, &Config::default(), &[[0x89, 0x80, 0x37, 0xfa, 0x21, 0x3d]]);
    assert_eq!(received.events, [Event::ping("")]);
    assert_eq!(received.output, [0x8a, 0x00]);
}

// 6455-5.5-1 6455-5.5.2-4 6455-5.5.3-1 CM-34
#[test]
fn both_receive_ping_of_every_length_with_octets_that_are_no_text() {
    for role in BOTH_ROLES {
        for len in 0..=125u8 {
            let payload: Vec<u8> = (0..len).map(|i| 0xff - i).collect();
            let received = every_split_from_peer(role, &[&server_frame(0x89, &payload)]);
            assert_eq!(received.events, [Event::ping(&payload)]);
            assert_eq!(received.sent, [server_frame(0x8a, &payload)]);
            received.assert_open();
        }
    }
}

// 6455-5.5-1
#[test]
fn both_receive_control_frame_above_125_octets() {
    for role in BOTH_ROLES {
        for first in [0x88, 0x89, 0x8a] {
            for len in [126, 127, 65535, 65536] {
                let frame = server_frame(first, &vec![b'x'; len]);
                let received = every_split_from_peer(role, &[&frame[..12]]);
                assert_eq!(received.events, []);
                // From the second octet alone: neither the length nor the payload is waited for.
                received.assert_failed(ProtocolError::ControlFrameTooLong, 1002, 2);
            }
        }
        let received = every_split_from_peer(role, &[b"\x89\x7e\x00\x7e"]);
        received.assert_failed(ProtocolError::ControlFrameTooLong, 1002, 2);
    }
}

// 6455-5.5.3-2 6455-5.5.2-1
#[test]
fn both_receive_burst_of_pings_and_answer_every_one_in_order() {
    for role in BOTH_ROLES {
        let pings: Vec<Vec<u8>> = (0..100u8).map(|i| server_frame(0x89, &[i; 7])).collect();
        let pings: Vec<&[u8]> = pings.iter().map(Vec::as_slice).collect();
        let received = every_split_from_peer(role, &pings);
        let pongs: Vec<Vec<u8>> = (0..100u8).map(|i| server_frame(0x8a, &[i; 7])).collect();
        assert_eq!(received.sent, pongs);
        assert_eq!(received.events.len(), 100);
    }
}

// 6455-5.5.3-2 CM-28
#[test]
fn both_receive_pings_without_end_and_queue_16_kib_of_pongs_and_the_newest() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let frame_len = 127 + key_len(role.peer());
        let in_order = (16 << 10) / frame_len + 1;
        for i in 0..20_000u32 {
            let mut payload = [b'.'; 125];
            payload[..4].copy_from_slice(&i.to_be_bytes());
            let mut ping = from_peer(role, &server_frame(0x89, &payload));
            let received = connection.receive(&mut ping).unwrap();
            assert_eq!(Event::from(connection.event(received.event.unwrap(), &ping)), Event::ping(payload));
            assert!(connection.queued() <= (16 << 10) + 2 * frame_len);
        }
        let pongs = wire_frames(role, &drain(&mut connection));
        let numbers: Vec<u32> =
            pongs.iter().map(|pong| u32::from_be_bytes(pong[2..6].try_into().unwrap())).collect();
        // Nothing of the queue had begun to leave, so the newest goes ahead of it.
        let mut expected = vec![19_999];
        expected.extend(0..in_order as u32);
        assert_eq!(numbers, expected);
        assert!(pongs.iter().all(|pong| pong[..2] == [0x8a, 125] && pong[6..] == [b'.'; 121]));
    }
}

// 6455-5.5.3-3 6455-5.5.3-4 CM-36
#[test]
fn both_receive_pong_nobody_asked_for_and_send_nothing() {
    let received =
        every_split(Role::Server, &Config::default(), &[b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"]);
    assert_eq!(received.events, [Event::pong("Hello")]);
    assert_eq!(received.output, []);
    for role in BOTH_ROLES {
        let longest = server_frame(0x8a, &[0xff; 125]);
        let received = every_split_from_peer(role, &[b"\x8a\x00", &longest, b"\x8a\x01a", b"\x89\x01b"]);
        assert_eq!(
            received.events,
            [Event::pong(""), Event::pong([0xff; 125]), Event::pong("a"), Event::ping("b")]
        );
        assert_eq!(received.sent, [b"\x8a\x01b"]);
        received.assert_open();
    }
}

// 6455-5.5.1-7 6455-5.5.1-10 6455-7.1.5-2 CM-41
#[test]
fn both_receive_empty_close_and_answer_with_an_empty_one() {
    let received = every_split(Role::Client, &Config::default(), &[[0x88, 0x00]]);
    assert_eq!(received.output, [0x88, 0x80, 0x37, 0xfa, 0x21, 0x3d]);
    let received = every_split(Role::Server, &Config::default(), &[[0x88, 0x80, 0x37, 0xfa, 0x21, 0x3d]]);
    assert_eq!(received.output, [0x88, 0x00]);
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[b"\x88\x00"]);
        assert_eq!(received.events, [Event::close(None, "")]);
        received.assert_closed_cleanly(role, ReceivedClose::NoStatus, b"\x88\x00");
        assert_eq!(received.report.received.number(), 1005);
        assert_eq!(received.report.sent, Some(None));
    }
}

/// Close frames of the requirements' examples, from the server and from the client.
const CLOSES: [(u16, &str, &[u8], &[u8]); 10] = [
    (1000, "", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
    (1000, "bye", b"\x88\x05\x03\xe8\x62\x79\x65", b"\x88\x85\x37\xfa\x21\x3d\x34\x12\x43\x44\x52"),
    (1001, "", b"\x88\x02\x03\xe9", b"\x88\x82\x37\xfa\x21\x3d\x34\x13"),
    (1002, "", b"\x88\x02\x03\xea", b"\x88\x82\x37\xfa\x21\x3d\x34\x10"),
    (1007, "", b"\x88\x02\x03\xef", b"\x88\x82\x37\xfa\x21\x3d\x34\x15"),
    (1009, "", b"\x88\x02\x03\xf1", b"\x88\x82\x37\xfa\x21\x3d\x34\x0b"),
    (1011, "", b"\x88\x02\x03\xf3", b"\x88\x82\x37\xfa\x21\x3d\x34\x09"),
    (3000, "", b"\x88\x02\x0b\xb8", b"\x88\x82\x37\xfa\x21\x3d\x3c\x42"),
    (4000, "", b"\x88\x02\x0f\xa0", b"\x88\x82\x37\xfa\x21\x3d\x38\x5a"),
    (4999, "", b"\x88\x02\x13\x87", b"\x88\x82\x37\xfa\x21\x3d\x24\x7d"),
];

// 6455-5.5.1-1 6455-5.5.1-2 6455-5.5.1-5 6455-5.5.1-7 6455-5.5.1-10 6455-5.5.1-11 6455-5.5.1-12 6455-5.5.1-13
#[test]
fn both_receive_close_with_code_and_echo_it() {
    for (code, reason, from_server, from_client) in CLOSES {
        for (role, close) in [(Role::Client, from_server), (Role::Server, from_client)] {
            let received = every_split(role, &Config::default(), &[close]);
            assert_eq!(received.events, [Event::close(code, reason)]);
            assert_eq!(received.events_at, [close.len()]);
            let received_code = ReceivedClose::Code(CloseCode::new(code).unwrap());
            received.assert_closed_cleanly(role, received_code, &from_server_without_reason(from_server));
            assert_eq!(&*received.report.received_reason, reason);
            assert_eq!(received.report.sent, Some(CloseCode::new(code)));
            assert_eq!(received.report.closed_by, ClosedBy::Remote);
        }
    }
    // Octet for octet, masked by the client.
    for (code, reason, from_server, from_client) in CLOSES {
        if reason.is_empty() {
            let received = every_split(Role::Client, &Config::default(), &[from_server]);
            assert_eq!(received.output, from_client, "{code}");
            let received = every_split(Role::Server, &Config::default(), &[from_client]);
            assert_eq!(received.output, from_server, "{code}");
        }
    }
}

fn from_server_without_reason(close: &[u8]) -> [u8; 4] {
    [0x88, 0x02, close[2], close[3]]
}

// 6455-5.5.1-5 6455-7.1.2-1 CM-39 CM-40
#[test]
fn both_send_close_with_code_and_reason() {
    for (code, reason, from_server, from_client) in CLOSES {
        let close = CloseFrame::new(CloseCode::new(code).unwrap(), reason).unwrap();
        for (role, expected) in [(Role::Client, from_client), (Role::Server, from_server)] {
            let mut connection = connection(role, &Config::default());
            connection.close(&close).unwrap();
            assert_eq!(drain(&mut connection), expected);
        }
    }
    for (role, expected) in
        [(Role::Client, &[0x88, 0x80, 0x37, 0xfa, 0x21, 0x3d][..]), (Role::Server, &[0x88, 0x00])]
    {
        let mut connection = connection(role, &Config::default());
        connection.close(&CloseFrame::EMPTY).unwrap();
        assert_eq!(drain(&mut connection), expected);
    }
}

// 6455-5.5.1-1
#[test]
fn both_receive_close_with_half_a_code() {
    for role in BOTH_ROLES {
        for frame in [&b"\x88\x01\x03"[..], b"\x88\x01"] {
            let received = every_split_from_peer(role, &[frame]);
            assert_eq!(received.events, []);
            received.assert_failed(ProtocolError::HalfCloseCode, 1002, 2);
        }
    }
}

// 6455-5.5.1-2 6455-5.5-1 CM-42
#[test]
fn both_receive_close_with_reason_of_every_length() {
    for role in BOTH_ROLES {
        for len in 0..=123 {
            let reason = "r".repeat(len);
            let close = server_frame(0x88, &[b"\x03\xe8", reason.as_bytes()].concat());
            let received = every_split_from_peer(role, &[&close]);
            assert_eq!(received.events, [Event::close(1000, &reason)]);
            assert_eq!(&*received.report.received_reason, reason);
        }
        let too_long = server_frame(0x88, &[&b"\x03\xe8"[..], &[b'r'; 124]].concat());
        let received = every_split_from_peer(role, &[&too_long]);
        received.assert_failed(ProtocolError::ControlFrameTooLong, 1002, 2);
    }
}

// 6455-5.5.1-2 6455-8.1-2
#[test]
fn both_receive_close_with_reason_that_is_not_utf8() {
    let cases: [&[u8]; 5] = [
        b"\x88\x04\x03\xe8\xc3\x28",
        b"\x88\x03\x03\xe8\xff",
        b"\x88\x05\x03\xe8\xed\xa0\x80",
        b"\x88\x06\x0f\xa0ok\xe2\x82",
        b"\x88\x04\x03\xe8\xc0\xaf",
    ];
    for role in BOTH_ROLES {
        for frame in cases {
            let received = every_split_from_peer(role, &[frame]);
            assert_eq!(received.events, []);
            received.assert_failed(ProtocolError::InvalidCloseReason, 1007, frame.len() + key_len(role));
        }
        let received = every_split_from_peer(role, &[b"\x88\x0a\x03\xe8gr\xc3\xbc\xc3\x9fe!"]);
        assert_eq!(received.events, [Event::close(1000, "grüße!")]);
    }
}

// The code is judged before the reason.
// 6455-5.5.1-2 6455-7.4.1-4
#[test]
fn both_receive_close_with_bad_code_and_bad_reason() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(role, &[b"\x88\x04\x03\xee\xc3\x28"]);
        received.assert_failed(ProtocolError::InvalidCloseCode(1006), 1002, 6 + key_len(role));
    }
}

// 6455-5.5.1-15 6455-5.5.2-1
#[test]
fn both_receive_anything_after_close_and_ignore_it() {
    let rest: [&[u8]; 7] = [
        b"\x88\x02\x03\xe9",
        b"\x89\x01p",
        b"\x81\x05Hello",
        b"\x80\x02lo",
        b"\xff\xff\xff\xff",
        b"\x88\x01\x00",
        &[0x00; 300],
    ];
    for role in BOTH_ROLES {
        for rest in rest {
            for rest in [rest.to_vec(), from_peer(role, rest)] {
                let close = from_peer(role, b"\x88\x02\x03\xe8");
                let received = every_split(role, &Config::default(), &[close, rest]);
                assert_eq!(received.events, [Event::close(1000, "")]);
                received.assert_closed_cleanly(
                    role,
                    ReceivedClose::Code(CloseCode::NORMAL),
                    b"\x88\x02\x03\xe8",
                );
            }
        }
    }
}

// 6455-5.5.1-8 CM-48
#[test]
fn both_receive_message_before_close_and_may_still_reply_to_it() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let mut input = [
            from_peer(role, b"\x81\x01q"),
            from_peer(role, b"\x89\x01p"),
            from_peer(role, b"\x88\x02\x03\xe8"),
        ]
        .concat();
        let received = connection.receive(&mut input).unwrap();
        assert_eq!(Event::from(connection.event(received.event.unwrap(), &input)), Event::text("q"));
        assert_eq!(connection.queued(), 0, "the Close behind the message has not been looked at");
        connection.send("reply").unwrap();
        let mut at = received.consumed;
        for _ in 0..2 {
            at += connection.receive(&mut input[at..]).unwrap().consumed;
        }
        assert_eq!(at, input.len());
        assert_eq!(
            wire_frames(role, &drain(&mut connection)),
            [&b"\x81\x05reply"[..], b"\x8a\x01p", b"\x88\x02\x03\xe8"]
        );
    }
}

// 6455-5.5.1-16 6455-5.5.2-1 6455-7.1.3-1
#[test]
fn both_receive_frames_after_their_own_close_and_deliver_them() {
    for role in BOTH_ROLES {
        let input = [
            from_peer(role, b"\x81\x01a"),
            from_peer(role, b"\x89\x01p"),
            from_peer(role, b"\x02\x01b"),
            from_peer(role, b"\x80\x01c"),
            from_peer(role, b"\x88\x02\x0f\xa1"),
        ];
        let received = every_split_after(&close_1000, role, &Config::default(), &input);
        assert_eq!(
            received.events,
            [Event::text("a"), Event::ping("p"), Event::binary("bc"), Event::close(4001, "")]
        );
        // The Ping is answered, though our Close has left; the Close is not answered by a second one.
        assert_eq!(received.sent, [&b"\x88\x02\x03\xe8"[..], b"\x8a\x01p"]);
        assert_eq!(received.report.received.number(), 4001);
        assert_eq!(received.report.sent, Some(Some(CloseCode::NORMAL)));
        assert_eq!(received.report.closed_by, ClosedBy::Local);
        assert!(received.report.clean);
    }
}

// 6455-5.5.1-14 CM-46
#[test]
fn both_receive_close_that_crossed_their_own() {
    for role in BOTH_ROLES {
        for close in [&b"\x88\x02\x03\xe8"[..], b"\x88\x00"] {
            let received =
                every_split_after(&close_1000, role, &Config::default(), &[from_peer(role, close)]);
            assert_eq!(received.sent, [b"\x88\x02\x03\xe8"]);
            assert!(received.report.clean);
            let phase = if role == Role::Server { TransportPhase::ShutDown } else { TransportPhase::Discard };
            assert_eq!(received.phase, phase);
        }
    }
}

// 6455-5.5.1-16 6455-7.1.7-5
#[test]
fn both_receive_bad_frame_after_their_own_close_and_send_no_second_one() {
    for role in BOTH_ROLES {
        let received =
            every_split_after(&close_1000, role, &Config::default(), &[from_peer(role, b"\x83\x00")]);
        assert_eq!(received.events, []);
        assert_eq!(received.failure, Some(Failure::Protocol(ProtocolError::UnknownOpcode(3))));
        assert_eq!(received.sent, [b"\x88\x02\x03\xe8"]);
        assert!(!received.report.clean);
        assert_eq!(received.report.received, ReceivedClose::Abnormal);
    }
}

// 6455-5.5.2-3 6455-5.5.2-4 6455-5.5-1
#[test]
fn both_send_ping_and_pong_of_up_to_125_octets() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        let longest = [0xfe; 125];
        connection.ping(&longest).unwrap();
        connection.pong(&longest).unwrap();
        let too_long = Err(sansocket::SendError::ControlPayloadTooLong);
        assert_eq!(connection.ping(&[0; 126]), too_long);
        assert_eq!(connection.pong(&[0; 126]), too_long);
        assert_eq!(
            wire_frames(role, &drain(&mut connection)),
            [server_frame(0x89, &longest), server_frame(0x8a, &longest)]
        );
    }
}
