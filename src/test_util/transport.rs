//! Two transports in memory, joined, each direction with a behaviour of its own.

use std::io::{self, IoSlice, Read, Write};
#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(feature = "tokio")]
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(feature = "tokio")]
use tokio::time::{Sleep, sleep_until};

use super::Cut;
#[cfg(feature = "tokio")]
use super::flow::Wait;
use super::flow::{Ask, Flow, State};
use crate::blocking;

/// Two transports, each reading what the other writes, over a network that does no harm until it is told to.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// use sansocket::stream::WebSocket;
/// use sansocket::test_util::{Cut, pair};
/// use sansocket::{Config, Message};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, far) = pair();
/// // The server reads octet by octet, and its answer is cut off in the middle.
/// near.outgoing().read_at_most(1);
/// near.incoming().cut_after(4, Cut::End);
///
/// let mut client = WebSocket::client(near, &Config::default(), Vec::new());
/// let mut server = WebSocket::server(far, &Config::default(), Vec::new());
/// client.send("hello").await?;
/// assert_eq!(server.receive().await?, Some(Message::text("hello")));
/// server.send("hello yourself").await?;
/// assert!(client.receive().await.is_err());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn pair() -> (Transport, Transport) {
    let (there, back) = (Arc::new(Flow::default()), Arc::new(Flow::default()));
    let near = Transport::new(Arc::clone(&back), Arc::clone(&there));
    (near, Transport::new(there, back))
}

/// One of two transports in memory: for tokio, and for blocking code.
///
/// As a blocking transport it waits for its other end, in another thread, as long as its
/// [timeouts](blocking::Transport::set_timeouts) say; [`nonblocking`](Self::nonblocking) ones fail with `WouldBlock`
/// instead. Dropping it is the end of the stream for the other end, and an error for what that writes.
#[derive(Debug)]
pub struct Transport {
    pub(super) incoming: Arc<Flow>,
    pub(super) outgoing: Arc<Flow>,
    timeouts: blocking::Timeouts,
    nonblocking: bool,
    #[cfg(feature = "tokio")]
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Transport {
    fn new(incoming: Arc<Flow>, outgoing: Arc<Flow>) -> Self {
        Self {
            incoming,
            outgoing,
            timeouts: blocking::Timeouts::default(),
            nonblocking: false,
            #[cfg(feature = "tokio")]
            sleep: None,
        }
    }

    /// What this end reads: a handle that stays good when the transport is given away.
    #[must_use]
    pub fn incoming(&self) -> Direction {
        Direction(Arc::clone(&self.incoming))
    }

    /// What this end writes: a handle that stays good when the transport is given away.
    #[must_use]
    pub fn outgoing(&self) -> Direction {
        Direction(Arc::clone(&self.outgoing))
    }

    /// As a blocking transport it never waits: what cannot be done at once fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    #[must_use]
    pub fn nonblocking(mut self) -> Self {
        self.nonblocking = true;
        self
    }

    fn timeout(&self, own: Option<Duration>) -> Option<Duration> {
        if self.nonblocking { Some(Duration::ZERO) } else { own }
    }

    pub(super) fn shut_down(&self) {
        self.outgoing.change(|state| state.end(Cut::End));
    }
}

/// What the network between two transports does to the octets that one of them writes and the other reads.
///
/// Everything may be changed at any time, and is then as if it had always been so. Clones set the same direction.
#[derive(Debug, Clone)]
pub struct Direction(Arc<Flow>);

impl Direction {
    /// No read gets more octets than this at a time: 1 is octet by octet. Zero is taken as one.
    pub fn read_at_most(&self, octets: usize) {
        self.0.change(|state| state.faults.read_at_most = octets.max(1));
    }

    /// No write takes more octets than this at a time. Zero is taken as one.
    pub fn write_at_most(&self, octets: usize) {
        self.0.change(|state| state.faults.write_at_most = octets.max(1));
    }

    /// How many octets are held between the ends: writes wait while so many have not been read. Default: without bound.
    pub fn capacity(&self, octets: usize) {
        self.0.change(|state| state.faults.capacity = octets);
    }

