//! The deadlines of an open connection: keepalive, the dead peer, output that does not leave, idleness, slow messages.

use alloc::boxed::Box;
use core::mem;
use core::time::Duration;

use super::Timestamp;
use super::silence::Silence;
use super::span::{NEVER, Nanoseconds, PUT_OFF, SHORTEST, Span};
use crate::config::Config;

/// How far the driver has come with reading when it looks at the clock: a peer is not to be judged by what this end has not
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The transport had nothing more, and all of what it had has been received.
    Dry,
    /// The transport had nothing more; some of what it had waits to be received.
    #[cfg(feature = "tokio")]
    Unreceived,
    /// The scheduler ended this turn: there may be more.
    Busy,
    /// Input is left alone, or cannot be read now.
    LeftAlone,
    /// Input is left alone until the application receives, and output leaves: the peer is shown that this end is there.
    #[cfg(feature = "tokio")]
    Held,
}

/// What has come since it was looked at last: flags, since the time at which it came would cost a look at the clock each.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) octets: bool,
    pub(crate) message: bool,
    /// How many octets of the input were left the last time.
    left: u8,
}

impl Arrivals {
    #[cfg(feature = "tokio")]
    pub(crate) fn new(octets: bool, message: bool) -> Self {
        Self { octets, message, left: 0 }
    }

    /// There was no event in this much input: whether some of it is new, or all of it was left the last time.
    #[inline]
    pub(crate) fn note_rest(&mut self, offered: usize, consumed: usize) {
        self.octets |= consumed > 0 || offered > usize::from(self.left);
        // INVARIANT: at most the beginning of a header is left.
        self.left = (offered - consumed).min(MAX_LEFT) as u8;
    }
}

/// How the connection stands apart from the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// A message has begun and not ended, and whether it is another than before.
    pub(crate) message_open: bool,
    pub(crate) message_began: bool,
    /// Octets are queued that the transport has been offered.
    pub(crate) output_waits: bool,
    /// The transport has taken everything and does not pass it on.
    pub(crate) flush_waits: bool,
    /// How many octets the transport has taken.
    pub(crate) written: u64,
}

/// What is to be done, for a deadline that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    DeadPeer,
    WriteTimeout,
    Idle,
    MessageTimeout,
}

#[derive(Debug)]
pub(crate) struct OpenTimers {
    /// The earliest deadline.
    next: Nanoseconds,
    /// Octets that were received end it.
    keepalive: Silence,
    dead_peer_timeout: Span,
    probe: Probe,
    /// Octets that were written end it.
    writing: Silence,
    /// Boxed: off unless somebody asks for it.
    rare: Option<Box<Rare>>,
}

/// Our own Ping, until something comes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    None,
    /// Out once so many octets have been written.
    Queued(u64),
    /// It is out: when the peer is dead.
    Sent(Nanoseconds),
}

#[derive(Debug)]
struct Rare {
    /// Messages that were received end it.
    idle: Silence,
    /// It has come to its end while there was no end of input, and has begun anew.
    idle_put_off: bool,
    message_timeout: Span,
    /// When the message that is open must have ended.
    message: Nanoseconds,
    /// That has come while there was no end of input, and has been put off.
    put_off: bool,
}

impl OpenTimers {
    /// `None` if all are off.
    pub(crate) fn new(config: &Config) -> Option<Box<Self>> {
        let rare = Rare {
            idle: Silence::new(config.idle_timeout),
            idle_put_off: false,
            message_timeout: timeout(config.message_timeout),
            message: NEVER,
            put_off: false,
        };
        let timers = Self {
            next: NEVER,
            keepalive: Silence::new(config.ping_interval),
            dead_peer_timeout: timeout(config.dead_peer_timeout),
            probe: Probe::None,
            writing: Silence::new(config.write_timeout),
            rare: (rare.idle.is_on() || rare.message_timeout != Span::FOREVER).then(|| Box::new(rare)),
        };
        let on = timers.keepalive.is_on() || timers.writing.is_on() || timers.rare.is_some();
        on.then(|| Box::new(timers))
    }

