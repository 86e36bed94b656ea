//! RFC 6455 §5.2: the header of a frame, judged octet by octet.

mod support;

use sansocket::connection::{Fin, Fragment};
use sansocket::frame::{CloseFrame, ControlOpcode, DataOpcode, Expect, FrameHeader, MaskingKey, Opcode, Rsv};
use sansocket::{CloseCode, Config, ProtocolError, Role};
use support::{
    BOTH_ROLES, Event, KEY, client_frame, connection, drain, every_split, every_split_from_peer, from_peer,
    key_len, masked, server_frame, wire_frames,
};

/// Payload lengths with the header of a binary frame, from the server and from the client.
const HEADERS: [(u64, &[u8], &[u8]); 10] = [
    (0, &[0x82, 0x00], &[0x82, 0x80, 0x37, 0xfa, 0x21, 0x3d]),
    (125, &[0x82, 0x7d], &[0x82, 0xfd, 0x37, 0xfa, 0x21, 0x3d]),
    (126, &[0x82, 0x7e, 0x00, 0x7e], &[0x82, 0xfe, 0x00, 0x7e, 0x37, 0xfa, 0x21, 0x3d]),
    (127, &[0x82, 0x7e, 0x00, 0x7f], &[0x82, 0xfe, 0x00, 0x7f, 0x37, 0xfa, 0x21, 0x3d]),
    (255, &[0x82, 0x7e, 0x00, 0xff], &[0x82, 0xfe, 0x00, 0xff, 0x37, 0xfa, 0x21, 0x3d]),
    (256, &[0x82, 0x7e, 0x01, 0x00], &[0x82, 0xfe, 0x01, 0x00, 0x37, 0xfa, 0x21, 0x3d]),
    (65535, &[0x82, 0x7e, 0xff, 0xff], &[0x82, 0xfe, 0xff, 0xff, 0x37, 0xfa, 0x21, 0x3d]),
    (
        65536,
        &[0x82, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00],
        &[0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x37, 0xfa, 0x21, 0x3d],
    ),
    (
        1_048_576,
        &[0x82, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00],
        &[0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x37, 0xfa, 0x21, 0x3d],
    ),
    (
        16_777_216,
        &[0x82, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00],
        &[0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x37, 0xfa, 0x21, 0x3d],
    ),
];

fn counting(len: u64) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

// RFC 6455 §5.7: 256 octets and 64 KiB of binary data in one unmasked frame.
// 6455-5.2-6 6455-5.2-7 6455-5.2-10 6455-5.2-11 CM-15 CM-16
#[test]
fn both_receive_binary_with_every_form_of_length() {
    for (len, server, client) in HEADERS {
        if len > 65536 {
            continue;
        }
        for role in BOTH_ROLES {
            let payload = counting(len);
            let frame = from_peer(role, &[server, &payload].concat());
            assert!(frame.starts_with(if role == Role::Client { server } else { client }));
            let received = every_split(role, &Config::default(), &[frame]);
            assert_eq!(received.events, [Event::binary(payload)]);
            received.assert_open();
        }
    }
}

// 6455-5.2-6 6455-5.2-7
#[test]
fn both_receive_header_with_every_form_of_length() {
    for (len, server, client) in HEADERS {
        for (bytes, masked) in [(server, false), (client, true)] {
            let expect = Expect { masked, ..Expect::default() };
            for cut in 0..bytes.len() {
                assert_eq!(FrameHeader::decode(&bytes[..cut], &expect), Ok(None), "{len} cut at {cut}");
            }
            let (header, header_len) = FrameHeader::decode(bytes, &expect).unwrap().unwrap();
            assert_eq!(header_len, bytes.len());
            assert_eq!(header.payload_len(), len);
            assert!(header.fin());
            assert_eq!(header.rsv(), Rsv::NONE);
            assert_eq!(header.opcode(), Opcode::Data(DataOpcode::Binary));
            assert_eq!(header.masking_key().map(MaskingKey::octets), masked.then_some(KEY));
            assert_eq!(header.encode().as_slice(), bytes);
        }
    }
}

// 6455-5.2-5 6455-5.2-1
#[test]
fn both_send_length_in_shortest_form() {
    for (len, server, client) in HEADERS {
        let payload = counting(len);
        for (role, header) in [(Role::Server, server), (Role::Client, client)] {
            let mut connection = connection(role, &Config::default());
            connection.send(&payload).unwrap();
            let sent = drain(&mut connection);
            assert_eq!(&sent[..header.len()], header);
            assert_eq!(wire_frames(role, &sent), [server_frame(0x82, &payload)]);
        }
    }
}

