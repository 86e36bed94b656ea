//! Futures polled by hand, with a waker that counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often it was woken.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, with a waker that nobody looks at.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn poll_with<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Polls a future that has to be ready at once.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll_once(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future had to be ready"),
    }
}

/// Polls a future that has to wait, once, and drops it.
#[track_caller]
pub(crate) fn waits<F: Future>(future: F)
where
    F::Output: std::fmt::Debug,
{
    if let Poll::Ready(output) = poll_once(std::pin::pin!(future)) {
        panic!("the future had to wait, and gave {output:?}");
    }
}

/// Polls once and drops the future: its output, if it was ready.
pub(crate) fn cut_off<F: Future>(future: F) -> Option<F::Output> {
    match poll_once(std::pin::pin!(future)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Calls a future anew until one poll of it is ready: dropped at every await point on the way.
#[track_caller]
pub(crate) fn by_cut_offs<T>(mut call: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1_000_000 {
        if let Some(output) = call() {
            return output;
        }
    }
    panic!("a million polls and no end");
}

/// A runtime with a clock that stands still, for futures polled by hand: enter it, so that timers can be made.
pub(crate) fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system")
}
