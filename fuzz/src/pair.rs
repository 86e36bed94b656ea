//! A client and a server face to face, and the transport between them.

use sansocket::connection::{
    CloseReport, Connection, Event, Fin, KeySource, OutgoingMessage, TransportPhase,
};
use sansocket::deflate::{Agreement, Compression, DeflateConfig, Direction, States};
use sansocket::frame::{CloseFrame, MaskingKey, truncated_reason};
use sansocket::{CloseCode, Config, Role, SendError};

use crate::Input;

/// What an application asks one end for.
#[derive(Debug)]
pub enum Call {
    /// Whole, and whether the payload is given away.
    Send(Message, bool),
    Fragment(Message, Fin),
    /// So many octets, the first five of which say which one it is.
    Ping(u8),
    Pong(u8),
    Close(Option<u16>, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub is_text: bool,
    pub payload: Vec<u8>,
    /// 0 for never, 1 for always, otherwise as the connection sees fit. What is received has none.
    pub compression: u8,
}

/// The client, the server.
pub struct Pair {
    pub ends: [End; 2],
    /// Compression was agreed on.
    pub compresses: bool,
    /// How many octets the transport takes at a time, over and over.
    chunks: Vec<usize>,
    turn: usize,
}

/// One end, and what it has seen and said.
pub struct End {
    pub connection: Connection,
    driver: Driver,
    unread: Vec<u8>,
    pub messages: Vec<Message>,
    pub pings: Vec<Vec<u8>>,
    pub pongs: Vec<Vec<u8>>,
    pub sent: Vec<Message>,
    /// The fragments of a message that is not finished.
    pub open: Option<Message>,
    pub pinged: Vec<Vec<u8>>,
    pub ponged: Vec<Vec<u8>>,
    /// What the Close says that this end has sent.
    pub sent_close: Option<(Option<u16>, String)>,
    /// It was the application that closed.
    pub has_closed: bool,
    pub most_queued: usize,
    write_side_shut_down: bool,
}

#[derive(Clone, Copy)]
struct Driver {
    reads_to_destination: bool,
    answers_ahead: bool,
    /// Input is left alone while much output is queued.
    holds_back: bool,
    releases: bool,
}

impl Pair {
    pub fn parse(input: &mut Input<'_>) -> Self {
        let [flags, client, server, compression, chunks] = input.array();
        let high_water_mark = HIGH_WATER_MARKS[usize::from(flags & 7) % HIGH_WATER_MARKS.len()];
        let agreement = (flags & 8 != 0).then(|| agreement(compression, input));
        let end = |role, flags: u8| {
            let driver = Driver {
                reads_to_destination: flags & 1 != 0,
                answers_ahead: flags & 2 != 0,
                holds_back: flags & 4 != 0,
                releases: flags & 8 != 0,
            };
            let fragment_len = FRAGMENT_LENS[usize::from(flags >> 4) % FRAGMENT_LENS.len()];
            let config = Config::default().fragment_len(fragment_len).high_water_mark(high_water_mark);
            End::new(role, &config, agreement.as_ref(), driver)
        };
        let ends = [end(Role::Client, client), end(Role::Server, server)];
        let chunks = (0..=chunks & 7).map(|_| input.choice(&CHUNKS)).collect();
        Self { ends, compresses: agreement.is_some(), chunks, turn: 0 }
    }

    /// Moves one chunk each way.
    pub fn step(&mut self) {
        for from in [0, 1] {
            let chunk = self.chunks[self.turn % self.chunks.len()];
            self.turn += 1;
            let [client, server] = &mut self.ends;
            let (from, to) = if from == 0 { (client, server) } else { (server, client) };
            // No more than some hundred of them, however much there is.
            let octets = from.write(chunk.max(from.connection.queued() / MAX_CHUNKS));
            to.read(&octets);
            from.receive();
            from.go_on();
            if from.write_side_shut_down && to.unread.is_empty() {
                to.connection.end_of_stream();
                to.go_on();
            }
        }
    }

    pub fn until_not_full(&mut self, end: usize) {
        while self.ends[end].connection.is_full() {
            self.step();
        }
    }

