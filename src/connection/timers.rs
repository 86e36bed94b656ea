//! Deadlines as data: the core has no clock.

mod open;
mod silence;
mod span;

use core::time::Duration;

pub(crate) use open::{Arrivals, OpenTimers, Reading};
pub(super) use open::{Due, Standing};
pub(super) use span::Span;

/// A moment, as the time since an origin that the driver chose and keeps for the life of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The origin. As a deadline: at once.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The moment this long after the origin.
    #[must_use]
    pub const fn from_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the origin.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(Duration::from_nanos(nanoseconds))
    }

    fn nanoseconds(self) -> u64 {
        span::nanoseconds(self.0)
    }

    /// This moment and so much later.
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

/// One deadline. It is requested without a clock, and armed at the next `handle_timeout`, which knows the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    Off,
    Requested(Duration),
    Armed(Timestamp),
}

impl Timer {
    /// When the driver has to call `handle_timeout`: at once while the timer only is requested.
    pub(super) fn deadline(self) -> Option<Timestamp> {
        match self {
            Timer::Off => None,
            Timer::Requested(_) => Some(Timestamp::ORIGIN),
            Timer::Armed(deadline) => Some(deadline),
        }
    }

    /// Arms a requested timer, and says whether an armed one is due.
    #[must_use]
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        match *self {
            Timer::Off => false,
            Timer::Requested(delay) => {
                *self = Timer::Armed(now.after(delay));
                false
            }
            Timer::Armed(deadline) => deadline <= now,
        }
    }
}
