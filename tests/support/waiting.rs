//! A driver with a clock of the test's, which waits for one deadline after the other.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use sansocket::connection::{Timestamp, TransportPhase};
use sansocket::{Config, Role};

use crate::wire::{End, described, frames};

/// One end, and the time.
pub(crate) struct Waiting {
    pub(crate) end: End,
    pub(crate) now: Duration,
    /// Whether the transport takes what is queued.
    pub(crate) takes_output: bool,
    /// What was sent, and when in milliseconds.
    pub(crate) sent: Vec<(u64, String)>,
}

impl Waiting {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        let mut waiting =
            Self { end: End::with(role, config), now: Duration::ZERO, takes_output: true, sent: Vec::new() };
        waiting.look();
        waiting
    }

    pub(crate) fn millis(&self) -> u64 {
        self.now.as_millis() as u64
    }

    /// Offers what is queued, and has the clock looked at as long as it is asked for at once.
    pub(crate) fn look(&mut self) {
        loop {
            if self.takes_output {
                let written = self.end.write_all();
                let at = self.millis();
                self.sent.extend(described(&frames(&written)).into_iter().map(|frame| (at, frame)));
            }
            match self.end.next_deadline() {
                Some(deadline) if deadline.since_origin() <= self.now => {
                    let queued = self.end.queued();
                    self.end.handle_timeout(Timestamp::from_origin(self.now));
                    let again = self.end.next_deadline().is_some_and(|next| next.since_origin() <= self.now);
                    assert!(
                        !again || self.end.queued() > queued || self.end.next_deadline() != Some(deadline)
                    );
                }
                _ if self.takes_output && self.end.queued() > 0 => {}
                _ => return,
            }
        }
    }

    /// Waits until this many milliseconds since the origin, in which nothing comes.
    pub(crate) fn until(&mut self, millis: u64) {
        let until = Duration::from_millis(millis);
        assert!(until >= self.now, "back in time");
        self.look();
        while let Some(deadline) = self.end.next_deadline()
            && deadline.since_origin() <= until
        {
            self.now = self.now.max(deadline.since_origin());
            self.look();
        }
        self.now = until;
    }

    /// Reads frames given as a server sends them, and waits again.
    pub(crate) fn reads(&mut self, unmasked: &[u8]) {
        self.end.read_frames(unmasked);
        self.look();
    }

    /// Reads octets as they are, and waits again.
    pub(crate) fn reads_octets(&mut self, octets: &[u8]) {
        self.end.read(octets);
        self.look();
    }

    /// Waits, at most so many milliseconds, until the connection is no longer open for messages; says how long that
    /// took.
    pub(crate) fn lasts(&mut self, at_most: u64) -> Option<u64> {
        let begin = self.millis();
        while self.end.phase() == TransportPhase::ReadWrite && self.millis() - begin < at_most {
            let next =
                self.end.next_deadline().map_or(u64::MAX, |next| next.since_origin().as_millis() as u64);
            self.until(next.clamp(self.millis() + 1, begin + at_most));
        }
        (self.end.phase() != TransportPhase::ReadWrite).then(|| self.millis() - begin)
    }
}

/// A config in which no deadline of the open connection is on.
pub(crate) fn quiet() -> Config {
    Config::default().ping_interval(None).write_timeout(None)
}