    pub fn until_flushed(&mut self) {
        while self.ends.iter().any(|end| end.connection.queued() > 0 || end.is_held_back()) {
            self.step();
        }
    }

    pub fn until_closed(&mut self) {
        self.until_flushed();
        for _ in 0..8 {
            self.step();
            self.until_flushed();
        }
    }
}

impl End {
    fn new(role: Role, config: &Config, agreement: Option<&Agreement>, driver: Driver) -> Self {
        let mut connection = match role {
            Role::Server => Connection::server(config),
            Role::Client => Connection::client(config, KeySource::injected(|| MaskingKey::new(KEY))),
        };
        if let Some(agreement) = agreement {
            connection = connection.with_deflate(agreement);
        }
        Self {
            connection,
            driver,
            unread: Vec::new(),
            messages: Vec::new(),
            pings: Vec::new(),
            pongs: Vec::new(),
            sent: Vec::new(),
            open: None,
            pinged: Vec::new(),
            ponged: Vec::new(),
            sent_close: None,
            has_closed: false,
            most_queued: 0,
            write_side_shut_down: false,
        }
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.connection.role()
    }

    /// How it ended.
    ///
    /// # Panics
    ///
    /// If it has not.
    #[must_use]
    pub fn report(&self) -> CloseReport {
        self.connection.close_report().expect("it is over")
    }

    /// Does what the application asks for, and takes note of it if it was accepted.
    ///
    /// # Errors
    ///
    /// It was not.
    pub fn make(&mut self, call: &Call) -> Result<(), SendError> {
        match call {
            Call::Send(message, is_given) => {
                self.connection.send(message.outgoing(*is_given))?;
                self.sent.push(message.received());
            }
            Call::Fragment(message, fin) => {
                self.connection.send_fragment(message.outgoing(false), *fin)?;
                let open =
                    self.open.get_or_insert_with(|| Message { payload: Vec::new(), ..message.received() });
                open.payload.extend_from_slice(&message.payload);
                if *fin == Fin::Last {
                    self.sent.extend(self.open.take());
                }
            }
            Call::Ping(len) => {
                let payload = numbered(b'p', self.pinged.len(), *len);
                self.connection.ping(&payload)?;
                self.pinged.push(payload);
            }
            Call::Pong(len) => {
                let payload = numbered(b'u', self.ponged.len(), *len);
                self.connection.pong(&payload)?;
                self.ponged.push(payload);
            }
            Call::Close(code, reason) => {
                let close = match code.and_then(CloseCode::new) {
                    Some(code) => CloseFrame::new(code, truncated_reason(reason)).expect("it is short"),
                    None => CloseFrame::EMPTY,
                };
                self.connection.close(&close)?;
                self.sent_close = Some((close.code().map(CloseCode::get), close.reason().to_owned()));
                self.has_closed = true;
            }
        }
        self.most_queued = self.most_queued.max(self.connection.queued());
        Ok(())
    }

    /// Up to so many octets of what is queued.
    fn write(&mut self, len: usize) -> Vec<u8> {
        let mut slices = [&[][..]; 3];
        let filled = self.connection.slices(&mut slices);
        let mut octets = Vec::new();
        for slice in &slices[..filled] {
            octets.extend_from_slice(&slice[..slice.len().min(len - octets.len())]);
        }
        self.connection.advance(octets.len());
        octets
    }

    fn read(&mut self, mut octets: &[u8]) {
        while self.driver.reads_to_destination && self.unread.is_empty() && !octets.is_empty() {
            let Some(mut destination) = self.connection.destination() else { break };
            let read = destination.append(octets);
            if read == 0 {
                break;
            }
            octets = &octets[read..];
            self.receive();
        }
        self.unread.extend_from_slice(octets);
        self.receive();
    }

    fn is_held_back(&self) -> bool {
        self.driver.holds_back && self.connection.is_full() && !self.unread.is_empty()
    }

