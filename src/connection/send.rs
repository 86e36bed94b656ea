//! Messages in, octets out: fragmenting, masking, the bound on Pongs, Close: RFC 6455 §5.4, §5.5, §6.1.
//!
//! Two parts, so that each can stand behind a lock of its own: the encoder decides what the frames of a message are and
//! compresses it, the outbox puts frames in order and knows whether any may still be sent. Control frames need only the
//! outbox.

use alloc::boxed::Box;
#[cfg(feature = "tokio")]
use alloc::vec::Vec;

use super::closing::{Closing, TransportPhase};
use super::event::{MessageKind, OutgoingMessage, Payload};
use super::keys::KeySource;
use super::output::{Needs, Output};
use super::timers::OpenTimers;
use crate::budget::Account;
use crate::close_code::CloseCode;
use crate::config::{Config, PONGS_IN_ORDER};
#[cfg(all(feature = "deflate", feature = "tokio"))]
use crate::deflate::Compression;
#[cfg(feature = "deflate")]
use crate::deflate::{Agreement, Compressed, Compressor, Part};
use crate::error::{Failure, ProtocolError, SendError};
use crate::frame::{
    CloseFrame, ControlOpcode, DataOpcode, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MaskingKey, Rsv,
};
use crate::role::Role;

/// One piece of a message that the caller sends in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment<'a> {
    /// A piece of a text message: text itself, so the message is text wherever it is cut.
    Text(&'a str),
    /// A piece of a binary message.
    Binary(&'a [u8]),
}

impl<'a> From<Fragment<'a>> for OutgoingMessage<'a> {
    fn from(fragment: Fragment<'a>) -> Self {
        match fragment {
            Fragment::Text(text) => text.into(),
            Fragment::Binary(payload) => payload.into(),
        }
    }
}

/// Whether more of a message follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fin {
    /// Another fragment follows.
    More,
    /// This was the last one.
    Last,
}

/// What the frames of a message are: one, as long as there is no box.
#[derive(Debug)]
pub(crate) struct Encoder {
    unusual: Option<Box<Unusual>>,
}

/// How messages are sent when it is not each as it is and in one frame.
#[derive(Debug, Default)]
struct Unusual {
    fragment_len: Option<usize>,
    /// The caller sends a message in fragments, and has not finished it.
    open: Option<Open>,
    #[cfg(feature = "deflate")]
    compressor: Option<Compressor>,
}

/// A message that the caller sends in fragments.
#[derive(Debug, Clone, Copy)]
struct Open {
    kind: MessageKind,
    #[cfg(feature = "deflate")]
    compressed: bool,
}

/// A message as its frames will carry it. Nothing depends on it until it is queued.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    message: OutgoingMessage<'a>,
    #[cfg(feature = "deflate")]
    compressed: Option<(Compressed, Part)>,
}

/// Frames in order, and whether any may still be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    keys: KeySource,
    high_water_mark: usize,
    pub(crate) output: Output,
    pub(crate) closing: Closing,
    /// Boxed, and there only while the connection is open: one with all of them off has none.
    pub(super) timers: Option<Box<OpenTimers>>,
}

