//! One end that receives any octets, driven in many ways that must make no difference: RFC 6455 §5.2, §6.2, §10.4.

use sansocket::connection::{CloseReport, Connection, Event, KeySource, TransportPhase};
use sansocket::deflate::{Agreement, DeflateConfig, Direction, States};
use sansocket::frame::{CloseFrame, MaskingKey};
use sansocket::{Budget, CloseCode, Config, Failure, Limits, Message, ProtocolError, Role};

use crate::frames::wire_frames;
use crate::{Input, allocations, frames_of};

/// Whether the opening handshake agreed on compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressed {
    No,
    Yes,
}

/// Gives the octets to one end whole, in pieces, through destinations, with Pings answered ahead, and with output that is
/// written in pieces.
///
/// # Panics
///
/// If that makes a difference to what is received, to what is sent or to how it ends, or if something is out of bounds.
pub fn receive(role: Role, compressed: Compressed, octets: &[u8]) {
    let mut input = Input::new(octets);
    let settings = Settings::parse(role, compressed, &mut input);
    let mut driver = Driver::parse(&mut input);
    let wire = frames_of(role, settings.is_raw, &mut input);

    let whole = settings.run(&WHOLE, &wire);
    let pieces = settings.run(&driver, &wire);
    assert_eq!(pieces.events, whole.events);
    assert_eq!(pieces.failure, whole.failure);
    assert_eq!(pieces.report, whole.report);
    settings.compare_output(&driver, &pieces, &whole);

    driver.is_counted = true;
    let (peak, counted) = allocations::peak_of(|| settings.run(&driver, &wire));
    let allowed = settings.allowed_memory(&wire, &whole);
    assert!(peak <= allowed, "{peak} octets held, {allowed} allowed");
    assert_eq!(counted.report, whole.report);

    driver.is_counted = false;
    settings.run_with_budget(&driver, &wire, &whole);
}

struct Settings {
    role: Role,
    is_raw: bool,
    /// This end has begun to close before anything comes.
    closes_first: bool,
    limits: Limits,
    agreement: Option<Agreement>,
    budget: Budget,
}

