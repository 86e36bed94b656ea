//! Octets in, events out: RFC 6455 §5.2, §5.4, §5.5, §6.2.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

#[cfg(feature = "std")]
use super::event::OutgoingMessage;
use super::event::{CutOff, EventKind, Located, Message, MessageKind, Place, Received};
use super::message::Assembly;
use super::spare;
use crate::budget::{Account, LEASE_LEN, Part};
use crate::config::{COPY_UP_TO, Config, Limits};
#[cfg(feature = "deflate")]
use crate::deflate::{Agreement, Decompressor};
use crate::error::ProtocolError;
use crate::frame::{
    CloseFrame, ControlOpcode, DataOpcode, Expect, FrameHeader, MAX_CONTROL_PAYLOAD_LEN, MaskingKey, Opcode,
    Rsv, WholeMessage,
};
use crate::role::Role;
use crate::simd;
use crate::utf8::{self, Utf8Bytes};

/// The parse state of one connection.
///
/// Between two calls it needs at most the beginning of a header kept by the caller: payload that has come is taken
/// at once.
#[derive(Debug)]
pub(crate) struct ReceivePath {
    limits: Limits,
    /// How many octets of payload the message may still get.
    max_message_len: usize,
    frame: Frame,
    masked: bool,
    rsv: Rsv,
    message: MessageState,
    /// What the last call of `receive` located may still be looked at, and does not lie in the input.
    located: bool,
    /// The peer's Close has come, or an error: nothing is asked of it any more but what had come.
    ended: bool,
    /// Boxed: a connection whose messages lie whole in the input never has it, nor has an idle one, unless it has a budget.
    unusual: Option<Box<Unusual>>,
    #[cfg(feature = "deflate")]
    decompressor: Option<Box<Decompressor>>,
}

/// What does not lie whole in the input, or was looked at before its turn.
#[derive(Debug, Default)]
pub(super) struct Unusual {
    message: Assembly,
    /// The payload of a control frame that comes in pieces.
    control: Vec<u8>,
    ahead: Ahead,
    /// What all this costs, and input that is left alone.
    account: Account,
}

/// The message that does not lie whole in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageState {
    None,
    /// It is open, and the timers have not seen it.
    Begun,
    /// It is open, and its time runs.
    Timed,
}

/// How far the scan for Pings has come that looks past messages nobody has received yet.
#[derive(Debug, Default)]
struct Ahead {
    /// Where the next frame begins that has not been looked at, counted from the first octet that no call of `receive`
    /// has taken; zero when nothing has been.
    offset: usize,
    message_open: bool,
    /// Pings before `offset` that are answered already.
    answered: usize,
}

/// Where in a frame the next octet belongs.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// At the header of a new message, with nothing left to do for what came before: the usual place.
    Between,
    Header,
    Data {
        fin: bool,
        missing: usize,
        key: Option<MaskingKey>,
    },
    Control {
        opcode: ControlOpcode,
        missing: usize,
        key: Option<MaskingKey>,
    },
}

impl ReceivePath {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        let account = Account::new(config, role);
        Self {
            limits: config.limits,
            max_message_len: config.limits.message_len(),
            frame: Frame::Between,
            masked: role.expects_masked(),
            rsv: Rsv::NONE,
            message: MessageState::None,
            located: false,
            ended: false,
            // Where there is a budget it stays: a pointer of its own would cost those who have none.
            unusual: account.is_open().then(|| Box::new(Unusual { account, ..Unusual::default() })),
            #[cfg(feature = "deflate")]
            decompressor: None,
        }
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_deflate(&mut self, agreement: &Agreement, role: Role) {
        self.rsv = Rsv::RSV1;
        self.decompressor = Some(Box::new(Decompressor::new(agreement, role)));
    }

    /// What is expected of the next header.
    #[inline(always)]
    fn expect(&self) -> Expect {
        Expect {
            masked: self.masked,
            rsv: self.rsv,
            message_open: self.is_message_open(),
            max_frame_len: self.limits.frame_len(),
            max_message_len: self.max_message_len,
            #[cfg(feature = "deflate")]
            max_compressed_len: (self.rsv == Rsv::RSV1).then(|| self.limits.compressed_len()),
            #[cfg(not(feature = "deflate"))]
            max_compressed_len: None,
        }
    }

