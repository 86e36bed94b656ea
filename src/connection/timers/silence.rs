//! Silence, counted in halves of the time it may last, so that activity is a flag and not a time.

use core::time::Duration;

use super::span::{NEVER, Nanoseconds, PUT_OFF, SHORTEST, Span};

/// Comes to its end when nothing has happened for two whole halves of a time: that is at least the time, and at most one and
/// a half of it, since what happened last did so within the half before.
#[derive(Debug)]
pub(super) struct Silence {
    /// When the half that is running ends.
    tick: Nanoseconds,
    half: Span,
    /// How many halves nothing has happened in.
    quiet: u8,
}

impl Silence {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        let half = limit.map_or(Span::FOREVER, |limit| Span::new(limit.max(SHORTEST) / 2));
        Self { half, tick: NEVER, quiet: 0 }
    }

    pub(super) fn is_on(&self) -> bool {
        self.half != Span::FOREVER
    }

    /// When it is to be looked at.
    #[inline]
    pub(super) fn deadline(&self) -> Nanoseconds {
        self.tick
    }

    /// Whether it is on and does not run.
    #[inline]
    pub(super) fn wants_clock(&self) -> bool {
        self.tick == NEVER && self.is_on()
    }

    pub(super) fn start(&mut self, now: Nanoseconds) {
        self.tick = self.half.after(now);
        self.quiet = 0;
    }

    pub(super) fn stop(&mut self) {
        self.tick = NEVER;
    }

    /// Whether something has happened in the half cannot be known now.
    pub(super) fn put_off(&mut self, now: Nanoseconds) {
        self.tick = self.half.min(PUT_OFF).after(now);
    }

    /// At the end of a half in which something has happened, or nothing: whether it has lasted. If so, it begins anew.
    pub(super) fn is_over(&mut self, now: Nanoseconds, active: bool) -> bool {
        self.tick = self.half.after(now);
        self.quiet = if active { 0 } else { self.quiet + 1 };
        if self.quiet < 2 {
            return false;
        }
        self.quiet = 0;
        true
    }
}
