//! The half of a WebSocket that sends, and can be cloned.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::receive_side::{Parsed, ReceiveSide};
use super::split::{OutputSide, State};
use super::sync::MutexGuard;
use super::transport::{self, Progress, ReadAhead};
use super::waiters::{Party, SenderPlace, Wakeups};
use super::{Error, start_close};
use crate::close_code::CloseCode;
use crate::connection::{CloseReport, OutgoingMessage, Reading};
use crate::error::SendError;

type Guard<'a, S> = MutexGuard<'a, OutputSide<S>>;

/// The half that sends: clone it for every task that has something to say.
///
/// Messages of different senders never mix; each is sent whole. Dropping the senders says nothing to the peer: call
/// [`close`](Self::close).
pub struct Sender<S> {
    pub(super) state: Arc<State<S>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    /// Sends a message: returns when its last octet has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if nothing can be sent any more, with nothing queued; else the connection has failed, and how
    /// much of the message the peer got cannot be known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has queued the whole message or none of it. What is queued leaves when any half is polled.
    pub fn send<'m, M: Into<OutgoingMessage<'m>>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<(), Error>> + use<'_, 'm, S, M> {
        let mut queueing = Queueing::new(self, message.into());
        let mut is_queued = false;
        poll_fn(move |cx| {
            if !is_queued {
                ready!(queueing.poll(cx))?;
                is_queued = true;
            }
            self.poll_written(cx, &mut queueing.place, queueing.until)
        })
    }

    /// Queues a message; waits only while more than the high-water mark is queued. It leaves when any half is polled.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if nothing can be sent any more: nothing was queued.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has queued the whole message or none of it: none if it was never polled.
    pub fn feed<'m, M: Into<OutgoingMessage<'m>>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<(), Error>> + use<'_, 'm, S, M> {
        let mut queueing = Queueing::new(self, message.into());
        poll_fn(move |cx| {
            ready!(queueing.poll(cx))?;
            // Whoever waits for input offers it to the transport.
            self.state.waiters().wake_readers();
            Poll::Ready(Ok(()))
        })
    }

