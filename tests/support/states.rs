//! Every state between OPEN and CLOSED, and how an end comes to it.
#![allow(dead_code, reason = "each test file uses its part")]

use sansocket::connection::TransportPhase;
use sansocket::frame::CloseFrame;
use sansocket::{CloseCode, Config, Role};

use crate::wire::{End, seconds};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Its own Close is queued behind a message.
    CloseQueued,
    /// Its own Close is on the wire.
    CloseSent,
    /// The peer's Close has come; the answer is queued.
    CloseReceived,
    /// Both have passed, and the client waits for the server to close the transport.
    AwaitingEnd,
    ShuttingDown,
    Draining,
    /// A Close 1002 is queued for the frame that broke a rule.
    Failing,
    FailingShutDown,
    FailingDrain,
    ClosedClean,
    ClosedFailed,
}

pub(crate) const STATES: [State; 12] = [
    State::Open,
    State::CloseQueued,
    State::CloseSent,
    State::CloseReceived,
    State::AwaitingEnd,
    State::ShuttingDown,
    State::Draining,
    State::Failing,
    State::FailingShutDown,
    State::FailingDrain,
    State::ClosedClean,
    State::ClosedFailed,
];

/// An end in this state; `None` for a server that would wait for itself to close the transport.
pub(crate) fn reach(state: State, role: Role) -> Option<End> {
    reach_with(state, role, &Config::default())
}

pub(crate) fn reach_with(state: State, role: Role, config: &Config) -> Option<End> {
    let mut end = End::with(role, config);
    match state {
        State::Open => {}
        State::CloseQueued => {
            end.send("queued").expect("it is open");
            end.close(&CloseFrame::with_code(CloseCode::NORMAL)).expect("it is open");
        }
        State::CloseSent => {
            end.close(&CloseFrame::with_code(CloseCode::NORMAL)).expect("it is open");
            end.write_all();
        }
        State::CloseReceived => end.read_frames(b"\x88\x02\x0f\xa0"),
        State::AwaitingEnd if role == Role::Server => return None,
        State::AwaitingEnd => {
            end.read_frames(b"\x88\x02\x0f\xa0");
            end.write_all();
        }
        State::ShuttingDown => {
            end.read_frames(b"\x88\x02\x0f\xa0");
            end.write_all();
            if role == Role::Client {
                // The server has not closed the transport in time.
                end.handle_timeout(seconds(0));
                end.handle_timeout(seconds(10));
            }
        }
        State::Failing => end.read_frames(b"\x83\x00"),
        State::FailingShutDown => {
            end.read_frames(b"\x83\x00");
            end.write_all();
        }
        State::Draining | State::FailingDrain | State::ClosedClean | State::ClosedFailed => {
            let before = match state {
                State::Draining => State::ShuttingDown,
                State::FailingDrain => State::FailingShutDown,
                State::ClosedClean => State::Draining,
                _ => State::FailingDrain,
            };
            end = reach_with(before, role, config)?;
            if let State::Draining | State::FailingDrain = state {
                end.write_side_shut_down();
            } else {
                end.end_of_stream();
            }
        }
    }
    assert_eq!(end.phase(), phase(state), "{role:?} {state:?}");
    Some(end)
}

pub(crate) fn phase(state: State) -> TransportPhase {
    match state {
        State::Open | State::CloseQueued | State::CloseSent => TransportPhase::ReadWrite,
        State::CloseReceived | State::Failing => TransportPhase::Flush,
        State::ShuttingDown | State::FailingShutDown => TransportPhase::ShutDown,
        State::AwaitingEnd | State::Draining | State::FailingDrain => TransportPhase::Discard,
        State::ClosedClean | State::ClosedFailed => TransportPhase::Drop,
    }
}