impl Encoder {
    pub(crate) fn new(config: &Config) -> Self {
        let fragment_len = config.fragment_len.map(|len| len.max(1));
        let unusual = fragment_len.map(|_| Box::new(Unusual { fragment_len, ..Unusual::default() }));
        Self { unusual }
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflate(&mut self, agreement: &Agreement, role: Role) {
        if let Some(compressor) = Compressor::new(agreement, role) {
            self.unusual.get_or_insert_default().compressor = Some(compressor);
        }
    }

    /// Whether preparing this message may take long.
    #[cfg(feature = "tokio")]
    #[inline]
    #[cfg_attr(
        not(feature = "deflate"),
        allow(clippy::unused_self, reason = "without compression, nothing does")
    )]
    pub(crate) fn compresses(&self, message: &OutgoingMessage<'_>) -> bool {
        #[cfg(feature = "deflate")]
        return message.compression != Compression::Never
            && self.unusual.as_ref().is_some_and(|unusual| unusual.compressor.is_some());
        #[cfg(not(feature = "deflate"))]
        {
            let _ = message;
            false
        }
    }

    /// Queues a whole message, or nothing.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        message: OutgoingMessage<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        if self.send_usual(&message, outbox) {
            return Ok(());
        }
        self.send_anything(message, outbox)
    }

    /// Queues the usual message: one that is copied into the buffer as it is, in one frame. Does nothing if there is
    /// anything else to it, and leaves it to [`send`](Self::send).
    #[inline(always)]
    pub(crate) fn send_usual(&self, message: &OutgoingMessage<'_>, outbox: &mut Outbox) -> bool {
        if self.unusual.is_some() || outbox.may_queue().is_err() {
            return false;
        }
        let Outbox { keys, output, closing, .. } = outbox;
        let next_key = || next_key(closing.role(), keys);
        output.push_if_room(first_opcode(message.kind), next_key, message.payload.octets())
    }

    #[inline(never)]
    fn send_anything(&mut self, message: OutgoingMessage<'_>, outbox: &mut Outbox) -> Result<(), SendError> {
        outbox.may_queue()?;
        let prepared = self.prepare(message)?;
        self.push(prepared, outbox)
    }

    /// Does what takes long, if anything does. The message has to be queued before the next one is prepared, or
    /// not at all: then it leaves no trace (RFC 7692 §7.2.1).
    #[inline]
    pub(crate) fn prepare<'a>(&mut self, message: OutgoingMessage<'a>) -> Result<Prepared<'a>, SendError> {
        // RFC 6455 §5.4: fragments of one message are not interleaved with another.
        if self.unusual.as_ref().is_some_and(|unusual| unusual.open.is_some()) {
            return Err(SendError::MessageOpen);
        }
        Ok(Prepared {
            #[cfg(feature = "deflate")]
            compressed: self.compressor().and_then(|compressor| {
                let payload = message.payload.octets();
                let is_text = message.kind == MessageKind::Text;
                let part = compressor.judge(payload.len(), is_text, message.compression)?;
                Some((compressor.compress(payload, is_text, part)?, part))
            }),
            message,
        })
    }

    /// Queues what was prepared, or nothing. There was room when its turn came.
    #[cfg(feature = "tokio")]
    pub(crate) fn queue(&mut self, prepared: Prepared<'_>, outbox: &mut Outbox) -> Result<(), SendError> {
        outbox.may_send()?;
        self.push(prepared, outbox)
    }

    #[inline]
    fn push(&mut self, prepared: Prepared<'_>, outbox: &mut Outbox) -> Result<(), SendError> {
        let opcode = first_opcode(prepared.message.kind);
        #[cfg(feature = "deflate")]
        if let Some((compressed, part)) = prepared.compressed {
            // RFC 7692 §6.1: fragments are made of the compressed payload.
            let pushed = self.push_payload(Rsv::RSV1, opcode, compressed_payload(&compressed), outbox);
            if let Some(compressor) = self.compressor() {
                let OutgoingMessage { kind, payload, .. } = &prepared.message;
                if pushed.is_ok() {
                    compressor.commit(compressed, payload.octets(), *kind == MessageKind::Text, part);
                } else {
                    compressor.refuse(compressed);
                }
            }
            return pushed;
        }
        self.push_payload(Rsv::NONE, opcode, prepared.message.payload, outbox)
    }

    #[inline]
    fn push_payload(
        &self,
        rsv: Rsv,
        opcode: DataOpcode,
        payload: Payload<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        let fragment_len = self.unusual.as_ref().and_then(|unusual| unusual.fragment_len);
        outbox.reserve(&payload, fragment_len)?;
        match fragment_len {
            None => outbox.push_data(true, rsv, opcode, payload),
            Some(fragment_len) => push_fragments(outbox, rsv, opcode, payload, fragment_len),
        }
        outbox.output.settle();
        Ok(())
    }

    /// Queues a piece of a message, or nothing. Whether the message is compressed is decided with its first piece.
    pub(crate) fn send_fragment(
        &mut self,
        fragment: OutgoingMessage<'_>,
        fin: Fin,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        outbox.may_queue()?;
        let unusual = self.unusual.get_or_insert_default();
        let sent = unusual.send_fragment(fragment, fin, outbox);
        if unusual.is_usual() {
            self.unusual = None;
        }
        sent
    }

    #[cfg(feature = "deflate")]
    fn compressor(&mut self) -> Option<&mut Compressor> {
        self.unusual.as_mut()?.compressor.as_mut()
    }
}

