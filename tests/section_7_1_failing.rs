//! Failing the connection: RFC 6455 §7.1.7, §7.2, §10.7.

#[path = "support/states.rs"]
mod states;
#[path = "support/wire.rs"]
mod wire;

use sansocket::connection::{Connection, Received, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, Limits, ProtocolError, Role, SendError};
use states::{State, reach};
use wire::{End, ROLES, described, each_cut, from_peer_of};

/// Small limits, so that their violations are short.
fn limited() -> Config {
    Config::default().limits(Limits::default().max_frame_len(300).max_message_len(200).max_empty_fragments(2))
}

/// Frames as a server sends them, what they break, and the status code of the Close.
const VIOLATIONS: [(&[u8], ProtocolError, u16); 27] = [
    (b"\xc1\x00", ProtocolError::ReservedBits, 1002),
    (b"\xa1\x00", ProtocolError::ReservedBits, 1002),
    (b"\x91\x00", ProtocolError::ReservedBits, 1002),
    (b"\x83\x00", ProtocolError::UnknownOpcode(3), 1002),
    (b"\x8b\x00", ProtocolError::UnknownOpcode(11), 1002),
    (b"\x09\x00", ProtocolError::FragmentedControlFrame, 1002),
    (b"\x08\x02\x03\xe8", ProtocolError::FragmentedControlFrame, 1002),
    (b"\x89\x7e\x00\x7e", ProtocolError::ControlFrameTooLong, 1002),
    (b"\x80\x00", ProtocolError::UnexpectedContinuation, 1002),
    (b"\x01\x00\x81\x00", ProtocolError::ExpectedContinuation, 1002),
    (b"\x82\x7e\x00\x7d", ProtocolError::LengthNotMinimal, 1002),
    (b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", ProtocolError::LengthNotMinimal, 1002),
    (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", ProtocolError::LengthTopBit, 1002),
    (b"\x88\x01\x03", ProtocolError::HalfCloseCode, 1002),
    (b"\x88\x02\x03\x00", ProtocolError::InvalidCloseCode(768), 1002),
    (b"\x88\x02\x03\xed", ProtocolError::InvalidCloseCode(1005), 1002),
    (b"\x88\x02\x03\xee", ProtocolError::InvalidCloseCode(1006), 1002),
    (b"\x88\x02\x03\xf7", ProtocolError::InvalidCloseCode(1015), 1002),
    (b"\x88\x02\xe8\x03", ProtocolError::InvalidCloseCode(59_395), 1002),
    (b"\x88\x04\x03\xe8\xc3\x28", ProtocolError::InvalidCloseReason, 1007),
    (b"\x81\x02\xc3\x28", ProtocolError::InvalidUtf8, 1007),
    (b"\x01\x01\xe2\x80\x01A", ProtocolError::InvalidUtf8, 1007),
    (b"\x82\x7e\x01\x2d", ProtocolError::FrameTooBig, 1009),
    (b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", ProtocolError::FrameTooBig, 1009),
    (b"\x82\x7e\x00\xc9", ProtocolError::MessageTooBig, 1009),
    (b"\x02\x01A\x80\x7e\x00\xc8", ProtocolError::MessageTooBig, 1009),
    (b"\x02\x00\x00\x00\x00\x00", ProtocolError::TooManyEmptyFragments, 1008),
];

/// Each violation as the peer of each role commits it, with a frame of the wrong masking added.
fn violations() -> Vec<(Role, Vec<u8>, ProtocolError, u16)> {
    let mut all = vec![
        (Role::Server, b"\x81\x05Hello".to_vec(), ProtocolError::UnmaskedFrame, 1002),
        (
            Role::Client,
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(),
            ProtocolError::MaskedFrame,
            1002,
        ),
    ];
    for role in ROLES {
        for (octets, error, code) in VIOLATIONS {
            all.push((role, from_peer_of(role, octets), error, code));
        }
    }
    all
}

/// The Close of a failed connection as it stands on the wire.
fn close_octets(role: Role, code: u16) -> &'static [u8] {
    match (role, code) {
        (Role::Server, 1002) => b"\x88\x02\x03\xea",
        (Role::Client, 1002) => b"\x88\x82\x37\xfa\x21\x3d\x34\x10",
        (Role::Server, 1007) => b"\x88\x02\x03\xef",
        (Role::Client, 1007) => b"\x88\x82\x37\xfa\x21\x3d\x34\x15",
        (Role::Server, 1008) => b"\x88\x02\x03\xf0",
        (Role::Client, 1008) => b"\x88\x82\x37\xfa\x21\x3d\x34\x0a",
        (Role::Server, 1009) => b"\x88\x02\x03\xf1",
        (Role::Client, 1009) => b"\x88\x82\x37\xfa\x21\x3d\x34\x0b",
        _ => panic!("no violation has the code {code}"),
    }
}

// 6455-5.1-2 6455-5.1-3 6455-5.1-5 6455-7.1.7-1 6455-7.1.7-2 6455-7.1.7-3 6455-7.2.1-1 6455-10.7-1 6455-10.7-2
// 6455-10.7-3 CM-50
#[test]
fn each_role_sends_close_with_the_right_code_once_when_it_fails() {
    for (role, octets, error, code) in violations() {
        assert_eq!(error.close_code().get(), code);
        each_cut(&octets, |pieces| {
            let mut end = End::with(role, &limited());
            pieces.iter().for_each(|piece| end.read(piece));
            assert_eq!(end.failure, Some(Failure::Protocol(error)), "{role:?} {octets:02x?}");
            assert_eq!(Connection::failure(&end), Some(Failure::Protocol(error)));
            assert_eq!(end.phase(), TransportPhase::Flush);
            assert_eq!(end.write_all(), close_octets(role, code), "{role:?} {octets:02x?}");
            assert_eq!(end.phase(), TransportPhase::ShutDown, "who fails closes the transport");
            end.read(&octets);
            assert_eq!(end.queued(), 0, "one Close, ever");
        });
    }
}

// 6455-7.1.7-5
#[test]
fn each_role_receives_nothing_behind_the_frame_that_broke_a_rule() {
    for (role, mut octets, error, _) in violations() {
        octets.extend(from_peer_of(role, b"\x81\x04text\x89\x04ping\x88\x02\x03\xe8"));
        each_cut(&octets, |pieces| {
            let mut end = End::with(role, &limited());
            pieces.iter().for_each(|piece| end.read(piece));
            assert_eq!(end.events, [""; 0], "{role:?} {octets:02x?}");
            assert_eq!(end.write_frames().len(), 1, "no pong and no second Close");
            end.finish();
            let report = end.close_report().unwrap();
            assert_eq!(report.received.number(), 1006, "its Close was not looked at");
            assert_eq!(report.failure, Some(Failure::Protocol(error)));
        });
    }
}

// 6455-7.1.7-5 CM-43
#[test]
fn each_role_receives_the_same_failure_for_ever() {
    for (role, octets, error, _) in violations() {
        let mut end = End::with(role, &limited());
        end.read(&octets);
        for _ in 0..3 {
            for mut input in [Vec::new(), from_peer_of(role, b"\x81\x04text"), octets.clone()] {
                assert_eq!(end.receive(&mut input), Err(Failure::Protocol(error)));
            }
            end.finish();
        }
        assert_eq!(end.phase(), TransportPhase::Drop);
    }
}

// 6455-7.1.7-3 6455-7.1.7-5
#[test]
fn each_role_sends_what_it_owes_before_the_close_when_it_fails() {
    for role in ROLES {
        let input = from_peer_of(role, b"\x89\x03one\x81\x05Hello\x89\x03two\xc1\x00\x89\x05three");
        each_cut(&input, |pieces| {
            let mut end = End::new(role);
            end.send("queued before").unwrap();
            pieces.iter().for_each(|piece| end.read(piece));
            assert_eq!(end.events, ["ping one", "text Hello", "ping two"]);
            assert_eq!(
                described(&end.write_frames()),
                ["text queued before", "pong one", "pong two", "close 1002"]
            );
        });
    }
}

// 6455-7.1.7-3
#[test]
fn each_role_sends_the_rest_of_what_has_begun_before_the_close_when_it_fails() {
    for role in ROLES {
        for begun in [1, 10, 30_000, 69_999] {
            let mut end = End::new(role);
            end.send(vec![1; 70_000]).unwrap();
            let mut octets = end.write(begun);
            end.read_frames(b"\x89\x04ping\x83\x00");
            octets.extend(end.write_all());
            assert_eq!(
                described(&wire::frames(&octets)),
                ["binary of 70000", "pong ping", "close 1002"],
                "{role:?} {begun}"
            );
        }
    }
}

// 6455-6.1-2 6455-6.1-3
#[test]
fn each_role_sends_nothing_more_after_it_failed() {
    for role in ROLES {
        for state in [State::Failing, State::FailingShutDown, State::FailingDrain, State::ClosedFailed] {
            let mut end = reach(state, role).unwrap();
            let before = end.queued();
            assert_eq!(end.send("data"), Err(SendError::Closed));
            assert_eq!(end.ping(b""), Err(SendError::Closed));
            assert_eq!(end.close(&CloseFrame::EMPTY), Err(SendError::Closed));
            assert_eq!(end.queued(), before);
        }
    }
}

// 6455-5.5.1-16 6455-7.1.7-3 CM-46
#[test]
fn each_role_sends_no_second_close_when_it_fails_after_its_own() {
    for role in ROLES {
        for state in [State::CloseQueued, State::CloseSent] {
            let mut end = reach(state, role).unwrap();
            end.read_frames(b"\x81\x02\xc3\x28");
            assert_eq!(end.failure, Some(Failure::Protocol(ProtocolError::InvalidUtf8)));
            let sent = described(&end.write_frames());
            match state {
                State::CloseQueued => assert_eq!(sent, ["text queued", "close 1000"]),
                _ => assert_eq!(sent, [""; 0]),
            }
            assert_eq!(end.phase(), TransportPhase::ShutDown);
        }
    }
}

// 6455-7.1.1-1
#[test]
fn each_role_drains_the_transport_after_it_failed() {
    for role in ROLES {
        let mut end = reach(State::FailingDrain, role).unwrap();
        end.read(&[0; 1000]);
        assert_eq!(end.phase(), TransportPhase::Discard, "or the peer is reset before it reads our Close");
        end.end_of_stream();
        assert_eq!(end.phase(), TransportPhase::Drop);
    }
}

// 6455-7.1.5-3 6455-7.2.1-2 CM-43
#[test]
fn each_role_receives_a_failure_when_the_stream_ends_without_a_close() {
    let inputs: [&[u8]; 6] = [b"", b"\x81", b"\x81\x05", b"\x81\x05Hel", b"\x01\x03Hel", b"\x81\x05Hello"];
    for role in ROLES {
        for input in inputs {
            for closed_first in [false, true] {
                let mut end = End::new(role);
                if closed_first {
                    end.close(&CloseFrame::with_code(CloseCode::NORMAL)).unwrap();
                    end.write_all();
                }
                let input = match (role, input) {
                    (Role::Server, [first]) => vec![*first],
                    _ => from_peer_of(role, input),
                };
                end.read(&input);
                end.end_of_stream();
                assert_eq!(end.receive(&mut []), Err(Failure::EndOfStream), "{role:?} {input:02x?}");
                assert_eq!(end.receive(&mut []), Err(Failure::EndOfStream), "for ever");
                end.finish();
                let report = end.close_report().unwrap();
                assert_eq!((report.clean, report.received.number()), (false, 1006));
                assert_eq!(end.receive(&mut []), Err(Failure::EndOfStream));
            }
        }
    }
}

// 6455-7.2.1-2 6455-7.1.7-4
#[test]
fn each_role_drops_what_is_queued_when_the_transport_fails() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send(vec![1; 100_000]).unwrap();
        end.write(1000);
        end.transport_failed();
        assert_eq!(end.phase(), TransportPhase::Drop, "no hang on a write that cannot succeed");
        assert_eq!((end.queued(), end.write_all()), (0, Vec::new()));
        assert_eq!(end.receive(&mut []), Err(Failure::Transport));
        assert_eq!(end.send("too late"), Err(SendError::Closed));
    }
}

// 6455-7.1.7-6 6455-7.2.1-3 6455-7.3-2
#[test]
fn each_role_does_not_close_on_its_own() {
    for role in ROLES {
        let mut end = End::with(role, &Config::default().ping_interval(None));
        end.read_frames(b"\x81\x05Hello\x89\x00\x8a\x00\x02\x01A");
        end.write_all();
        for now in [0, 1, 60, 86_400] {
            end.handle_timeout(wire::seconds(now));
            assert_eq!(
                (end.next_deadline(), end.phase(), end.queued()),
                (None, TransportPhase::ReadWrite, 0)
            );
        }
        assert_eq!(end.receive(&mut []), Ok(Received { consumed: 0, event: None }));
    }
}

#[test]
fn a_failure_says_what_the_peer_did_and_where_that_is_forbidden() {
    let failure = Failure::from(ProtocolError::UnknownOpcode(3));
    assert_eq!(failure.to_string(), "unknown opcode 3 (RFC 6455 section 5.2)");
    for (_, error, _) in VIOLATIONS {
        let text = error.to_string();
        assert!(text.ends_with(&format!(" (RFC 6455 section {})", error.section())), "{text}");
        assert!(text.starts_with(char::is_lowercase));
    }
}