// 6455-5.2-1 6455-5.1-1 6455-5.1-4 6455-5.3-1
#[test]
fn both_send_frames_of_every_kind_without_reserved_bits_masked_by_role() {
    for role in BOTH_ROLES {
        let mut connection = connection(role, &Config::default());
        connection.send("Hello").unwrap();
        connection.send("").unwrap();
        connection.send(b"").unwrap();
        connection.send_fragment(Fragment::Text("Hel"), Fin::More).unwrap();
        connection.ping(b"p").unwrap();
        connection.send_fragment(Fragment::Text("lo"), Fin::Last).unwrap();
        connection.pong(b"").unwrap();
        connection.close(&CloseFrame::new(CloseCode::NORMAL, "bye").unwrap()).unwrap();
        assert_eq!(
            wire_frames(role, &drain(&mut connection)),
            [
                &b"\x81\x05Hello"[..],
                b"\x81\x00",
                b"\x82\x00",
                b"\x01\x03Hel",
                b"\x89\x01p",
                b"\x80\x02lo",
                b"\x8a\x00",
                b"\x88\x05\x03\xe8bye",
            ]
        );
    }
}

// 6455-5.2-7
#[test]
fn server_receives_empty_text_with_masking_key() {
    let received = every_split(Role::Server, &Config::default(), &[[0x81, 0x80, 0x37, 0xfa, 0x21, 0x3d]]);
    assert_eq!(received.events, [Event::text("")]);
    assert_eq!(received.events_at, [6], "the key belongs to the frame although it masks nothing");
    received.assert_open();
}

// 6455-5.2-11 CM-16
#[test]
fn both_receive_several_frames_in_one_read_and_one_frame_in_several() {
    for role in BOTH_ROLES {
        let received = every_split_from_peer(
            role,
            &[
                b"\x81\x05Hello",
                b"\x82\x00",
                b"\x89\x01p",
                &server_frame(0x82, &counting(126)),
                b"\x8a\x00",
                b"\x81\x00",
                &server_frame(0x81, &[b'x'; 300]),
            ],
        );
        assert_eq!(
            received.events,
            [
                Event::text("Hello"),
                Event::binary(""),
                Event::ping("p"),
                Event::binary(counting(126)),
                Event::pong(""),
                Event::text(""),
                Event::text(&"x".repeat(300)),
            ]
        );
        let key = key_len(role);
        assert_eq!(
            received.events_at,
            [7 + key, 9 + 2 * key, 12 + 3 * key, 142 + 4 * key, 144 + 5 * key, 146 + 6 * key, 450 + 7 * key]
        );
        assert_eq!(received.sent, [b"\x8a\x01p"]);
        received.assert_open();
    }
}

// 6455-5.2-11 CM-15
#[test]
fn both_receive_beginning_of_header_and_leave_it_unconsumed() {
    for (role, header) in [(Role::Client, HEADERS[7].1), (Role::Server, HEADERS[7].2)] {
        for len in 1..header.len() {
            let received = every_split(role, &Config::default(), &[&header[..len]]);
            assert_eq!((received.events, received.failure), (vec![], None));
            assert_eq!(received.unconsumed, len);
        }
        let received = every_split(role, &Config::default(), &[header]);
        assert_eq!((received.events, received.unconsumed), (vec![], 0));
    }
}

/// What RFC 6455 §5.2, §5.4 and §5.5 say of a frame's first octet when nothing was negotiated.
fn verdict_on_first(octet: u8, message_open: bool) -> Option<ProtocolError> {
    if octet & 0x70 != 0 {
        return Some(ProtocolError::ReservedBits);
    }
    match (octet & 0x0f, octet & 0x80 != 0, message_open) {
        (opcode @ (3..=7 | 11..=15), _, _) => Some(ProtocolError::UnknownOpcode(opcode)),
        (8..=10, false, _) => Some(ProtocolError::FragmentedControlFrame),
        (0, _, false) => Some(ProtocolError::UnexpectedContinuation),
        (1 | 2, _, true) => Some(ProtocolError::ExpectedContinuation),
        _ => None,
    }
}

