//! Every transition between OPEN and CLOSED, as tables over all states and both roles: RFC 6455 §7.1.

#[path = "support/states.rs"]
mod states;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use sansocket::connection::{Fin, Fragment, Timestamp, TransportPhase};
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Failure, ProtocolError, Role, SendError};
use states::{STATES, State, phase, reach};
use wire::{End, ROLES, from_peer_of, seconds};

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
                |end| end.close(&CloseFrame::with_code(CloseCode::NORMAL)),
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

// 6455-7.1.4-1 6455-7.1.7-4
#[test]
fn each_role_goes_on_receiving_in_each_state_when_it_cannot_write() {
    use TransportPhase::{Discard, Drop, ReadWrite};
    let expected = |state, _| match state {
        State::Open | State::CloseQueued | State::CloseSent => (ReadWrite, None),
        // Its Close, or the answer to the peer's, is not out for certain.
        State::CloseReceived | State::AwaitingEnd | State::ShuttingDown => (Drop, Some(Failure::Transport)),
        State::Failing | State::FailingShutDown => (Drop, BAD_OPCODE),
        State::Draining => (Discard, None),
        State::FailingDrain => (Discard, BAD_OPCODE),
        State::ClosedClean => (Drop, None),
        State::ClosedFailed => (Drop, BAD_OPCODE),
    };
    transitions(|end| end.write_failed(), expected);
    for role in ROLES {
        for state in [State::Open, State::CloseQueued, State::CloseSent] {
            let mut end = reach(state, role).expect("both roles come to it");
            end.write_failed();
            assert!(end.send("lost").is_err());
            assert!(end.close(&CloseFrame::EMPTY).is_err());
            end.read_frames(b"\x89\x00\x88\x02\x0f\xa0");
            assert_eq!((end.queued(), end.phase()), (0, Drop), "{role:?} {state:?}");
            let report = end.close_report().expect("it has ended");
            assert_eq!((report.received.number(), report.clean), (4000, false));
            assert_eq!(report.failure, Some(Failure::Transport));
        }
    }
}

/// Without the deadlines of an open connection.
fn closing_only() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
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
                states::reach_with(state, role, &closing_only().close_timeout(Duration::from_secs(7)))
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
            let Some(mut end) = states::reach_with(state, role, &closing_only()) else { continue };
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
