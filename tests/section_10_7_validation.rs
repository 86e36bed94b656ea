//! RFC 6455 §10.7: incoming data is validated, by both roles, and refused with the code that fits.

mod support;

use sansocket::{CloseCode, Config, Failure, ProtocolError, Role, SendError};
use support::{BOTH_ROLES, Event, connection, drain, every_split, from_peer, masked, wire_frames};

use ProtocolError::{
    ControlFrameTooLong, ExpectedContinuation, FragmentedControlFrame, FrameTooBig, HalfCloseCode,
    InvalidCloseCode, InvalidCloseReason, InvalidUtf8, LengthNotMinimal, LengthTopBit, MaskedFrame,
    ReservedBits, UnexpectedContinuation, UnknownOpcode, UnmaskedFrame,
};

/// What must be refused, as a server sends it: the octets, the error, the status code, and after how many octets it is
/// known.
const REFUSED: &[(&[u8], ProtocolError, u16, usize)] = &[
    (b"\x82\x7e\x00\x7d\x00\x00", LengthNotMinimal, 1002, 4),
    (b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff\x00", LengthNotMinimal, 1002, 10),
    (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", LengthTopBit, 1002, 10),
    (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", FrameTooBig, 1009, 10),
    (b"\x89\x7e\x00\x7e\x00", ControlFrameTooLong, 1002, 2),
    (b"\x09\x00", FragmentedControlFrame, 1002, 1),
    (b"\x08\x02\x03\xe8", FragmentedControlFrame, 1002, 1),
    (b"\x83\x00", UnknownOpcode(3), 1002, 1),
    (b"\x8b\x00", UnknownOpcode(11), 1002, 1),
    (b"\xc1\x00", ReservedBits, 1002, 1),
    (b"\xa1\x00", ReservedBits, 1002, 1),
    (b"\x91\x00", ReservedBits, 1002, 1),
    (b"\x80\x00", UnexpectedContinuation, 1002, 1),
    (b"\x88\x01\x03", HalfCloseCode, 1002, 2),
    (b"\x88\x02\x03\x00", InvalidCloseCode(768), 1002, 4),
    (b"\x88\x02\xe8\x03", InvalidCloseCode(59395), 1002, 4),
    (b"\x88\x02\x03\xec", InvalidCloseCode(1004), 1002, 4),
    (b"\x88\x02\x03\xed", InvalidCloseCode(1005), 1002, 4),
    (b"\x88\x02\x03\xee", InvalidCloseCode(1006), 1002, 4),
    (b"\x88\x02\x03\xf7", InvalidCloseCode(1015), 1002, 4),
    (b"\x88\x02\x03\xf8", InvalidCloseCode(1016), 1002, 4),
    (b"\x88\x02\x0b\xb7", InvalidCloseCode(2999), 1002, 4),
    (b"\x88\x02\x13\x88", InvalidCloseCode(5000), 1002, 4),
    (b"\x88\x04\x03\xe8\xc3\x28", InvalidCloseReason, 1007, 6),
    (b"\x81\x02\xc3\x28", InvalidUtf8, 1007, 4),
    (b"\x81\x02\xc0\xaf", InvalidUtf8, 1007, 3),
    (b"\x81\x03\xed\xa0\x80", InvalidUtf8, 1007, 4),
    (b"\x81\x04\xf4\x90\x80\x80", InvalidUtf8, 1007, 4),
    (b"\x81\x02\xe2\x82", InvalidUtf8, 1007, 4),
];

// 6455-10.7-1 6455-10.7-3 6455-7.1.7-3 6455-7.1.7-5 CM-29
#[test]
fn client_receives_what_must_be_refused() {
    for &(bytes, error, code, at) in REFUSED {
        let received = every_split(Role::Client, &Config::default(), &[bytes]);
        assert_eq!(received.events, []);
        received.assert_failed(error, code, at);
    }
    let received = every_split(Role::Client, &Config::default(), &[b"\x01\x00\x81\x00"]);
    received.assert_failed(ExpectedContinuation, 1002, 3);
    let hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    let received = every_split(Role::Client, &Config::default(), &[hello]);
    received.assert_failed(MaskedFrame, 1002, 2);
}

// 6455-10.7-1 6455-10.7-3 6455-7.1.7-3 6455-7.1.7-5 CM-29
#[test]
fn server_receives_what_must_be_refused() {
    for &(bytes, error, code, at) in REFUSED {
        let received = every_split(Role::Server, &Config::default(), &[masked(bytes)]);
        assert_eq!(received.events, []);
        // What the payload shows is known a masking-key later.
        let in_payload = matches!(error, InvalidCloseCode(_) | InvalidCloseReason | InvalidUtf8);
        received.assert_failed(error, code, if in_payload { at + 4 } else { at });
    }
    let received = every_split(Role::Server, &Config::default(), &[masked(b"\x01\x00"), masked(b"\x81\x00")]);
    received.assert_failed(ExpectedContinuation, 1002, 7);
    let received = every_split(Role::Server, &Config::default(), &[b"\x81\x05\x48\x65\x6c\x6c\x6f"]);
    received.assert_failed(UnmaskedFrame, 1002, 2);
}

// 6455-7.1.7-5 6455-10.7-1
#[test]
fn both_receive_the_same_failure_for_ever_and_can_send_nothing_more() {
    for role in BOTH_ROLES {
        for &(bytes, error, code, _) in REFUSED {
            let mut connection = connection(role, &Config::default());
            connection.send("queued").unwrap();
            let failure = Err(Failure::Protocol(error));
            assert_eq!(connection.receive(&mut from_peer(role, bytes)), failure);
            for more in [&b"\x81\x01x"[..], b"\x88\x02\x03\xe8", b"\x89\x00", b""] {
                assert_eq!(connection.receive(&mut from_peer(role, more)), failure);
            }
            assert_eq!(connection.failure(), Some(Failure::Protocol(error)));
            assert_eq!(connection.send("more"), Err(SendError::Closed));
            assert_eq!(connection.ping(b""), Err(SendError::Closed));
            let [high, low] = code.to_be_bytes();
            assert_eq!(
                wire_frames(role, &drain(&mut connection)),
                [&b"\x81\x06queued"[..], &[0x88, 0x02, high, low]]
            );
        }
    }
}

// 6455-10.7-1 6455-10.7-3
#[test]
fn both_receive_what_must_be_refused_after_good_frames() {
    for role in BOTH_ROLES {
        for &(bytes, error, code, at) in REFUSED {
            let before = [b"\x81\x02ok".as_slice(), b"\x89\x01p"];
            let frames: Vec<Vec<u8>> =
                before.into_iter().chain([bytes]).map(|frame| from_peer(role, frame)).collect();
            let before_len = frames[0].len() + frames[1].len();
            let received = every_split(role, &Config::default(), &frames);
            assert_eq!(received.events, [Event::text("ok"), Event::ping("p")]);
            assert_eq!(received.sent[0], b"\x8a\x01p");
            let in_payload = matches!(error, InvalidCloseCode(_) | InvalidCloseReason | InvalidUtf8);
            let key = if in_payload && role == Role::Server { 4 } else { 0 };
            received.assert_failed(error, code, before_len + at + key);
        }
    }
}

// 6455-7.1.7-3 6455-10.7-3
#[test]
fn both_receive_error_and_name_its_code_and_section() {
    let every_error = REFUSED.iter().map(|&(_, error, code, _)| (error, code)).chain([
        (ExpectedContinuation, 1002),
        (MaskedFrame, 1002),
        (UnmaskedFrame, 1002),
        (ProtocolError::MessageTooBig, 1009),
        (ProtocolError::TooManyEmptyFragments, 1008),
    ]);
    for (error, code) in every_error {
        assert_eq!(error.close_code(), CloseCode::new(code).unwrap());
        let said = error.to_string();
        assert!(said.ends_with(&format!("(RFC 6455 section {})", error.section())), "{said}");
        assert!(said.starts_with(|first: char| first.is_lowercase()), "{said}");
        assert_eq!(Failure::from(error).to_string(), said);
    }
}
