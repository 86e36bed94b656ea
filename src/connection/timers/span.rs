//! Times and moments in little space: a connection has several of each.

use core::time::Duration;

/// A moment, counted from the driver's origin: up to 584 years.
pub(super) type Nanoseconds = u64;

/// No moment.
pub(super) const NEVER: Nanoseconds = Nanoseconds::MAX;

/// Shorter times would keep a driver busy with nothing else, or end before anything could come.
pub(super) const SHORTEST: Duration = Duration::from_millis(2);

/// When what cannot be judged now is looked at again.
pub(super) const PUT_OFF: Span = Span(1000);

pub(super) fn nanoseconds(time: Duration) -> Nanoseconds {
    time.as_nanos().try_into().unwrap_or(NEVER)
}

/// How long something may take: in milliseconds, rounded up. 49 days and more are for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::connection) struct Span(u32);

impl Span {
    pub(in crate::connection) const FOREVER: Self = Self(u32::MAX);

    pub(in crate::connection) fn new(time: Duration) -> Self {
        let milliseconds = time.as_nanos().div_ceil(1_000_000);
        milliseconds.try_into().map_or(Self::FOREVER, Self)
    }

    pub(in crate::connection) fn duration(self) -> Duration {
        match self {
            Self::FOREVER => Duration::MAX,
            Self(milliseconds) => Duration::from_millis(milliseconds.into()),
        }
    }

    /// So much later.
    pub(super) fn after(self, now: Nanoseconds) -> Nanoseconds {
        match self {
            Self::FOREVER => NEVER,
            Self(milliseconds) => now.saturating_add(u64::from(milliseconds) * 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_up_to_milliseconds_and_end_at_49_days() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let table = [
            (Duration::ZERO, Duration::ZERO),
            (Duration::from_nanos(1), Duration::from_millis(1)),
            (Duration::from_micros(1000), Duration::from_millis(1)),
            (Duration::from_micros(1001), Duration::from_millis(2)),
            (days(49), days(49)),
            (days(50), Duration::MAX),
            (Duration::MAX, Duration::MAX),
        ];
        for (time, kept) in table {
            assert_eq!(Span::new(time).duration(), kept, "{time:?}");
        }
        assert_eq!(Span::FOREVER.after(5), NEVER);
        assert_eq!(Span::new(Duration::from_millis(3)).after(5), 3_000_005);
        assert_eq!(nanoseconds(Duration::MAX), NEVER);
    }
}