    /// Takes octets until there is an event or the input is used up but for the beginning of a header.
    #[inline]
    pub(crate) fn receive(&mut self, input: &mut [u8]) -> Result<Received, ProtocolError> {
        match self.usual(input) {
            Some(located) => Ok(Received { consumed: located.end, event: Some(located) }),
            None => self.receive_anything(input),
        }
    }

    /// The usual event: a message that lies whole at the front of the input, up to its `end`. Does nothing if anything
    /// else is next, and leaves it to [`receive`](Self::receive).
    #[inline(always)]
    pub(crate) fn usual(&mut self, input: &mut [u8]) -> Option<Located> {
        match self.frame {
            Frame::Between => locate(self.expect().usual_message(input)?, input),
            _ => None,
        }
    }

    /// What [`receive`](Self::receive) does when the usual message is not next.
    pub(crate) fn receive_anything(&mut self, input: &mut [u8]) -> Result<Received, ProtocolError> {
        self.located = false;
        // RFC 6455 §5.5.1, §7.1.7: after Close, or after failing, nothing from the peer is processed. `Closing` knows that.
        debug_assert!(!self.ended, "input is parsed after the end");
        if let Some(unusual) = &mut self.unusual {
            unusual.message.clear_delivered();
            unusual.settle(LEASE_LEN);
        }
        let received = self.step(input);
        match &received {
            Ok(received) => {
                self.located = received.event.is_some_and(|located| located.place != Place::Input);
                let is_ahead = self.unusual.as_mut().is_some_and(|unusual| {
                    unusual.ahead.consumed(received.consumed);
                    unusual.ahead.offset > 0
                });
                let begins = matches!(self.frame, Frame::Header) && !self.is_message_open();
                if begins && !self.located && !self.ended && !is_ahead {
                    self.frame = Frame::Between;
                }
            }
            Err(_) => {
                self.ended = true;
                self.abandon();
            }
        }
        received
    }

    fn step(&mut self, input: &mut [u8]) -> Result<Received, ProtocolError> {
        if let Frame::Between | Frame::Header = self.frame
            && let Some(message) = self.expect().whole_message(input)
            && let Some(located) = locate(message, input)
        {
            return Ok(Received { consumed: located.end, event: Some(located) });
        }
        let mut at = 0;
        loop {
            match self.frame {
                Frame::Between | Frame::Header => {
                    self.frame = Frame::Header;
                    let Some((header, len)) = FrameHeader::decode(&input[at..], &self.expect())? else {
                        return Ok(Received { consumed: at, event: None });
                    };
                    at += len;
                    // INVARIANT: `expect` bounds data frames by a `usize`, the header control frames by 125.
                    let payload_len = header.payload_len() as usize;
                    let whole = input.len() - at >= payload_len;
                    match header.opcode() {
                        Opcode::Control(opcode) if whole => {
                            let end = at + payload_len;
                            if let Some(key) = header.masking_key() {
                                key.mask(&mut input[at..end]);
                            }
                            let located = Located::in_input(opcode.into(), at, end);
                            return self.control_event(located, input, end);
                        }
                        Opcode::Control(opcode) => {
                            self.unusual().control.clear();
                            let key = header.masking_key();
                            self.frame = Frame::Control { opcode, missing: payload_len, key };
                        }
                        Opcode::Data(opcode) => {
                            self.begin_data(&header, opcode, payload_len)?;
                        }
                    }
                }
                Frame::Data { .. } => {
                    at += self.take_data(&mut input[at..])?;
                    match self.frame {
                        Frame::Data { missing, .. } if missing > 0 => {
                            if at == input.len() {
                                return Ok(Received { consumed: at, event: None });
                            }
                        }
                        Frame::Data { fin: true, .. } => {
                            self.frame = Frame::Header;
                            self.message = MessageState::None;
                            self.max_message_len = self.limits.message_len();
                            let kind = self.unusual().message.finish()?.into();
                            let event = Some(Located::apart(kind, self.finished_place()));
                            return Ok(Received { consumed: at, event });
                        }
                        _ => self.frame = Frame::Header,
                    }
                }
                Frame::Control { opcode, missing, key } => {
                    let len = missing.min(input.len() - at);
                    let control = &mut self.unusual().control;
                    let start = control.len();
                    control.extend_from_slice(&input[at..at + len]);
                    at += len;
                    if let Some(key) = key {
                        key.mask(&mut control[start..]);
                    }
                    if len < missing {
                        let key = key.map(|key| key.advanced(len));
                        self.frame = Frame::Control { opcode, missing: missing - len, key };
                        return Ok(Received { consumed: at, event: None });
                    }
                    self.frame = Frame::Header;
                    return self.control_event(Located::apart(opcode.into(), Place::Control), input, at);
                }
            }
        }
    }

