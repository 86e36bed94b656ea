//! Ending the transport as the closing handshake says.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use super::{Progress, Transport};
use crate::connection::{Outbox, Reading, TransportPhase};
use crate::stream::buffer;
use crate::stream::receive_side::ReceiveSide;

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(super) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        phase: TransportPhase,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
    ) -> Poll<Progress> {
        match phase {
            TransportPhase::ReadWrite => return Poll::Ready(Progress::Again),
            TransportPhase::Flush => {
                // A write that waits may be given up for want of a budget.
                if self.poll_write(cx, outbox).is_ready()
                    || outbox.closing.phase() != phase
                    || self.poll_discard(cx, outbox).is_ready()
                {
                    return Poll::Ready(Progress::Again);
                }
            }
            TransportPhase::ShutDown => {
                let Some(io) = &mut self.io else { return Poll::Ready(Progress::Ended) };
                match Pin::new(io).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {
                        self.unflushed = false;
                        outbox.closing.write_side_shut_down();
                        return Poll::Ready(Progress::Again);
                    }
                    Poll::Ready(Err(error)) => {
                        self.keep_error(error);
                        outbox.transport_failed();
                        return Poll::Ready(Progress::Again);
                    }
                    Poll::Pending => {}
                }
            }
            TransportPhase::Discard => {
                // A client that waits for the end of the stream may still have its Close to flush.
                let _ = self.poll_write(cx, outbox);
                if self.poll_discard(cx, outbox).is_ready() {
                    return Poll::Ready(Progress::Again);
                }
            }
            TransportPhase::Drop => {
                self.let_go();
                return Poll::Ready(Progress::Ended);
            }
        }
        self.poll_timer(cx, receive, outbox, Reading::LeftAlone)
    }

    /// Reads once and throws it away.
    fn poll_discard(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<()> {
        // A peer that never stops sending must not keep this thread from its other tasks.
        let budget = ready!(coop::poll_proceed(cx));
        let Some(io) = &mut self.io else { return Poll::Pending };
        if self.read_ended {
            // Told again, since the phase in which it counts may have begun since.
            outbox.end_of_stream();
            return if outbox.closing.phase() == TransportPhase::Flush {
                Poll::Pending
            } else {
                Poll::Ready(())
            };
        }
        let mut scratch = buffer::take();
        let mut read = ReadBuf::new(&mut scratch);
        let result = Pin::new(io).poll_read(cx, &mut read);
        let len = read.filled().len();
        buffer::give(scratch);
        let result = ready!(result);
        budget.made_progress();
        match result {
            Ok(()) if len == 0 => {
                self.read_ended = true;
                outbox.end_of_stream();
            }
            Ok(()) => outbox.closing.discard(len),
            Err(error) => {
                self.read_failed(error);
                let _ = self.end_reading(outbox);
            }
        }
        Poll::Ready(())
    }
}
