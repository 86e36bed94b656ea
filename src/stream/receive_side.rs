//! What the receiving side owns: the parse state, and what it has not parsed.

use super::buffer::{BUFFER_LEN, Input};
use crate::connection::{
    self, Event, EventKind, Located, Message, MessageKind, Outbox, OutgoingMessage, Place, ReceivePath,
};
use crate::error::ProtocolError;

/// The parse state and its input: with the unsplit socket, or behind a lock of its own.
#[derive(Debug)]
pub(super) struct ReceiveSide {
    pub(super) path: ReceivePath,
    pub(super) input: Input,
    /// How much to read at once.
    pub(super) read_len: usize,
    /// Whether there may be something to parse.
    pub(super) parsed: Parsed,
    /// Where the last event lies. Kept here, in words that are read as they were written: handed from one function to the
    /// next with tags around it, it would cost more than to parse a frame.
    located: Located,
}

/// How far the input has been parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// There may be something in it.
    NotYet,
    /// It needs more octets.
    Dry,
}

impl ReceiveSide {
    pub(super) fn new(path: ReceivePath, unread: Vec<u8>) -> Self {
        Self {
            path,
            input: Input::with(unread),
            read_len: BUFFER_LEN,
            parsed: Parsed::NotYet,
            located: Located::in_input(EventKind::Binary, 0, 0),
        }
    }

    /// Goes on to the next event in the input, if there is a whole one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<EventKind>, ProtocolError> {
        if self.input.is_empty() && self.path.rests() {
            self.parsed = Parsed::Dry;
            return Ok(None);
        }
        match self.next_usual() {
            Some(kind) => Ok(Some(kind.into())),
            None => self.next_anything(),
        }
    }

    /// Goes on to the next event if it is the usual one: see [`ReceivePath::usual`].
    #[inline(always)]
    pub(super) fn next_usual(&mut self) -> Option<MessageKind> {
        let located = self.path.usual(self.input.unconsumed())?;
        self.input.consume(located.end);
        self.read_len = BUFFER_LEN;
        self.located = located;
        located.message_kind()
    }

    #[inline(never)]
    fn next_anything(&mut self) -> Result<Option<EventKind>, ProtocolError> {
        let received = self.path.receive(self.input.unconsumed())?;
        self.input.consume(received.consumed);
        if received.event.is_none() {
            self.parsed = Parsed::Dry;
        }
        let Some(located) = received.event else { return Ok(None) };
        self.located = located;
        if located.message_kind().is_some() {
            self.read_len = match located.place {
                Place::Assembled if self.payload().len() > LARGE => AFTER_LARGE,
                _ => BUFFER_LEN,
            };
        }
        Ok(Some(located.kind))
    }

    /// Hands over what the last event asks for, if it is a control frame.
    #[inline]
    pub(super) fn react(&mut self, outbox: &mut Outbox) {
        connection::react(&mut self.path, outbox, self.located, self.input.lent());
    }

    /// The last event.
    #[inline]
    pub(super) fn event(&self) -> Event<'_> {
        connection::event(&self.path, self.located, self.input.lent())
    }

    /// The payload of the last event.
    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        self.path.payload(self.located, self.input.lent())
    }

    /// The last event, a message of this kind, with a payload of its own.
    #[inline(always)]
    pub(super) fn take(&mut self, kind: MessageKind) -> Message {
        self.path.take(kind, self.located, self.input.lent())
    }

    /// The last event, a message of this kind, as one to be sent: see [`ReceivePath::pass_on`].
    #[inline]
    pub(super) fn pass_on(&mut self, kind: MessageKind) -> OutgoingMessage<'_> {
        self.path.pass_on(kind, self.located, self.input.lent())
    }
}

/// After a message above this length the next one is probably large too …
const LARGE: usize = 48 << 10;
/// … and only its beginning is read into the shared buffer: the rest is read to where it belongs.
const AFTER_LARGE: usize = 16 << 10;
