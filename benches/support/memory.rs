//! A transport in memory that never waits, and futures that never do either.
#![allow(dead_code, reason = "each bench uses its part")]

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the same burst of frames for ever, and takes everything that is written.
pub(crate) struct Memory {
    burst: Vec<u8>,
    at: usize,
    pauses: bool,
}

/// Calls on all transports of this thread that have moved something.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Calls {
    pub(crate) reads: usize,
    pub(crate) writes: usize,
}

thread_local! {
    static CALLS: Cell<Calls> = const { Cell::new(Calls { reads: 0, writes: 0 }) };
    static HAS_INPUT: Cell<bool> = const { Cell::new(true) };
}

/// The peers of all transports that pause have sent a burst.
pub(crate) fn wake() {
    HAS_INPUT.set(true);
}

/// So far.
pub(crate) fn calls() -> Calls {
    CALLS.get()
}

impl Memory {
    /// A read that has room for the whole burst gets it.
    pub(crate) fn giving(burst: Vec<u8>) -> Self {
        Self { burst, at: 0, pauses: false }
    }

    /// Behind each burst reads have to wait until there is a [`wake`].
    pub(crate) fn pausing(burst: Vec<u8>) -> Self {
        Self { burst, at: 0, pauses: true }
    }

    /// There is never anything to read.
    pub(crate) fn silent() -> Self {
        Self::giving(Vec::new())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.burst.is_empty() || (this.pauses && !HAS_INPUT.get()) {
            return Poll::Pending;
        }
        let len = buffer.remaining().min(this.burst.len() - this.at);
        buffer.put_slice(&this.burst[this.at..this.at + len]);
        this.at = (this.at + len) % this.burst.len();
        if this.at == 0 {
            HAS_INPUT.set(false);
        }
        let Calls { reads, writes } = CALLS.get();
        CALLS.set(Calls { reads: reads + 1, writes });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(written(octets.len())))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(written(slices.iter().map(|slice| slice.len()).sum())))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn written(octets: usize) -> usize {
    let Calls { reads, writes } = CALLS.get();
    CALLS.set(Calls { reads, writes: writes + 1 });
    octets
}

/// The output of a future that is ready when it is polled first: no runtime is needed.
#[inline]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing in memory has to wait"),
    }
}
