//! What the receiving side owns: the parse state, and what it has not parsed.

use super::buffer::{BUFFER_LEN, Input};
use crate::connection::{self, Located, Message, MessageKind, Outbox, Place, ReceivePath};
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
        Self { path, input: Input::with(unread), read_len: BUFFER_LEN, parsed: Parsed::NotYet }
    }

    /// The next event in the input, if there is a whole one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Located>, ProtocolError> {
        let received = self.path.receive(self.input.unconsumed())?;
        self.input.consume(received.consumed);
        if received.event.is_none() {
            self.parsed = Parsed::Dry;
        }
        if let Some(located) = received.event
            && located.message_kind().is_some()
        {
            self.read_len = match located.place {
                Place::Assembled if self.path.payload(located, &[]).len() > LARGE => AFTER_LARGE,
                _ => BUFFER_LEN,
            };
        }
        Ok(received.event)
    }

    /// Hands over what a control frame asks for.
    #[inline]
    pub(super) fn react(&mut self, located: Located, outbox: &mut Outbox) {
        connection::react(&mut self.path, outbox, located, self.input.lent());
    }

    #[inline]
    pub(super) fn take(&mut self, kind: MessageKind, located: Located) -> Message {
        self.path.take(kind, located.place, self.input.lent())
    }
}

/// After a message above this length the next one is probably large too …
const LARGE: usize = 48 << 10;
/// … and only its beginning is read into the shared buffer: the rest is read to where it belongs.
const AFTER_LARGE: usize = 16 << 10;
