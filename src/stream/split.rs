//! The two halves of a WebSocket, and the one that receives.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_core::stream::{FusedStream, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use super::Error;
use super::ahead::Ahead;
use super::receive_side::ReceiveSide;
use super::sender::Sender;
use super::shared::{Observed, Output, Shared};
use super::sync::{Mutex, lock};
use super::transport::{Progress, Receiving, Transport};
use super::usual::spend;
use super::waiters::{Party, Wakeups};
use super::{WebSocket, start_close};
use crate::close_code::CloseCode;
use crate::connection::{CloseReport, Encoder, Message, Outbox, Reading};
use crate::handshake::Negotiated;
use crate::role::Role;

pub(super) type State<S> = Shared<ReceiveSide, OutputSide<S>>;

/// Messages in order, their frames, and the transport they go to: behind one lock.
#[derive(Debug)]
pub(super) struct OutputSide<S> {
    /// `None` while a sender compresses a message: others wait without a lock.
    pub(super) encoder: Option<Encoder>,
    pub(super) outbox: Outbox,
    pub(super) transport: Transport<S>,
}

impl<S> Output for OutputSide<S> {
    type Encoder = Encoder;

    fn encoder(&mut self) -> &mut Option<Encoder> {
        &mut self.encoder
    }

    #[inline]
    fn parses_input(&self) -> bool {
        self.outbox.closing.parses_input()
    }

    fn observe(&self) -> Observed {
        self.transport.observe(&self.outbox)
    }
}

/// The half that receives. There is one.
///
/// Dropping it while the connection is open begins the closing handshake, since nobody could see the peer's answer to
/// anything: a server sends 1001, a client an empty Close. The senders drive it on.
pub struct Receiver<S> {
    state: Arc<State<S>>,
    /// `None` when nothing was negotiated, and nobody reads ahead.
    pub(super) beside: Option<Box<Beside>>,
    failure_yielded: bool,
    /// It was parked when it was polled last.
    parked: bool,
    /// There may be messages that were read ahead.
    pub(super) driven: bool,
}

/// What most receivers have not.
pub(super) struct Beside {
    pub(super) negotiated: Negotiated,
    pub(super) ahead: Option<Arc<Mutex<Ahead>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Splits the socket in a half that receives and a half that sends, for different tasks.
    ///
    /// Pings are answered, and the closing handshake goes on, whichever half is polled. The unsplit socket is faster:
    /// split only when messages are sent that do not answer one just received.
    pub fn split(self) -> (Receiver<S>, Sender<S>) {
        let Self { receive, encoder, outbox, mut transport, negotiated, tasks: _ } = self;
        // It would be told of the shared waker under a lock, under which it must not drop the waker of a task.
        transport.stop_timer();
        let failure_yielded = transport.failure_yielded;
        let output = OutputSide { encoder: Some(encoder), outbox: *outbox, transport };
        let state = Arc::new(Shared::new(receive, output));
        let beside = negotiated.map(|negotiated| Box::new(Beside { negotiated: *negotiated, ahead: None }));
        let receiver =
            Receiver { state: Arc::clone(&state), beside, failure_yielded, parked: false, driven: false };
        (receiver, Sender { state })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// The next message; `None` for ever once the closing handshake is done: see [`close_report`](Self::close_report).
    ///
    /// # Errors
    ///
    /// When the connection has failed, the same for ever. The end of the transport without a Close frame is an error,
    /// never `None` (RFC 6455 §7.1.5).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    #[inline]
    pub fn receive(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> + use<'_, S> {
        poll_fn(move |cx| self.poll_receive(cx))
    }

    /// The poll function under [`receive`](Self::receive), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    #[inline(always)]
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Poll::Ready(budget) = coop::poll_proceed(cx) else {
            self.tell_time();
            return Poll::Pending;
        };
        if let Some(message) = self.take_usual() {
            spend(budget);
            return Poll::Ready(Ok(Some(message)));
        }
        drop(budget);
        self.poll_receive_any(cx)
    }

    /// The next message if it is there and the usual one, and this half has not been waiting: handed on without room for
    /// an error, as by the [unsplit socket](WebSocket::poll_receive).
    #[inline]
    fn take_usual(&mut self) -> Option<Message> {
        if self.parked || self.driven || self.state.waiters().receiver_waits() || !self.state.parses_input() {
            return None;
        }
        let mut receive = self.state.lock_receive();
        let kind = receive.next_usual()?;
        Some(receive.take_usual(kind))
    }

