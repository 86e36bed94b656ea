//! WebSockets over tokio: moves octets, decides nothing.
//!
//! [`WebSocket`] joins a [`Connection`] to any `AsyncRead + AsyncWrite`. Awaits happen
//! only where the transport is read or written, never between taking an octet and recording it, so every future here
//! can be dropped at any await and asked for again.
//!
//! [`accept`] and [`connect`] do the opening handshake over a raw transport; behind an HTTP server use
//! [`handshake`](crate::handshake).
//!
//! # Runtime
//!
//! Anything that reads and writes as tokio does is a transport, but time is tokio's timer: with the default [`Config`] the first
//! wait panics outside of a tokio runtime, and on one that was built without `enable_time`. [`Config::ping_interval`] says
//! how to do without.

mod accept;
mod ahead;
mod buffer;
mod client_transport;
mod connect;
mod driven;
mod gate;
#[cfg(feature = "hyper")]
pub mod hyper;
mod lend;
mod message_stream;
mod receive_side;
mod sender;
mod shared;
mod split;
mod sync;
mod tasks;
mod transport;
mod usual;
mod waiters;

use std::future::{Future, poll_fn};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;

use crate::close_code::CloseCode;
use crate::config::Config;
use crate::connection::{
    CloseReport, Connection, Encoder, Event, EventKind, KeySource, Message, MessageKind, Outbox,
    OutgoingMessage, Reading,
};
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::handshake::Negotiated;
use crate::role::Role;

pub use accept::{Acceptor, Incoming, accept};
pub use client_transport::ClientTransport;
pub use connect::{Connector, connect};
pub use driven::Driver;
pub use gate::ConnectGate;
pub use lend::{MessageRef, Outgoing, ReceiveRef};
pub use sender::Sender;
pub use split::Receiver;

pub use crate::transport_error::{AcceptError, ConnectError, Error};

use receive_side::{Parsed, ReceiveSide};
use tasks::{Side, Tasks};
use transport::{Progress, ReadAhead, Receiving, Transport};
use usual::{Feed, Receive, Usual, spend};

/// A WebSocket over a transport: one connection, one task.
///
/// ```
/// use sansocket::stream::WebSocket;
/// use sansocket::{CloseCode, Config, Message};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Any transport will do, once the opening handshake has passed over it.
/// let (near, far) = tokio::io::duplex(1024);
/// let mut client = WebSocket::client(near, &Config::default(), Vec::new());
/// let mut server = WebSocket::server(far, &Config::default(), Vec::new());
///
/// let echo = tokio::spawn(async move {
///     while let Some(message) = server.receive().await? {
///         server.send(message).await?;
///     }
///     Ok::<_, sansocket::stream::Error>(server.close_report())
/// });
///
/// client.send("hello").await?;
/// assert_eq!(client.receive().await?, Some(Message::text("hello")));
/// let report = client.close(CloseCode::NORMAL, "bye").await?;
/// assert!(report.clean);
/// assert!(echo.await??.is_some_and(|report| report.clean));
/// # Ok(())
/// # }
/// ```
///
/// # When output leaves
///
/// [`send`](Self::send) returns when its own last octet has been handed to the transport. [`feed`](Self::feed) queues;
/// what is queued is offered to the transport before every read, when the high-water mark is passed, and at
/// [`flush`](Self::flush). So a loop that receives and feeds writes once per burst and leaves nothing behind. A task
/// that never receives must flush.
///
/// # Keepalive
///
/// A silent peer is asked by a Ping whether it is there, and one that does not answer is [dead](crate::Failure::DeadPeer):
/// [`Config::ping_interval`] says when, and how to switch it off. That, the [write timeout](Config::write_timeout) and the
/// deadlines that are off by default advance while any method that waits is polled, here or on either half; a connection that
/// nobody polls sends no Ping, unless it has a [driver](Self::split_driven). What came meanwhile is read before the peer is
/// judged, so that an application may be away for as long as it likes.
///
/// # Runtime
///
/// Deadlines need tokio's timer: a runtime that is built by hand needs `enable_time`, or the first wait panics
/// ([`Config::ping_interval`]). A connection has one timer, and none while no deadline is on.
///
/// # Memory
///
/// An idle connection owns no buffer: it is the size of this struct, less than half a kibioctet, less than 250 octets for its
/// deadlines, and what the runtime needs for a task and a socket. A future has room for it twice if it is an `async fn` with the WebSocket as an argument, and once
/// if it is an `async move` block that captures it.
///
/// # Dropping
///
/// Dropping a WebSocket does no I/O: what was fed and not flushed is lost, and the peer sees the transport end without
/// a Close frame (1006). Say goodbye with [`close`](Self::close).
#[derive(Debug)]
pub struct WebSocket<S> {
    receive: ReceiveSide,
    encoder: Encoder,
    /// Boxed: a runtime aligns tasks and sockets to 128 octets, and between such blocks the system's allocator has room for a
    /// small one.
    outbox: Box<Outbox>,
    transport: Transport<S>,
    tasks: Tasks,
    /// `None` when it is the default.
    negotiated: Option<Box<Negotiated>>,
}

