//! Waits with a bound of ours, beside the timeouts that the caller has set on the transport.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::transport::{Timeouts, Transport};

/// A transport, and how long its next read or write may wait.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    io: S,
    /// The caller's own timeouts, while ours are set.
    own: Option<Timeouts>,
    /// Ours, as the transport gives them back: it may round them.
    set: Option<Timeouts>,
    bound: Option<Patience>,
    /// How much of the caller's own timeouts has passed in waits that our bound has ended.
    spent: Spent,
    /// What is set is what was left of a timeout of the caller's that has begun anew since.
    shortened: bool,
    /// The caller has looked at the transport, and may have set its timeouts.
    lent: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    reading: Duration,
    writing: Duration,
}

/// Why a read or a write did nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// Our own bound has passed, or a signal came: look at the clock and try again.
    Again,
    /// The caller's own timeout has passed, or the transport does not block at all.
    WouldBlock(io::Error),
    /// The transport does not work.
    Failed(io::Error),
}

/// A time that is running out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    from: Instant,
    limit: Duration,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { from: Instant::now(), limit }
    }

    /// What is left of it; `None` once it is over.
    pub(super) fn left(&self) -> Option<Duration> {
        self.limit.checked_sub(self.from.elapsed()).filter(|left| !left.is_zero())
    }

    /// Whether a wait may have come to its end by this bound. Kernels round, so one that ends a little early is as
    /// good; one that ended before half of it was not waiting for this.
    fn may_have_ended(&self) -> bool {
        self.from.elapsed() >= self.limit / 2
    }
}

impl<S> Bounded<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io,
            own: None,
            set: None,
            bound: None,
            spent: Spent::default(),
            shortened: false,
            lent: AtomicBool::new(false),
        }
    }

    pub(super) fn get_ref(&self) -> &S {
        self.lent.store(true, Ordering::Relaxed);
        &self.io
    }
}

impl<S: Transport> Bounded<S> {
    /// Lets the next read or write wait no longer than this, and the little that [makes it ours](as_ours).
    pub(super) fn wait_at_most(&mut self, limit: Duration) -> io::Result<()> {
        let own = *self.own.insert(self.own_timeouts()?);
        let limit = as_ours(limit);
        let bounded = |own, spent: Duration| match left(own, spent) {
            // The caller's own, as it is.
            Some(left) if left <= limit && spent.is_zero() => Some(left),
            Some(left) => Some(as_ours(left).min(limit)),
            None => Some(limit),
        };
        let Spent { reading, writing } = self.spent;
        self.io.set_timeouts(Timeouts {
            read: bounded(own.read, reading),
            write: bounded(own.write, writing),
        })?;
        self.set = Some(self.io.timeouts()?);
        self.shortened = false;
        *self.lent.get_mut() = false;
        self.bound = Some(Patience::new(limit));
        Ok(())
    }

    /// Whether the timeouts may be others than the last ones set would be now: those are what was left of a timeout of
    /// the caller's that has begun anew since, or the caller may have set its own over them.
    pub(super) fn are_stale(&mut self) -> bool {
        self.shortened || *self.lent.get_mut()
    }

    /// Lets reads and writes wait as the caller has said.
    pub(super) fn wait_as_before(&mut self) {
        self.bound = None;
        *self.lent.get_mut() = false;
        if self.own.is_some() {
            // A socket that refuses its former timeouts is a dead one: its next read says so.
            let _ = self.own_timeouts().and_then(|own| self.io.set_timeouts(own));
            (self.own, self.set) = (None, None);
        }
    }

    /// The caller's own timeouts. Those that are not what was set here were set by the caller since.
    fn own_timeouts(&self) -> io::Result<Timeouts> {
        let current = self.io.timeouts()?;
        let (Some(own), Some(set)) = (self.own, self.set) else { return Ok(current) };
        let own_now = |own, set, current| if current == set { own } else { current };
        Ok(Timeouts {
            read: own_now(own.read, set.read, current.read),
            write: own_now(own.write, set.write, current.write),
        })
    }

    /// The transport, with the timeouts that the caller had set.
    pub(super) fn into_inner(mut self) -> S {
        self.wait_as_before();
        self.io
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        let read = self.io.read(buffer);
        let own = self.own.and_then(|own| left(own.read, self.spent.reading));
        let (read, ended) = self.judge(read, own);
        self.shortened |= ended.is_none() && !self.spent.reading.is_zero();
        self.spent.reading = ended.map_or(Duration::ZERO, |wait| self.spent.reading.saturating_add(wait));
        read
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Stop> {
        let written = match slices {
            [one] => self.io.write(one),
            _ => self.io.write_vectored(slices),
        };
        match written {
            Ok(0) => Err(Stop::Failed(ErrorKind::WriteZero.into())),
            written => self.judge_writing(written),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        let flushed = self.io.flush();
        self.judge_writing(flushed)
    }

    pub(super) fn shutdown_write(&mut self) -> Result<(), Stop> {
        let shut_down = self.io.shutdown_write();
        self.judge_writing(shut_down)
    }

    fn judge_writing<T>(&mut self, written: io::Result<T>) -> Result<T, Stop> {
        let own = self.own.and_then(|own| left(own.write, self.spent.writing));
        let (written, ended) = self.judge(written, own);
        self.shortened |= ended.is_none() && !self.spent.writing.is_zero();
        self.spent.writing = ended.map_or(Duration::ZERO, |wait| self.spent.writing.saturating_add(wait));
        written
    }

    /// Why a wait has ended, and how much of the caller's own timeout has passed in it if that has not.
    fn judge<T>(&self, ended: io::Result<T>, own: Option<Duration>) -> (Result<T, Stop>, Option<Duration>) {
        let error = match ended {
            Ok(done) => return (Ok(done), None),
            Err(error) => error,
        };
        match (error.kind(), self.bound) {
            (ErrorKind::Interrupted, _) => (Err(Stop::Again), Some(Duration::ZERO)),
            _ if !is_timeout(&error) => (Err(Stop::Failed(error)), None),
            (_, Some(bound)) if own.is_none_or(|own| own > bound.limit) && bound.may_have_ended() => {
                (Err(Stop::Again), Some(bound.limit))
            }
            _ => (Err(Stop::WouldBlock(error)), None),
        }
    }
}

/// What is left of a timeout of the caller's. No wait is zero long.
fn left(own: Option<Duration>, spent: Duration) -> Option<Duration> {
    own.map(|own| own.saturating_sub(spent).max(SHORTEST_WAIT))
}

/// A little longer, and a time that no caller sets, even where a kernel rounds it up to its next tick: so what is found on
/// the transport later is either ours or was set by the caller since.
fn as_ours(time: Duration) -> Duration {
    let (step, odd) = if time < Duration::from_secs(1) { (10, 3) } else { (100, 37) };
    match u64::try_from(time.as_nanos().div_ceil(1_000_000).next_multiple_of(step) + odd) {
        Ok(milliseconds) => Duration::from_millis(milliseconds),
        Err(_) => time,
    }
}

/// A time that every system can wait for.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Whether the error says no more than that a wait has ended.
fn is_timeout(error: &io::Error) -> bool {
    match error.kind() {
        ErrorKind::WouldBlock => true,
        // A socket's timeout is `TimedOut` on Windows. Elsewhere that is how a lost peer looks, when it comes from the
        // operating system.
        ErrorKind::TimedOut => cfg!(windows) || error.raw_os_error().is_none(),
        _ => false,
    }
}