/// How a driver goes about it.
struct Driver {
    /// How many octets come at a time, over and over.
    pieces: Vec<usize>,
    reads_to_destination: bool,
    /// Fills destinations through a closure.
    fills: bool,
    answers_ahead: bool,
    takes: bool,
    releases: bool,
    /// How many octets are written after each event; all that is queued at the end.
    write_len: usize,
    /// Nothing is recorded: what is allocated is the connection's.
    is_counted: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Transcript {
    events: Vec<(&'static str, Vec<u8>)>,
    failure: Option<Failure>,
    output: Vec<u8>,
    most_queued: usize,
    report: Option<CloseReport>,
}

impl Settings {
    fn parse(role: Role, compressed: Compressed, input: &mut Input<'_>) -> Self {
        let [flags, limits] = input.array();
        let limits = Limits::default()
            .max_message_len(LENGTHS[usize::from(limits & 7)])
            .max_frame_len(LENGTHS[usize::from(limits >> 3 & 7)])
            .max_empty_fragments(EMPTY_FRAGMENTS[usize::from(limits >> 6)]);
        let agreement = (compressed == Compressed::Yes).then(|| {
            let settings = input.octet();
            let states = if settings & 1 == 0 { States::Pooled } else { States::Dedicated };
            let direction =
                Direction { max_window_bits: 8 + (settings >> 1 & 7), context_takeover: settings & 16 == 0 };
            Agreement::new(DeflateConfig::default().states(states))
                .with_server(direction)
                .with_client(direction)
        });
        let budget = Budget::new(BUDGETS[usize::from(flags >> 2 & 3)]);
        Self { role, is_raw: flags & 1 != 0, closes_first: flags & 2 != 0, limits, agreement, budget }
    }

    fn connection(&self, budget: Option<&Budget>) -> Connection {
        let mut config = Config::default().limits(self.limits);
        if let Some(budget) = budget {
            config = config.budget(budget.clone());
        }
        let mut connection = match self.role {
            Role::Server => Connection::server(&config),
            Role::Client => Connection::client(&config, KeySource::injected(|| MaskingKey::new(OWN_KEY))),
        };
        if let Some(agreement) = &self.agreement {
            connection = connection.with_deflate(agreement);
        }
        if self.closes_first {
            let close = CloseFrame::with_code(CloseCode::GOING_AWAY);
            connection.close(&close).expect("it is open");
        }
        connection
    }

    fn run(&self, driver: &Driver, wire: &[u8]) -> Transcript {
        self.run_connection(self.connection(None), driver, wire)
    }

    /// Enough of a budget makes no difference, and too little fails what is not whole; all of it comes back.
    fn run_with_budget(&self, driver: &Driver, wire: &[u8], whole: &Transcript) {
        let paid = self.run_connection(self.connection(Some(&self.budget)), driver, wire);
        assert_eq!(self.budget.in_use(), 0);
        if paid.failure == Some(Failure::Protocol(ProtocolError::BudgetExhausted(self.role))) {
            assert_ne!(self.budget.octets(), usize::MAX);
            assert!(whole.events.starts_with(&paid.events));
        } else {
            assert_eq!((&paid.events, paid.failure), (&whole.events, whole.failure));
            assert_eq!(paid.report, whole.report);
        }
    }

    fn run_connection(&self, connection: Connection, driver: &Driver, wire: &[u8]) -> Transcript {
        let mut running =
            Running { connection, driver, unread: Vec::new(), transcript: Transcript::default() };
        let mut rest = wire;
        if driver.pieces.is_empty() {
            running.read(rest);
            rest = &[];
        }
        for &len in driver.pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            // No more than some hundred of them, however long it is.
            let len = len.max(wire.len() / MAX_PIECES).min(rest.len());
            let (piece, behind) = rest.split_at(len);
            rest = behind;
            running.read(piece);
        }
        running.end()
    }

    fn compare_output(&self, driver: &Driver, pieces: &Transcript, whole: &Transcript) {
        // Above 16 KiB of queued output only the newest Pong waits: when it is written matters then.
        if pieces.most_queued.max(whole.most_queued) >= PONGS_IN_ORDER {
            return;
        }
        if !driver.answers_ahead {
            return assert_eq!(pieces.output, whole.output);
        }
        // Pings behind what breaks a rule may have been answered, and Pongs may leave before that is found.
        let sent = |output: &[u8], is_close: bool| -> Vec<Vec<u8>> {
            let frames = wire_frames(self.role, output).into_iter();
            frames.filter(|frame| (frame[0] == 0x88) == is_close).collect()
        };
        assert_eq!(sent(&pieces.output, true), sent(&whole.output, true));
        let (ahead, in_turn) = (sent(&pieces.output, false), sent(&whole.output, false));
        assert!(ahead.starts_with(&in_turn));
        assert!(ahead.len() == in_turn.len() || whole.failure.is_some(), "a Ping is answered twice");
    }

    /// No more than the limits, and no more than a few times what has come.
    fn allowed_memory(&self, wire: &[u8], whole: &Transcript) -> usize {
        // While a place grows to five times what has come, the old one, of less than twice that, is there as well.
        let limit = self.limits.message_len().saturating_mul(2);
        let (growth, states) = match self.agreement {
            None => (8 * wire.len(), 0),
            Some(_) => (usize::MAX, STATES),
        };
        limit.min(growth) + 4 * whole.output.len() + 2 * wire.len().min(MAX_UNREAD) + states + OVERHEAD
    }
}

impl Driver {
    fn parse(input: &mut Input<'_>) -> Self {
        let [flags, write_len] = input.array();
        let pieces: Vec<usize> =
            (0..=flags >> 5).map(|_| PIECES[usize::from(input.octet()) % PIECES.len()]).collect();
        Self {
            pieces,
            reads_to_destination: flags & 1 != 0,
            fills: flags & 2 != 0,
            answers_ahead: flags & 4 != 0,
            takes: flags & 8 != 0,
            releases: flags & 16 != 0,
            write_len: write_len.into(),
            is_counted: false,
        }
    }
}

/// A driver at work.
struct Running<'a> {
    connection: Connection,
    driver: &'a Driver,
    unread: Vec<u8>,
    transcript: Transcript,
}

