//! Waits with a bound of ours, beside the timeouts that the caller has set on the transport.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, Instant};

use super::transport::{Timeouts, Transport};

/// A transport, and how long its next read or write may wait.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    io: S,
    /// The caller's own timeouts, while ours are set.
    own: Option<Timeouts>,
    bound: Option<Patience>,
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
        Self { io, own: None, bound: None }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: Transport> Bounded<S> {
    /// Lets the next read or write wait no longer than this.
    pub(super) fn wait_at_most(&mut self, limit: Duration) -> io::Result<()> {
        let own = match self.own {
            Some(own) => own,
            None => *self.own.insert(self.io.timeouts()?),
        };
        let bounded = |own: Option<Duration>| Some(own.map_or(limit, |own| own.min(limit)));
        self.io.set_timeouts(Timeouts { read: bounded(own.read), write: bounded(own.write) })?;
        self.bound = Some(Patience::new(limit));
        Ok(())
    }

    /// Lets reads and writes wait as the caller has said.
    pub(super) fn wait_as_before(&mut self) {
        self.bound = None;
        if let Some(own) = self.own.take() {
            // A socket that refuses its former timeouts is a dead one: its next read says so.
            let _ = self.io.set_timeouts(own);
        }
    }

    /// The transport, with the timeouts that the caller had set.
    pub(super) fn into_inner(mut self) -> S {
        self.wait_as_before();
        self.io
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        self.io.read(buffer).map_err(|error| self.stop(error, self.own.and_then(|own| own.read)))
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Stop> {
        let written = match slices {
            [one] => self.io.write(one),
            _ => self.io.write_vectored(slices),
        };
        match written {
            Ok(0) => Err(Stop::Failed(ErrorKind::WriteZero.into())),
            written => written.map_err(|error| self.stop_writing(error)),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        self.io.flush().map_err(|error| self.stop_writing(error))
    }

    pub(super) fn shutdown_write(&mut self) -> Result<(), Stop> {
        self.io.shutdown_write().map_err(|error| self.stop_writing(error))
    }

    fn stop_writing(&self, error: io::Error) -> Stop {
        self.stop(error, self.own.and_then(|own| own.write))
    }

    fn stop(&self, error: io::Error, own: Option<Duration>) -> Stop {
        match error.kind() {
            ErrorKind::Interrupted => Stop::Again,
            _ if !is_timeout(&error) => Stop::Failed(error),
            _ if self
                .bound
                .is_some_and(|bound| own.is_none_or(|own| own > bound.limit) && bound.may_have_ended()) =>
            {
                Stop::Again
            }
            _ => Stop::WouldBlock(error),
        }
    }
}

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