    /// Whether messages have deadlines.
    #[cfg(feature = "std")]
    pub(crate) fn times_messages(&self) -> bool {
        self.rare.is_some()
    }

    /// Whether the time begins to run when what is queued is out.
    #[cfg(feature = "tokio")]
    pub(crate) fn awaits_writing(&self) -> bool {
        matches!(self.probe, Probe::Queued(_))
    }

    /// The earliest deadline; at once if one is to be armed.
    #[inline]
    pub(crate) fn next_deadline(&self, standing: Standing) -> Option<Timestamp> {
        if self.wants_clock(standing) {
            return Some(Timestamp::ORIGIN);
        }
        (self.next != NEVER).then(|| Timestamp::from_nanoseconds(self.next))
    }

    #[inline]
    fn wants_clock(&self, standing: Standing) -> bool {
        self.keepalive.wants_clock()
            || (standing.output_waits && self.writing.wants_clock())
            || self.probe_is_out(standing)
            || self.rare.as_ref().is_some_and(|rare| rare.wants_clock(standing))
    }

    #[inline]
    fn probe_is_out(&self, standing: Standing) -> bool {
        matches!(self.probe, Probe::Queued(until) if standing.written >= until && !standing.flush_waits)
    }

    /// Arms what is to be armed. If anything was, nothing is judged: the driver may have been away for long, and asks
    /// for the time before it has waited for it.
    pub(crate) fn arm(
        &mut self,
        now: Timestamp,
        standing: Standing,
        arrivals: &mut Arrivals,
        progress: &mut bool,
    ) -> bool {
        if !self.wants_clock(standing) {
            return false;
        }
        let now = now.nanoseconds();
        if self.keepalive.wants_clock() {
            self.keepalive.start(now);
            arrivals.octets = false;
        }
        if standing.output_waits && self.writing.wants_clock() {
            self.writing.start(now);
            *progress = false;
        }
        if self.probe_is_out(standing) {
            self.probe = match self.dead_peer_timeout.after(now) {
                NEVER => Probe::None,
                deadline => Probe::Sent(deadline),
            };
        }
        if let Some(rare) = &mut self.rare {
            rare.arm(now, standing, arrivals);
        }
        self.look_ahead();
        true
    }

    /// The next thing that is to be done at `now`, if there is one. Ask until there is none.
    pub(crate) fn due(
        &mut self,
        now: Timestamp,
        reading: Reading,
        standing: Standing,
        arrivals: &mut Arrivals,
        progress: &mut bool,
    ) -> Option<Due> {
        let now = now.nanoseconds();
        let due = self
            .keepalive_due(now, reading, arrivals)
            .or_else(|| self.dead_peer_due(now, reading, arrivals))
            .or_else(|| self.writing_due(now, standing, progress))
            .or_else(|| self.rare.as_mut()?.due(now, reading, standing, arrivals));
        self.look_ahead();
        due
    }

    /// Our Ping has been queued, and is out once so many octets have been written.
    pub(crate) fn ping_queued(&mut self, until: u64) {
        self.probe = Probe::Queued(until);
    }

    fn keepalive_due(&mut self, now: Nanoseconds, reading: Reading, arrivals: &mut Arrivals) -> Option<Due> {
        if self.keepalive.deadline() > now {
            return None;
        }
        if reading == Reading::Busy && !arrivals.octets {
            self.keepalive.put_off(now);
            return None;
        }
        let heard = mem::take(&mut arrivals.octets);
        if heard {
            self.probe = Probe::None;
        }
        let silent = self.keepalive.is_over(now, heard || !reading.asks());
        let unanswered = match self.probe {
            Probe::None => false,
            Probe::Queued(_) => true,
            // Whether there is an answer is not looked at.
            Probe::Sent(_) => reading.found_nothing(),
        };
        (silent && !unanswered).then_some(Due::Ping)
    }

