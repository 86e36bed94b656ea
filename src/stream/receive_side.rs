//! What the receiving side owns: the parse state, and what it has not parsed.

use super::buffer::{BUFFER_LEN, Input};
use crate::connection::{
    self, Arrivals, Event, EventKind, Located, Message, MessageKind, Outbox, OutgoingMessage, Place,
    ReceivePath,
};
use crate::error::ProtocolError;
use crate::frame::MAX_HEADER_LEN;

/// The parse state and its input: with the unsplit socket, or behind a lock of its own.
#[derive(Debug)]
pub(super) struct ReceiveSide {
    pub(super) path: ReceivePath,
    pub(super) input: Input,
    /// Whether there may be something to parse.
    pub(super) parsed: Parsed,
    /// Octets have come since the timers looked.
    pub(super) arrived: bool,
    /// Whether there was a message since the timers looked, and whether the last one was large: [`MESSAGE`], [`LARGE`].
    last: u8,
    /// What the last event is and where it lies, if in the input then where that says. Kept here, in fields that are read
    /// as they were written: a location that is handed from one function to the next costs more than to parse a frame.
    ///
    /// INVARIANT: `event`, `payload`, `take`, `pass_on` and `react` are called behind a `next` or `next_usual`, `take_usual`
    /// behind a `next_usual`, that went on to an event, before anything else changes the path or the input. What is text there is so what was validated.
    kind: EventKind,
    place: Place,
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
            parsed: Parsed::NotYet,
            arrived: false,
            last: 0,
            kind: EventKind::Binary,
            place: Place::Input,
        }
    }

    /// How much to read at once.
    pub(super) fn read_len(&self) -> usize {
        if self.last & LARGE != 0 { AFTER_LARGE } else { BUFFER_LEN }
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
        self.input.consume(located.end, located.start);
        self.last = MESSAGE;
        self.kind = located.kind;
        self.place = Place::Input;
        located.message_kind()
    }

    #[inline(never)]
    fn next_anything(&mut self) -> Result<Option<EventKind>, ProtocolError> {
        let received = self.path.receive_anything(self.input.unconsumed())?;
        let Some(located) = received.event else {
            self.input.consume(received.consumed, received.consumed);
            self.parsed = Parsed::Dry;
            return Ok(None);
        };
        // What lies in the input lies at the end of what was consumed.
        self.input.consume(received.consumed, located.start);
        self.kind = located.kind;
        self.place = located.place;
        if located.message_kind().is_some() {
            let is_large = located.place == Place::Assembled && self.payload().len() > LARGE_LEN;
            self.last = if is_large { MESSAGE | LARGE } else { MESSAGE };
        }
        Ok(Some(located.kind))
    }

    /// Gives the input's buffer back to the pool, as long as nothing is read or parsed. What is left of it has to be paid for,
    /// unless it is the beginning of a header.
    pub(super) fn park(&mut self) -> Result<(), ProtocolError> {
        self.input.park();
        let held = self.input.holds();
        self.path.hold_input(if held < MAX_HEADER_LEN { 0 } else { held })
    }

    /// Forgets what has come, for a connection that parses no more: what there is of a message is reported.
    pub(super) fn end(&mut self, outbox: &mut Outbox) {
        self.forget_input();
        self.parsed = Parsed::Dry;
        connection::report_cut_off(&self.path, outbox);
        self.path.abandon();
    }

    /// Says that there was a message since the timers looked.
    pub(super) fn note_message(&mut self) {
        self.last |= MESSAGE;
    }

    /// Forgets the input: nothing is in it, or nothing will be parsed any more.
    #[inline(never)]
    pub(super) fn forget_input(&mut self) {
        self.input.clear();
        self.path.input_is_pooled();
    }

    /// What has come since the timers looked.
    pub(super) fn arrivals(&self) -> Arrivals {
        Arrivals::new(self.arrived, self.last & MESSAGE != 0)
    }

    /// What of it they still have to see.
    pub(super) fn set_arrivals(&mut self, arrivals: &Arrivals) {
        self.arrived = arrivals.octets;
        self.last = self.last & LARGE | if arrivals.message { MESSAGE } else { 0 };
    }

    /// Hands over what the last event asks for, if it is a control frame.
    #[inline]
    pub(super) fn react(&mut self, outbox: &mut Outbox) {
        let Self { path, input, kind, place, .. } = self;
        connection::react(path, outbox, located(*kind, *place, input), input.lent());
    }

    /// The last event.
    #[inline]
    pub(super) fn event(&self) -> Event<'_> {
        connection::event(&self.path, located(self.kind, self.place, &self.input), self.input.lent())
    }

    /// The payload of the last event.
    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        self.path.payload(located(self.kind, self.place, &self.input), self.input.lent())
    }

    /// The last event, a message of this kind that [`next_usual`](Self::next_usual) went on to, with a payload of its own.
    #[inline(always)]
    pub(super) fn take_usual(&mut self, kind: MessageKind) -> Message {
        let message = connection::owned(kind, self.input.lent());
        self.rest_input();
        message
    }

    /// The last event, a message of this kind, with a payload of its own.
    #[inline]
    pub(super) fn take(&mut self, kind: MessageKind) -> Message {
        let Self { path, input, place, .. } = self;
        let message = path.take(kind, located(kind.into(), *place, input), input.lent());
        self.rest_input();
        message
    }

    /// Gives the input's buffer back when the last message in it was taken: nobody knows for how long the application is
    /// away with that.
    #[inline]
    fn rest_input(&mut self) {
        if self.input.is_empty() {
            self.forget_input();
        }
    }

    /// The last event, a message of this kind, as one to be sent: see [`ReceivePath::pass_on`].
    #[inline]
    pub(super) fn pass_on(&mut self, kind: MessageKind) -> OutgoingMessage<'_> {
        let Self { path, input, place, .. } = self;
        path.pass_on(kind, located(kind.into(), *place, input), input.lent())
    }
}

/// Where an event lies, said of what is lent of the input: all of it, if there.
#[inline(always)]
fn located(kind: EventKind, place: Place, input: &Input) -> Located {
    Located { kind, place, start: 0, end: input.lent().len() }
}

/// In [`ReceiveSide::last`]: set with one store for each message, which another would cost as much again.
const MESSAGE: u8 = 0b01;
const LARGE: u8 = 0b10;

/// After a message above this length the next one is probably large too …
const LARGE_LEN: usize = 48 << 10;
/// … and only its beginning is read into the shared buffer: the rest is read to where it belongs.
const AFTER_LARGE: usize = 16 << 10;