    fn begin_data(
        &mut self,
        header: &FrameHeader,
        opcode: DataOpcode,
        payload_len: usize,
    ) -> Result<(), ProtocolError> {
        let message = &mut self.unusual.get_or_insert_with(spare::take_unusual).message;
        match opcode {
            DataOpcode::Text => message.begin(MessageKind::Text),
            DataOpcode::Binary => message.begin(MessageKind::Binary),
            DataOpcode::Continuation => {}
        }
        #[cfg(feature = "deflate")]
        if let Some(decompressor) = &mut self.decompressor
            && opcode != DataOpcode::Continuation
        {
            decompressor.begin(header.rsv() == Rsv::RSV1);
        }
        if !header.fin() || opcode == DataOpcode::Continuation {
            message.count_fragment(payload_len, &self.limits)?;
        }
        #[cfg(feature = "deflate")]
        if header.rsv() == Rsv::RSV1 {
            self.max_message_len = self.limits.compressed_len();
        }
        // The limit is on the whole message: what this frame claims is no longer there for the next.
        self.max_message_len -= payload_len;
        if opcode != DataOpcode::Continuation {
            self.message = MessageState::Begun;
        }
        self.frame = Frame::Data { fin: header.fin(), missing: payload_len, key: header.masking_key() };
        Ok(())
    }

    /// Takes what belongs to the frame: what was read to its destination, and else what the input has.
    fn take_data(&mut self, input: &mut [u8]) -> Result<usize, ProtocolError> {
        let Frame::Data { fin, missing, key } = self.frame else { return Ok(0) };
        let Unusual { message, ahead, account, .. } =
            &mut **self.unusual.get_or_insert_with(spare::take_unusual);
        #[cfg(feature = "deflate")]
        if let Some(decompressor) = &mut self.decompressor
            && decompressor.is_compressed()
        {
            let len = missing.min(input.len());
            let octets = &mut input[..len];
            if let Some(key) = key {
                key.mask(octets);
            }
            let last = fin && len == missing;
            message.inflate(decompressor, octets, last, self.limits.message_len(), account)?;
            let key = key.map(|key| key.advanced(len));
            self.frame = Frame::Data { fin, missing: missing - len, key };
            return Ok(len);
        }
        let still = if fin { missing } else { missing + self.max_message_len };
        let read = message.unjudged();
        let (taken, consumed) = if read > 0 {
            message.judge(key)?;
            ahead.consumed(read);
            message.read_apart = true;
            (read, 0)
        } else {
            let len = missing.min(input.len());
            message.append(&input[..len], key, missing, still, account)?;
            (len, len)
        };
        self.frame = Frame::Data { fin, missing: missing - taken, key: key.map(|key| key.advanced(taken)) };
        Ok(consumed)
    }

    /// Where a message lies that is not in the input.
    #[inline]
    fn finished_place(&self) -> Place {
        #[cfg(feature = "deflate")]
        if self.is_compressed() {
            return Place::Inflated;
        }
        Place::Assembled
    }

    /// Whether the message of the frame that is being received is compressed.
    #[cfg(feature = "deflate")]
    fn is_compressed(&self) -> bool {
        self.decompressor.as_ref().is_some_and(|decompressor| decompressor.is_compressed())
    }

