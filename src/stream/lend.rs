//! A lent message, and the way out beside it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::receive_side::ReceiveSide;
use super::{Error, Receiving, Usual, WebSocket, transport};
use crate::close_code::CloseCode;
use crate::connection::{Encoder, Event, Message, MessageKind, Outbox, OutgoingMessage};
use crate::error::SendError;

/// A message lent from where it was read: look at it, or take it.
pub struct MessageRef<'a> {
    kind: MessageKind,
    receive: &'a mut ReceiveSide,
}

impl<'a> MessageRef<'a> {
    #[inline]
    pub(super) fn new(kind: MessageKind, receive: &'a mut ReceiveSide) -> Self {
        Self { kind, receive }
    }

    /// What kind of message it is.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The payload, whatever the kind.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &[u8] {
        self.receive.payload()
    }

    /// The text, or `None` when the message is binary.
    #[must_use]
    #[inline]
    pub fn as_text(&self) -> Option<&str> {
        match self.receive.event() {
            Event::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The message with a payload of its own: a large one is moved, a small one copied.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.receive.take(self.kind)
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
    #[inline]
    fn from(message: MessageRef<'a>) -> Self {
        message.receive.pass_on(message.kind)
    }
}

impl<'a> From<&'a MessageRef<'_>> for OutgoingMessage<'a> {
    #[inline]
    fn from(message: &'a MessageRef<'_>) -> Self {
        Self::borrowed(message.kind, message.payload())
    }
}

/// The future of [`WebSocket::receive_ref`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ReceiveRef<'a, S> {
    /// `None` once it has been lent on.
    socket: Option<&'a mut WebSocket<S>>,
}

impl<'a, S> ReceiveRef<'a, S> {
    #[inline]
    pub(super) fn new(socket: &'a mut WebSocket<S>) -> Self {
        Self { socket: Some(socket) }
    }
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Future for ReceiveRef<'a, S> {
    type Output = Result<Option<(MessageRef<'a>, Outgoing<'a>)>, Error>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let socket = self.socket.take().expect("polled after it was ready");
        let kind = match socket.poll_usual(cx, Receiving::Lent) {
            Usual::Message(kind) => kind,
            Usual::Other => match socket.poll_message(cx, Receiving::Lent) {
                Poll::Ready(Ok(Some(kind))) => kind,
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.socket = Some(socket);
                    return Poll::Pending;
                }
            },
            Usual::Pending => {
                self.socket = Some(socket);
                return Poll::Pending;
            }
        };
        let WebSocket { receive, encoder, outbox, .. } = socket;
        Poll::Ready(Ok(Some((MessageRef::new(kind, receive), Outgoing::new(encoder, outbox)))))
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
    /// Give a lent message itself to pass it on, not a reference to it: a long one that was assembled need not be copied
    /// then.
    ///
    /// One reply to each message always fits: above the high-water mark no message is lent.
    ///
    /// # Errors
    ///
    /// Nothing has been queued: see [`SendError`]. A message that was passed by value is gone; who wants to try again passes
    /// a reference.
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