impl<S> WebSocket<S> {
    /// The server's end of a transport whose opening handshake is done.
    ///
    /// `unread` is what was read behind the head of the request: the first frames. Nothing of it may be lost.
    pub fn server(io: S, config: &Config, unread: impl Into<Vec<u8>>) -> Self {
        Self::new(io, Connection::server(config), unread.into())
    }

    /// The client's end of a transport whose opening handshake is done, with masking-keys from the operating system.
    ///
    /// `unread` is what was read behind the head of the response: the first frames. Nothing of it may be lost.
    pub fn client(io: S, config: &Config, unread: impl Into<Vec<u8>>) -> Self {
        Self::new(io, Connection::client(config, KeySource::operating_system()), unread.into())
    }

    /// One end or the other of a transport whose opening handshake agreed on `negotiated`.
    ///
    /// `unread` is what was read behind the head of the peer's handshake: the first frames. Nothing of it may be lost.
    pub fn negotiated(
        io: S,
        role: Role,
        negotiated: Negotiated,
        config: &Config,
        unread: impl Into<Vec<u8>>,
    ) -> Self {
        let connection = match role {
            Role::Client => Connection::client(config, KeySource::operating_system()),
            Role::Server => Connection::server(config),
        };
        #[cfg(feature = "deflate")]
        let connection = match negotiated.deflate() {
            Some(agreement) => connection.with_deflate(agreement),
            None => connection,
        };
        let negotiated = (negotiated != Negotiated::default()).then(|| Box::new(negotiated));
        Self { negotiated, ..Self::new(io, connection, unread.into()) }
    }

    fn new(io: S, connection: Connection, unread: Vec<u8>) -> Self {
        let Connection { receive, encoder, outbox, .. } = connection;
        Self {
            receive: ReceiveSide::new(receive, unread),
            encoder,
            outbox: Box::new(outbox),
            transport: Transport::new(io),
            tasks: Tasks::default(),
            negotiated: None,
        }
    }

    /// The subprotocol in use, or `None` when the ends agreed on none.
    pub fn subprotocol(&self) -> Option<&str> {
        self.negotiated.as_ref()?.subprotocol()
    }