    /// One event after the other, until there is none.
    fn receive(&mut self) {
        let mut start = 0;
        while self.connection.phase() == TransportPhase::ReadWrite && !self.is_held_back() {
            let input = &mut self.unread[start..];
            if self.driver.answers_ahead {
                self.connection.answer_pings_ahead(input);
            }
            let received = self.connection.receive(input).expect("the other end is correct");
            if let Some(located) = received.event {
                match self.connection.event(located, input) {
                    Event::Text(text) => self.messages.push(Message::seen(true, text.as_bytes())),
                    Event::Binary(payload) => self.messages.push(Message::seen(false, payload)),
                    Event::Ping(payload) => self.pings.push(payload.to_vec()),
                    Event::Pong(payload) => self.pongs.push(payload.to_vec()),
                    Event::Close(close) => {
                        // RFC 6455 §5.5.1: the answer echoes the code.
                        let answer = (close.code().map(CloseCode::get), String::new());
                        self.sent_close.get_or_insert(answer);
                    }
                }
            }
            start += received.consumed;
            self.most_queued = self.most_queued.max(self.connection.queued());
            if received.event.is_none() {
                assert!(self.unread.len() - start <= 13);
                break;
            }
        }
        self.unread.drain(..start);
        if self.connection.phase() != TransportPhase::ReadWrite {
            self.connection.discarded(self.unread.len());
            self.unread.clear();
        } else if self.driver.releases {
            self.connection.release_buffers();
        }
    }

    /// Does with the transport what the phase says.
    fn go_on(&mut self) {
        if self.connection.phase() == TransportPhase::ShutDown {
            assert_eq!(self.connection.queued(), 0);
            self.connection.write_side_shut_down();
            self.write_side_shut_down = true;
        }
        self.write_side_shut_down |= self.connection.phase() == TransportPhase::Drop;
    }
}

impl Message {
    fn seen(is_text: bool, payload: &[u8]) -> Self {
        Self { is_text, payload: payload.to_vec(), compression: 0 }
    }

    fn received(&self) -> Self {
        Self::seen(self.is_text, &self.payload)
    }

    fn outgoing(&self, is_given: bool) -> OutgoingMessage<'_> {
        let message = match (self.is_text, is_given) {
            (true, false) => OutgoingMessage::from(str::from_utf8(&self.payload).expect("it is ASCII")),
            (true, true) => String::from_utf8(self.payload.clone()).expect("it is ASCII").into(),
            (false, false) => OutgoingMessage::from(&self.payload),
            (false, true) => self.payload.clone().into(),
        };
        message.compression(match self.compression {
            0 => Compression::Never,
            1 => Compression::Always,
            _ => Compression::Auto,
        })
    }
}

fn agreement(settings: u8, input: &mut Input<'_>) -> Agreement {
    let [levels, windows] = input.array();
    let config = DeflateConfig::default()
        .level(levels & 15)
        .memory_level(levels >> 4)
        .send_window_bits(8 + (windows >> 6))
        .send_context_takeover(settings & 1 == 0)
        .threshold(usize::from(settings >> 4) * 16)
        .states(if settings & 2 == 0 { States::Pooled } else { States::Dedicated });
    let direction =
        |bits: u8, takeover| Direction { max_window_bits: 8 + (bits & 7), context_takeover: takeover };
    Agreement::new(config)
        .with_client(direction(windows, settings & 4 == 0))
        .with_server(direction(windows >> 3, settings & 8 == 0))
}

/// A payload like no other.
fn numbered(kind: u8, number: usize, len: u8) -> Vec<u8> {
    let mut payload = vec![kind];
    payload.extend((number as u32).to_be_bytes());
    payload.resize(usize::from(len).max(payload.len()), b'.');
    payload
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const CHUNKS: [usize; 12] = [1, 2, 3, 5, 13, 14, 100, 1000, 4096, 16 << 10, 64 << 10, usize::MAX];
const MAX_CHUNKS: usize = 200;
const FRAGMENT_LENS: [Option<usize>; 8] =
    [None, None, Some(0), Some(20), Some(100), Some(125), Some(1000), Some(65_536)];
const HIGH_WATER_MARKS: [usize; 5] = [256 << 10, 16 << 10, 1000, 10, 0];
