//! WebSockets over `std::io`: one thread waits where its transport reads and writes.
//!
//! [`WebSocket`] joins a [`Connection`] to a [`Transport`]: a `TcpStream`, a `UnixStream`, or anything that reads and
//! writes inside [`Plain`]. Names and meanings are those of the layer over tokio.
//!
//! # Deadlines
//!
//! Keepalive ([`Config::ping_interval`]), writing and the closing handshake have deadlines. Before a read or a write they are set
//! as the transport's own timeouts, and a wait that ends by one is a look at the clock and not an error. While the
//! connection is open they are only set when the deadline is another, so that a read mostly costs nothing for them, and a
//! deadline is looked at up to half a [`Config::ping_interval`] late. They advance while a call reads or writes; a connection that
//! nobody calls sends no Ping.
//!
//! Timeouts that the caller has set on the transport are kept, also those set later, through [`WebSocket::get_ref`]: a wait
//! that is as long as they say, or a transport that does not block at all, is [`Error::WouldBlock`]. To be told from them,
//! ours are odd numbers of milliseconds: a wait may end up to 137 ms after a deadline, up to 13 ms if it is shorter than
//! 1 s. A timeout that is set through another handle to the same socket is not seen, and may stand where a deadline's was.
//!
//! # Would block
//!
//! [`Error::WouldBlock`] loses nothing: every octet that was read is recorded, every octet that was written is struck
//! off. Call the same method again, or another one. It is what dropping a future is in an asynchronous layer.
//!
//! # One thread
//!
//! While a write waits nothing is read. Two peers that both block in a write, each with more to send than the buffers
//! of the network hold, wait for each other for ever: send from where the peer is known to read, or use tokio.
//!
//! # Memory
//!
//! A read buffer of 64 KiB comes with the first read and stays. The output buffer grows to what is queued at a time,
//! at most [`Config::high_water_mark`] and a message, and stays too. A message that did not fit the read buffer costs
//! its own size, up to [`Limits::max_message_len`](crate::Limits::max_message_len), as its octets arrive, until the next read.
//! With a [`Budget`](crate::Budget) an output buffer above 16 KiB is freed before each read, once it is empty; the read buffer
//! is not counted.

mod accept;
mod bounded;
mod connect;
mod driver;
mod input;
mod lend;
mod opening;
mod transport;

use crate::close_code::CloseCode;
use crate::config::Config;
use crate::connection::{
    CloseReport, Connection, Event, KeySource, Located, Message, MessageKind, OutgoingMessage, TransportPhase,
};
use crate::error::SendError;
use crate::frame::CloseFrame;
use crate::handshake::Negotiated;
use crate::role::Role;

pub use accept::{Acceptor, Incoming, accept};
pub use connect::{Connector, connect};
pub use lend::{MessageRef, Outgoing};
pub use transport::{Plain, Timeouts, Transport};

pub use crate::transport_error::{AcceptError, ConnectError, Error};

use bounded::Bounded;
use driver::{Driver, Progress};
use input::Input;

/// A WebSocket over a blocking transport.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
///
/// use sansocket::blocking::{self, WebSocket};
/// use sansocket::{CloseCode, Message};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let uri = format!("ws://{}/echo", listener.local_addr()?);
/// let server = std::thread::spawn(move || -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
///     let (tcp, _) = listener.accept()?;
///     let mut socket: WebSocket<TcpStream> = blocking::accept(tcp)?;
///     while let Some(message) = socket.receive()? {
///         socket.send(message)?;
///     }
///     Ok(socket.close_report().is_some_and(|report| report.clean))
/// });
///
/// let mut client = blocking::connect(&uri)?;
/// client.send("hello")?;
/// assert_eq!(client.receive()?, Some(Message::text("hello")));
/// let report = client.close(CloseCode::NORMAL, "bye")?;
/// assert!(report.clean);
/// assert_eq!(server.join().unwrap().unwrap(), true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When output leaves
///
/// [`send`](Self::send) returns when its own last octet has been handed to the transport. [`feed`](Self::feed) queues;
/// what is queued is written before every read, when the high-water mark is passed, and at [`flush`](Self::flush). So a
/// loop that receives and feeds writes once per burst and leaves nothing behind. A thread that never receives must
/// flush.
///
/// # Dropping
///
/// Dropping a WebSocket does no I/O: what was fed and not flushed is lost, and the peer sees the transport end without
/// a Close frame (1006). Say goodbye with [`close`](Self::close).
#[derive(Debug)]
pub struct WebSocket<S> {
    connection: Connection,
    input: Input,
    driver: Driver<S>,
    negotiated: Negotiated,
}

