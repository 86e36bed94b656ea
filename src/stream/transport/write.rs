//! Handing queued output to the transport, in few large writes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use super::Transport;
use crate::connection::Outbox;
use crate::stream::buffer;

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Writes everything that is queued, and flushes the transport.
    ///
    /// An error ends writing for good; what is queued is dropped. What the peer has sent can still be received.
    pub(in crate::stream) fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<()> {
        if !outbox.write_failed()
            && let Err(error) = ready!(self.try_poll_write(cx, outbox))
        {
            self.keep_error(error);
            outbox.fail_writing();
        }
        Poll::Ready(())
    }

    fn try_poll_write(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<()>> {
        if outbox.output.needs_buffer() && outbox.output.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
        let mut taken = Poll::Ready(());
        while !outbox.output.is_empty() {
            let Poll::Ready(written) = poll_write_some(Pin::new(&mut *io), cx, outbox)? else {
                // Whoever waits for what has been taken need not wait for what others have queued behind it.
                taken = Poll::Pending;
                // When only the scheduler wants its turn, the next write is near.
                if coop::has_budget_remaining()
                    && let Some(unused) = outbox.park_output()
                {
                    buffer::give(unused);
                }
                break;
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            outbox.advance(written);
        }
        release_output(outbox);
        if self.unflushed {
            let flushed = Pin::new(io).poll_flush(cx)?;
            outbox.closing.flush_waits = flushed.is_pending();
            ready!(flushed);
            self.unflushed = false;
        }
        taken.map(Ok)
    }
}

/// Writes once.
fn poll_write_some<S: AsyncWrite>(
    mut io: Pin<&mut S>,
    cx: &mut Context<'_>,
    outbox: &mut Outbox,
) -> Poll<io::Result<usize>> {
    if let Some(only) = outbox.output.only_slice() {
        let given = only.len();
        let written = io.as_mut().poll_write(cx, only);
        if written.is_pending() && !io.is_write_vectored() {
            outbox.output.offer(given);
        }
        return written;
    }
    poll_write_slices(io, cx, outbox)
}

#[inline(never)]
fn poll_write_slices<S: AsyncWrite>(
    io: Pin<&mut S>,
    cx: &mut Context<'_>,
    outbox: &mut Outbox,
) -> Poll<io::Result<usize>> {
    let mut slices = [&[][..]; MAX_SLICES];
    let filled = outbox.output.slices(&mut slices);
    let slices = &slices[..filled];
    if io.is_write_vectored() {
        let mut vectored = [IoSlice::new(&[]); MAX_SLICES];
        for (to, octets) in vectored.iter_mut().zip(slices) {
            *to = IoSlice::new(octets);
        }
        return io.poll_write_vectored(cx, &vectored[..filled]);
    }
    let (written, given) = match slices {
        [] => return Poll::Ready(Ok(0)),
        [first, ..] if filled == 1 || first.len() >= TOGETHER_LEN => (io.poll_write(cx, first), first.len()),
        // One write of a header alone would be one TLS record: copied together.
        many => {
            let mut together = [0; TOGETHER_LEN];
            let mut len = 0;
            for octets in many {
                let part = octets.len().min(TOGETHER_LEN - len);
                together[len..len + part].copy_from_slice(&octets[..part]);
                len += part;
            }
            (io.poll_write(cx, &together[..len]), len)
        }
    };
    if written.is_pending() {
        // Only transports that are not vectored may have kept some of it, encrypted.
        outbox.output.offer(given);
    }
    written
}

/// Gives the output's buffer back to the pool when nothing is queued.
fn release_output(outbox: &mut Outbox) {
    if let Some(buffer) = outbox.output.take_buffer() {
        buffer::give(buffer);
    }
}

/// Lends the output a pooled buffer before something is queued.
#[inline]
pub(in crate::stream) fn prepare_output(outbox: &mut Outbox) {
    if outbox.output.wants_buffer() {
        outbox.output.lend_buffer(buffer::take());
    }
}

/// How much is copied together for a transport that writes no slices: a TLS record.
const TOGETHER_LEN: usize = 16 << 10;

/// How many slices one write gathers. Payloads up to 16 KiB are copied, so that this many never limit a write.
const MAX_SLICES: usize = 64;
