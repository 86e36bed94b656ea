//! The closing handshake: RFC 6455 §5.5.1, §7.1.1 to §7.1.4, and every transition between OPEN and CLOSED.

#[path = "support/states.rs"]
mod states;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::{Fin, Fragment, Timestamp, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, ProtocolError, Role, SendError};
use states::{STATES, State, phase, reach};
use wire::{End, ROLES, described, each_cut, frames, from_peer_of, seconds};

const NORMAL: CloseFrame<'_> = CloseFrame::with_code(CloseCode::NORMAL);

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).expect("a code that may be sent")
}

// 6455-5.5.1-1 6455-7.1.2-1 6455-7.4-1 6455-7.4.1-1 6455-7.4.1-5 6455-7.4.1-8 6455-7.4.1-10 6455-7.4.2-3 6455-7.4.2-4
// CM-39 CM-40
#[test]
fn each_role_sends_close_in_these_octets() {
    type Sent = (Option<u16>, &'static str, &'static [u8], &'static [u8]);
    let table: [Sent; 17] = [
        (None, "", b"\x88\x00", b"\x88\x80\x37\xfa\x21\x3d"),
        (Some(1000), "", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (Some(1000), "bye", b"\x88\x05\x03\xe8bye", b"\x88\x85\x37\xfa\x21\x3d\x34\x12\x43\x44\x52"),
        (Some(1001), "", b"\x88\x02\x03\xe9", b"\x88\x82\x37\xfa\x21\x3d\x34\x13"),
        (Some(1002), "", b"\x88\x02\x03\xea", b"\x88\x82\x37\xfa\x21\x3d\x34\x10"),
        (Some(1003), "", b"\x88\x02\x03\xeb", b"\x88\x82\x37\xfa\x21\x3d\x34\x11"),
        (Some(1007), "", b"\x88\x02\x03\xef", b"\x88\x82\x37\xfa\x21\x3d\x34\x15"),
        (Some(1008), "", b"\x88\x02\x03\xf0", b"\x88\x82\x37\xfa\x21\x3d\x34\x0a"),
        (Some(1009), "", b"\x88\x02\x03\xf1", b"\x88\x82\x37\xfa\x21\x3d\x34\x0b"),
        (Some(1011), "", b"\x88\x02\x03\xf3", b"\x88\x82\x37\xfa\x21\x3d\x34\x09"),
        (Some(1012), "", b"\x88\x02\x03\xf4", b"\x88\x82\x37\xfa\x21\x3d\x34\x0e"),
        (Some(1013), "", b"\x88\x02\x03\xf5", b"\x88\x82\x37\xfa\x21\x3d\x34\x0f"),
        (Some(1014), "", b"\x88\x02\x03\xf6", b"\x88\x82\x37\xfa\x21\x3d\x34\x0c"),
        (Some(3000), "", b"\x88\x02\x0b\xb8", b"\x88\x82\x37\xfa\x21\x3d\x3c\x42"),
        (Some(3999), "", b"\x88\x02\x0f\x9f", b"\x88\x82\x37\xfa\x21\x3d\x38\x65"),
        (Some(4000), "", b"\x88\x02\x0f\xa0", b"\x88\x82\x37\xfa\x21\x3d\x38\x5a"),
        (Some(4999), "", b"\x88\x02\x13\x87", b"\x88\x82\x37\xfa\x21\x3d\x24\x7d"),
    ];
    for (number, reason, by_server, by_client) in table {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            let close = match number {
                None => CloseFrame::EMPTY,
                Some(number) => CloseFrame::new(code(number), reason).unwrap(),
            };
            let mut end = End::new(role);
            end.close(&close).unwrap();
            assert_eq!(end.write_all(), expected, "{role:?} {number:?}");
        }
    }
}

// 6455-7.4.1-2 6455-7.4.1-3 6455-7.4.1-4 6455-7.4.1-9 6455-7.4.2-1 6455-7.4.2-2 6455-7.4.2-5 CM-41
#[test]
fn no_code_that_must_not_be_sent_can_be_built() {
    for number in 0..=u16::MAX {
        let may_be_sent = match number {
            1000..=1003 | 1007..=1014 => true,
            3000..=4999 => true,
            0..=999 | 1004..=1006 | 1015..=2999 | 5000.. => false,
        };
        assert_eq!(CloseCode::new(number).map(CloseCode::get), may_be_sent.then_some(number));
        assert_eq!(CloseCode::try_from(number).is_ok(), may_be_sent);
    }
}

// 6455-5.5.1-7 6455-5.5.1-8 6455-5.5.1-10 6455-7.1.3-1 CM-41
#[test]
fn each_role_sends_an_answer_with_the_code_it_received() {
    let table: [(&[u8], &[u8], &[u8]); 6] = [
        (b"\x88\x00", b"\x88\x00", b"\x88\x80\x37\xfa\x21\x3d"),
        (b"\x88\x02\x03\xe8", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (b"\x88\x05\x03\xe8bye", b"\x88\x02\x03\xe8", b"\x88\x82\x37\xfa\x21\x3d\x34\x12"),
        (b"\x88\x02\x03\xe9", b"\x88\x02\x03\xe9", b"\x88\x82\x37\xfa\x21\x3d\x34\x13"),
        // 1010 is the client's, but goes back to it as it came.
        (b"\x88\x02\x03\xf2", b"\x88\x02\x03\xf2", b"\x88\x82\x37\xfa\x21\x3d\x34\x08"),
        (b"\x88\x02\x13\x87", b"\x88\x02\x13\x87", b"\x88\x82\x37\xfa\x21\x3d\x24\x7d"),
    ];
    for (received, by_server, by_client) in table {
        for (role, expected) in [(Role::Server, by_server), (Role::Client, by_client)] {
            each_cut(&from_peer_of(role, received), |pieces| {
                let mut end = End::new(role);
                for piece in pieces {
                    assert_eq!(end.phase(), TransportPhase::ReadWrite);
                    end.read(piece);
                }
                assert_eq!(end.phase(), TransportPhase::Flush);
                assert_eq!(end.write_all(), expected, "{role:?} {received:02x?}");
            });
        }
    }
}

// 6455-5.5.1-8 6455-5.5.1-9 6455-5.5.1-15 CM-48
#[test]
fn each_role_sends_its_answer_behind_the_replies_to_earlier_messages() {
    for role in ROLES {
        let mut end = End::new(role);
        let mut input = from_peer_of(role, b"\x81\x01?\x88\x02\x03\xe8\x81\x04late");
        let received = end.receive(&mut input).unwrap();
        assert!(received.event.is_some());
        assert_eq!(end.queued(), 0, "the Close behind it has not been looked at");
        end.send("the reply").unwrap();
        end.read(&input[received.consumed..]);
        assert_eq!(end.events, ["close 1000"], "nothing behind the Close is received");
        assert_eq!(described(&end.write_frames()), ["text the reply", "close 1000"]);
    }
}

// 6455-7.1.2-1 WS-8
#[test]
fn each_role_sends_close_behind_what_is_queued() {
    for role in ROLES {
        let mut end = End::new(role);
        end.send("first").unwrap();
        end.send(vec![1; 40_000]).unwrap();
        end.ping(b"third").unwrap();
        let mut octets = end.write(2);
        end.close(&NORMAL).unwrap();
        octets.extend(end.write_all());
        assert_eq!(
            described(&frames(&octets)),
            ["text first", "binary of 40000", "ping third", "close 1000"]
        );
    }
}

// 6455-5.5.1-16
#[test]
fn each_role_receives_messages_until_the_peers_close_after_its_own() {
    for role in ROLES {
        let input = from_peer_of(role, b"\x81\x01a\x82\x01\x00\x01\x01b\x80\x01c\x89\x01p\x88\x02\x0f\xa1");
        each_cut(&input, |pieces| {
            let mut end = reach(State::CloseSent, role).unwrap();
            pieces.iter().for_each(|piece| end.read(piece));
            assert_eq!(end.events, ["text a", "binary [00]", "text bc", "ping p", "close 4001"]);
            assert_eq!(described(&end.write_frames()), ["pong p"], "the ping is answered, the Close is not");
        });
    }
}

// 6455-5.5.1-14 CM-46
#[test]
fn two_ends_that_close_at_the_same_time_each_send_one_close() {
    for cut in [1, 3, usize::MAX] {
        let (mut client, mut server) = (End::new(Role::Client), End::new(Role::Server));
        client.close(&CloseFrame::with_code(code(4001))).unwrap();
        server.close(&CloseFrame::with_code(code(4002))).unwrap();
        while client.queued() + server.queued() > 0 {
            let (to_server, to_client) = (client.write(cut), server.write(cut));
            server.read(&to_server);
            client.read(&to_client);
        }
        assert_eq!(
            (&client.events[..], &server.events[..]),
            (&["close 4002".into()][..], &["close 4001".into()][..])
        );
        assert_eq!(client.phase(), TransportPhase::Discard, "the client waits");
        assert_eq!(server.phase(), TransportPhase::ShutDown, "the server closes the transport first");
    }
}

// 6455-5.5.1-11 6455-5.5.1-12 6455-7.1.1-1 6455-7.1.1-3 6455-7.1.1-5 6455-7.1.2-2 CM-44
#[test]
fn server_shuts_the_transport_down_at_once_when_both_closes_have_passed() {
    for server_first in [false, true] {
        let mut server = End::new(Role::Server);
        if server_first {
            server.close(&NORMAL).unwrap();
            server.write_all();
        }
        server.read_frames(b"\x88\x02\x03\xe8");
        if !server_first {
            assert_eq!(server.phase(), TransportPhase::Flush, "its answer is not on the wire yet");
            server.write(3);
            assert_eq!(server.phase(), TransportPhase::Flush);
            server.write_all();
        }
        assert_eq!(server.phase(), TransportPhase::ShutDown);
        server.write_side_shut_down();
        assert_eq!(server.phase(), TransportPhase::Discard, "so that the peer is not reset while it reads");
        server.read(b"anything");
        server.end_of_stream();
        assert_eq!(server.phase(), TransportPhase::Drop);
        assert!(server.close_report().unwrap().clean);
    }
}

// 6455-5.5.1-11 6455-5.5.1-13 6455-7.1.1-6 6455-7.1.2-2 CM-45
#[test]
fn client_waits_for_the_server_to_close_the_transport() {
    for client_first in [false, true] {
        let mut client = End::new(Role::Client);
        if client_first {
            client.close(&NORMAL).unwrap();
            client.write_all();
        }
        client.read_frames(b"\x88\x02\x03\xe8");
        client.write_all();
        assert_eq!(client.phase(), TransportPhase::Discard);
        client.read(b"anything");
        assert_eq!(client.phase(), TransportPhase::Discard);
        client.end_of_stream();
        assert_eq!(client.phase(), TransportPhase::ShutDown);
        client.write_side_shut_down();
        assert_eq!(client.phase(), TransportPhase::Drop);
        assert!(client.close_report().unwrap().clean);
    }
}

// 6455-5.1-6 6455-5.5.1-6 6455-6.1-2 CM-47
#[test]
fn each_role_sends_in_each_state_only_what_it_may() {
    for role in ROLES {
        for state in STATES {
            let expected = match state {
                State::Open => Ok(()),
                State::CloseQueued
                | State::CloseSent
                | State::CloseReceived
                | State::AwaitingEnd
                | State::ShuttingDown
                | State::Draining => Err(SendError::SendAfterClose),
                State::Failing
                | State::FailingShutDown
                | State::FailingDrain
                | State::ClosedClean
                | State::ClosedFailed => Err(SendError::Closed),
            };
            type Call = fn(&mut End) -> Result<(), SendError>;
            let calls: [Call; 6] = [
                |end| end.send("data"),
                |end| end.send_fragment(Fragment::Text("data"), Fin::More),
                |end| end.ping(b""),
                |end| end.pong(b""),
                |end| end.close(&CloseFrame::EMPTY),
                |end| end.close(&NORMAL),
            ];
            for (i, call) in calls.into_iter().enumerate() {
                let Some(mut end) = reach(state, role) else { continue };
                let before = end.queued();
                assert_eq!(call(&mut end), expected, "{role:?} {state:?} call {i}");
                if expected.is_err() {
                    assert_eq!(call(&mut end), expected, "and again");
                    assert_eq!(end.queued(), before, "nothing goes on the wire");
                    assert_eq!(end.phase(), phase(state));
                }
            }
        }
    }
}

/// What an end comes to: its phase, and why it failed.
type Next = (TransportPhase, Option<Failure>);

/// Runs one event in every state, for both roles, against the expected next phase and failure.
fn transitions(event: impl Fn(&mut End), expected: impl Fn(State, Role) -> Next) {
    for role in ROLES {
        for state in STATES {
            let Some(mut end) = reach(state, role) else { continue };
            event(&mut end);
            assert_eq!((end.phase(), end.failure()), expected(state, role), "{role:?} {state:?}");
            assert_eq!(end.close_report().is_some(), end.phase() == TransportPhase::Drop);
        }
    }
}

const BAD_OPCODE: Option<Failure> = Some(Failure::Protocol(ProtocolError::UnknownOpcode(3)));

/// Where an end is that has done nothing since it came to this state.
fn unchanged(state: State) -> Next {
    let failure = match state {
        State::Failing | State::FailingShutDown | State::FailingDrain | State::ClosedFailed => BAD_OPCODE,
        _ => None,
    };
    (phase(state), failure)
}

// 6455-7.1.4-1 6455-7.2.1-2
#[test]
fn each_role_receives_the_end_of_the_stream_in_each_state() {
    use TransportPhase::{Drop, Flush, ShutDown};
    transitions(
        |end| {
            end.end_of_stream();
            end.end_of_stream();
        },
        |state, _| match state {
            State::Open | State::CloseSent => (ShutDown, Some(Failure::EndOfStream)),
            // What is queued may still be read by a peer that has only shut down its writing side.
            State::CloseQueued => (Flush, Some(Failure::EndOfStream)),
            State::AwaitingEnd => (ShutDown, None),
            State::Draining => (Drop, None),
            State::FailingDrain => (Drop, BAD_OPCODE),
            _ => unchanged(state),
        },
    );
}

// 6455-7.1.4-1
#[test]
fn each_role_drops_the_transport_when_it_has_shut_down_after_the_end_of_the_stream() {
    for role in ROLES {
        for state in STATES {
            let Some(mut end) = reach(state, role) else { continue };
            end.end_of_stream();
            end.write_all();
            if end.phase() == TransportPhase::ShutDown {
                end.write_side_shut_down();
            }
            assert_eq!(end.phase(), TransportPhase::Drop, "{role:?} {state:?}: nothing more can come");
        }
    }
}

// 6455-7.1.1-2 6455-7.1.7-4 6455-7.2.1-2
#[test]
fn each_role_drops_a_transport_that_fails_in_each_state() {
    use TransportPhase::Drop;
    let expected = |state, _| match state {
        State::Open | State::CloseQueued | State::CloseSent | State::CloseReceived => {
            (Drop, Some(Failure::Transport))
        }
        // Both Close frames have passed: the handshake was finished before.
        State::AwaitingEnd | State::ShuttingDown | State::Draining | State::ClosedClean => (Drop, None),
        State::Failing | State::FailingShutDown | State::FailingDrain | State::ClosedFailed => {
            (Drop, BAD_OPCODE)
        }
    };
    transitions(|end| end.transport_failed(), expected);
    transitions(|end| end.abort(), expected);
    transitions(
        |end| {
            end.transport_failed();
            end.end_of_stream();
            end.write_side_shut_down();
            end.discarded(usize::MAX);
            end.handle_timeout(seconds(1000));
            end.abort();
            assert_eq!((end.queued(), end.next_deadline()), (0, None), "nothing is left to do");
        },
        expected,
    );
}

// 6455-5.5.1-13 6455-7.1.1-4 CM-49
#[test]
fn each_role_gives_up_in_each_state_when_its_time_is_over() {
    use TransportPhase::{Drop, ShutDown};
    let limit = |state| match state {
        State::Open | State::ClosedClean | State::ClosedFailed => None,
        State::CloseQueued | State::CloseSent | State::CloseReceived => Some(7),
        State::AwaitingEnd | State::Failing => Some(7),
        State::ShuttingDown | State::Draining | State::FailingShutDown | State::FailingDrain => Some(2),
    };
    for role in ROLES {
        for state in STATES {
            let Some(mut end) =
                states::reach_with(state, role, &Config::default().close_timeout(Duration::from_secs(7)))
            else {
                continue;
            };
            let Some(limit) = limit(state) else {
                assert_eq!(end.next_deadline(), None, "{role:?} {state:?}");
                end.handle_timeout(seconds(1000));
                assert_eq!(end.phase(), phase(state));
                continue;
            };
            assert_eq!(end.next_deadline(), Some(Timestamp::ORIGIN), "it has no clock: ask me at once");
            end.handle_timeout(seconds(100));
            assert_eq!(end.next_deadline(), Some(seconds(100 + limit)), "{role:?} {state:?}");
            end.handle_timeout(seconds(100));
            end.handle_timeout(Timestamp::from_origin(Duration::from_millis(1000 * (100 + limit) - 1)));
            assert_eq!(end.phase(), phase(state), "{role:?} {state:?}: early calls do no harm");
            end.handle_timeout(seconds(100 + limit));
            let expected = match state {
                State::CloseQueued | State::CloseSent | State::CloseReceived => {
                    (Drop, Some(Failure::CloseTimeout))
                }
                State::AwaitingEnd => (ShutDown, None),
                State::Failing | State::FailingShutDown | State::FailingDrain => (Drop, BAD_OPCODE),
                _ => (Drop, None),
            };
            assert_eq!((end.phase(), end.failure()), expected, "{role:?} {state:?}");
        }
    }
}

// 6455-7.1.1-1
#[test]
fn each_role_drains_for_two_seconds_from_the_shut_down() {
    for role in ROLES {
        for state in [State::ShuttingDown, State::FailingShutDown] {
            let mut end = reach(state, role).unwrap();
            end.handle_timeout(seconds(100));
            end.write_side_shut_down();
            assert_eq!(end.next_deadline(), Some(Timestamp::ORIGIN));
            end.handle_timeout(seconds(101));
            assert_eq!(end.next_deadline(), Some(seconds(103)), "{role:?} {state:?}");
            end.handle_timeout(seconds(102));
            assert_eq!(end.phase(), TransportPhase::Discard);
            end.handle_timeout(seconds(103));
            assert_eq!(end.phase(), TransportPhase::Drop);
        }
    }
}

// 6455-5.5.1-11 6455-7.1.1-4
#[test]
fn each_role_comes_to_an_end_by_time_alone_from_every_closing_state() {
    for role in ROLES {
        for state in STATES {
            let Some(mut end) = reach(state, role) else { continue };
            let mut now = seconds(50);
            for _ in 0..10 {
                end.handle_timeout(now);
                now = end.next_deadline().unwrap_or(now).max(now);
            }
            let expected =
                if state == State::Open { TransportPhase::ReadWrite } else { TransportPhase::Drop };
            assert_eq!(end.phase(), expected, "{role:?} {state:?}");
            assert!(now <= seconds(50 + 10 + 2 + 2), "{role:?} {state:?} took until {now:?}");
        }
    }
}

// 6455-7.1.3-1
#[test]
fn each_role_receives_close_in_each_state() {
    use TransportPhase::{Discard, Flush, ShutDown};
    transitions(
        |end| end.read_frames(b"\x88\x02\x03\xe8"),
        |state, role| match (state, role) {
            (State::Open | State::CloseQueued, _) => (Flush, None),
            (State::CloseSent, Role::Client) => (Discard, None),
            (State::CloseSent, Role::Server) => (ShutDown, None),
            _ => unchanged(state),
        },
    );
}

// 6455-7.1.7-3
#[test]
fn each_role_receives_a_bad_frame_in_each_state() {
    use TransportPhase::{Flush, ShutDown};
    transitions(
        |end| end.read_frames(b"\x83\x00"),
        |state, _| match state {
            State::Open | State::CloseQueued => (Flush, BAD_OPCODE),
            // Its one Close is out: there is nothing to write.
            State::CloseSent => (ShutDown, BAD_OPCODE),
            _ => unchanged(state),
        },
    );
}

#[test]
fn each_role_goes_on_in_each_state_when_all_is_written() {
    use TransportPhase::{Discard, ShutDown};
    transitions(
        |end| {
            end.write_all();
        },
        |state, role| match (state, role) {
            (State::CloseReceived, Role::Client) => (Discard, None),
            (State::CloseReceived, Role::Server) => (ShutDown, None),
            (State::Failing, _) => (ShutDown, BAD_OPCODE),
            _ => unchanged(state),
        },
    );
}

#[test]
fn a_shut_down_that_was_not_asked_for_changes_nothing() {
    transitions(
        |end| end.write_side_shut_down(),
        |state, _| match state {
            State::ShuttingDown => (TransportPhase::Discard, None),
            State::FailingShutDown => (TransportPhase::Discard, BAD_OPCODE),
            _ => unchanged(state),
        },
    );
}

// 6455-5.5.1-15
#[test]
fn each_role_receives_nothing_once_both_closes_have_passed() {
    for role in ROLES {
        for state in STATES {
            let Some(mut end) = reach(state, role) else { continue };
            let receives = matches!(state, State::Open | State::CloseQueued | State::CloseSent);
            let mut input = from_peer_of(role, b"\x81\x05Hello");
            let received = end.receive(&mut input);
            match unchanged(state).1 {
                Some(failure) => assert_eq!(received, Err(failure), "{role:?} {state:?}"),
                None => {
                    let received = received.unwrap();
                    assert_eq!((received.consumed, received.event.is_some()), (input.len(), receives));
                }
            }
            assert_eq!(end.phase(), phase(state));
        }
    }
}

// 6455-7.1.1-1
#[test]
fn each_role_discards_4_mib_and_no_more() {
    use TransportPhase::{Drop, ShutDown};
    const DRAIN: usize = 4 << 20;
    transitions(
        |end| {
            end.discarded(DRAIN - 1);
            end.discarded(1);
            end.discarded(0);
        },
        |state, _| unchanged(state),
    );
    transitions(
        |end| {
            end.discarded(DRAIN);
            end.discarded(1);
        },
        |state, _| match state {
            State::AwaitingEnd => (ShutDown, None),
            State::Draining => (Drop, None),
            State::FailingDrain => (Drop, BAD_OPCODE),
            _ => unchanged(state),
        },
    );
}

// 6455-7.1.1-1
#[test]
fn each_role_discards_4_mib_after_the_flush_whatever_came_before() {
    for role in ROLES {
        for state in [State::CloseReceived, State::Failing] {
            let mut end = reach(state, role).unwrap();
            end.discarded(5 << 20);
            assert_eq!(end.phase(), TransportPhase::Flush, "a peer that writes is read until it reads");
            end.write_all();
            if end.phase() == TransportPhase::ShutDown {
                end.write_side_shut_down();
            }
            assert_eq!(end.phase(), TransportPhase::Discard);
            end.discarded(4 << 20);
            assert_eq!(end.phase(), TransportPhase::Discard, "{role:?} {state:?}");
        }
    }
}

// 6455-5.5.1-11 6455-7.3-1
#[test]
fn a_conversation_closes_from_either_end_to_the_last_octet() {
    for first in ROLES {
        for cut in [1, 2, 5, usize::MAX] {
            let (mut client, mut server) = (End::new(Role::Client), End::new(Role::Server));
            client.send("from the client").unwrap();
            server.send("from the server").unwrap();
            let starter = if first == Role::Client { &mut client } else { &mut server };
            starter.close(&CloseFrame::new(code(4000), "done").unwrap()).unwrap();
            while client.queued() + server.queued() > 0 {
                let to_server = client.write(cut);
                server.read(&to_server);
                let to_client = server.write(cut);
                client.read(&to_client);
            }
            assert_eq!(server.phase(), TransportPhase::ShutDown);
            server.write_side_shut_down();
            client.end_of_stream();
            assert_eq!(client.phase(), TransportPhase::ShutDown);
            client.write_side_shut_down();
            server.end_of_stream();
            for end in [&client, &server] {
                assert_eq!(end.phase(), TransportPhase::Drop);
                assert!(end.close_report().unwrap().clean);
            }
            assert_eq!(client.events[0], "text from the server");
            assert_eq!(server.events[0], "text from the client");
        }
    }
}
