//! What a connection tells its user, borrowed from where it lies or owned: RFC 6455 §5.6, §6.2.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::close_code::CloseCode;
#[cfg(feature = "tokio")]
use crate::config::COPY_UP_TO;
#[cfg(feature = "deflate")]
use crate::deflate::Compression;
use crate::error::Failure;
use crate::frame::{CloseFrame, ControlOpcode};
use crate::utf8::Utf8Bytes;

/// What kind of message (RFC 6455 §5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Octets whose meaning is the application's.
    Binary,
}

/// A message that owns its payload. Cloning shares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::Binary(payload.into())
    }

    /// What kind of message it is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// The payload, whatever the kind.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_ref(),
            Self::Binary(payload) => payload,
        }
    }

    /// The message to be sent, with compression asked for or refused: see [`OutgoingMessage::compression`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, compression: Compression) -> OutgoingMessage<'static> {
        OutgoingMessage::from(self).compression(compression)
    }

    /// The text, or `None` when the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload, whatever the kind, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(payload) => payload,
        }
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self::Binary(payload)
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Self::Binary(payload.into())
    }
}

/// A message to be sent: borrowed, and then copied into the output, or owned, and then queued without a copy when it
/// is large.
///
/// Every sending method takes anything that turns into one: `&str`, `&[u8]`, `String`, `Vec<u8>`, [`Bytes`],
/// [`Utf8Bytes`], [`Message`].
#[derive(Debug, Clone)]
pub struct OutgoingMessage<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) payload: Payload<'a>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Compression,
}

#[derive(Debug, Clone)]
pub(crate) enum Payload<'a> {
    Borrowed(&'a [u8]),
    Shared(Bytes),
}

impl Payload<'_> {
    #[inline]
    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Self::Borrowed(payload) => payload,
            Self::Shared(payload) => payload,
        }
    }
}

impl<'a> OutgoingMessage<'a> {
    /// INVARIANT: the payload of a text message is UTF-8.
    #[inline]
    pub(crate) fn borrowed(kind: MessageKind, payload: &'a [u8]) -> Self {
        Self::new(kind, Payload::Borrowed(payload))
    }

    #[inline]
    fn new(kind: MessageKind, payload: Payload<'a>) -> Self {
        Self {
            kind,
            payload,
            #[cfg(feature = "deflate")]
            compression: Compression::Auto,
        }
    }

    /// Asks for compression, or refuses it, on a connection that has agreed on it. Default: [`Compression::Auto`].
    ///
    /// ```
    /// use sansocket::connection::OutgoingMessage;
    /// use sansocket::deflate::Compression;
    ///
    /// let token = OutgoingMessage::from("secret").compression(Compression::Never);
    /// # let _ = token;
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// With a large borrowed payload copied, so that it can be queued as it is.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn without_large_borrow(self) -> Self {
        match self.payload {
            Payload::Borrowed(payload) if payload.len() > COPY_UP_TO => {
                Self { payload: Payload::Shared(Bytes::copy_from_slice(payload)), ..self }
            }
            _ => self,
        }
    }

    /// What kind of message it is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }
}

impl<'a> From<&'a str> for OutgoingMessage<'a> {
    fn from(text: &'a str) -> Self {
        Self::borrowed(MessageKind::Text, text.as_bytes())
    }
}

impl<'a> From<&'a String> for OutgoingMessage<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl<'a> From<&'a [u8]> for OutgoingMessage<'a> {
    fn from(payload: &'a [u8]) -> Self {
        Self::borrowed(MessageKind::Binary, payload)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for OutgoingMessage<'a> {
    fn from(payload: &'a [u8; N]) -> Self {
        Self::from(payload.as_slice())
    }
}

impl<'a> From<&'a Vec<u8>> for OutgoingMessage<'a> {
    fn from(payload: &'a Vec<u8>) -> Self {
        Self::from(payload.as_slice())
    }
}

impl From<Message> for OutgoingMessage<'_> {
    fn from(message: Message) -> Self {
        Self::new(message.kind(), Payload::Shared(message.into_payload()))
    }
}

/// Owned payloads are messages first.
macro_rules! from_owned {
    ($($owned:ty)*) => {$(
        impl From<$owned> for OutgoingMessage<'_> {
            fn from(payload: $owned) -> Self {
                Message::from(payload).into()
            }
        }
    )*};
}

from_owned!(Utf8Bytes String Bytes Vec<u8>);

impl From<&Bytes> for OutgoingMessage<'_> {
    fn from(payload: &Bytes) -> Self {
        payload.clone().into()
    }
}