    /// How messages are compressed, or `None` when they are not (RFC 7692).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&crate::deflate::Agreement> {
        self.negotiated.as_ref()?.deflate()
    }

    /// The transport; `None` once the connection has ended and let go of it.
    pub fn get_ref(&self) -> Option<&S> {
        self.transport.get_ref()
    }

    /// How the connection ended; `None` as long as it has not.
    pub fn close_report(&self) -> Option<CloseReport> {
        self.outbox.closing.report()
    }

    /// How many octets are queued and not yet handed to the transport, frame headers included.
    pub fn queued(&self) -> usize {
        self.outbox.output.len()
    }

    /// Begins the closing handshake without waiting: queues a Close frame behind what is queued, with `code` and
    /// `reason`, or empty with `None` and `""`.
    ///
    /// Nothing can be sent from here on. Messages that arrive before the peer's Close are still received; receive until
    /// `None`, or call [`close`](Self::close), to drive the closing handshake to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is above 123 octets or has no code, or a Close has been sent before.
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), Error> {
        let closed = start_close(&mut self.outbox, code.into(), reason);
        if closed.is_ok() {
            // Whoever receives in another task keeps the time of the closing handshake.
            self.tasks.wake(Side::Receive, Waker::noop());
        }
        closed.map_err(|error| self.transport.refused(error, &self.outbox))
    }

    /// Queues a Ping with up to 125 octets of payload. Its Pong comes as an event of
    /// [`receive_event`](Self::receive_event).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the payload is too long, too much is queued or a Close has been sent.
    pub fn feed_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        transport::prepare_output(&mut self.outbox);
        self.outbox.ping(payload).map_err(|error| self.transport.refused(error, &self.outbox))
    }

    /// Ends the connection at once, without a closing handshake: what is queued is dropped, the transport too.
    pub fn abort(&mut self) {
        self.outbox.abort();
        self.receive.end(&mut self.outbox);
        self.transport.let_go();
        for side in [Side::Receive, Side::Send] {
            self.tasks.wake(side, Waker::noop());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The next message, owned; `None` for ever once the closing handshake is done: see
    /// [`close_report`](Self::close_report).
    ///
    /// Pings are answered on the way. A payload of up to 16 KiB is one exact allocation; a larger one was read into its
    /// place.
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
        Receive { socket: self }
    }

    /// The poll function under [`receive`](Self::receive), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    #[inline(always)]
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        match self.poll_usual(cx, Receiving::Owned) {
            Usual::Message(kind) => Poll::Ready(Ok(Some(self.receive.take_usual(kind)))),
            Usual::Pending => Poll::Pending,
            Usual::Other => self.poll_receive_any(cx),
        }
    }

    #[inline(never)]
    fn poll_receive_any(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let kind = ready!(self.poll_message(cx, Receiving::Owned))?;
        Poll::Ready(Ok(kind.map(|kind| self.receive.take(kind))))
    }

    /// The next message, lent from where it was read, together with the way out: the fastest way to receive.
    ///
    /// The way out never waits, so nothing is lent while more than the [high-water mark](Config::high_water_mark) is queued.
    /// An end that sends much more than it was asked for [receives](Self::receive) owned messages, or is [split](Self::split):
    /// two that lend would wait for each other.
    ///
    /// ```
    /// # async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    /// #     socket: &mut sansocket::stream::WebSocket<S>,
    /// # ) -> Result<(), sansocket::stream::Error> {
    /// while let Some((message, mut outgoing)) = socket.receive_ref().await? {
    ///     outgoing.feed(message)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    #[inline]
    pub fn receive_ref(&mut self) -> ReceiveRef<'_, S> {
        ReceiveRef::new(self)
    }

    /// The next event, lent from where it was read: messages, and Ping, Pong and Close too. What they ask for is done
    /// already; this is for those who want to see them.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: call again.
    pub async fn receive_event(&mut self) -> Result<Option<(Event<'_>, Outgoing<'_>)>, Error> {
        if poll_fn(|cx| self.poll_event(cx, Receiving::Lent)).await?.is_none() {
            return Ok(None);
        }
        Ok(Some((self.receive.event(), Outgoing::new(&mut self.encoder, &mut self.outbox))))
    }

    /// Sends a message: returns when its last octet has been handed to the transport.
    ///
    /// While the transport does not take it, up to one read buffer is read and Pings in it are answered; messages wait
    /// for [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if nothing can be sent any more, with nothing queued; else the connection has failed, and how
    /// much of the message the peer got cannot be known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has queued the whole message or none of it: none if it was never polled, or waited for room
    /// in the queue. What is queued leaves with the next call of any method.
    pub fn send<'m, M: Into<OutgoingMessage<'m>>>(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<(), Error>> + use<'_, 'm, S, M> {
        let mut message = Some(message.into());
        let mut until = 0;
        poll_fn(move |cx| {
            if message.is_some() {
                ready!(self.poll_room(cx))?;
            }
            if let Some(message) = message.take() {
                self.queue(message).map_err(|error| self.transport.refused(error, &self.outbox))?;
                until = self.outbox.output.appended();
            }
            self.poll_written(cx, until)
        })
    }

    /// Queues a message at the call; the future only waits while more than the high-water mark is queued.
    ///
    /// What is queued leaves at the next [`receive`](Self::receive) or [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if nothing can be sent any more or, when earlier futures were dropped instead of awaited, too
    /// much is queued: then nothing was queued by this call.
    ///
    /// # Cancel safety
    ///
    /// The message is queued, whole, whether the future is polled or not.
    #[inline(always)]
    pub fn feed<'m, M: Into<OutgoingMessage<'m>>>(
        &mut self,
        message: M,
    ) -> impl Future<Output = Result<(), Error>> + use<'_, 'm, S, M> {
        let refused = self.queue(message.into()).err();
        Feed { socket: self, refused }
    }

    /// Hands everything that is queued to the transport.
    ///
    /// # Errors
    ///
    /// If the connection has failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what it had not written yet stays queued.
    pub fn flush(&mut self) -> impl Future<Output = Result<(), Error>> + use<'_, S> {
        let until = self.outbox.output.appended();
        poll_fn(move |cx| self.poll_written(cx, until))
    }

    /// Sends a Ping with up to 125 octets of payload: returns when it has been handed to the transport. Its Pong comes
    /// as an event of [`receive_event`](Self::receive_event).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.feed_ping(payload)?;
        self.flush().await
    }

    /// Closes the connection: sends Close behind what is queued, waits for the peer's, ends the transport, and tells
    /// how it went. `None` and `""` send an empty Close frame.
    ///
    /// Messages that still arrive are thrown away, and counted in the report. If the closing handshake has begun before,
    /// by either end, this drives it to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is above 123 octets or has no code: nothing was done. Else the connection failed
    /// before both Close frames had passed; [`Config::close_timeout`] bounds the wait.
    ///
    /// # Cancel safety
    ///
    /// The Close is queued when the future is first polled. Dropped then, call again, or receive until `None`.
    pub async fn close(
        &mut self,
        code: impl Into<Option<CloseCode>>,
        reason: &str,
    ) -> Result<CloseReport, Error> {
        match start_close(&mut self.outbox, code.into(), reason) {
            // Where nothing can be sent any more, what has come and the end of the transport are left.
            Ok(()) | Err(SendError::SendAfterClose | SendError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        while poll_fn(|cx| self.poll_message(cx, Receiving::Owned)).await?.is_some() {
            self.outbox.closing.count_thrown_away(self.receive.payload().len());
        }
        // INVARIANT: there is a report once receiving has come to its end without an error.
        self.close_report().ok_or(Error::EndOfStream)
    }

    /// Goes on to the next message if it is there and the [usual one](ReceiveSide::next_usual).
    ///
    /// An answer without room for an error, and always inlined: what is put together from small parts and then read as a
    /// whole makes the processor wait, for longer than it takes to parse a frame.
    #[inline(always)]
    fn poll_usual(&mut self, cx: &mut Context<'_>, receiving: Receiving) -> Usual {
        let Poll::Ready(budget) = coop::poll_proceed(cx) else {
            self.tell_time(cx, receiving);
            return Usual::Pending;
        };
        if self.may_parse(receiving)
            && let Some(kind) = self.receive.next_usual()
        {
            spend(budget);
            return Usual::Message(kind);
        }
        Usual::Other
    }

    /// Goes on to the next message, or `None` at the end: control frames are dealt with on the way.
    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        receiving: Receiving,
    ) -> Poll<Result<Option<MessageKind>, Error>> {
        loop {
            let Some(kind) = ready!(self.poll_event(cx, receiving))? else { return Poll::Ready(Ok(None)) };
            if let Some(kind) = kind.message() {
                return Poll::Ready(Ok(Some(kind)));
            }
        }
    }

    /// Where received input is left alone parsing stops, not only reading.
    #[inline]
    fn may_parse(&self, receiving: Receiving) -> bool {
        self.outbox.closing.parses_input() && !receiving.leaves_input(&self.outbox)
    }

    /// The primitive: goes on to the next event.
    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        receiving: Receiving,
    ) -> Poll<Result<Option<EventKind>, Error>> {
        // One unit of the scheduler's budget per event: ten thousand small messages from one read must not starve
        // this thread's other tasks.
        let Poll::Ready(budget) = coop::poll_proceed(cx) else {
            self.tell_time(cx, receiving);
            return Poll::Pending;
        };
        loop {
            if self.may_parse(receiving) {
                match self.receive.next() {
                    Ok(Some(kind)) => {
                        self.receive.react(&mut self.outbox);
                        budget.made_progress();
                        return Poll::Ready(Ok(Some(kind)));
                    }
                    Ok(None) => {}
                    Err(error) => self.outbox.fail(error),
                }
            }
            let progress = self.poll_by(Side::Receive, cx, |transport, cx, receive, outbox| {
                transport.poll(cx, receive, outbox, receiving)
            });
            match ready!(progress) {
                Progress::Again => {}
                Progress::Ended => {
                    return Poll::Ready(match self.outbox.closing.failure() {
                        Some(failure) => Err(self.transport.error(failure)),
                        None => Ok(None),
                    });
                }
            }
        }
    }

    /// For one whose turn is over, and who has been woken for the next: a peer that always has something to read must not keep
    /// this end from the time.
    #[cold]
    fn tell_time(&mut self, cx: &mut Context<'_>, receiving: Receiving) {
        let reading = if receiving.leaves_input(&self.outbox) { Reading::LeftAlone } else { Reading::Busy };
        let _: Poll<()> = self.poll_by(Side::Receive, cx, |transport, cx, receive, outbox| {
            // What it changes is found in the next turn.
            let _ = transport.poll_timer(cx, receive, outbox, reading);
            Poll::Pending
        });
    }

    /// Waits until less than the high-water mark is queued.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if !self.outbox.is_full() {
                return Poll::Ready(Ok(()));
            }
            let output = self.poll_output(cx)?;
            if self.outbox.is_full() {
                ready!(output);
            } else if output.is_pending() {
                self.tasks.goes_on(Side::Send);
            }
        }
    }

    /// Waits until the first `until` octets of all output have been handed to the transport.
    fn poll_written(&mut self, cx: &mut Context<'_>, until: u64) -> Poll<Result<(), Error>> {
        loop {
            let output = self.poll_output(cx)?;
            if self.outbox.output.written() >= until && !self.transport.is_unflushed() {
                if output.is_pending() {
                    self.tasks.goes_on(Side::Send);
                }
                return Poll::Ready(Ok(()));
            }
            ready!(output);
        }
    }

    /// Writes what is queued, with what can be done for the peer beside it: ready when all of it is out.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_by(Side::Send, cx, |transport, cx, receive, outbox| {
            transport.poll_output(cx, receive, outbox, ReadAhead::Always)
        })
    }

    /// Polls the transport for a side: with the caller's waker, unless another task waits for the other side.
    #[inline]
    fn poll_by<T>(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Transport<S>, &mut Context<'_>, &mut ReceiveSide, &mut Outbox) -> Poll<T>,
    ) -> Poll<T> {
        if !self.tasks.is_alone(side, cx.waker()) {
            return self.poll_beside(side, cx, poll);
        }
        let polled = poll(&mut self.transport, cx, &mut self.receive, &mut self.outbox);
        self.tasks.polled(side, cx.waker(), polled.is_pending());
        polled
    }

    /// Polls the transport with a waker for two tasks, and tells the other one what has become of what it waits for.
    #[cold]
    fn poll_beside<T>(
        &mut self,
        side: Side,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Transport<S>, &mut Context<'_>, &mut ReceiveSide, &mut Outbox) -> Poll<T>,
    ) -> Poll<T> {
        let Self { tasks, transport, receive, outbox, .. } = self;
        let two = tasks.two();
        two.park(side, cx.waker());
        let (before, was_full) = (transport.observe(outbox), outbox.is_full());
        let polled = poll(transport, &mut Context::from_waker(two.waker()), receive, outbox);
        if polled.is_ready() {
            two.unpark(side);
        }
        // What a pass of its own changes need not wake its task: so the other is told of it here. Only of what has changed, or
        // the two would wake each other for as long as the transport waits.
        let changed = two.sees(before, transport.observe(outbox));
        let wakes_other = match side {
            Side::Receive => changed.anything,
            // What has been read for it, or how the connection stands; or it left its input alone for what was queued.
            Side::Send => {
                changed.standing
                    || receive.parsed == Parsed::NotYet && outbox.closing.parses_input()
                    || was_full && !outbox.is_full()
            }
        };
        if wakes_other {
            two.wake_other(side);
        }
        polled
    }

    #[inline]
    fn queue(&mut self, message: OutgoingMessage<'_>) -> Result<(), SendError> {
        transport::prepare_output(&mut self.outbox);
        self.encoder.send(message, &mut self.outbox)
    }
}

/// Queues a Close frame.
fn start_close(outbox: &mut Outbox, code: Option<CloseCode>, reason: &str) -> Result<(), SendError> {
    outbox.close(&CloseFrame::requested(code, reason)?)
}