impl<S> WebSocket<S> {
    /// The server's end of a transport whose opening handshake is done.
    ///
    /// `unread` is what was read behind the head of the request: the first frames. Nothing of it may be lost.
    pub fn server(io: S, config: &Config, unread: impl Into<Vec<u8>>) -> Self {
        Self::negotiated(io, Role::Server, Negotiated::default(), config, unread)
    }

    /// The client's end of a transport whose opening handshake is done, with masking-keys from the operating system.
    ///
    /// `unread` is what was read behind the head of the response: the first frames. Nothing of it may be lost.
    pub fn client(io: S, config: &Config, unread: impl Into<Vec<u8>>) -> Self {
        Self::negotiated(io, Role::Client, Negotiated::default(), config, unread)
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
        let driver = Driver::new(Bounded::new(io));
        Self { connection, input: Input::with(unread.into()), driver, negotiated }
    }

    /// The subprotocol in use, or `None` when the ends agreed on none.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.negotiated.subprotocol()
    }

    /// How messages are compressed, or `None` when they are not (RFC 7692).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(&self) -> Option<&crate::deflate::Agreement> {
        self.negotiated.deflate()
    }

    /// The transport; `None` once the connection has ended and let go of it.
    #[must_use]
    pub fn get_ref(&self) -> Option<&S> {
        self.driver.get_ref()
    }

    /// How the connection ended; `None` as long as it has not.
    #[must_use]
    pub fn close_report(&self) -> Option<CloseReport> {
        self.connection.close_report()
    }

    /// How many octets are queued and not yet handed to the transport, frame headers included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.connection.queued()
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
        Ok(self.connection.close(&CloseFrame::requested(code.into(), reason)?)?)
    }

    /// Queues a Ping with up to 125 octets of payload. Its Pong comes as an event of
    /// [`receive_event`](Self::receive_event).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the payload is too long, too much is queued or a Close has been sent.
    pub fn feed_ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.connection.ping(payload).map_err(|error| self.driver.refused(error, &self.connection))
    }

    /// Ends the connection at once, without a closing handshake: what is queued is dropped, the transport too.
    pub fn abort(&mut self) {
        self.connection.abort();
        self.input = Input::default();
        self.driver.let_go();
    }
}

impl<S: Transport> WebSocket<S> {
    /// The next message, owned; `None` for ever once the closing handshake is done: see
    /// [`close_report`](Self::close_report).
    ///
    /// What is queued is written first. Pings are answered on the way. A payload that lay in the read buffer is one
    /// exact allocation; a larger one was read into its place.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`]: nothing is lost, call again. Everything else says that the connection has failed, the same
    /// for ever. The end of the transport without a Close frame is an error, never `None` (RFC 6455 §7.1.5).
    pub fn receive(&mut self) -> Result<Option<Message>, Error> {
        let Some((kind, located)) = self.next_message()? else { return Ok(None) };
        Ok(Some(self.connection.receive.take(kind, located, self.input.lent())))
    }