    fn control_event(
        &mut self,
        located: Located,
        input: &[u8],
        consumed: usize,
    ) -> Result<Received, ProtocolError> {
        if located.kind == EventKind::Close {
            CloseFrame::decode(self.payload(located, input))?;
            self.ended = true;
            if let Some(unusual) = &mut self.unusual {
                unusual.message = Assembly::default();
                unusual.account.note(Part::Apart, 0);
                unusual.settle(0);
            }
            #[cfg(feature = "deflate")]
            self.abandon_compressed();
        }
        Ok(Received { consumed, event: Some(located) })
    }

    /// Where a large payload is to be read to, if one is being received: the destination and how many octets it may
    /// get. What is read there is taken at the next `receive`, before its input. A compressed one has no such place.
    pub(crate) fn destination(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        #[cfg(feature = "deflate")]
        if self.is_compressed() {
            return None;
        }
        match (self.frame, self.missing()) {
            (Frame::Data { .. }, missing @ 1..) if !self.ended => {
                let Unusual { message, account, .. } = self.unusual();
                Some(message.destination(missing, account))
            }
            _ => None,
        }
    }

    /// Whether a message that does not lie whole in the input has begun and not ended.
    #[inline]
    pub(crate) fn is_message_open(&self) -> bool {
        self.message != MessageState::None
    }

    /// Whether there is one, and it is another than when this was [noted](Self::note_message) last.
    #[inline]
    pub(super) fn has_new_message(&self) -> bool {
        self.message == MessageState::Begun
    }

    pub(super) fn note_message(&mut self) {
        if self.message == MessageState::Begun {
            self.message = MessageState::Timed;
        }
    }

    /// Whether octets were read straight to their destination and received since this was asked last.
    pub(super) fn take_read_apart(&mut self) -> bool {
        self.unusual.as_mut().is_some_and(|unusual| mem::take(&mut unusual.message.read_apart))
    }