// 6455-5.2-2 6455-5.2-3 6455-5.4-2 6455-5.4-3 6455-5.4-5 6455-5.5-2 CM-29 CM-30
#[test]
fn both_receive_every_first_octet_and_judge_it_before_anything_follows() {
    for role in BOTH_ROLES {
        for message_open in [false, true] {
            let before = if message_open { from_peer(role, b"\x02\x01a") } else { Vec::new() };
            for first in 0..=255 {
                let at = before.len() + 1;
                let received = every_split(role, &Config::default(), &[&before[..], &[first]]);
                assert_eq!(received.events, []);
                match verdict_on_first(first, message_open) {
                    Some(error) => received.assert_failed(error, 1002, at),
                    None => assert_eq!((received.failure, received.unconsumed), (None, 1)),
                }
            }
        }
    }
}

// 6455-5.1-2 6455-5.1-5 6455-5.5-1 6455-5.5.1-1
#[test]
fn both_receive_every_second_octet_and_judge_it_before_anything_follows() {
    for role in BOTH_ROLES {
        for first in [0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8a] {
            for second in 0..=255u8 {
                let expected = match (role, second & 0x80 != 0, first, second & 0x7f) {
                    (Role::Server, false, ..) => Some(ProtocolError::UnmaskedFrame),
                    (Role::Client, true, ..) => Some(ProtocolError::MaskedFrame),
                    (_, _, 0x88..=0x8a, 126..) => Some(ProtocolError::ControlFrameTooLong),
                    (_, _, 0x88, 1) => Some(ProtocolError::HalfCloseCode),
                    _ => None,
                };
                let received = every_split(role, &Config::default(), &[[first, second]]);
                match expected {
                    Some(error) => received.assert_failed(error, 1002, 2),
                    None => assert_eq!(received.failure, None),
                }
            }
        }
    }
}

// The order of the checks where one octet, or the beginning of a header, breaks several rules.
// 6455-5.2-2 6455-5.2-3
#[test]
fn both_receive_header_that_breaks_several_rules_and_name_the_first() {
    let cases: [(&[u8], ProtocolError); 7] = [
        // Reserved bits before the opcode, the fragmented control frame, the sequence.
        (&[0xf3], ProtocolError::ReservedBits),
        (&[0x19], ProtocolError::ReservedBits),
        (&[0x40], ProtocolError::ReservedBits),
        // The opcode before FIN: whether B is a control frame is not known.
        (&[0x0b], ProtocolError::UnknownOpcode(0x0b)),
        // The first octet before the second: a Ping without FIN that is also too long.
        (&[0x09, 0x7e], ProtocolError::FragmentedControlFrame),
        (&[0x80, 0x7f], ProtocolError::UnexpectedContinuation),
        (&[0x83, 0x7f], ProtocolError::UnknownOpcode(3)),
    ];
    for role in BOTH_ROLES {
        for (bytes, error) in cases {
            let received = every_split(role, &Config::default(), &[masked(bytes)]);
            received.assert_failed(error, 1002, 1);
        }
    }
    // The mask before the length of a control frame.
    let received = every_split(Role::Client, &Config::default(), &[[0x89, 0xfe]]);
    received.assert_failed(ProtocolError::MaskedFrame, 1002, 2);
    let received = every_split(Role::Server, &Config::default(), &[[0x88, 0x01]]);
    received.assert_failed(ProtocolError::UnmaskedFrame, 1002, 2);
}

// 6455-5.2-2 6455-5.8-1 CM-29
#[test]
fn both_receive_reserved_bits_that_nothing_gives_a_meaning() {
    let cases: [&[u8]; 6] =
        [&[0xc1, 0x00], &[0xa1, 0x00], &[0x91, 0x00], b"\xf1\x05Hello", b"\xc9\x00", b"\xc8\x02\x03\xe8"];
    for role in BOTH_ROLES {
        for frame in cases {
            let received = every_split_from_peer(role, &[b"\x81\x02ok", frame]);
            assert_eq!(received.events, [Event::text("ok")]);
            received.assert_failed(ProtocolError::ReservedBits, 1002, 5 + key_len(role));
        }
    }
}

// 6455-5.2-3 CM-29
#[test]
fn both_receive_unknown_opcode() {
    for role in BOTH_ROLES {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let received = every_split_from_peer(role, &[&[0x80 | opcode, 0x00]]);
            received.assert_failed(ProtocolError::UnknownOpcode(opcode), 1002, 1);
            let received = every_split_from_peer(role, &[&[0x80 | opcode, 0x02, b'a', b'b']]);
            received.assert_failed(ProtocolError::UnknownOpcode(opcode), 1002, 1);
        }
    }
}

