//! One WebSocket connection without I/O, clock or runtime: RFC 6455 §5.4, §5.5, §6, §7.
//!
//! [`Connection`] takes the octets that somebody read and gives events; it takes messages and gives the octets that
//! somebody is to write. Both roles are the same code. Where the transport stands is a plain value ([`TransportPhase`]),
//! and so are deadlines ([`Timestamp`]).
//!
//! ```text
//!  transport ──read──► receive(input) ──► Located ──► event()/take() ──► application
//!                          │ Pong, Close, failure: values handed over to the sending side
//!                          ▼
//!  transport ◄─write── slices()/advance() ◄── queued frames ◄── send(), ping(), close()
//! ```
//!
//! # Driving it
//!
//! ```
//! use sansocket::connection::{Connection, Event, TransportPhase};
//! use sansocket::Config;
//!
//! let mut connection = Connection::server(&Config::default());
//!
//! // A client's "Hello", as it was read from the transport.
//! let mut input = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let received = connection.receive(&mut input)?;
//! let event = connection.event(received.event.unwrap(), &input);
//! assert_eq!(event, Event::Text("Hello"));
//! assert_eq!(received.consumed, input.len());
//!
//! connection.send("Hello yourself")?;
//! let mut slices = [&[][..]; 4];
//! let filled = connection.slices(&mut slices);
//! assert_eq!(slices[..filled].concat(), b"\x81\x0eHello yourself");
//! connection.advance(16);
//! assert_eq!(connection.phase(), TransportPhase::ReadWrite);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod closing;
mod deadlines;
mod destination;
mod event;
mod keys;
mod message;
mod output;
mod receive;
mod send;
mod spare;
mod timers;

use alloc::vec::Vec;

use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::deflate::Agreement;
use crate::error::{Failure, SendError};
use crate::frame::{CloseFrame, MAX_CONTROL_PAYLOAD_LEN};
use crate::role::Role;
use crate::utf8;

pub use closing::TransportPhase;
#[cfg(feature = "tokio")]
pub(crate) use deadlines::{handle_timeout, next_deadline};
pub use destination::Destination;
pub(crate) use event::EventKind;
#[cfg(feature = "tokio")]
pub(crate) use event::Place;
pub use event::{
    CloseReport, ClosedBy, CutOff, Event, Located, Message, MessageKind, OutgoingMessage, Received,
    ReceivedClose,
};
pub use keys::KeySource;
pub(crate) use receive::ReceivePath;
#[cfg(feature = "tokio")]
pub(crate) use receive::owned;
pub(crate) use send::{Encoder, Outbox};
pub use send::{Fin, Fragment, KEEPALIVE_PAYLOAD};
#[cfg(feature = "std")]
pub(crate) use spare::free_all as free_spare;
pub use timers::Timestamp;
pub(crate) use timers::{Arrivals, Reading};

/// One connection, from the end of the opening handshake to the end of the transport.
///
/// It does no I/O. A driver reads into a buffer of its own and calls [`receive`](Self::receive) for one event after
/// the other, writes what [`slices`](Self::slices) gives, does what [`phase`](Self::phase) says with the transport,
/// and calls [`handle_timeout`](Self::handle_timeout) when [`next_deadline`](Self::next_deadline) has come and there is
/// nothing to read.
///
/// An idle connection holds no buffer, once [`release_buffers`](Self::release_buffers) has been called.
#[derive(Debug)]
pub struct Connection {
    pub(crate) receive: ReceivePath,
    pub(crate) encoder: Encoder,
    pub(crate) outbox: Outbox,
    pub(crate) arrivals: Arrivals,
}

impl Connection {
    /// The server's end of a connection whose opening handshake is done.
    #[must_use]
    pub fn server(config: &Config) -> Self {
        Self::new(Role::Server, config, KeySource::never())
    }

    /// The client's end of a connection whose opening handshake is done, with masking-keys from `keys`.
    #[must_use]
    pub fn client(config: &Config, keys: KeySource) -> Self {
        Self::new(Role::Client, config, keys)
    }

