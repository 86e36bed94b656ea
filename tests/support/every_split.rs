//! The every-split harness: however the input is cut, the same events, output and end, each as soon as it can be known.

use std::fmt;

use sansocket::connection::{
    self, CloseReport, ClosedBy, Connection, Located, ReceivedClose, TransportPhase,
};
use sansocket::{CloseCode, Config, Failure, Message, ProtocolError, Role};

use super::{connection, drain, from_peer, wire_frames};

/// Gives `frames` to a connection whole, octet by octet, and cut in two at every place (of inputs above 4 KiB: at the
/// first and last 64 octets of each frame and at 64 seeded places), by drivers that differ in when they write, how
/// they take payloads and where they read them to. Panics unless all of them see the same.
///
/// Behind what ends the connection more frames are offered: nothing may come of them.
pub(crate) fn every_split(role: Role, config: &Config, frames: &[impl AsRef<[u8]>]) -> Transcript {
    every_split_after(&|_| {}, role, config, frames)
}

/// [`every_split`] of frames that the peer of `role` sends, written down unmasked, with the default configuration.
pub(crate) fn every_split_from_peer(role: Role, frames: &[&[u8]]) -> Transcript {
    let frames: Vec<Vec<u8>> = frames.iter().map(|frame| from_peer(role, frame)).collect();
    every_split(role, &Config::default(), &frames)
}

/// [`every_split`] for a connection with which something was done before its input comes.
pub(crate) fn every_split_after(
    before: &dyn Fn(&mut Connection),
    role: Role,
    config: &Config,
    frames: &[impl AsRef<[u8]>],
) -> Transcript {
    let open = || {
        let mut connection = connection(role, config);
        before(&mut connection);
        connection
    };
    every_split_of(&open, frames)
}

/// [`every_split`] for the connections that `open` makes, all of them alike.
pub(crate) fn every_split_of(open: &dyn Fn() -> Connection, frames: &[impl AsRef<[u8]>]) -> Transcript {
    let role = open().role();
    let input: Vec<u8> = frames.iter().flat_map(AsRef::as_ref).copied().collect();
    let cuts = cuts(frames, input.len());
    let octets: Vec<usize> = (1..input.len()).collect();

    let mut references = Vec::new();
    for driver in DRIVERS {
        let run = |input: &[u8], cuts: &[usize]| Run::of(open(), driver, input, cuts);
        let reference = run(&input, &octets);
        run(&input, &[]).assert_agrees(&reference, &[], input.len());
        for &cut in &cuts {
            run(&input, &[cut]).assert_agrees(&reference, &[cut], input.len());
        }
        if reference.is_over() {
            let mut with_more = input.clone();
            with_more.extend(from_peer(role, b"\x81\x01x"));
            with_more.extend(from_peer(role, b"\x89\x01p"));
            with_more.extend(from_peer(role, b"\x88\x02\x03\xe8"));
            run(&with_more, &[]).assert_agrees(&reference, &[], with_more.len());
            run(&with_more, &[input.len()]).assert_agrees(&reference, &[input.len()], with_more.len());
        }
        references.push(reference);
    }
    let first = references.remove(0);
    for other in references {
        // Above 16 KiB of queued output only the newest Pong waits: there it matters when a driver writes.
        if first.output.len() <= 16 << 10 || other.driver.writes == first.driver.writes {
            assert_eq!(other.output, first.output, "the drivers differ");
        }
        assert_eq!(other.events, first.events, "the drivers differ");
        assert_eq!(other.failed, first.failed, "the drivers differ");
        assert_eq!(other.report, first.report, "the drivers differ");
    }
    first.into_transcript(role)
}

/// What came of an input, however it was cut.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Event>,
    /// For each event, after how many octets of input it was there.
    pub(crate) events_at: Vec<usize>,
    pub(crate) failure: Option<Failure>,
    /// After how many octets of input the connection was failed.
    pub(crate) failed_at: Option<usize>,
    /// All octets that were sent.
    pub(crate) output: Vec<u8>,
    /// The frames that were sent, without their masks.
    pub(crate) sent: Vec<Vec<u8>>,
    /// What the driver is to do once input and output are used up.
    pub(crate) phase: TransportPhase,
    /// How many octets the driver has to offer again with the next ones.
    pub(crate) unconsumed: usize,
    /// How the connection ends if the peer ends the stream behind the input.
    pub(crate) report: CloseReport,
}