impl Unusual {
    /// Nothing of it is left.
    fn is_usual(&self) -> bool {
        #[cfg(feature = "deflate")]
        let compresses = self.compressor.is_some();
        #[cfg(not(feature = "deflate"))]
        let compresses = false;
        self.fragment_len.is_none() && self.open.is_none() && !compresses
    }

    fn send_fragment(
        &mut self,
        fragment: OutgoingMessage<'_>,
        fin: Fin,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        let kind = fragment.kind;
        let opcode = match self.open {
            None => first_opcode(kind),
            Some(open) if open.kind == kind => DataOpcode::Continuation,
            Some(_) => return Err(SendError::WrongFragmentKind),
        };
        #[cfg(feature = "deflate")]
        let compressed = self.push_compressed(&fragment, fin, opcode, outbox)?;
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        if !compressed {
            outbox.push_fragment(fin, Rsv::NONE, opcode, fragment.payload)?;
        }
        self.open = (fin == Fin::More).then_some(Open {
            kind,
            #[cfg(feature = "deflate")]
            compressed,
        });
        Ok(())
    }

    /// Queues a piece of a compressed message; `false` if the message is not compressed.
    #[cfg(feature = "deflate")]
    fn push_compressed(
        &mut self,
        fragment: &OutgoingMessage<'_>,
        fin: Fin,
        opcode: DataOpcode,
        outbox: &mut Outbox,
    ) -> Result<bool, SendError> {
        let (payload, is_text) = (fragment.payload.octets(), fragment.kind == MessageKind::Text);
        let Some(compressor) = &mut self.compressor else { return Ok(false) };
        let part = match (self.open, fin) {
            (None, Fin::Last) => compressor.judge(payload.len(), is_text, fragment.compression),
            (None, Fin::More) => {
                compressor.judge_fragments(is_text, fragment.compression).then_some(Part::Fragment)
            }
            (Some(Open { compressed: false, .. }), _) => None,
            (Some(_), Fin::More) => Some(Part::Fragment),
            (Some(_), Fin::Last) => Some(Part::LastFragment),
        };
        let Some(part) = part else { return Ok(false) };
        let Some(compressed) = compressor.compress(payload, is_text, part) else { return Ok(false) };
        // RFC 7692 §6.1: RSV1 belongs to the first frame.
        let rsv = if self.open.is_none() { Rsv::RSV1 } else { Rsv::NONE };
        let pushed = outbox.push_fragment(fin, rsv, opcode, compressed_payload(&compressed));
        if pushed.is_ok() {
            compressor.commit(compressed, payload, is_text, part);
        } else {
            compressor.refuse(compressed);
        }
        pushed.map(|()| true)
    }
}

impl Outbox {
    pub(crate) fn new(role: Role, config: &Config, keys: KeySource) -> Self {
        Self {
            keys,
            high_water_mark: config.high_water_mark.max(1),
            output: Output::new(Account::new(config, role)),
            closing: Closing::new(role, config.close_timeout),
            timers: OpenTimers::new(config),
        }
    }

    /// Which end this is.
    #[inline]
    pub(crate) fn role(&self) -> Role {
        self.closing.role()
    }