    /// With messages compressed as the opening handshake has agreed (RFC 7692). To be called before anything is received
    /// or sent.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, agreement: &Agreement) -> Self {
        let role = self.role();
        self.receive.set_deflate(agreement, role);
        self.encoder.set_deflate(agreement, role);
        self
    }

    fn new(role: Role, config: &Config, keys: KeySource) -> Self {
        Self {
            receive: ReceivePath::new(role, config),
            encoder: Encoder::new(config),
            outbox: Outbox::new(role, config, keys),
            arrivals: Arrivals::default(),
        }
    }

    /// Takes octets from the transport until there is an event, or until more are needed.
    ///
    /// `input` is what was read and has not been consumed. Its payloads are unmasked where they lie. When the event has
    /// been looked at, drop the first [`consumed`](Received::consumed) octets and call again, until there is no event:
    /// then at most 13 octets, the beginning of a header, are left and must be offered again with what follows them.
    /// How the input is cut makes no difference to the events or to the output.
    ///
    /// A Ping's Pong and the answer to a Close are queued before this returns: see what [`slices`](Self::slices) has
    /// after each call, and [`phase`](Self::phase) after a Close. After the peer's Close everything is consumed and
    /// nothing is an event.
    ///
    /// # Errors
    ///
    /// The same for ever once the connection has failed. A Close frame with the right code has been queued: go on by
    /// [`phase`](Self::phase).
    #[inline]
    pub fn receive(&mut self, input: &mut [u8]) -> Result<Received, Failure> {
        let Self { receive, outbox, arrivals, .. } = self;
        if !outbox.closing.parses_input() {
            receive.abandon();
            return match outbox.closing.failure() {
                Some(failure) => Err(failure),
                None => Ok(Received { consumed: input.len(), event: None }),
            };
        }
        let received = receive.receive(input).map_err(|error| {
            outbox.fail(error);
            Failure::Protocol(error)
        })?;
        match received.event {
            Some(located) => {
                arrivals.octets = true;
                arrivals.message |= located.message_kind().is_some();
                react(receive, outbox, located, input);
            }
            None => {
                arrivals.octets |= receive.take_read_apart();
                arrivals.note_rest(input.len(), received.consumed);
            }
        }
        Ok(received)
    }

    /// The event at a location: `input` is what was given to the call of [`receive`](Self::receive) that returned it.
    ///
    /// # Panics
    ///
    /// If `input` is shorter than it was, or a text is no longer UTF-8.
    #[must_use]
    #[inline]
    pub fn event<'a>(&'a self, located: Located, input: &'a [u8]) -> Event<'a> {
        self.assert_text_unchanged(located, input);
        event(&self.receive, located, input)
    }

    /// The message at a location, with a payload of its own; `None` for a control frame. A small payload is copied,
    /// exactly; a large one that was assembled is moved.
    ///
    /// # Panics
    ///
    /// If `input` is shorter than it was, or a text is no longer UTF-8.
    #[must_use]
    pub fn take(&mut self, located: Located, input: &[u8]) -> Option<Message> {
        self.assert_text_unchanged(located, input);
        located.message_kind().map(|kind| self.receive.take(kind, located, input))
    }

    /// Where the payload of a large frame is to be read to: while [`missing`](Self::missing) is large, reading into its
    /// place saves the copy out of the read buffer.
    ///
    /// `None` between frames. After something was put there, call [`receive`](Self::receive) with what input there is,
    /// possibly none. The room grows with what has arrived, not with what the frame claims, and is empty at first.
    pub fn destination(&mut self) -> Option<Destination<'_>> {
        self.receive.destination().map(|(payload, room)| Destination::new(payload, room))
    }

    /// How many octets of the frame that is being received are missing; zero between frames.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.receive.missing()
    }

    /// Answers the Pings in `input`, octets read and not yet consumed, that stand behind messages nobody has received
    /// yet: for a driver that reads while it cannot deliver. They are not answered again (RFC 6455 §5.5.2). A Pong may so
    /// leave before a message in front of its Ping turns out to break a rule.
    pub fn answer_pings_ahead(&mut self, input: &[u8]) {
        answer_pings_ahead(&mut self.receive, &mut self.outbox, input);
    }

    /// Queues a message, in fragments if [`Config::fragment_len`] says so.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    #[inline]
    pub fn send<'a>(&mut self, message: impl Into<OutgoingMessage<'a>>) -> Result<(), SendError> {
        self.encoder.send(message.into(), &mut self.outbox)
    }

    /// Queues a piece of a message. Until the last one no other message can be sent; control frames can.
    ///
    /// Where messages may be compressed, the first piece decides whether this one is, and each piece is compressed up to
    /// a flush.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn send_fragment<'a>(
        &mut self,
        fragment: impl Into<OutgoingMessage<'a>>,
        fin: Fin,
    ) -> Result<(), SendError> {
        self.encoder.send_fragment(fragment.into(), fin, &mut self.outbox)
    }

    /// Queues a Ping with up to 125 octets of payload (RFC 6455 §5.5.2).
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.outbox.ping(payload)
    }

    /// Queues a Pong that nobody asked for, a one-way heartbeat (RFC 6455 §5.5.3). Pings are answered without it.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.outbox.pong(payload)
    }

    /// Begins the closing handshake: a Close frame behind what is queued (RFC 6455 §7.1.2). Messages that arrive before
    /// the peer's Close are still events.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn close(&mut self, close: &CloseFrame<'_>) -> Result<(), SendError> {
        self.outbox.close(close)
    }

    /// Gives the connection up: what is queued is dropped, and the phase is [`TransportPhase::Drop`].
    pub fn abort(&mut self) {
        self.outbox.abort();
        report_cut_off(&self.receive, &mut self.outbox);
    }

    /// What the driver has to do with the transport now.
    #[must_use]
    #[inline]
    pub fn phase(&self) -> TransportPhase {
        self.outbox.closing.phase()
    }

    /// The queued octets, in order, as up to `slices.len()` slices. Returns how many there are; zero if nothing is queued.
    ///
    /// The array lives no longer than what is borrowed: make it anew for every write. Between two calls a Pong may have been
    /// put in front of what has not been taken.
    pub fn slices<'a>(&'a mut self, slices: &mut [&'a [u8]]) -> usize {
        self.outbox.output.slices(slices)
    }

    /// Says that the transport took the first `octets` of what [`slices`](Self::slices) gave.
    ///
    /// # Panics
    ///
    /// If that is more than it gave.
    pub fn advance(&mut self, octets: usize) {
        self.outbox.advance(octets);
    }

    /// How many octets are queued, frame headers included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.output.len()
    }

    /// Whether [`Config::high_water_mark`] is reached: senders are to wait, and received input is to be left alone.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outbox.is_full()
    }

    /// Says that the transport came to its end: no more can be read. Not before everything that was read has been
    /// received: a Close frame among it would be missed.
    pub fn end_of_stream(&mut self) {
        self.outbox.end_of_stream();
        report_cut_off(&self.receive, &mut self.outbox);
    }

    /// Says that the transport failed: no more can be read or written.
    pub fn transport_failed(&mut self) {
        self.outbox.transport_failed();
        report_cut_off(&self.receive, &mut self.outbox);
    }

    /// Says that nothing can be written any more: what is queued is dropped, and nothing more can be sent. What was read
    /// before can still be received; the end is not clean, and comes at the latest with the peer's Close.
    pub fn write_failed(&mut self) {
        self.outbox.fail_writing();
    }

    /// Says that the writing side was shut down, as [`TransportPhase::ShutDown`] asked.
    pub fn write_side_shut_down(&mut self) {
        self.outbox.closing.write_side_shut_down();
    }

    /// Says that this many octets were read and thrown away, outside [`TransportPhase::ReadWrite`].
    pub fn discarded(&mut self, octets: usize) {
        self.outbox.closing.discard(octets);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest; [`Timestamp::ORIGIN`] means at once.
    /// Ask again after every call that changes the connection.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        deadlines::next_deadline(&self.receive, &self.outbox)
    }

    /// Does what is due at `now`. Calling it early or often does no harm.
    ///
    /// Call it when nothing is left to be done but to wait: behind a write that took everything or would block, and behind a
    /// read that would block, with what was read before received. It judges the peer by what has come, and what nobody has read has
    /// not come. Input that is left alone since [`is_full`](Self::is_full) is no obstacle: then only the [write
    /// timeout](Config::write_timeout) is judged, and what was told by the clock before begins anew.
    ///
    /// Call it again as long as [`next_deadline`](Self::next_deadline) is not later than `now`. A deadline that is
    /// [`Timestamp::ORIGIN`] is armed by the next call, which judges nothing: so a driver may arm it before it reads, and one
    /// that made a single call each time could find something new to be armed every time. Each call moves a deadline on, and so
    /// this comes to an end.
    ///
    /// ```
    /// # use sansocket::connection::{Connection, Timestamp};
    /// fn tell_time(connection: &mut Connection, now: Timestamp) {
    ///     while connection.next_deadline().is_some_and(|deadline| deadline <= now) {
    ///         connection.handle_timeout(now);
    ///     }
    /// }
    /// # let mut connection = Connection::server(&Default::default());
    /// # tell_time(&mut connection, Timestamp::ORIGIN);
    /// # assert!(connection.next_deadline() > Some(Timestamp::ORIGIN));
    /// ```
    ///
    /// Afterwards look at [`slices`](Self::slices), since a Ping or a Close may have been queued, and at
    /// [`phase`](Self::phase).
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.handle_timeout_after(now, Reading::Dry);
    }

    /// Does what is due at `now`, for a driver that has not come to wait: there may be more to read.
    ///
    /// Call it now and then while reads never would block, so that a peer that sends without end does not keep this end
    /// from the time; as often in a row as [`handle_timeout`](Self::handle_timeout). Nobody is called dead by it, and a peer
    /// has twice the time for what else is expected of it. All that does not depend on what was read is done as there:
    /// writing, closing.
    pub fn handle_timeout_while_busy(&mut self, now: Timestamp) {
        self.handle_timeout_after(now, Reading::Busy);
    }

    /// [`handle_timeout`](Self::handle_timeout), for a driver that has not read everything.
    pub(crate) fn handle_timeout_after(&mut self, now: Timestamp, reading: Reading) {
        let Self { receive, outbox, arrivals, .. } = self;
        // Above the high-water mark received input is left alone: then the write timeout rules.
        let reading = if outbox.is_full() { Reading::LeftAlone } else { reading };
        deadlines::handle_timeout(receive, outbox, arrivals, now, reading);
        report_cut_off(receive, outbox);
    }

    /// Why the connection failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.outbox.closing.failure()
    }

    /// How the connection ended; `None` until the phase is [`TransportPhase::Drop`].
    #[must_use]
    pub fn close_report(&self) -> Option<CloseReport> {
        self.outbox.closing.report()
    }

    /// Frees what an idle connection does not need: call it when the transport has nothing to read, and when the
    /// connection is closing. What the last [`receive`](Self::receive) located stays.
    ///
    /// Returns the output buffer, if nothing is queued, so that a pool can have it. Payloads above 16 KiB that were received or
    /// sent and that nobody has a share in any more are not freed but kept by the thread for the next ones, up to 2 MiB of
    /// them, whatever the number of its connections (with the feature `std`). What was leased of a budget for it is given back.
    pub fn release_buffers(&mut self) -> Option<Vec<u8>> {
        self.receive.release_buffers();
        self.outbox.output.take_buffer()
    }

    /// Frees what is counted against a budget and not needed while there is nothing to receive.
    #[cfg(feature = "std")]
    pub(crate) fn release_what_costs(&mut self) {
        // What costs nothing is there for the next message.
        if self.outbox.output.is_counted() {
            self.receive.release_buffers();
            self.outbox.output.release_paid();
        }
    }

    /// Lends a buffer for output, of which every octet up to its length may be overwritten. Without it, one is allocated
    /// as needed. Gives it back if there is one already. What it has room for beyond its length is freed.
    #[must_use = "a buffer that was not needed comes back"]
    pub fn lend_output_buffer(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        if !self.outbox.output.needs_buffer() {
            return Some(buffer);
        }
        self.outbox.output.lend_buffer(buffer);
        None
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.outbox.role()
    }

    /// Text is validated as it arrives and then viewed without a second pass, which is sound only as long as nobody
    /// changes it. At this face safe code could: the input is the caller's, and a location can be stale. So it is looked at again here; the layers of this crate go past it.
    #[inline]
    fn assert_text_unchanged(&self, located: Located, input: &[u8]) {
        if located.message_kind() == Some(MessageKind::Text) {
            let text = self.receive.payload(located, input);
            assert!(utf8::check_whole(text).is_ok(), "the text is not what `receive` located");
        }
    }
}