    /// Hands everything that is queued to the transport.
    ///
    /// # Errors
    ///
    /// If the connection has failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut place = SenderPlace::new(self.state.waiters());
        let until = self.state.lock_output().outbox.output.appended();
        poll_fn(|cx| self.poll_written(cx, &mut place, until)).await
    }

    /// Sends a Ping with up to 125 octets of payload: returns when it has been handed to the transport.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if the payload is too long.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        let mut place = SenderPlace::new(self.state.waiters());
        let until = poll_fn(|cx| {
            let wakeups = Wakeups::default();
            let mut output = ready!(self.poll_room(cx, &mut place, &wakeups))?;
            let OutputSide { outbox, transport, .. } = &mut *output;
            outbox.ping(payload).map_err(|error| transport.refused(error, outbox))?;
            Poll::Ready(Ok::<_, Error>(output.outbox.output.appended()))
        })
        .await
        .inspect_err(|_| self.drive_on())?;
        poll_fn(|cx| self.poll_written(cx, &mut place, until)).await
    }

    /// Closes the connection: sends Close behind what is queued, and waits until the connection has ended. `None` and
    /// `""` send an empty Close frame.
    ///
    /// Messages that still arrive belong to the [`Receiver`](super::Receiver), which has to be polled for the peer's Close behind them to
    /// be seen. If it was dropped they are thrown away, and counted in the report.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is above 123 octets or has no code: nothing was done. Else the connection failed
    /// before both Close frames had passed; [`Config::close_timeout`](crate::Config::close_timeout) bounds the wait.
    ///
    /// # Cancel safety
    ///
    /// The Close is queued when the future is first polled. Dropped then, call again, or receive until `None`.
    pub async fn close(
        &self,
        code: impl Into<Option<CloseCode>>,
        reason: &str,
    ) -> Result<CloseReport, Error> {
        match start_close(&mut self.state.lock_output().outbox, code.into(), reason) {
            Ok(()) | Err(SendError::SendAfterClose | SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        let mut place = SenderPlace::new(self.state.waiters());
        poll_fn(|cx| self.poll_closed(cx, &mut place)).await
    }

    /// Why nothing was queued.
    #[cold]
    fn refused(&self, error: SendError) -> Error {
        let output = self.state.lock_to_append();
        output.transport.refused(error, &output.outbox)
    }

    /// Goes on with the closing handshake that the dropped receiver has begun, as far as the transport lets it.
    #[cold]
    fn drive_on(&self) {
        if !self.state.receiver_gone() {
            return;
        }
        let wakeups = Wakeups::default();
        let mut receive = self.state.lock_receive();
        let mut output = self.state.lock_output_by(Party::Passer, &wakeups);
        loop {
            output.throw_away(&mut receive);
            match output.poll(self.state.waker(), &mut receive) {
                Poll::Ready(Progress::Again) => {}
                Poll::Ready(Progress::Ended) | Poll::Pending => return,
            }
        }
    }

    /// Waits until less than the high-water mark is queued.
    fn poll_room<'a>(
        &'a self,
        cx: &mut Context<'_>,
        place: &mut SenderPlace<'_>,
        wakeups: &Wakeups,
    ) -> Poll<Result<Guard<'a, S>, Error>> {
        let mut waited = Poll::Ready(());
        loop {
            {
                let output = self.state.lock_to_append();
                if !output.outbox.is_full() {
                    return Poll::Ready(Ok(output));
                }
            }
            ready!(waited);
            waited = self.poll_output(cx, place, wakeups)?;
        }
    }

    /// Waits until the first `until` octets of all output have been handed to the transport.
    fn poll_written(
        &self,
        cx: &mut Context<'_>,
        place: &mut SenderPlace<'_>,
        until: u64,
    ) -> Poll<Result<(), Error>> {
        loop {
            let output = self.poll_output(cx, place, &Wakeups::default())?;
            {
                let state = self.state.lock_output();
                if state.outbox.output.written() >= until && !state.transport.is_unflushed() {
                    return Poll::Ready(Ok(()));
                }
            }
            ready!(output);
        }
    }

    /// Writes what is queued, with what can be done for the peer beside it: ready when all of it is out, and else the
    /// sender is parked.
    fn poll_output(
        &self,
        cx: &mut Context<'_>,
        place: &mut SenderPlace<'_>,
        wakeups: &Wakeups,
    ) -> Poll<Result<(), Error>> {
        place.park(cx.waker());
        let result = {
            let mut receive = self.state.lock_receive();
            let mut output = self.state.lock_output_by(place.party(), wakeups);
            self.poll_pass(&mut receive, &mut output, wakeups)
        };
        if result.is_ready() {
            place.unpark();
        }
        result
    }

    fn poll_pass(
        &self,
        receive: &mut ReceiveSide,
        output: &mut OutputSide<S>,
        wakeups: &Wakeups,
    ) -> Poll<Result<(), Error>> {
        let read_ahead = match self.state.waiters().receiver_waits() {
            true => ReadAhead::WhileWriting,
            false => ReadAhead::Always,
        };
        let OutputSide { outbox, transport, .. } = output;
        let cx = &mut Context::from_waker(self.state.waker());
        let result = transport.poll_output(cx, receive, outbox, read_ahead);
        // They wait for what has been read for them.
        if receive.parsed == Parsed::NotYet {
            self.state.waiters().take_readers(Party::Passer, wakeups);
        }
        result
    }

    /// Waits until the connection has ended, and drives it there as far as the receiver does not.
    fn poll_closed(
        &self,
        cx: &mut Context<'_>,
        place: &mut SenderPlace<'_>,
    ) -> Poll<Result<CloseReport, Error>> {
        loop {
            let wakeups = Wakeups::default();
            place.park(cx.waker());
            let mut receive = self.state.lock_receive();
            let mut output = self.state.lock_output_by(place.party(), &wakeups);
            if self.state.receiver_gone() {
                output.throw_away(&mut receive);
            } else if output.outbox.closing.parses_input() {
                // What still arrives is the receiver's: only write, and keep the time.
                ready!(self.poll_pass(&mut receive, &mut output, &wakeups))?;
                let OutputSide { outbox, transport, .. } = &mut *output;
                let cx = &mut Context::from_waker(self.state.waker());
                ready!(transport.poll_timer(cx, &mut receive, outbox, Reading::LeftAlone));
                continue;
            }
            if let Progress::Ended = ready!(output.poll(self.state.waker(), &mut receive)) {
                return Poll::Ready(output.report());
            }
        }
    }
}

/// A message on its way into the queue.
struct Queueing<'a, 'm, S> {
    sender: &'a Sender<S>,
    place: SenderPlace<'a>,
    /// `None` once it is queued.
    message: Option<OutgoingMessage<'m>>,
    /// How much is appended with it.
    until: u64,
}

