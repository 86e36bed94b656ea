//! One end of a connection as a driver would run it, and a reader of frames that shares no code with the crate.
#![allow(dead_code, reason = "each test file uses its part")]

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sansocket::connection::{Connection, Event, KeySource, Timestamp, TransportPhase};
use sansocket::frame::MaskingKey;
use sansocket::{Config, Failure, Role};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// The masking-key of the examples in RFC 6455 §5.7.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) fn fixed_key() -> KeySource {
    KeySource::injected(|| MaskingKey::new(KEY))
}

/// One end, with the example's masking-key for every frame if it is the client.
pub(crate) struct End {
    pub(crate) role: Role,
    connection: Connection,
    unread: Vec<u8>,
    /// What was received, as text: see [`describe`].
    pub(crate) events: Vec<String>,
    pub(crate) failure: Option<Failure>,
}

impl End {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, &Config::default())
    }

    pub(crate) fn with(role: Role, config: &Config) -> Self {
        let connection = match role {
            Role::Client => Connection::client(config, fixed_key()),
            Role::Server => Connection::server(config),
        };
        Self { role, connection, unread: Vec::new(), events: Vec::new(), failure: None }
    }

    /// Does with octets from the transport what a driver does in the present phase.
    pub(crate) fn read(&mut self, octets: &[u8]) {
        self.unread.extend_from_slice(octets);
        while self.connection.phase() == TransportPhase::ReadWrite {
            match self.connection.receive(&mut self.unread) {
                Ok(received) => {
                    let event = received.event;
                    self.events
                        .extend(event.map(|event| describe(&self.connection.event(event, &self.unread))));
                    self.unread.drain(..received.consumed);
                    if event.is_none() {
                        return;
                    }
                }
                Err(failure) => self.failure = Some(failure),
            }
        }
        self.connection.discarded(self.unread.len());
        self.unread.clear();
    }

    /// Reads frames given as a server sends them, masked if they come from a client.
    pub(crate) fn read_frames(&mut self, unmasked: &[u8]) {
        let octets = from_peer_of(self.role, unmasked);
        self.read(&octets);
    }

    /// Writes up to `limit` octets, in as many calls as that takes.
    pub(crate) fn write(&mut self, limit: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while written.len() < limit {
            let mut slices = [&[][..]; 8];
            let filled = self.connection.slices(&mut slices);
            let start = written.len();
            for slice in &slices[..filled] {
                let left = limit - written.len();
                written.extend_from_slice(&slice[..left.min(slice.len())]);
            }
            let len = written.len() - start;
            if len == 0 {
                break;
            }
            self.connection.advance(len);
        }
        written
    }

    pub(crate) fn write_all(&mut self) -> Vec<u8> {
        self.write(usize::MAX)
    }

    /// Everything that is queued, as frames.
    pub(crate) fn write_frames(&mut self) -> Vec<Frame> {
        frames(&self.write_all())
    }

    /// Takes the connection through shut down and end of stream, as far as it wants to go.
    pub(crate) fn finish(&mut self) {
        self.write_all();
        for _ in 0..4 {
            match self.connection.phase() {
                TransportPhase::ReadWrite => return,
                TransportPhase::Flush => {
                    self.write_all();
                }
                TransportPhase::ShutDown => self.connection.write_side_shut_down(),
                TransportPhase::Discard => self.connection.end_of_stream(),
                TransportPhase::Drop => {}
            }
        }
    }
}