    /// Whether an empty input would change nothing.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        matches!(self.frame, Frame::Between)
    }

    /// How many octets of the frame that is being received are missing.
    pub(crate) fn missing(&self) -> usize {
        match self.frame {
            Frame::Between | Frame::Header => 0,
            Frame::Data { missing, .. } => missing - self.unjudged(),
            Frame::Control { missing, .. } => missing,
        }
    }

    /// The octets of an event, where they lie.
    #[inline]
    pub(crate) fn payload<'a>(&'a self, located: Located, input: &'a [u8]) -> &'a [u8] {
        match located.place {
            Place::Input => &input[located.start..located.end],
            place => self.payload_apart(place),
        }
    }

    /// The octets of an event that does not lie in the input.
    fn payload_apart(&self, place: Place) -> &[u8] {
        debug_assert_ne!(place, Place::Input);
        match (place, &self.unusual) {
            (Place::Control, Some(unusual)) => &unusual.control,
            (_, Some(unusual)) => unusual.message.payload(),
            // INVARIANT: it is there as long as something is located in it.
            (_, None) => &[],
        }
    }

    fn unusual(&mut self) -> &mut Unusual {
        self.unusual.get_or_insert_with(spare::take_unusual)
    }

    /// How many octets were read straight to their destination and have not been received.
    fn unjudged(&self) -> usize {
        self.unusual.as_ref().map_or(0, |unusual| unusual.message.unjudged())
    }

    /// A message with a payload of its own, of exact size.
    #[inline]
    pub(crate) fn take(&mut self, kind: MessageKind, located: Located, input: &[u8]) -> Message {
        match (located.place, &mut self.unusual) {
            (Place::Input | Place::Control, _) | (_, None) => owned(kind, self.payload(located, input)),
            (_, Some(unusual)) => {
                let payload = unusual.message.take();
                unusual.settle(LEASE_LEN);
                message(kind, payload)
            }
        }
    }

    /// The message as one to be sent: a large payload with a place of its own is moved, any other borrowed.
    #[cfg(feature = "std")]
    #[inline]
    pub(crate) fn pass_on<'a>(
        &'a mut self,
        kind: MessageKind,
        located: Located,
        input: &'a [u8],
    ) -> OutgoingMessage<'a> {
        if located.place != Place::Input && self.payload_apart(located.place).len() > COPY_UP_TO {
            return self.take(kind, located, input).into();
        }
        OutgoingMessage::borrowed(kind, self.payload(located, input))
    }

    /// The next Ping in `input`, the octets not yet consumed, that lies behind messages nobody has received yet: so
    /// that it can be answered before they are. It is not answered again when it is received.
    ///
    /// The payload is copied to `payload`; returns its length.
    pub(crate) fn next_ping_ahead(
        &mut self,
        input: &[u8],
        payload: &mut [u8; MAX_CONTROL_PAYLOAD_LEN],
    ) -> Option<usize> {
        if self.ended || input.is_empty() {
            return None;
        }
        if let Frame::Between = self.frame {
            // What is consumed from here on has to be counted.
            self.frame = Frame::Header;
        }
        // The input begins behind what was read straight to its destination.
        let read = self.unjudged();
        let expect = self.expect();
        let Unusual { control, ahead, .. } = &mut **self.unusual.get_or_insert_with(spare::take_unusual);
        if ahead.offset == 0 {
            ahead.message_open = match self.frame {
                Frame::Data { fin, .. } => !fin,
                _ => expect.message_open,
            };
            match self.frame {
                Frame::Between | Frame::Header => {}
                Frame::Data { missing, .. } => ahead.offset = missing,
                Frame::Control { opcode: ControlOpcode::Close, .. } => return None,
                Frame::Control { opcode: ControlOpcode::Pong, missing, .. } => ahead.offset = missing,
                Frame::Control { opcode: ControlOpcode::Ping, missing, key } => {
                    let rest = input.get(..missing)?;
                    ahead.offset = missing;
                    ahead.answered += 1;
                    let begun = control.len();
                    // INVARIANT: the header bounds the whole payload to 125.
                    let ping = &mut payload[..begun + missing];
                    ping[..begun].copy_from_slice(control);
                    ping[begun..].copy_from_slice(rest);
                    if let Some(key) = key {
                        key.mask(&mut ping[begun..]);
                    }
                    return Some(ping.len());
                }
            }
        }
        loop {
            let rest = input.get(ahead.offset - read..)?;
            let expect = Expect {
                message_open: ahead.message_open,
                // Messages are judged when their turn has come.
                max_message_len: usize::MAX,
                ..expect
            };
            // A frame that breaks a rule ends the scan: it fails the connection when its turn has come.
            let (header, len) = FrameHeader::decode(rest, &expect).ok()??;
            let payload_len = header.payload_len() as usize;
            match header.opcode() {
                Opcode::Data(_) => ahead.message_open = !header.fin(),
                Opcode::Control(ControlOpcode::Close) => return None,
                Opcode::Control(_) if rest.len() < len + payload_len => return None,
                Opcode::Control(opcode) => {
                    ahead.offset += len + payload_len;
                    if opcode == ControlOpcode::Ping {
                        ahead.answered += 1;
                        let ping = &mut payload[..payload_len];
                        ping.copy_from_slice(&rest[len..len + payload_len]);
                        if let Some(key) = header.masking_key() {
                            key.mask(ping);
                        }
                        return Some(payload_len);
                    }
                    continue;
                }
            }
            ahead.offset = ahead.offset.saturating_add(len).saturating_add(payload_len);
        }
    }

    /// Whether the Ping that was just received is to be answered: not if the scan ahead has done so.
    pub(crate) fn owes_pong(&mut self) -> bool {
        match &mut self.unusual {
            Some(unusual) if unusual.ahead.answered > 0 => {
                unusual.ahead.answered -= 1;
                false
            }
            _ => true,
        }
    }

    /// Frees what is empty, unless something located may still be looked at: for a connection that waits for input.
    pub(crate) fn release_buffers(&mut self) {
        if self.located {
            return;
        }
        let Some(unusual) = &mut self.unusual else { return };
        unusual.message.release();
        if let Frame::Between | Frame::Header | Frame::Data { .. } = self.frame {
            unusual.control = Vec::new();
        }
        unusual.settle(0);
        // Pings that were answered before their turn are still to be counted off.
        if let Frame::Between = self.frame
            && unusual.ahead.answered == 0
            && !unusual.account.is_open()
            && let Some(mut unusual) = self.unusual.take()
        {
            unusual.ahead = Ahead::default();
            spare::give_unusual(unusual);
        }
    }

    /// Says that so many octets of memory are held for input that is left alone.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn hold_input(&mut self, octets: usize) -> Result<(), ProtocolError> {
        let Some(unusual) = &mut self.unusual else { return Ok(()) };
        unusual.account.hold(Part::Piece, octets)?;
        unusual.account.give_back(LEASE_LEN);
        Ok(())
    }

    /// An account of its own with the same budget.
    #[cfg(feature = "tokio")]
    pub(crate) fn another_account(&self) -> Account {
        self.unusual.as_ref().map(|unusual| unusual.account.another()).unwrap_or_default()
    }

    /// Says that what input there is lies in a buffer that costs nothing.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn input_is_pooled(&mut self) {
        if let Some(unusual) = &mut self.unusual {
            unusual.account.note(Part::Piece, 0);
            unusual.account.give_back(LEASE_LEN);
        }
    }

    /// What has come of a message that is not whole.
    pub(crate) fn unfinished(&self) -> Option<CutOff> {
        let unusual = self.unusual.as_ref().filter(|_| self.is_message_open() && !self.ended)?;
        let allowed = self.limits.message_len();
        #[cfg(feature = "deflate")]
        let allowed = if self.is_compressed() { self.limits.compressed_len() } else { allowed };
        let claimed = allowed - self.max_message_len;
        let missing = if let Frame::Data { .. } = self.frame { self.missing() } else { 0 };
        Some(CutOff { kind: unusual.message.kind(), octets: (claimed - missing) as u64 })
    }

    /// Frees an unfinished message: no more of it is looked at.
    pub(crate) fn abandon(&mut self) {
        self.unusual = None;
        self.frame = Frame::Header;
        #[cfg(feature = "deflate")]
        self.abandon_compressed();
    }

    #[cfg(feature = "deflate")]
    fn abandon_compressed(&mut self) {
        self.decompressor = None;
    }
}