impl<'a, 'm, S: AsyncRead + AsyncWrite + Unpin> Queueing<'a, 'm, S> {
    #[inline]
    fn new(sender: &'a Sender<S>, message: OutgoingMessage<'m>) -> Self {
        let place = SenderPlace::new(sender.state.waiters());
        // What takes long is done before anything is locked: a Pong must not wait for the copy of a large message.
        Self { sender, place, message: Some(message.without_large_borrow()), until: 0 }
    }

    /// Queues the message, once there is room.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // An `Error` is not handed through here: that alone would cost the usual message 5 ns.
        let queued = self.queue(&mut self.sender.state.lock_to_append());
        if let Some(Ok(())) = queued {
            return Poll::Ready(Ok(()));
        }
        let queued = match queued {
            Some(queued) => Poll::Ready(queued.map_err(|error| self.sender.refused(error))),
            None => self.poll_turn(cx),
        };
        if let Poll::Ready(Err(_)) = queued {
            self.sender.drive_on();
        }
        queued
    }

    /// Queues the message, unless it has to wait or to be compressed.
    #[inline]
    fn queue(&mut self, output: &mut OutputSide<S>) -> Option<Result<(), SendError>> {
        let OutputSide { encoder: Some(encoder), outbox, .. } = output else { return None };
        if outbox.is_full() || encoder.compresses(self.message.as_ref()?) {
            return None;
        }
        transport::prepare_output(outbox);
        let queued = encoder.send(self.message.take()?, outbox);
        self.until = outbox.output.appended();
        Some(queued)
    }

    /// Waits for room, and for the encoder.
    #[cold]
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let wakeups = Wakeups::default();
            let mut output = ready!(self.sender.poll_room(cx, &mut self.place, &wakeups))?;
            if let Some(queued) = self.queue(&mut output) {
                return Poll::Ready(queued.map_err(|error| output.transport.refused(error, &output.outbox)));
            }
            if output.encoder.is_some() {
                return Poll::Ready(self.compress(output, wakeups));
            }
            // Another sender compresses a message. This one's turn comes when that is queued.
            drop(output);
            self.place.park(cx.waker());
            if self.sender.state.lock_to_append().encoder.is_none() {
                return Poll::Pending;
            }
        }
    }

    /// Compresses the message and queues it.
    fn compress(&mut self, output: Guard<'_, S>, wakeups: Wakeups) -> Result<(), Error> {
        let state = &self.sender.state;
        if let Err(error) = output.outbox.may_send() {
            let error = output.transport.refused(error, &output.outbox);
            // Unlocked before anybody is woken.
            drop(output);
            return Err(error);
        }
        // INVARIANT: it was there, and has been locked since.
        let mut compressing = state.take_encoder(output).expect("nobody else can have taken the encoder");
        drop(wakeups);
        // INVARIANT: a future is not polled again once it was ready.
        let message = self.message.take().expect("the message has not been queued");
        // Nothing is locked while a message is compressed: Pongs and Close do not wait for it, nor does a thread.
        let prepared = compressing.encoder().prepare(message);
        let mut output = state.lock_to_append();
        let OutputSide { outbox, transport, .. } = &mut *output;
        transport::prepare_output(outbox);
        prepared
            .and_then(|prepared| compressing.encoder().queue(prepared, outbox))
            .map_err(|error| transport.refused(error, outbox))?;
        self.until = outbox.output.appended();
        Ok(())
    }
}

impl<S> Sender<S> {
    /// Begins the closing handshake without waiting: see [`WebSocket::start_close`](super::WebSocket::start_close).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is above 123 octets or has no code, or a Close has been sent before.
    pub fn start_close(&self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        let mut output = self.state.lock_output();
        let OutputSide { outbox, transport, .. } = &mut *output;
        start_close(outbox, code.into(), reason).map_err(|error| transport.refused(error, outbox))
    }

    /// How the connection ended; `None` as long as it has not.
    #[must_use]
    pub fn close_report(&self) -> Option<CloseReport> {
        self.state.lock_output().outbox.closing.report()
    }

    /// How many octets are queued and not yet handed to the transport, frame headers included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.state.lock_output().outbox.output.len()
    }

    /// Ends the connection at once, without a closing handshake: what is queued is dropped, the transport too.
    pub fn abort(&self) {
        let wakeups = Wakeups::default();
        let mut receive = self.state.lock_receive();
        let mut output = self.state.lock_output_by(Party::Passer, &wakeups);
        output.outbox.abort();
        receive.end(&mut output.outbox);
        output.transport.let_go();
    }
}

impl<S> Clone for Sender<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<S> fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