    fn dead_peer_due(&mut self, now: Nanoseconds, reading: Reading, arrivals: &Arrivals) -> Option<Due> {
        match self.probe {
            Probe::Sent(deadline) if deadline <= now => {}
            _ => return None,
        }
        if arrivals.octets {
            self.probe = Probe::None;
            return None;
        }
        let again = match reading {
            Reading::Busy => self.dead_peer_timeout.min(PUT_OFF),
            // The time begins anew when this end reads again.
            _ => self.dead_peer_timeout,
        };
        self.probe = Probe::Sent(again.after(now));
        reading.found_nothing().then_some(Due::DeadPeer)
    }

    fn writing_due(&mut self, now: Nanoseconds, standing: Standing, progress: &mut bool) -> Option<Due> {
        if self.writing.deadline() > now {
            return None;
        }
        let progress = mem::take(progress);
        if !standing.output_waits {
            self.writing.stop();
            return None;
        }
        self.writing.is_over(now, progress).then_some(Due::WriteTimeout)
    }

    fn look_ahead(&mut self) {
        let probe = match self.probe {
            Probe::Sent(deadline) => deadline,
            Probe::None | Probe::Queued(_) => NEVER,
        };
        let rare = self.rare.as_ref().map_or(NEVER, |rare| rare.idle.deadline().min(rare.message));
        self.next = self.keepalive.deadline().min(probe).min(self.writing.deadline()).min(rare);
    }
}

impl Rare {
    fn wants_clock(&self, standing: Standing) -> bool {
        self.idle.wants_clock() || self.has_new_message(standing)
    }

    fn has_new_message(&self, standing: Standing) -> bool {
        self.message_timeout != Span::FOREVER && standing.message_open && standing.message_began
    }

    fn arm(&mut self, now: Nanoseconds, standing: Standing, arrivals: &mut Arrivals) {
        if self.idle.wants_clock() {
            self.idle.start(now);
            arrivals.message = false;
        }
        if self.has_new_message(standing) {
            self.message = self.message_timeout.after(now);
            self.put_off = false;
        }
    }

    fn due(
        &mut self,
        now: Nanoseconds,
        reading: Reading,
        standing: Standing,
        arrivals: &mut Arrivals,
    ) -> Option<Due> {
        if self.idle.deadline() <= now {
            let active = mem::take(&mut arrivals.message) || !reading.may_be_all();
            self.idle_put_off &= !active;
            // A message may be among what has not been read yet. But octets without one put the end off only once.
            if self.idle.is_over(now, active)
                && (reading == Reading::Dry || mem::replace(&mut self.idle_put_off, true))
            {
                return Some(Due::Idle);
            }
        }
        if self.message > now {
            return None;
        }
        self.message = if standing.message_open { self.message_timeout.after(now) } else { NEVER };
        if !standing.message_open || !reading.may_be_all() {
            return None;
        }
        // Its end may be among what has not been read yet. But a peer that keeps this end reading gets no more than twice the
        // time for it.
        let too_late = reading == Reading::Dry || self.put_off;
        self.put_off = true;
        too_late.then_some(Due::MessageTimeout)
    }
}

impl Reading {
    /// The transport had nothing more to read.
    fn found_nothing(self) -> bool {
        match self {
            Reading::Dry => true,
            #[cfg(feature = "tokio")]
            Reading::Unreceived => true,
            Reading::Busy => false,
            Reading::LeftAlone => false,
            #[cfg(feature = "tokio")]
            Reading::Held => false,
        }
    }

    /// A Ping is due when nothing has been read.
    fn asks(self) -> bool {
        match self {
            #[cfg(feature = "tokio")]
            Reading::Held => true,
            _ => self.found_nothing(),
        }
    }

    /// Nothing waits that this end could have received by now.
    fn may_be_all(self) -> bool {
        match self {
            Reading::Dry => true,
            Reading::Busy => true,
            #[cfg(feature = "tokio")]
            Reading::Unreceived => false,
            Reading::LeftAlone => false,
            #[cfg(feature = "tokio")]
            Reading::Held => false,
        }
    }
}

fn timeout(limit: Option<Duration>) -> Span {
    limit.map_or(Span::FOREVER, |limit| Span::new(limit.max(SHORTEST)))
}

/// More than the beginning of a header has.
const MAX_LEFT: usize = u8::MAX as usize;