    /// Whether senders have to wait, and received input is to be left alone.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= self.high_water_mark
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.control(ControlOpcode::Ping, payload)
    }

    pub(crate) fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.control(ControlOpcode::Pong, payload)
    }

    /// Begins the closing handshake: behind what is queued (RFC 6455 §7.1.2).
    pub(crate) fn close(&mut self, close: &CloseFrame<'_>) -> Result<(), SendError> {
        self.may_send()?;
        // RFC 6455 §7.4.1: 1010 is not used by the server.
        if close.code() == Some(CloseCode::MANDATORY_EXTENSION) && self.role() == Role::Server {
            return Err(SendError::CodeNotForRole);
        }
        self.closing.close_queued(close.code());
        self.push_close(close);
        Ok(())
    }

    /// Answers a Ping: in order while little is queued, else only the newest (RFC 6455 §5.5.3).
    pub(crate) fn answer_ping(&mut self, payload: &[u8]) {
        if !self.closing.answers_pings() || self.closing.has_write_failed() {
            return;
        }
        let Some(header) = self.control_header(ControlOpcode::Pong, payload.len()) else { return };
        if self.output.len() < PONGS_IN_ORDER {
            self.output.push_copied(&header, payload);
        } else {
            self.output.push_pong_ahead(&header, payload);
        }
    }

    /// Takes note of the peer's Close frame and answers it, behind what is queued (RFC 6455 §5.5.1).
    ///
    /// Between the halves of a split connection it may come after the end: then nothing is left to be closed.
    pub(crate) fn close_received(&mut self, close: &CloseFrame<'_>) {
        if !self.closing.parses_input() {
            return;
        }
        if self.closing.close_received(close) {
            self.push_close(&CloseFrame::answering(close));
        }
        self.settle();
    }

    /// Fails the connection (RFC 6455 §7.1.7): what is owed already leaves before the Close frame.
    pub(crate) fn fail(&mut self, error: ProtocolError) {
        let code = error.close_code();
        if self.closing.fail(Failure::Protocol(error), code) {
            self.push_close(&CloseFrame::with_code(code));
        }
        self.settle();
    }

    pub(crate) fn end_of_stream(&mut self) {
        self.closing.end_of_stream();
        self.settle();
    }

    pub(crate) fn transport_failed(&mut self) {
        self.closing.transport_failed();
        self.settle();
    }

    /// Nothing can be written any more. Frames that have come are still looked at; what would have to be written is
    /// lost, and without our Close the end is not clean.
    pub(crate) fn fail_writing(&mut self) {
        self.closing.write_failed();
        self.output.clear();
        self.settle();
    }

    /// Whether nothing can be written any more.
    #[cfg(feature = "tokio")]
    pub(crate) fn write_failed(&self) -> bool {
        self.closing.has_write_failed()
    }

    pub(crate) fn abort(&mut self) {
        self.closing.abort();
        self.settle();
    }

    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.output.advance(len);
        self.closing.progress = true;
        self.settle();
    }

    /// Whether there are octets that the transport has been offered and has not taken.
    #[inline]
    pub(super) fn output_waits(&self) -> bool {
        !self.output.is_empty() || self.closing.flush_waits
    }

    /// Whether a time begins to run when what is queued is out.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn times_writing(&self) -> bool {
        self.timers.as_ref().is_some_and(|timers| timers.awaits_writing())
    }

    /// Whether there are deadlines that octets which come do not put off.
    #[cfg(feature = "std")]
    pub(crate) fn times_messages(&self) -> bool {
        self.timers.as_ref().is_some_and(|timers| timers.times_messages())
    }

    pub(crate) fn handle_closing_timeout(&mut self, now: super::Timestamp) {
        self.closing.handle_timeout(now);
        self.settle();
    }

    /// Queues a Ping of our own. Returns how many octets will have been written when it is out; `None` if it cannot be queued.
    pub(super) fn keepalive_ping(&mut self) -> Option<u64> {
        self.may_queue().ok()?;
        // As a Pong it is queued without asking: what keeps dead peers from being found must not be refused.
        let header = self.control_header(ControlOpcode::Ping, KEEPALIVE_PAYLOAD.len())?;
        self.output.push_copied(&header, KEEPALIVE_PAYLOAD);
        Some(self.output.appended())
    }

    /// Nothing came from the peer, our Ping's Pong neither.
    pub(super) fn give_up_dead_peer(&mut self) {
        let code = CloseCode::INTERNAL_ERROR;
        if self.closing.fail(Failure::DeadPeer, code) {
            self.push_close(&CloseFrame::with_code(code));
        }
        self.settle();
    }

    /// The transport does not take what is queued, which has to be paid for until it does. Returns a buffer that was lent and
    /// is no longer needed.
    #[cfg(feature = "tokio")]
    pub(crate) fn park_output(&mut self) -> Option<Vec<u8>> {
        if !self.output.is_counted() {
            return None;
        }
        let exhausted = match self.closing.failure() {
            // It failed for want of a budget: what others could have is not kept for a peer that does not take it, though what
            // is owed otherwise leaves before the Close frame.
            Some(Failure::Protocol(error @ ProtocolError::BudgetExhausted(_))) => error,
            _ => match self.output.park() {
                Ok(unused) => return unused,
                Err(exhausted) => exhausted.into(),
            },
        };
        // The peer gets what has begun to leave, and a Close frame behind it.
        self.output.drop_unbegun();
        self.fail(exhausted);
        match self.output.park_exactly() {
            Ok(unused) if self.closing.failure().is_some() => unused,
            // Not even that can be paid for, or the peer that has closed itself would take this for a clean end.
            _ => {
                self.closing.give_up_for(Failure::Protocol(exhausted));
                self.settle();
                None
            }
        }
    }

    /// The peer does not take what is queued: it would not take a Close frame either.
    pub(super) fn give_up_writing(&mut self) {
        self.closing.write_timed_out();
        self.settle();
    }

    /// Begins the closing handshake, since no message has come for too long.
    pub(super) fn close_idle(&mut self) {
        // Refused only when nothing can be written any more.
        let _ = self.close(&CloseFrame::with_code(CloseCode::GOING_AWAY));
    }

    /// Lets the closing handshake go on when nothing is queued, and drops what can no longer be written.
    #[inline]
    fn settle(&mut self) {
        self.closing.settle_failed_write();
        if self.closing.phase() == TransportPhase::Drop {
            self.output.clear();
        }
        if self.output.is_empty() {
            self.closing.flushed();
        }
    }

    #[inline]
    pub(crate) fn may_send(&self) -> Result<(), SendError> {
        self.closing.may_send()
    }

    #[inline]
    fn may_queue(&self) -> Result<(), SendError> {
        self.may_send()?;
        if self.is_full() { Err(SendError::QueueFull) } else { Ok(()) }
    }

    fn control(&mut self, opcode: ControlOpcode, payload: &[u8]) -> Result<(), SendError> {
        self.may_queue()?;
        // RFC 6455 §5.5: at most 125 octets.
        let header = self.control_header(opcode, payload.len()).ok_or(SendError::ControlPayloadTooLong)?;
        self.reserve(&Payload::Borrowed(payload), None)?;
        self.output.push_copied(&header, payload);
        self.output.settle();
        Ok(())
    }

    /// Reserves what a payload needs, before anything of it is queued.
    #[inline]
    fn reserve(&mut self, payload: &Payload<'_>, fragment_len: Option<usize>) -> Result<(), SendError> {
        let payload_len = payload.octets().len();
        let needs = Needs {
            payload_len,
            fragment_len: fragment_len.unwrap_or(payload_len),
            is_shared: matches!(payload, Payload::Shared(_)),
            is_masked: self.role().masks_outgoing(),
        };
        Ok(self.output.reserve(needs)?)
    }

    /// Queues a piece of a message, or nothing.
    fn push_fragment(
        &mut self,
        fin: Fin,
        rsv: Rsv,
        opcode: DataOpcode,
        payload: Payload<'_>,
    ) -> Result<(), SendError> {
        self.reserve(&payload, None)?;
        self.push_data(fin == Fin::Last, rsv, opcode, payload);
        self.output.settle();
        Ok(())
    }

    #[inline]
    fn push_data(&mut self, fin: bool, rsv: Rsv, opcode: DataOpcode, payload: Payload<'_>) {
        let key = self.next_key();
        let len = payload.octets().len();
        // INVARIANT: no slice is longer than `isize::MAX`.
        let header = FrameHeader::data(fin, rsv, opcode, key, len as u64)
            .expect("the payload is in memory, so its length is below 2^63");
        match payload {
            Payload::Borrowed(payload) => self.output.push_borrowed(&header, payload),
            Payload::Shared(payload) => self.output.push_shared(&header, payload),
        }
    }

    fn push_close(&mut self, close: &CloseFrame<'_>) {
        let mut buffer = [0; MAX_CONTROL_PAYLOAD_LEN];
        let payload = close.encode(&mut buffer);
        if let Some(header) = self.control_header(ControlOpcode::Close, payload.len()) {
            self.output.push_copied(&header, payload);
        }
    }

    /// `None` when the payload is too long.
    fn control_header(&mut self, opcode: ControlOpcode, payload_len: usize) -> Option<FrameHeader> {
        if payload_len > MAX_CONTROL_PAYLOAD_LEN {
            return None;
        }
        FrameHeader::control(opcode, self.next_key(), payload_len)
    }

    fn next_key(&mut self) -> Option<MaskingKey> {
        next_key(self.role(), &mut self.keys)
    }
}