impl Unusual {
    /// Takes down what is held now, and gives back what is leased beyond it, but for some slack.
    #[inline]
    fn settle(&mut self, slack: usize) {
        self.account.note(Part::Main, self.message.holds());
        self.account.give_back(slack);
    }

    /// Whether another connection may have it.
    pub(super) fn is_as_new(&self) -> bool {
        let Ahead { offset, message_open, answered } = self.ahead;
        self.message.is_as_new()
            && !self.account.is_open()
            && self.control.capacity() == 0
            && (offset, message_open, answered) == (0, false, 0)
    }
}

impl Ahead {
    #[inline]
    fn consumed(&mut self, octets: usize) {
        self.offset = self.offset.saturating_sub(octets);
    }
}

/// A message that lies whole at the front of the input, unless its text is not UTF-8; it stays there.
#[inline(always)]
fn locate(message: WholeMessage, input: &mut [u8]) -> Option<Located> {
    let WholeMessage { opcode, masking_key, start, end } = message;
    let payload = &mut input[start..end];
    if let Some(key) = masking_key {
        key.mask(payload);
    }
    let is_text = opcode == DataOpcode::Text;
    if is_text && utf8::check_whole(payload).is_err() {
        // As it came, for those who say where it is wrong.
        if let Some(key) = masking_key {
            key.mask(payload);
        }
        return None;
    }
    Some(Located::in_input(if is_text { EventKind::Text } else { EventKind::Binary }, start, end))
}

/// A message with a copy of its located payload, exactly as large.
#[inline(always)]
pub(crate) fn owned(kind: MessageKind, payload: &[u8]) -> Message {
    message(
        kind,
        match payload.len() {
            ..=COPY_UP_TO => Bytes::copy_from_slice(payload),
            _ => large(payload),
        },
    )
}

#[inline(never)]
fn large(payload: &[u8]) -> Bytes {
    spare::copy_of(payload).into()
}

#[inline(always)]
fn message(kind: MessageKind, payload: Bytes) -> Message {
    match kind {
        // INVARIANT: the payload of a text message was validated before its location was made.
        MessageKind::Text => Message::Text(Utf8Bytes::validated(payload)),
        MessageKind::Binary => Message::Binary(payload),
    }
}

/// The text of a located event whose octets these are.
///
/// INVARIANT: only for the payload of a text message, which was validated before its location was made.
pub(super) fn text(payload: &[u8]) -> &str {
    simd::validated_str(payload)
}