impl From<&Utf8Bytes> for OutgoingMessage<'_> {
    fn from(text: &Utf8Bytes) -> Self {
        text.clone().into()
    }
}

impl From<&Message> for OutgoingMessage<'_> {
    fn from(message: &Message) -> Self {
        message.clone().into()
    }
}

/// What was received, borrowed from where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A Ping; its Pong has been queued (RFC 6455 §5.5.2).
    Ping(&'a [u8]),
    /// A Pong, asked for or not (RFC 6455 §5.5.3).
    Pong(&'a [u8]),
    /// The peer's Close frame; ours has been queued. No event follows.
    Close(CloseFrame<'a>),
}

/// Where an event lies, as a plain value: [`Connection::event`](super::Connection::event) borrows it from there.
///
/// It is good until the next call of [`Connection::receive`](super::Connection::receive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an event that is not looked at is lost"]
pub struct Located {
    pub(crate) kind: EventKind,
    pub(crate) place: Place,
    /// Where in the input it begins and ends, if it lies there.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Located {
    #[inline]
    pub(crate) const fn in_input(kind: EventKind, start: usize, end: usize) -> Self {
        Self { kind, place: Place::Input, start, end }
    }

    /// In a place that is not the input.
    pub(crate) const fn apart(kind: EventKind, place: Place) -> Self {
        Self { kind, place, start: 0, end: 0 }
    }

    /// The kind of message this is, or `None` for a control frame.
    #[must_use]
    #[inline]
    pub const fn message_kind(&self) -> Option<MessageKind> {
        self.kind.message()
    }
}

/// Flat, so that a location is copied as words and read back as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

impl EventKind {
    /// The kind of message this is, or `None` for a control frame.
    #[inline]
    pub(crate) const fn message(self) -> Option<MessageKind> {
        match self {
            Self::Text => Some(MessageKind::Text),
            Self::Binary => Some(MessageKind::Binary),
            Self::Ping | Self::Pong | Self::Close => None,
        }
    }
}

impl From<MessageKind> for EventKind {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

impl From<ControlOpcode> for EventKind {
    fn from(opcode: ControlOpcode) -> Self {
        match opcode {
            ControlOpcode::Ping => Self::Ping,
            ControlOpcode::Pong => Self::Pong,
            ControlOpcode::Close => Self::Close,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the input that was given to `receive`.
    Input,
    /// Assembled from fragments or pieces.
    Assembled,
    /// Decompressed.
    #[cfg(feature = "deflate")]
    Inflated,
    /// In the buffer for control frames that came in pieces.
    Control,
}

/// How far `receive` came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "consumed octets must not be offered again"]
pub struct Received {
    /// How many octets of the input are done with. Once the event has been looked at they must not be offered again.
    pub consumed: usize,
    /// What was received; `None` when there is nothing until more input comes.
    pub event: Option<Located>,
}

/// What the peer's Close frame said (RFC 6455 §7.1.5, §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceivedClose {
    /// It had this status code.
    Code(CloseCode),
    /// It had none (1005).
    NoStatus,
    /// No Close frame came (1006).
    #[default]
    Abnormal,
}

impl ReceivedClose {
    /// The number by which RFC 6455 §7.1.5 names it: the code received, 1005 or 1006.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Code(code) => code.get(),
            Self::NoStatus => 1005,
            Self::Abnormal => 1006,
        }
    }
}

/// Which end began to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// This end sent the first Close frame, or failed the connection.
    Local,
    /// The peer did, or the transport ended.
    Remote,
}

/// How a connection ended (RFC 6455 §7.1.4 to §7.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Which end began.
    pub closed_by: ClosedBy,
    /// What the peer's Close frame said.
    pub received: ReceivedClose,
    /// The reason in the peer's Close frame; empty if there was none.
    pub received_reason: Box<str>,
    /// The status code in this end's Close frame: `None` if it had none to send, `Some(None)` if that was empty. Whether
    /// it has left, [`clean`](Self::clean) tells.
    pub sent: Option<Option<CloseCode>>,
    /// Whether both Close frames passed before the transport ended.
    pub clean: bool,
    /// Why it was not clean.
    pub failure: Option<Failure>,
    /// The message that was being received when the transport ended, failed or was given up, if there was one.
    pub cut_off: Option<CutOff>,
    /// How many messages arrived that `close` threw away.
    pub messages_thrown_away: u64,
    /// How many octets of payload they had.
    pub octets_thrown_away: u64,
}

/// The beginning of a message whose end never came: nothing of it was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutOff {
    /// What kind of message it was going to be.
    pub kind: MessageKind,
    /// How many octets of its payload had come, in all its fragments, as they were on the wire.
    pub octets: u64,
}