impl Deref for End {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for End {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

pub(crate) fn describe(event: &Event<'_>) -> String {
    match event {
        Event::Text(text) => format!("text {text}"),
        Event::Binary(payload) => format!("binary {payload:02x?}"),
        Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
        Event::Pong(payload) => format!("pong {}", String::from_utf8_lossy(payload)),
        Event::Close(close) => match close.code() {
            Some(code) => format!("close {code} {}", close.reason()).trim_end().to_owned(),
            None => "close".to_owned(),
        },
    }
}

pub(crate) fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_origin(Duration::from_secs(seconds))
}

/// One frame as it stood on the wire, its payload unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// What the frame says, without how it is masked.
    pub(crate) fn describe(&self) -> String {
        let name = match self.opcode {
            0x0 => "continuation",
            0x1 => "text",
            0x2 => "binary",
            0x8 => "close",
            0x9 => "ping",
            0xa => "pong",
            _ => "reserved",
        };
        let more = if self.fin { "" } else { " more" };
        let payload = match self.opcode {
            0x8 if self.payload.len() >= 2 => format!(
                " {} {}",
                u16::from_be_bytes([self.payload[0], self.payload[1]]),
                String::from_utf8_lossy(&self.payload[2..])
            ),
            _ if self.payload.len() > 40 => format!(" of {}", self.payload.len()),
            _ => format!(" {}", String::from_utf8_lossy(&self.payload)),
        };
        format!("{name}{more}{payload}").trim_end().to_owned()
    }
}

pub(crate) fn described(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::describe).collect()
}

/// Whole frames, up to the last octet.
pub(crate) fn frames(octets: &[u8]) -> Vec<Frame> {
    let (frames, rest) = whole_frames(octets);
    assert!(rest.is_empty(), "{} octets of an unfinished frame", rest.len());
    frames
}

/// The whole frames at the beginning, and what is left.
pub(crate) fn whole_frames(mut octets: &[u8]) -> (Vec<Frame>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = first_frame(octets) {
        frames.push(frame);
        octets = rest;
    }
    (frames, octets)
}

fn first_frame(octets: &[u8]) -> Option<(Frame, &[u8])> {
    let (&[first, second], rest) = octets.split_first_chunk()?;
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from(u16::from_be_bytes(*len));
            assert!(len > 125, "a length of {len} in 16 bits");
            (len, rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 0xffff, "a length of {len} in 64 bits");
            (len, rest)
        }
        short => (u64::from(short), rest),
    };
    let (key, rest) = match second & 0x80 {
        0 => (None, rest),
        _ => rest.split_first_chunk().map(|(key, rest)| (Some(*key), rest))?,
    };
    let (payload, rest) = rest.split_at_checked(len as usize)?;
    let mask = key.unwrap_or_default();
    let payload = payload.iter().enumerate().map(|(i, octet)| octet ^ mask[i % 4]).collect();
    let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 0b111, first & 0x0f);
    Some((Frame { fin, rsv, opcode, key, payload }, rest))
}

/// Frames given as a server sends them, as the peer of this role sends them: masked if it is a client. An unfinished
/// frame at the end stays unfinished.
pub(crate) fn from_peer_of(role: Role, unmasked: &[u8]) -> Vec<u8> {
    match role {
        Role::Client => unmasked.to_vec(),
        Role::Server => as_client(unmasked),
    }
}

/// Frames given as a server sends them, as this role sends them.
pub(crate) fn as_sent_by(role: Role, unmasked: &[u8]) -> Vec<u8> {
    from_peer_of(role.peer(), unmasked)
}

fn as_client(mut unmasked: &[u8]) -> Vec<u8> {
    let mut masked = Vec::new();
    while let [first, second, rest @ ..] = unmasked {
        assert!(second & 0x80 == 0, "already masked");
        let (extended, len) = match second {
            126 => (2, usize::from(u16::from_be_bytes([rest[0], rest[1]]))),
            127 => (8, {
                let len = rest.first_chunk().expect("a whole header");
                u64::from_be_bytes(*len) as usize
            }),
            short => (0, usize::from(*short)),
        };
        masked.extend([*first, second | 0x80]);
        masked.extend(&rest[..extended]);
        masked.extend(KEY);
        let payload = &rest[extended..rest.len().min(extended + len)];
        masked.extend(payload.iter().enumerate().map(|(i, octet)| octet ^ KEY[i % 4]));
        unmasked = &rest[extended + payload.len()..];
    }
    assert!(unmasked.is_empty(), "half a header");
    masked
}

/// The input whole, octet by octet, and cut in two at every place.
pub(crate) fn each_cut(octets: &[u8], mut run: impl FnMut(&[&[u8]])) {
    run(&[octets]);
    run(&octets.chunks(1).collect::<Vec<_>>());
    for at in 1..octets.len() {
        let (front, back) = octets.split_at(at);
        run(&[front, back]);
    }
}