    #[inline(never)]
    fn poll_receive_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let Poll::Ready(mut budget) = coop::poll_proceed(cx) else {
            self.tell_time();
            return Poll::Pending;
        };
        let waiters = self.state.waiters();
        let still_parked = waiters.unpark_receiver();
        // Woken, it most likely finds input: then it need not have been parked. If not, it looks again when it is.
        let mut parks = !mem::take(&mut self.parked) || still_parked.is_some();
        drop(still_parked);
        let wakeups = Wakeups::default();
        let mut waker = None;
        let mut receive = self.state.lock_receive();
        if let Some(ahead) = self.ahead()
            && let Some((message, more)) = lock(ahead).pop()
        {
            receive.note_message();
            if more {
                waiters.take_driver(Party::Receiver, &wakeups);
            }
            budget.made_progress();
            return Poll::Ready(Ok(Some(message)));
        }
        loop {
            if self.state.parses_input() {
                match receive.next() {
                    Ok(Some(kind)) => match kind.message() {
                        Some(kind) => {
                            budget.made_progress();
                            return Poll::Ready(Ok(Some(receive.take(kind))));
                        }
                        None => {
                            let mut output = self.state.lock_output_by(Party::Receiver, &wakeups);
                            receive.react(&mut output.outbox);
                            drop(output);
                            budget.made_progress();
                            let Poll::Ready(next) = coop::poll_proceed(cx) else {
                                drop(receive);
                                self.tell_time();
                                return Poll::Pending;
                            };
                            budget = next;
                            continue;
                        }
                    },
                    Ok(None) => {}
                    Err(error) => self.state.lock_output_by(Party::Receiver, &wakeups).outbox.fail(error),
                }
            }
            if parks {
                waiters.park_receiver(waker.take().unwrap_or_else(|| cx.waker().clone()));
            }
            let mut output = self.state.lock_output_by(Party::Receiver, &wakeups);
            match output.poll(self.state.waker(), &mut receive) {
                Poll::Pending if parks => {
                    self.parked = true;
                    return Poll::Pending;
                }
                Poll::Pending => parks = true,
                Poll::Ready(progress) => {
                    if mem::replace(&mut parks, true) {
                        waker = waiters.unpark_receiver();
                    }
                    if let Progress::Ended = progress {
                        return Poll::Ready(output.end());
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// For one whose turn is over, and who has been woken for the next: a peer that always has something to read must not keep
    /// this end from the time.
    #[cold]
    fn tell_time(&self) {
        let wakeups = Wakeups::default();
        let mut receive = self.state.lock_receive();
        let mut output = self.state.lock_output_by(Party::Receiver, &wakeups);
        // What it changes is found in the next turn.
        let _ = output.poll_timer(self.state.waker(), &mut receive, Reading::Busy);
    }
}

impl<S> Receiver<S> {
    /// How the connection ended; `None` as long as it has not.
    #[must_use]
    pub fn close_report(&self) -> Option<CloseReport> {
        self.state.lock_output().outbox.closing.report()
    }

    /// The subprotocol in use, or `None` when the ends agreed on none.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.beside.as_ref()?.negotiated.subprotocol()
    }

    /// How messages are compressed, or `None` when they are not (RFC 7692).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&crate::deflate::Agreement> {
        self.beside.as_ref()?.negotiated.deflate()
    }

    fn ahead(&self) -> Option<&Mutex<Ahead>> {
        self.beside.as_ref()?.ahead.as_deref()
    }

    fn has_ahead(&self) -> bool {
        let Some(ahead) = self.ahead() else { return false };
        let _receive = self.state.lock_receive();
        !lock(ahead).is_empty()
    }

    /// Another handle that sends.
    #[must_use]
    pub fn sender(&self) -> Sender<S> {
        Sender { state: Arc::clone(&self.state) }
    }
}

impl<S> Drop for Receiver<S> {
    fn drop(&mut self) {
        let mut output = self.state.lock_output();
        let code = match output.outbox.role() {
            Role::Server => Some(CloseCode::GOING_AWAY),
            Role::Client => None,
        };
        // Refused only when the closing handshake has begun before.
        let _ = start_close(&mut output.outbox, code, "");
        drop(output);
        if let Some(ahead) = self.ahead() {
            // Before the lock: whoever has it after this one reads no more ahead.
            self.state.mark_receiver_gone();
            let wakeups = Wakeups::default();
            let _receive = self.state.lock_receive();
            let mut output = self.state.lock_output_by(Party::Passer, &wakeups);
            output.throw_away_ahead(&mut lock(ahead));
        }
        self.state.set_receiver_gone();
    }
}

/// Messages until the closing handshake is done. A failure is yielded once, and then `None`.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Receiver<S> {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let receiver = self.get_mut();
        if receiver.failure_yielded {
            return Poll::Ready(None);
        }
        let received = ready!(receiver.poll_receive(cx));
        receiver.failure_yielded = received.is_err();
        Poll::Ready(received.transpose())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for Receiver<S> {
    fn is_terminated(&self) -> bool {
        let ended_well = self.close_report().is_some_and(|report| report.failure.is_none());
        self.failure_yielded || (ended_well && !self.has_ahead())
    }
}

impl<S> OutputSide<S> {
    /// How receiving ended.
    pub(super) fn end(&self) -> Result<Option<Message>, Error> {
        match self.outbox.closing.failure() {
            Some(failure) => Err(self.transport.error(failure)),
            None => Ok(None),
        }
    }

    /// How the connection has ended.
    pub(super) fn report(&self) -> Result<CloseReport, Error> {
        self.end()?;
        self.outbox.closing.report().ok_or(Error::EndOfStream)
    }

    /// Parses what has come, for a connection that nobody receives from.
    pub(super) fn throw_away(&mut self, receive: &mut ReceiveSide) {
        while self.parses_input() {
            match receive.next() {
                Ok(Some(kind)) => {
                    receive.react(&mut self.outbox);
                    if kind.message().is_some() {
                        self.outbox.closing.count_thrown_away(receive.payload().len());
                    }
                }
                Ok(None) => return,
                Err(error) => self.outbox.fail(error),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> OutputSide<S> {
    pub(super) fn poll(&mut self, waker: &Waker, receive: &mut ReceiveSide) -> Poll<Progress> {
        self.transport.poll(&mut Context::from_waker(waker), receive, &mut self.outbox, Receiving::Owned)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> OutputSide<S> {
    pub(super) fn poll_held(&mut self, waker: &Waker, receive: &mut ReceiveSide) -> Poll<Progress> {
        self.transport.poll_held(&mut Context::from_waker(waker), receive, &mut self.outbox)
    }

    pub(super) fn poll_timer(
        &mut self,
        waker: &Waker,
        receive: &mut ReceiveSide,
        reading: Reading,
    ) -> Poll<Progress> {
        self.transport.poll_timer(&mut Context::from_waker(waker), receive, &mut self.outbox, reading)
    }
}

impl<S> fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