/// RFC 6455 §5.1, §5.3: a client masks every frame, each with a key of its own.
#[inline]
fn next_key(role: Role, keys: &mut KeySource) -> Option<MaskingKey> {
    if role.masks_outgoing() { keys.next() } else { None }
}

#[cfg(feature = "deflate")]
fn compressed_payload(compressed: &Compressed) -> Payload<'_> {
    match compressed.shared() {
        Some(octets) => Payload::Shared(octets),
        None => Payload::Borrowed(compressed.octets()),
    }
}

fn first_opcode(kind: MessageKind) -> DataOpcode {
    match kind {
        MessageKind::Text => DataOpcode::Text,
        MessageKind::Binary => DataOpcode::Binary,
    }
}

/// RFC 6455 §5.4: the first fragment has the opcode and the reserved bits, the last one FIN.
fn push_fragments(
    outbox: &mut Outbox,
    mut rsv: Rsv,
    mut opcode: DataOpcode,
    payload: Payload<'_>,
    fragment_len: usize,
) {
    let mut rest = payload;
    while let Some(fragment) = rest.split_front(fragment_len) {
        outbox.push_data(false, rsv, opcode, fragment);
        (rsv, opcode) = (Rsv::NONE, DataOpcode::Continuation);
    }
    outbox.push_data(true, rsv, opcode, rest);
}

