//! The closing handshake and failing the connection, as one state machine: RFC 6455 §5.5.1, §7.

use alloc::boxed::Box;
use core::time::Duration;

use super::event::{CloseReport, ClosedBy, CutOff, ReceivedClose};
use super::timers::{Span, Timer, Timestamp};
use crate::close_code::CloseCode;
use crate::config::{DRAIN_LEN, DRAIN_TIMEOUT, LAST_WORD_TIMEOUT};
use crate::error::{Failure, SendError};
use crate::frame::CloseFrame;
use crate::role::Role;

/// What the driver has to do with the transport. Ask again after every call that changes the connection.
///
/// In every phase but `Drop` the end of the stream is told to
/// [`Connection::end_of_stream`](super::Connection::end_of_stream). Octets that are read go to
/// [`Connection::receive`](super::Connection::receive) in the phase `ReadWrite`; in the others they are thrown away
/// and counted by [`Connection::discarded`](super::Connection::discarded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportPhase {
    /// Read and write.
    ReadWrite,
    /// Write what is queued. Reading goes on as long as that waits, so that a peer that is writing itself comes to
    /// read; what is read is discarded.
    Flush,
    /// Shut down the writing side (TCP FIN, after TLS `close_notify`), then call
    /// [`Connection::write_side_shut_down`](super::Connection::write_side_shut_down).
    ShutDown,
    /// Read and discard until the peer ends the stream.
    Discard,
    /// Nothing is left to do: drop the transport.
    Drop,
}

/// Where the connection stands between OPEN and CLOSED.
///
/// ```text
///           close()                 Close received              output flushed
///   Open ───────────────► CloseSent ────────────────► CloseReceived ──────────┐
///    │ │    Close received                                ▲   server          │ client
///    │ └──────────────────────────────────────────────────┘    │              ▼
///    │                                                         │       AwaitingEnd
///    │ fail, end of stream                                     ▼              │ end of stream, timeout
///    └───────────────────► Failing ─────── flushed ──► ShuttingDown ◄─────────┘
///                                                              │ write side shut down
///                                                              ▼
///                         Closed ◄── end of stream, limits ── Draining
/// ```
///
/// A transport error or a timeout leads from everywhere to `Closed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Our Close is queued or sent; the peer's has not come.
    CloseSent,
    /// The peer's Close has come; ours is queued.
    CloseReceived,
    /// What is queued, a Close frame at its end if one is due, is still to be written.
    Failing(Failure),
    /// Both Close frames have passed, and the server is to close the transport.
    AwaitingEnd,
    ShuttingDown(Outcome),
    /// Our writing side is shut down.
    Draining(Outcome),
    Closed(Outcome),
}

type Outcome = Result<(), Failure>;

#[derive(Debug)]
pub(crate) struct Closing {
    role: Role,
    state: State,
    /// Nothing can be written any more.
    write_failed: bool,
    /// Octets were written since the timers looked. Here for the room there is.
    pub(super) progress: bool,
    /// The transport has taken everything and does not pass it on.
    pub(crate) flush_waits: bool,
    close_timeout: Span,
    /// Boxed: a connection that is open has none.
    begun: Option<Box<Begun>>,
}

/// What has to be known once the closing handshake has begun, or the connection has failed.
#[derive(Debug)]
struct Begun {
    closed_by: ClosedBy,
    /// The Close frames that have passed.
    sent: Option<Option<CloseCode>>,
    received: ReceivedClose,
    received_reason: Box<str>,
    /// No more input can come.
    stream_ended: bool,
    timer: Timer,
    discarded: u64,
    messages_thrown_away: u64,
    octets_thrown_away: u64,
    cut_off: Option<CutOff>,
}

impl Closing {
    pub(crate) fn new(role: Role, close_timeout: Duration) -> Self {
        Self {
            role,
            state: State::Open,
            write_failed: false,
            progress: false,
            flush_waits: false,
            close_timeout: Span::new(close_timeout),
            begun: None,
        }
    }