impl Transcript {
    /// The connection was failed after `at` octets, with `error` for the caller and the status code `code` for the peer,
    /// in the last frame it gets.
    #[track_caller]
    pub(crate) fn assert_failed(&self, error: ProtocolError, code: u16, at: usize) {
        let failure = Failure::Protocol(error);
        assert_eq!(self.failure, Some(failure));
        assert_eq!(self.failed_at, Some(at), "{error} is known after {at} octets");
        let [high, low] = code.to_be_bytes();
        assert_eq!(self.sent.last().map(Vec::as_slice), Some(&[0x88, 0x02, high, low][..]));
        assert_eq!(self.sent.iter().filter(|frame| frame[0] == 0x88).count(), 1, "one Close a side");
        assert_eq!(self.phase, TransportPhase::ShutDown);
        assert_eq!(self.report.failure, Some(failure));
        assert_eq!(self.report.sent, Some(CloseCode::new(code)));
        assert_eq!(self.report.received, ReceivedClose::Abnormal);
        assert_eq!(self.report.closed_by, ClosedBy::Local);
        assert!(!self.report.clean);
    }

    /// The peer's Close was answered with the frame `answer`, both have passed, and it is the server that goes on.
    #[track_caller]
    pub(crate) fn assert_closed_cleanly(&self, role: Role, received: ReceivedClose, answer: &[u8]) {
        assert_eq!(self.failure, None);
        assert_eq!(self.sent.last().map(Vec::as_slice), Some(answer));
        assert_eq!(self.sent.iter().filter(|frame| frame[0] == 0x88).count(), 1, "one Close a side");
        let phase = match role {
            Role::Server => TransportPhase::ShutDown,
            Role::Client => TransportPhase::Discard,
        };
        assert_eq!(self.phase, phase);
        assert_eq!(self.report.received, received);
        assert_eq!(self.report.failure, None);
        assert!(self.report.clean);
    }

    /// The connection is open, and the input ended where a frame ends.
    #[track_caller]
    pub(crate) fn assert_open(&self) {
        assert_eq!(self.failure, None);
        assert_eq!(self.phase, TransportPhase::ReadWrite);
        assert_eq!(self.unconsumed, 0);
    }
}

/// An event that owns what it says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl Event {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::Binary(payload.as_ref().to_vec())
    }

    pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Self {
        Self::Ping(payload.as_ref().to_vec())
    }

    pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::Pong(payload.as_ref().to_vec())
    }

    pub(crate) fn close(code: impl Into<Option<u16>>, reason: &str) -> Self {
        Self::Close(code.into(), reason.into())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, payload) = match self {
            Self::Text(text) => ("Text", text.as_bytes()),
            Self::Binary(payload) => ("Binary", payload.as_slice()),
            Self::Ping(payload) => ("Ping", payload.as_slice()),
            Self::Pong(payload) => ("Pong", payload.as_slice()),
            Self::Close(code, reason) => return write!(f, "Close({code:?}, {reason:?})"),
        };
        let begin = &payload[..payload.len().min(40)];
        write!(f, "{name}({} octets: \"{}\")", payload.len(), begin.escape_ascii())
    }
}

impl From<connection::Event<'_>> for Event {
    fn from(event: connection::Event<'_>) -> Self {
        match event {
            connection::Event::Text(text) => Self::text(text),
            connection::Event::Binary(payload) => Self::binary(payload),
            connection::Event::Ping(payload) => Self::ping(payload),
            connection::Event::Pong(payload) => Self::pong(payload),
            connection::Event::Close(close) => Self::close(close.code().map(CloseCode::get), close.reason()),
        }
    }
}

/// How a driver uses the connection, where it has the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Driver {
    writes: Writes,
    /// Takes messages instead of borrowing them.
    takes: bool,
    /// Reads payloads to [`Connection::destination`] when that has room.
    reads_to_destination: bool,
    /// Goes on calling `receive` when the phase says to discard.
    receives_after_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    AfterEachEvent,
    AtTheEnd,
}