impl Payload<'_> {
    /// Takes the first `len` octets off, if more than that are there.
    fn split_front(&mut self, len: usize) -> Option<Self> {
        match self {
            Self::Borrowed(payload) if payload.len() > len => {
                let (front, rest) = payload.split_at(len);
                *payload = rest;
                Some(Self::Borrowed(front))
            }
            Self::Shared(payload) if payload.len() > len => Some(Self::Shared(payload.split_to(len))),
            _ => None,
        }
    }
}

/// The payload of the Pings by which a connection is kept alive
/// ([`Config::ping_interval`](crate::Config::ping_interval)).
///
/// The Pongs that answer them are events like any other: by this payload they are told from those that answer the
/// application's own Pings. The connection itself does not compare: whatever comes from the peer shows that it is there.
pub const KEEPALIVE_PAYLOAD: &[u8] = b"keepalive";

#[cfg(test)]
mod tests {
    use super::*;

    // 6455-7.1.7-5
    #[test]
    fn a_close_that_was_parsed_before_the_end_and_comes_behind_it_changes_nothing() {
        let mut outbox = Outbox::new(Role::Server, &Config::default(), KeySource::never());
        outbox.abort();
        let report = outbox.closing.report();
        assert!(report.is_some());
        outbox.close_received(&CloseFrame::with_code(CloseCode::NORMAL));
        assert_eq!(outbox.closing.phase(), TransportPhase::Drop);
        assert_eq!(outbox.closing.report(), report);
        assert!(outbox.output.is_empty());
    }
}