    /// Nothing comes through until [`resume`](Self::resume), neither octets nor the end of the stream: the reader waits
    /// and, once the [`capacity`](Self::capacity) is used up, the writer too.
    pub fn stall(&self) {
        self.0.change(|state| state.faults.stalled = true);
    }

    /// Ends a [`stall`](Self::stall).
    pub fn resume(&self) {
        self.0.change(|state| state.faults.stalled = false);
    }

    /// What is written from now on can be read so much later, by tokio's clock: a paused one will do.
    #[cfg(feature = "tokio")]
    pub fn latency(&self, latency: Duration) {
        self.0.change(|state| state.faults.latency = latency);
    }

    /// Every read, write and flush is put off so many times before it is done: `Pending` with the task woken at once, or
    /// `WouldBlock`. So every await is reached, for tests that give futures up.
    pub fn hesitate(&self, times: usize) {
        self.0.change(|state| state.faults.hesitate = [times; 3]);
    }

    /// After so many octets more have been read this is all that can be read, whatever is written.
    pub fn cut_after(&self, octets: usize, cut: Cut) {
        self.0.change(|state| state.faults.cut = Some((octets, cut)));
    }

    /// Writes and flushes fail from now on, while what was written, and the other direction, go on as they were.
    pub fn fail_writes(&self, error: io::ErrorKind) {
        self.0.change(|state| state.faults.write_error = Some(error));
    }

    /// How many octets were written and have not been read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.0.lock().unread()
    }

    /// Whether everything that was written has been flushed.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.0.lock().was_flushed()
    }

    /// Whether the writer has shut down its side, or was dropped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.lock().has_ended()
    }

    /// Whether the end that reads was dropped.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.lock().reader_gone
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = self.timeout(self.timeouts.read);
        self.incoming.block(Ask::Read, timeout, |state| {
            state.read(buffer.len(), |octets| buffer[..octets.len()].copy_from_slice(octets), None)
        })
    }
}

impl Write for Transport {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let timeout = self.timeout(self.timeouts.write);
        self.outgoing.block(Ask::Write, timeout, |state| state.write(slices, None))
    }

    fn flush(&mut self) -> io::Result<()> {
        let timeout = self.timeout(self.timeouts.write);
        self.outgoing.block(Ask::Flush, timeout, State::flush)
    }
}

impl blocking::Transport for Transport {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shut_down();
        Ok(())
    }

    fn timeouts(&self) -> io::Result<blocking::Timeouts> {
        Ok(self.timeouts)
    }

    fn set_timeouts(&mut self, timeouts: blocking::Timeouts) -> io::Result<()> {
        self.timeouts = timeouts;
        Ok(())
    }
}

#[cfg(feature = "tokio")]
impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let limit = buffer.remaining();
            let read = self.incoming.ask(Ask::Read, |state| {
                state.read(limit, |octets| buffer.put_slice(octets), Some(cx.waker()))
            });
            let arrival = match read {
                Err(Wait::Until(arrival)) => arrival,
                other => return settle(other.map(drop), cx),
            };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(arrival)));
            if sleep.deadline() != arrival {
                sleep.as_mut().reset(arrival);
            }
            std::task::ready!(sleep.as_mut().poll(cx));
        }
    }
}

#[cfg(feature = "tokio")]
impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.outgoing.ask(Ask::Write, |state| state.write(slices, Some(cx.waker())));
        settle(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.outgoing.ask(Ask::Flush, State::flush);
        settle(flushed, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down();
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
fn settle<T>(result: Result<T, Wait>, cx: &Context<'_>) -> Poll<io::Result<T>> {
    match result {
        Ok(done) => Poll::Ready(Ok(done)),
        Err(Wait::Failed(error)) => Poll::Ready(Err(error)),
        Err(Wait::Again) => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Err(Wait::Change | Wait::Until(_)) => Poll::Pending,
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.shut_down();
        self.incoming.change(|state| state.reader_gone = true);
    }
}
