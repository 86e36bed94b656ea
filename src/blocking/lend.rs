//! A lent message, and the way out beside it.

use std::fmt;

use super::input::Input;
use crate::close_code::CloseCode;
use crate::connection::{
    self, Connection, Encoder, Event, Located, Message, MessageKind, Outbox, OutgoingMessage, ReceivePath,
};
use crate::error::SendError;
use crate::frame::CloseFrame;

/// A message lent from where it was read: look at it, or take it.
pub struct MessageRef<'a> {
    kind: MessageKind,
    located: Located,
    path: &'a mut ReceivePath,
    input: &'a [u8],
}

/// The message at a location, and the way out beside it.
pub(super) fn lend<'a>(
    kind: MessageKind,
    located: Located,
    connection: &'a mut Connection,
    input: &'a Input,
) -> (MessageRef<'a>, Outgoing<'a>) {
    let Connection { receive, encoder, outbox, .. } = connection;
    (MessageRef { kind, located, path: receive, input: input.lent() }, Outgoing { encoder, outbox })
}

/// The event at a location, and the way out beside it.
pub(super) fn lend_event<'a>(
    located: Located,
    connection: &'a mut Connection,
    input: &'a Input,
) -> (Event<'a>, Outgoing<'a>) {
    let Connection { receive, encoder, outbox, .. } = connection;
    (connection::event(receive, located, input.lent()), Outgoing { encoder, outbox })
}

impl MessageRef<'_> {
    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The payload, whatever the kind.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.path.payload(self.located, self.input)
    }

    /// The text, or `None` when the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match connection::event(self.path, self.located, self.input) {
            Event::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The message with a payload of its own: a large one is moved, a small one copied.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.path.take(self.kind, self.located, self.input)
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef").field("kind", &self.kind).field("len", &self.payload().len()).finish()
    }
}

/// A large payload with a place of its own is moved, any other borrowed from where it lies: nothing is copied that need
/// not be.
impl<'a> From<MessageRef<'a>> for OutgoingMessage<'a> {
    fn from(message: MessageRef<'a>) -> Self {
        let MessageRef { kind, located, path, input } = message;
        path.pass_on(kind, located, input)
    }
}

impl<'a> From<&'a MessageRef<'_>> for OutgoingMessage<'a> {
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

impl Outgoing<'_> {
    /// Queues a message. It leaves with the next receive or flush, together with others.
    ///
    /// Give a lent message itself to pass it on, not a reference to it: a long one that was assembled need not be copied
    /// then.
    ///
    /// One reply to each message always fits: above the high-water mark no message is received.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`]. A message that was passed by value is gone; who wants to try again passes
    /// a reference.
    pub fn feed<'m>(&mut self, message: impl Into<OutgoingMessage<'m>>) -> Result<(), SendError> {
        self.encoder.send(message.into(), self.outbox)
    }

    /// Queues a Ping with up to 125 octets of payload.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.outbox.ping(payload)
    }

    /// Queues a Close frame: see [`WebSocket::start_close`](super::WebSocket::start_close).
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`].
    pub fn start_close(&mut self, code: impl Into<Option<CloseCode>>, reason: &str) -> Result<(), SendError> {
        self.outbox.close(&CloseFrame::requested(code.into(), reason)?)
    }

    /// How many octets are queued, frame headers included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbox.output.len()
    }
}