const DRIVERS: [Driver; 3] = [
    Driver {
        writes: Writes::AfterEachEvent,
        takes: false,
        reads_to_destination: false,
        receives_after_end: false,
    },
    Driver { writes: Writes::AtTheEnd, takes: true, reads_to_destination: false, receives_after_end: true },
    Driver {
        writes: Writes::AfterEachEvent,
        takes: true,
        reads_to_destination: true,
        receives_after_end: true,
    },
];

/// One input, cut in one way, given by one driver.
#[derive(Debug)]
struct Run {
    driver: Driver,
    events: Vec<Event>,
    events_at: Vec<usize>,
    failed: Option<(Failure, usize)>,
    output: Vec<u8>,
    phase: TransportPhase,
    unconsumed: usize,
    report: CloseReport,
}

impl Run {
    fn of(connection: Connection, driver: Driver, input: &[u8], cuts: &[usize]) -> Self {
        let mut driving = Driving {
            connection,
            driver,
            unread: Vec::new(),
            start: 0,
            offered: 0,
            events: Vec::new(),
            events_at: Vec::new(),
            failed: None,
            output: Vec::new(),
        };
        driving.write(Writes::AfterEachEvent);
        let mut from = 0;
        for &cut in cuts.iter().chain([&input.len()]) {
            driving.offer(&input[from..cut]);
            from = cut;
        }
        driving.end()
    }

    fn is_over(&self) -> bool {
        self.failed.is_some() || matches!(self.events.last(), Some(Event::Close(..)))
    }

    /// Everything is as in `reference`, a run octet by octet, and was there with the piece that completed it.
    #[track_caller]
    fn assert_agrees(&self, reference: &Self, cuts: &[usize], len: usize) {
        let piece_end = |at: usize| cuts.iter().copied().find(|&cut| at <= cut).unwrap_or(len);
        let at = format!("{:?}, cut at {cuts:?} of {len}", self.driver);
        assert_eq!(self.events, reference.events, "{at}");
        let expected: Vec<usize> = reference.events_at.iter().map(|&at| piece_end(at)).collect();
        assert_eq!(self.events_at, expected, "when the events came: {at}");
        let expected = reference.failed.map(|(failure, at)| (failure, piece_end(at)));
        assert_eq!(self.failed, expected, "{at}");
        assert_eq!(self.output, reference.output, "{at}");
        assert_eq!(self.phase, reference.phase, "{at}");
        assert_eq!(self.unconsumed, reference.unconsumed, "{at}");
        assert_eq!(self.report, reference.report, "{at}");
    }

    fn into_transcript(self, role: Role) -> Transcript {
        Transcript {
            events: self.events,
            events_at: self.events_at,
            failure: self.failed.map(|(failure, _)| failure),
            failed_at: self.failed.map(|(_, at)| at),
            sent: wire_frames(role, &self.output),
            output: self.output,
            phase: self.phase,
            unconsumed: self.unconsumed,
            report: self.report,
        }
    }
}

/// A correct driver at work.
struct Driving {
    connection: Connection,
    driver: Driver,
    /// What was read; consumed up to `start`.
    unread: Vec<u8>,
    start: usize,
    offered: usize,
    events: Vec<Event>,
    events_at: Vec<usize>,
    failed: Option<(Failure, usize)>,
    output: Vec<u8>,
}

impl Driving {
    fn offer(&mut self, mut piece: &[u8]) {
        self.offered += piece.len();
        if self.connection.phase() != TransportPhase::ReadWrite {
            return self.discard(piece);
        }
        if self.driver.reads_to_destination && self.unread.is_empty() {
            piece = self.read_to_destination(piece);
        }
        self.unread.extend_from_slice(piece);
        self.receive_events();
        self.unread.drain(..self.start);
        self.start = 0;
    }