// 6455-5.2-5 CM-20
#[test]
fn both_receive_16_bit_length_below_126() {
    for role in BOTH_ROLES {
        for len in 0..126 {
            let received = every_split_from_peer(role, &[&[0x82, 0x7e, 0x00, len]]);
            received.assert_failed(ProtocolError::LengthNotMinimal, 1002, 4);
        }
        // 82 7e 00 7d with all of its payload: nothing of it is delivered.
        let frame = [&[0x82, 0x7e, 0x00, 0x7d][..], &[0; 125]].concat();
        let received = every_split_from_peer(role, &[&frame]);
        assert_eq!(received.events, []);
        received.assert_failed(ProtocolError::LengthNotMinimal, 1002, 4);
    }
}

// 6455-5.2-5 CM-20
#[test]
fn both_receive_64_bit_length_below_65536() {
    for role in BOTH_ROLES {
        for [high, low] in
            [[0x00, 0x00], [0x00, 0x01], [0x00, 0x7d], [0x00, 0x7e], [0x01, 0x00], [0xff, 0xff]]
        {
            let frame = [0x82, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, high, low];
            let received = every_split_from_peer(role, &[&frame]);
            received.assert_failed(ProtocolError::LengthNotMinimal, 1002, 10);
        }
    }
}

// 6455-5.2-4 CM-19
#[test]
fn both_receive_64_bit_length_with_top_bit() {
    for role in BOTH_ROLES {
        for frame in [
            [0x82, 0x7f, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
            [0x82, 0x7f, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05],
            [0x81, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            let received = every_split_from_peer(role, &[&frame]);
            received.assert_failed(ProtocolError::LengthTopBit, 1002, 10);
        }
    }
}

// 6455-5.2-4 6455-5.2-5
#[test]
fn both_receive_extended_length_and_judge_it_before_the_masking_key() {
    // The same for a decoder that has no limit: only the form is wrong.
    let expect = Expect { masked: true, ..Expect::default() };
    let decode = |bytes: &[u8]| FrameHeader::decode(bytes, &expect);
    assert_eq!(decode(&[0x82, 0xfe, 0x00]), Ok(None), "half a field is not judged");
    assert_eq!(decode(&[0x82, 0xfe, 0x00, 0x7d]), Err(ProtocolError::LengthNotMinimal));
    assert_eq!(decode(&[0x82, 0xff, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]), Ok(None));
    assert_eq!(
        decode(&[0x82, 0xff, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
        Err(ProtocolError::LengthTopBit)
    );
    assert_eq!(
        decode(&[0x82, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff]),
        Err(ProtocolError::LengthNotMinimal)
    );
}

// RFC 7692 §6.1: what a negotiated RSV1 means is for the first frame of a message alone.
// 6455-5.2-2 6455-5.8-1
#[test]
fn both_receive_negotiated_rsv1_only_on_first_data_frame() {
    let open = Expect { rsv: Rsv::RSV1, message_open: true, ..Expect::default() };
    let closed = Expect { rsv: Rsv::RSV1, ..Expect::default() };
    let (header, len) = FrameHeader::decode(&[0xc1, 0x00], &closed).unwrap().unwrap();
    assert_eq!((header.rsv(), len), (Rsv::RSV1, 2));
    assert_eq!(header.encode().as_slice(), [0xc1, 0x00]);
    for (expect, first) in [(open, 0xc0), (closed, 0xc8), (closed, 0xc9), (closed, 0xca), (closed, 0xa1)] {
        assert_eq!(FrameHeader::decode(&[first], &expect), Err(ProtocolError::ReservedBits), "{first:x}");
    }
}

// 6455-5.2-4 6455-5.5-1 6455-5.5-2
#[test]
fn both_send_no_header_that_must_not_be_sent() {
    let data = |len| FrameHeader::data(true, Rsv::NONE, DataOpcode::Binary, None, len);
    assert!(data(1 << 63).is_none());
    assert!(data(u64::MAX).is_none());
    let longest = data((1 << 63) - 1).unwrap();
    assert_eq!(longest.encode().as_slice(), [0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    for opcode in [ControlOpcode::Close, ControlOpcode::Ping, ControlOpcode::Pong] {
        assert!(FrameHeader::control(opcode, None, 126).is_none());
        assert!(FrameHeader::control(opcode, None, 125).unwrap().fin());
    }
}

// 6455-5.2-7
#[test]
fn server_receives_frame_as_the_builders_of_these_tests_make_it() {
    assert_eq!(
        client_frame(0x81, b"Hello"),
        [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
    );
    for (len, server, client) in HEADERS {
        let payload = counting(len);
        assert!(server_frame(0x82, &payload).starts_with(server));
        assert!(client_frame(0x82, &payload).starts_with(client));
    }
}
