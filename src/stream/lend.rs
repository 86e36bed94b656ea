//! A lent message, and the way out beside it.

use std::fmt;

use super::receive_side::ReceiveSide;
use super::transport;
use crate::close_code::CloseCode;
use crate::connection::{self, Encoder, Event, Located, Message, MessageKind, Outbox, OutgoingMessage};
use crate::error::SendError;

/// A message lent from where it was read: look at it, or take it.
pub struct MessageRef<'a> {
    kind: MessageKind,
    located: Located,
    receive: &'a mut ReceiveSide,
}

impl<'a> MessageRef<'a> {
    #[inline]
    pub(super) fn new(kind: MessageKind, located: Located, receive: &'a mut ReceiveSide) -> Self {
        Self { kind, located, receive }
    }

    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The payload, whatever the kind.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.receive.path.payload(self.located, self.receive.input.lent())
    }

    /// The text, or `None` when the message is binary.
    #[must_use]
    #[inline]
    pub fn as_text(&self) -> Option<&str> {
        match connection::event(&self.receive.path, self.located, self.receive.input.lent()) {
            Event::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The message with a payload of its own: a large one is moved, a small one copied.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.receive.take(self.kind, self.located)
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef").field("kind", &self.kind).field("len", &self.payload().len()).finish()
    }
}

impl<'a> From<&'a MessageRef<'_>> for OutgoingMessage<'a> {
    #[inline]
    fn from(message: &'a MessageRef<'_>) -> Self {
        Self::borrowed(message.kind, message.payload())
    }
}

/// The way out of a connection, beside a message that is still lent: queues, and never waits.
#[derive(Debug)]
pub struct Outgoing<'a> {
    encoder: &'a mut Encoder,
    outbox: &'a mut Outbox,
}

impl<'a> Outgoing<'a> {
    #[inline]
    pub(super) fn new(encoder: &'a mut Encoder, outbox: &'a mut Outbox) -> Self {
        Self { encoder, outbox }
    }

    /// Queues a message. It leaves with the next receive or flush, together with others.
    ///
    /// One reply to each message always fits: above the high-water mark no message is received.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    #[inline]
    pub fn feed<'m>(&mut self, message: impl Into<OutgoingMessage<'m>>) -> Result<(), SendError> {
        transport::prepare_output(self.outbox);
        self.encoder.send(message.into(), self.outbox)
    }

    /// Queues a Ping with up to 125 octets of payload.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        transport::prepare_output(self.outbox);
        self.outbox.ping(payload)
    }

    /// Queues a Close frame: see [`WebSocket::start_close`](super::WebSocket::start_close).
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        super::start_close(self.outbox, code.into(), reason)
    }

    /// How many octets are queued, frame headers included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.output.len()
    }
}