    /// Reads what there is room for straight to its place, and gives the rest back.
    fn read_to_destination<'a>(&mut self, mut piece: &'a [u8]) -> &'a [u8] {
        loop {
            let missing = self.connection.missing();
            let Some(mut destination) = self.connection.destination() else { return piece };
            let room = destination.room();
            if room == 0 || piece.is_empty() {
                return piece;
            }
            assert!(room <= missing, "{room} octets for a frame that lacks {missing}");
            let (read, rest) = piece.split_at(room.min(piece.len()));
            destination.append(read);
            assert_eq!(self.connection.missing(), missing - read.len());
            piece = rest;
            self.receive_events();
            if self.connection.phase() != TransportPhase::ReadWrite {
                self.discard(piece);
                return &[];
            }
        }
    }

    /// One event after the other, until there is none.
    fn receive_events(&mut self) {
        while self.connection.phase() == TransportPhase::ReadWrite {
            let input = &mut self.unread[self.start..];
            let received = match self.connection.receive(input) {
                Ok(received) => received,
                Err(failure) => {
                    self.failed = Some((failure, self.offered));
                    break;
                }
            };
            assert!(received.consumed <= input.len());
            let Some(located) = received.event else {
                let unconsumed = &mut input[received.consumed..];
                assert!(unconsumed.len() <= 13, "only the beginning of a header waits");
                let again = self.connection.receive(unconsumed).expect("nothing has come");
                assert_eq!((again.consumed, again.event), (0, None), "asking again changes nothing");
                self.start += received.consumed;
                break;
            };
            assert!(received.consumed > 0 || self.driver.reads_to_destination, "no event without progress");
            let event = self.see(located);
            self.events.push(event);
            self.events_at.push(self.offered);
            self.start += received.consumed;
            self.write(Writes::AfterEachEvent);
        }
        if self.connection.phase() != TransportPhase::ReadWrite {
            self.write(Writes::AfterEachEvent);
            let rest = self.unread.split_off(self.start);
            self.discard(&rest);
        }
    }

    fn see(&mut self, located: Located) -> Event {
        let input = &self.unread[self.start..];
        let borrowed = Event::from(self.connection.event(located, input));
        if !self.driver.takes {
            return borrowed;
        }
        let taken = match self.connection.take(located, input) {
            Some(Message::Text(text)) => Event::text(&text),
            Some(Message::Binary(payload)) => Event::binary(payload),
            None => return borrowed,
        };
        assert_eq!(taken, borrowed);
        taken
    }

    /// What comes after the end is no frame any more.
    fn discard(&mut self, octets: &[u8]) {
        if !self.driver.receives_after_end {
            return self.connection.discarded(octets.len());
        }
        let received = self.connection.receive(&mut octets.to_vec());
        match self.failed {
            Some((failure, _)) => assert_eq!(received, Err(failure), "the same failure for ever"),
            None => {
                let received = received.expect("a Close was received");
                assert_eq!((received.consumed, received.event), (octets.len(), None));
            }
        }
    }

    fn write(&mut self, now: Writes) {
        if self.driver.writes == now {
            self.output.extend(drain(&mut self.connection));
        }
    }

    /// The peer ends the stream; everything is done as the phase says.
    fn end(mut self) -> Run {
        self.write(Writes::AtTheEnd);
        let phase = self.connection.phase();
        assert_eq!(self.connection.failure(), self.failed.map(|(failure, _)| failure));
        assert_eq!(self.connection.close_report(), None, "not before the transport is dropped");
        let report = loop {
            match self.connection.phase() {
                TransportPhase::ReadWrite | TransportPhase::Discard => self.connection.end_of_stream(),
                TransportPhase::ShutDown => self.connection.write_side_shut_down(),
                TransportPhase::Flush => panic!("everything has been written"),
                TransportPhase::Drop => break self.connection.close_report().expect("it is over"),
            }
            assert_eq!(self.connection.queued(), 0, "the end sends nothing");
        };
        Run {
            driver: self.driver,
            events: self.events,
            events_at: self.events_at,
            failed: self.failed,
            output: self.output,
            phase,
            unconsumed: self.unread.len(),
            report,
        }
    }
}

/// Where to cut.
fn cuts(frames: &[impl AsRef<[u8]>], len: usize) -> Vec<usize> {
    if len <= 4 << 10 {
        return (0..=len).collect();
    }
    let mut cuts = Vec::new();
    let mut at = 0;
    for frame in frames {
        let end = at + frame.as_ref().len();
        cuts.extend((at..end.min(at + 64)).chain(at.max(end.saturating_sub(64))..end));
        at = end;
    }
    // The octets of an LCG, seeded: the same places in every run.
    let mut state = 0x6455_u64;
    cuts.extend((0..64).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % len
    }));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}