/// Takes down what has come of a message that will never be whole, if the connection has ended.
pub(crate) fn report_cut_off(receive: &ReceivePath, outbox: &mut Outbox) {
    if let Some(cut_off) = receive.unfinished() {
        outbox.closing.cut_off(cut_off);
    }
}

/// Hands what a control frame asks for over to the sending side.
#[inline]
pub(crate) fn react(receive: &mut ReceivePath, outbox: &mut Outbox, located: Located, input: &[u8]) {
    match located.kind {
        EventKind::Text | EventKind::Binary | EventKind::Pong => {}
        EventKind::Ping => {
            if receive.owes_pong() {
                outbox.answer_ping(receive.payload(located, input));
            }
        }
        EventKind::Close => {
            // The receive path has decoded it once, to judge it.
            if let Ok(close) = CloseFrame::decode(receive.payload(located, input)) {
                outbox.close_received(&close);
            }
        }
    }
}

/// [`Connection::event`], for when the two paths stand apart.
#[inline]
pub(crate) fn event<'a>(receive: &'a ReceivePath, located: Located, input: &'a [u8]) -> Event<'a> {
    let payload = receive.payload(located, input);
    match located.kind {
        EventKind::Text => Event::Text(receive::text(payload)),
        EventKind::Binary => Event::Binary(payload),
        EventKind::Ping => Event::Ping(payload),
        EventKind::Pong => Event::Pong(payload),
        EventKind::Close => Event::Close(CloseFrame::decode(payload).unwrap_or(CloseFrame::EMPTY)),
    }
}

/// [`Connection::answer_pings_ahead`], for when the two paths stand apart.
pub(crate) fn answer_pings_ahead(receive: &mut ReceivePath, outbox: &mut Outbox, input: &[u8]) {
    let mut payload = [0; MAX_CONTROL_PAYLOAD_LEN];
    while let Some(len) = receive.next_ping_ahead(input, &mut payload) {
        outbox.answer_ping(&payload[..len]);
    }
}