    /// Which end this is.
    #[inline]
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether a data frame or a Close of the caller's may still be queued.
    #[inline]
    pub(crate) fn may_send(&self) -> Result<(), SendError> {
        match self.state {
            State::Open if !self.write_failed => Ok(()),
            // RFC 6455 §5.5.1: after Close, no more data frames.
            State::CloseSent | State::CloseReceived | State::AwaitingEnd => Err(SendError::SendAfterClose),
            State::ShuttingDown(Ok(())) | State::Draining(Ok(())) => Err(SendError::SendAfterClose),
            _ => Err(SendError::Closed),
        }
    }

    /// Whether received octets are still frames.
    #[inline]
    pub(crate) fn parses_input(&self) -> bool {
        matches!(self.state, State::Open | State::CloseSent)
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// RFC 6455 §5.5.2: a Ping is answered unless a Close was received; having sent one is no excuse.
    #[inline]
    pub(crate) fn answers_pings(&self) -> bool {
        self.parses_input()
    }

    pub(crate) fn phase(&self) -> TransportPhase {
        match self.state {
            State::Open | State::CloseSent => TransportPhase::ReadWrite,
            State::CloseReceived | State::Failing(_) => TransportPhase::Flush,
            State::ShuttingDown(_) => TransportPhase::ShutDown,
            State::AwaitingEnd | State::Draining(_) => TransportPhase::Discard,
            State::Closed(_) => TransportPhase::Drop,
        }
    }

    /// Where the connection stands, as a number that changes with it.
    #[cfg(feature = "tokio")]
    pub(crate) fn standing(&self) -> u32 {
        match self.state {
            State::Open => 0,
            State::CloseSent => 1,
            State::CloseReceived => 2,
            State::Failing(_) => 3,
            State::AwaitingEnd => 4,
            State::ShuttingDown(_) => 5,
            State::Draining(_) => 6,
            State::Closed(_) => 7,
        }
    }

    /// Why the connection failed, or is failing.
    #[inline]
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.state {
            State::Failing(failure)
            | State::ShuttingDown(Err(failure))
            | State::Draining(Err(failure))
            | State::Closed(Err(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Our own Close frame has been queued: the first of the two.
    pub(crate) fn close_queued(&mut self, code: Option<CloseCode>) {
        debug_assert_eq!(self.state, State::Open);
        self.state = State::CloseSent;
        let timer = self.close_timer();
        let begun = self.begin(ClosedBy::Local);
        begun.sent = Some(code);
        begun.timer = timer;
    }

    /// The peer's Close frame has come. Returns whether ours is to be queued as the answer.
    #[must_use]
    pub(crate) fn close_received(&mut self, close: &CloseFrame<'_>) -> bool {
        debug_assert!(self.parses_input());
        let answer = self.state == State::Open;
        let timer = self.close_timer();
        let begun = self.begin(ClosedBy::Remote);
        begun.received = close.code().map_or(ReceivedClose::NoStatus, ReceivedClose::Code);
        begun.received_reason = close.reason().into();
        if answer {
            // RFC 6455 §5.5.1: the answer echoes the code; an empty Close is answered with an empty one.
            begun.sent = Some(close.code());
            begun.timer = timer;
        }
        self.state = State::CloseReceived;
        answer
    }

    /// The peer broke a rule. Returns whether a Close frame is to be queued.
    #[must_use]
    pub(crate) fn fail(&mut self, failure: Failure, code: CloseCode) -> bool {
        match self.state {
            State::Open => {
                self.enter_failing(failure, ClosedBy::Local);
                self.begin(ClosedBy::Local).sent = Some(Some(code));
                true
            }
            // One Close a side, ever: the one we sent stands.
            State::CloseSent => {
                self.enter_failing(failure, ClosedBy::Local);
                false
            }
            _ => false,
        }
    }

    /// Everything that was queued has been written.
    pub(crate) fn flushed(&mut self) {
        match self.state {
            State::CloseReceived if self.role.closes_transport_first() || self.stream_ended() => {
                self.shut_down(Ok(()));
            }
            // RFC 6455 §7.1.1: the client waits for the server to close the transport.
            State::CloseReceived => {
                self.state = State::AwaitingEnd;
                self.restart(self.close_timer());
            }
            // Nobody is there to see the end of the stream.
            State::Failing(Failure::DeadPeer) => self.close(Err(Failure::DeadPeer)),
            State::Failing(failure) => self.shut_down(Err(failure)),
            _ => {}
        }
    }

    /// The peer has not taken what is queued in time.
    pub(super) fn write_timed_out(&mut self) {
        self.begin(ClosedBy::Local);
        self.close(Err(Failure::WriteTimeout));
    }

    /// Nothing more is written nor read, for this reason.
    #[cfg(feature = "tokio")]
    pub(super) fn give_up_for(&mut self, failure: Failure) {
        self.begin(ClosedBy::Local);
        self.close(Err(failure));
    }

    /// The peer has ended the stream.
    pub(crate) fn end_of_stream(&mut self) {
        if self.stream_ended() {
            return;
        }
        self.begin(ClosedBy::Remote).stream_ended = true;
        match self.state {
            // RFC 6455 §7.1.5: no Close frame came: 1006, and never success.
            State::Open | State::CloseSent => self.enter_failing(Failure::EndOfStream, ClosedBy::Remote),
            State::AwaitingEnd => self.shut_down(Ok(())),
            State::Draining(outcome) => self.close(outcome),
            State::CloseReceived | State::Failing(_) | State::ShuttingDown(_) | State::Closed(_) => {}
        }
    }

    /// The driver has shut down our writing side.
    pub(crate) fn write_side_shut_down(&mut self) {
        if let State::ShuttingDown(outcome) = self.state {
            if self.stream_ended() {
                self.close(outcome);
            } else {
                self.state = State::Draining(outcome);
                self.begin(ClosedBy::Local).timer = Timer::Requested(DRAIN_TIMEOUT);
            }
        }
    }

    /// Octets came that are no frames any more.
    pub(crate) fn discard(&mut self, octets: usize) {
        let Some(begun) = &mut self.begun else { return };
        begun.discarded = begun.discarded.saturating_add(octets as u64);
        if begun.discarded > DRAIN_LEN
            && let State::AwaitingEnd | State::Draining(_) = self.state
        {
            self.give_up();
        }
    }

    /// A message came that nobody will look at any more, since this end is closing.
    #[cfg(feature = "std")]
    pub(crate) fn count_thrown_away(&mut self, octets: usize) {
        let begun = self.begin(ClosedBy::Local);
        begun.messages_thrown_away += 1;
        begun.octets_thrown_away += octets as u64;
    }

    /// This is all that came of a message, if the connection has ended.
    pub(crate) fn cut_off(&mut self, cut_off: CutOff) {
        if !self.parses_input()
            && let Some(begun) = &mut self.begun
        {
            begun.cut_off.get_or_insert(cut_off);
        }
    }

    /// Nothing can be written any more.
    pub(crate) fn write_failed(&mut self) {
        self.write_failed = true;
        self.flush_waits = false;
    }

    /// Whether nothing can be written any more.
    pub(crate) fn has_write_failed(&self) -> bool {
        self.write_failed
    }

    /// If nothing can be written any more, what has come is still looked at, but without our Close the end is not clean.
    pub(crate) fn settle_failed_write(&mut self) {
        match self.state {
            _ if !self.write_failed => {}
            State::CloseReceived | State::AwaitingEnd | State::ShuttingDown(Ok(())) => {
                self.close(Err(Failure::Transport));
            }
            State::Failing(failure) | State::ShuttingDown(Err(failure)) => self.close(Err(failure)),
            State::Open | State::CloseSent | State::Draining(_) | State::Closed(_) => {}
        }
    }

    /// The transport cannot be read or written any more.
    pub(crate) fn transport_failed(&mut self) {
        self.begin(ClosedBy::Remote);
        match self.state {
            State::Open | State::CloseSent | State::CloseReceived => self.close(Err(Failure::Transport)),
            State::Failing(failure) => self.close(Err(failure)),
            State::AwaitingEnd => self.close(Ok(())),
            State::ShuttingDown(outcome) | State::Draining(outcome) => self.close(outcome),
            State::Closed(_) => {}
        }
    }

    /// The caller wants no closing handshake, or none any longer: as if the transport had failed.
    pub(crate) fn abort(&mut self) {
        if let State::Open = self.state {
            self.begin(ClosedBy::Local);
            self.close(Err(Failure::Transport));
        } else {
            self.transport_failed();
        }
    }

    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.begun.as_ref()?.timer.deadline()
    }

    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        if self.begun.as_mut().is_some_and(|begun| begun.timer.is_due(now)) {
            self.give_up();
        }
    }

    /// How the connection ended; `None` as long as it has not.
    pub(crate) fn report(&self) -> Option<CloseReport> {
        let State::Closed(outcome) = self.state else { return None };
        let begun = self.begun.as_ref()?;
        Some(CloseReport {
            closed_by: begun.closed_by,
            received: begun.received,
            received_reason: begun.received_reason.clone(),
            sent: begun.sent,
            clean: outcome.is_ok(),
            failure: outcome.err(),
            cut_off: begun.cut_off,
            messages_thrown_away: begun.messages_thrown_away,
            octets_thrown_away: begun.octets_thrown_away,
        })
    }

    /// Waiting any longer is of no use.
    fn give_up(&mut self) {
        match self.state {
            State::Open | State::Closed(_) => {}
            State::CloseSent | State::CloseReceived => self.close(Err(Failure::CloseTimeout)),
            State::Failing(failure) => self.close(Err(failure)),
            // RFC 6455 §7.1.1: after a reasonable time the client may close first. Both Closes have passed.
            State::AwaitingEnd => self.shut_down(Ok(())),
            State::ShuttingDown(outcome) | State::Draining(outcome) => self.close(outcome),
        }
    }

    fn enter_failing(&mut self, failure: Failure, closed_by: ClosedBy) {
        self.state = State::Failing(failure);
        let timer = match failure {
            Failure::DeadPeer => Timer::Requested(LAST_WORD_TIMEOUT),
            _ => self.close_timer(),
        };
        self.begin(closed_by).timer = timer;
    }

    fn shut_down(&mut self, outcome: Outcome) {
        self.state = State::ShuttingDown(outcome);
        self.restart(Timer::Requested(DRAIN_TIMEOUT));
    }

    fn close_timer(&self) -> Timer {
        Timer::Requested(self.close_timeout.duration())
    }

    /// What comes from here on counts anew.
    fn restart(&mut self, timer: Timer) {
        if let Some(begun) = &mut self.begun {
            begun.timer = timer;
            begun.discarded = 0;
        }
    }

    fn close(&mut self, outcome: Outcome) {
        self.state = State::Closed(outcome);
        self.restart(Timer::Off);
    }

    fn stream_ended(&self) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.stream_ended)
    }

    /// What has passed, begun by this end if nothing had.
    fn begin(&mut self, closed_by: ClosedBy) -> &mut Begun {
        self.begun.get_or_insert_with(|| {
            Box::new(Begun {
                closed_by,
                sent: None,
                received: ReceivedClose::Abnormal,
                received_reason: Box::default(),
                stream_ended: false,
                timer: Timer::Off,
                discarded: 0,
                messages_thrown_away: 0,
                octets_thrown_away: 0,
                cut_off: None,
            })
        })
    }
}