    /// The next message, lent from where it was read, together with the way out: the fastest way to receive.
    ///
    /// ```
    /// # fn echo<S: sansocket::blocking::Transport>(
    /// #     socket: &mut sansocket::blocking::WebSocket<S>,
    /// # ) -> Result<(), sansocket::blocking::Error> {
    /// while let Some((message, mut outgoing)) = socket.receive_ref()? {
    ///     outgoing.feed(message)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_ref(&mut self) -> Result<Option<(MessageRef<'_>, Outgoing<'_>)>, Error> {
        let Some((kind, located)) = self.next_message()? else { return Ok(None) };
        Ok(Some(lend::lend(kind, located, &mut self.connection, &self.input)))
    }

    /// The next event, lent from where it was read: messages, and Ping, Pong and Close too. What they ask for is done
    /// already; this is for those who want to see them.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_event(&mut self) -> Result<Option<(Event<'_>, Outgoing<'_>)>, Error> {
        let Some(located) = self.next_event()? else { return Ok(None) };
        Ok(Some(lend::lend_event(located, &mut self.connection, &self.input)))
    }

    /// Sends a message: returns when its last octet has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`Error::Send`]: nothing was queued; [`SendError::QueueFull`] among them when the transport does not take what is
    /// queued already. [`Error::WouldBlock`]: the message is queued, whole, and leaves with the next call of any method.
    /// Else the connection has failed, and how much of the message the peer got cannot be known.
    pub fn send<'m>(&mut self, message: impl Into<OutgoingMessage<'m>>) -> Result<(), Error> {
        self.queue(message.into())?;
        self.flush()
    }

    /// Queues a message; waits only while more than the high-water mark is queued.
    ///
    /// What is queued leaves at the next [`receive`](Self::receive) or [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if nothing was queued, since nothing can be sent any more or, with
    /// [`SendError::QueueFull`], since the transport does not take what is queued already. Else the connection has
    /// failed.
    pub fn feed<'m>(&mut self, message: impl Into<OutgoingMessage<'m>>) -> Result<(), Error> {
        self.queue(message.into())?;
        self.make_room()
    }

    /// Hands everything that is queued to the transport.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`]: what was not written yet stays queued. Else the connection has failed.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.driver.write(&mut self.connection, &mut self.input)?;
        if self.connection.phase() == TransportPhase::Drop {
            self.driver.let_go();
        }
        self.driver.send_error(&self.connection).map_or(Ok(()), Err)
    }

    /// Sends a Ping with up to 125 octets of payload: returns when it has been handed to the transport. Its Pong comes
    /// as an event of [`receive_event`](Self::receive_event).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.make_room()?;
        self.feed_ping(payload)?;
        self.flush()
    }

    /// Closes the connection: sends Close behind what is queued, waits for the peer's, ends the transport, and tells
    /// how it went. `None` and `""` send an empty Close frame.
    ///
    /// Messages that still arrive are thrown away, and counted in the report. If the closing handshake has begun before,
    /// by either end, this drives it to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is above 123 octets or has no code: nothing was done. [`Error::WouldBlock`]: call
    /// again, or receive until `None`. Else the connection failed before both Close frames had passed;
    /// [`Config::close_timeout`] bounds the wait.
    pub fn close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<CloseReport, Error> {
        match self.start_close(code, reason) {
            Ok(()) | Err(Error::Send(SendError::SendAfterClose | SendError::Closed)) => {}
            Err(error) => return Err(error),
        }
        while let Some((_, located)) = self.next_message()? {
            let len = self.connection.receive.payload(located, self.input.lent()).len();
            self.connection.outbox.closing.count_thrown_away(len);
        }
        // INVARIANT: there is a report once receiving has come to its end without an error.
        self.close_report().ok_or(Error::EndOfStream)
    }

    /// The next message, or `None` at the end: control frames are dealt with on the way.
    fn next_message(&mut self) -> Result<Option<(MessageKind, Located)>, Error> {
        while let Some(located) = self.next_event()? {
            if let Some(kind) = located.message_kind() {
                return Ok(Some((kind, located)));
            }
        }
        Ok(None)
    }

    /// The primitive: the next event, by its location.
    fn next_event(&mut self) -> Result<Option<Located>, Error> {
        loop {
            // Above the high-water mark received input is left alone, unless nothing leaves ever again. A failure is
            // found again in the phase: it has to be told to the peer before it is told to the caller.
            if (!self.connection.is_full() || self.driver.write_failed())
                && self.connection.phase() == TransportPhase::ReadWrite
                && let Ok(received) = self.connection.receive(self.input.unconsumed())
            {
                self.input.consume(received.consumed);
                if received.event.is_some() {
                    return Ok(received.event);
                }
            }
            match self.driver.pass(&mut self.connection, &mut self.input)? {
                Progress::Again => {}
                Progress::Ended => {
                    let failure = self.connection.failure();
                    return failure.map_or(Ok(None), |failure| Err(self.driver.error(failure)));
                }
            }
        }
    }

    fn queue(&mut self, message: OutgoingMessage<'_>) -> Result<(), Error> {
        self.make_room()?;
        self.connection.send(message).map_err(|error| self.driver.refused(error, &self.connection))
    }

    /// Writes when more than the high-water mark is queued. Whether a transport that blocks has taken enough is for the
    /// queue to say, when the next message comes.
    fn make_room(&mut self) -> Result<(), Error> {
        match self.connection.is_full().then(|| self.flush()) {
            None | Some(Err(Error::WouldBlock)) => Ok(()),
            Some(flushed) => flushed,
        }
    }
}