impl Running<'_> {
    fn read(&mut self, mut piece: &[u8]) {
        while self.driver.reads_to_destination && self.unread.is_empty() && !piece.is_empty() {
            let missing = self.connection.missing();
            let Some(mut destination) = self.connection.destination() else { break };
            let room = destination.room();
            assert!(room <= missing, "{room} octets for a frame that lacks {missing}");
            if room == 0 {
                break;
            }
            let (read, rest) = piece.split_at(room.min(piece.len()));
            piece = rest;
            if self.driver.fills {
                let filled = destination.fill(read.len(), |room| {
                    room.copy_from_slice(read);
                    Ok::<_, ()>(read.len())
                });
                assert_eq!(filled, Ok(read.len()));
            } else {
                assert_eq!(destination.append(read), read.len());
            }
            assert_eq!(self.connection.missing(), missing - read.len());
            self.receive();
        }
        self.unread.extend_from_slice(piece);
        self.receive();
        if self.driver.releases {
            self.connection.release_buffers();
            if self.unread.is_empty() {
                self.unread = Vec::new();
            }
        }
    }

    /// One event after the other, until there is none.
    fn receive(&mut self) {
        let mut start = 0;
        let mut read_to_destination = self.driver.reads_to_destination;
        while self.connection.phase() == TransportPhase::ReadWrite {
            if self.driver.answers_ahead {
                self.connection.answer_pings_ahead(&self.unread[start..]);
            }
            let input = &mut self.unread[start..];
            let received = match self.connection.receive(input) {
                Ok(received) => received,
                Err(failure) => {
                    assert_eq!(self.connection.receive(input), Err(failure), "the same for ever");
                    self.transcript.failure = Some(failure);
                    break;
                }
            };
            assert!(received.consumed <= input.len());
            let Some(located) = received.event else {
                start += received.consumed;
                let left = self.unread.len() - start;
                assert!(left <= 13, "{left} octets are left, more than the beginning of a header");
                break;
            };
            // What was read to its place has no octets in the input.
            assert!(received.consumed > 0 || read_to_destination, "an event without progress");
            read_to_destination = false;
            let input = &self.unread[start..];
            if !self.driver.is_counted {
                let event = owned(&self.connection.event(located, input));
                self.transcript.events.push(event);
            }
            if self.driver.takes
                && let Some(message) = self.connection.take(located, input)
                && !self.driver.is_counted
            {
                let event = self.transcript.events.last().expect("it was just seen");
                assert_eq!((kind(&message), message.payload()), (event.0, &event.1[..]));
            }
            start += received.consumed;
            self.write(self.driver.write_len);
        }
        self.unread.drain(..start);
        if self.connection.phase() != TransportPhase::ReadWrite {
            self.write(self.driver.write_len);
            self.connection.discarded(self.unread.len());
            self.unread.clear();
        }
    }

    /// Up to that many octets, as a transport takes them.
    fn write(&mut self, mut limit: usize) {
        self.transcript.most_queued = self.transcript.most_queued.max(self.connection.queued());
        while limit > 0 {
            let mut slices = [&[][..]; 3];
            let filled = self.connection.slices(&mut slices);
            let Some(slice) = slices[..filled].first() else { break };
            let len = slice.len().min(limit);
            if !self.driver.is_counted {
                self.transcript.output.extend_from_slice(&slice[..len]);
            }
            self.connection.advance(len);
            limit -= len;
        }
    }

    /// The peer ends the stream; everything is done as the phase says.
    fn end(mut self) -> Transcript {
        assert_eq!(self.connection.failure(), self.transcript.failure);
        for _ in 0..8 {
            match self.connection.phase() {
                TransportPhase::ReadWrite | TransportPhase::Discard => {
                    assert_eq!(self.connection.close_report(), None);
                    self.connection.end_of_stream();
                }
                TransportPhase::Flush => self.write(usize::MAX),
                TransportPhase::ShutDown => {
                    self.write(usize::MAX);
                    self.connection.write_side_shut_down();
                }
                TransportPhase::Drop => {
                    let report = self.connection.close_report().expect("it is over");
                    assert_eq!(report.clean, report.failure.is_none());
                    let closed = self.transcript.events.iter().any(|(kind, _)| *kind == "close");
                    assert!(self.driver.is_counted || report.clean == closed);
                    self.transcript.report = Some(report);
                    return self.transcript;
                }
            }
        }
        panic!("it does not come to its end");
    }
}

fn owned(event: &Event<'_>) -> (&'static str, Vec<u8>) {
    match event {
        Event::Text(text) => ("text", text.as_bytes().to_vec()),
        Event::Binary(payload) => ("binary", payload.to_vec()),
        Event::Ping(payload) => ("ping", payload.to_vec()),
        Event::Pong(payload) => ("pong", payload.to_vec()),
        Event::Close(close) => ("close", close.encode(&mut [0; 125]).to_vec()),
    }
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::Text(_) => "text",
        Message::Binary(_) => "binary",
    }
}

/// Everything at once, and written at the end.
const WHOLE: Driver = Driver {
    pieces: Vec::new(),
    reads_to_destination: false,
    fills: false,
    answers_ahead: false,
    takes: false,
    releases: false,
    write_len: 0,
    is_counted: false,
};

const OWN_KEY: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
const LENGTHS: [usize; 8] = [16 << 20, 64 << 10, 1000, 126, 125, 16, 1, 0];
/// Enough, and nothing, one lease and four of them.
const BUDGETS: [usize; 4] = [usize::MAX, 0, 16 << 10, 64 << 10];
const EMPTY_FRAGMENTS: [u32; 4] = [100_000, 3, 1, 0];
const PIECES: [usize; 12] = [1, 2, 3, 5, 8, 13, 14, 64, 200, 1000, 4096, 70_000];
const MAX_PIECES: usize = 400;
const MAX_UNREAD: usize = 70_000 + 13;
const PONGS_IN_ORDER: usize = 16 << 10;
/// A connection and what it boxes, and the first output buffer.
const OVERHEAD: usize = 4 << 10;
/// A state of zlib-rs, a window, what is held back, and steps on the way.
const STATES: usize = 256 << 10;
