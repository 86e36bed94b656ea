//! A transport in memory that reads what a script says, and frames as bytes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, Mutex};

use sansocket::Role;
use sansocket::blocking::{Error, Timeouts, Transport, WebSocket};

pub(crate) const BOTH_ROLES: [Role; 2] = [Role::Client, Role::Server];

/// What one read gives.
#[derive(Debug)]
pub(crate) enum Step {
    Octets(Vec<u8>),
    Fails(io::Error),
    End,
}

/// What was done with the transport, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    Read(usize),
    ReadNothing,
    Write(usize),
    Flush,
    ShutdownWrite,
}

/// A transport without a peer. When the script is over it would block.
#[derive(Debug, Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    steps: VecDeque<Step>,
    max_read: usize,
    max_write: usize,
    /// What the next writes do, before they work again.
    write_errors: VecDeque<ErrorKind>,
    written: Vec<u8>,
    /// What the last write gave in vain. Like a TLS stream that has encrypted it, the transport wants it again.
    in_vain: Vec<u8>,
    did: Vec<Did>,
    timeouts: Timeouts,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(Arc::new(Mutex::new(State {
            steps: steps.into_iter().collect(),
            max_read: usize::MAX,
            max_write: usize::MAX,
            write_errors: VecDeque::new(),
            written: Vec::new(),
            in_vain: Vec::new(),
            did: Vec::new(),
            timeouts: Timeouts::default(),
        })))
    }

    pub(crate) fn reading(octets: impl Into<Vec<u8>>) -> Self {
        Self::new([Step::Octets(octets.into())])
    }

    pub(crate) fn max_read(self, octets: usize) -> Self {
        self.0.lock().unwrap().max_read = octets;
        self
    }

    pub(crate) fn max_write(self, octets: usize) -> Self {
        self.set_max_write(octets);
        self
    }

    pub(crate) fn set_max_write(&self, octets: usize) {
        self.0.lock().unwrap().max_write = octets;
    }

    pub(crate) fn fail_next_writes(&self, errors: impl IntoIterator<Item = ErrorKind>) {
        self.0.lock().unwrap().write_errors.extend(errors);
    }

    pub(crate) fn push(&self, step: Step) {
        self.0.lock().unwrap().steps.push_back(step);
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.0.lock().unwrap().written.clone()
    }

    pub(crate) fn did(&self) -> Vec<Did> {
        self.0.lock().unwrap().did.clone()
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "a read without room looks like the end of the stream");
        let mut state = self.0.lock().unwrap();
        let max_read = state.max_read;
        let read = match state.steps.pop_front() {
            None => Err(ErrorKind::WouldBlock.into()),
            Some(Step::Fails(error)) => Err(error),
            Some(Step::End) => {
                state.steps.push_front(Step::End);
                Ok(0)
            }
            Some(Step::Octets(mut octets)) => {
                let len = octets.len().min(buffer.len()).min(max_read);
                buffer[..len].copy_from_slice(&octets[..len]);
                if len < octets.len() {
                    octets.drain(..len);
                    state.steps.push_front(Step::Octets(octets));
                }
                Ok(len)
            }
        };
        state.did.push(read.as_ref().map_or(Did::ReadNothing, |len| Did::Read(*len)));
        read
    }
}

impl Write for Script {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        if let Some(error) = state.write_errors.pop_front() {
            return Err(error.into());
        }
        if !state.in_vain.is_empty() || state.max_write == 0 {
            let given = slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
            assert!(given.starts_with(&state.in_vain), "another write than the one before");
            state.in_vain = given;
        }
        if state.max_write == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        state.in_vain.clear();
        let before = state.written.len();
        let mut room = state.max_write;
        for slice in slices {
            let len = slice.len().min(room);
            state.written.extend_from_slice(&slice[..len]);
            room -= len;
        }
        let len = state.written.len() - before;
        state.did.push(Did::Write(len));
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().did.push(Did::Flush);
        Ok(())
    }
}

impl Transport for Script {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().did.push(Did::ShutdownWrite);
        Ok(())
    }

    fn timeouts(&self) -> io::Result<Timeouts> {
        Ok(self.0.lock().unwrap().timeouts)
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) -> io::Result<()> {
        self.0.lock().unwrap().timeouts = timeouts;
        Ok(())
    }
}

pub(crate) fn socket(role: Role, script: &Script, config: &sansocket::Config) -> WebSocket<Script> {
    match role {
        Role::Client => WebSocket::client(script.clone(), config, Vec::new()),
        Role::Server => WebSocket::server(script.clone(), config, Vec::new()),
    }
}

/// A frame as the peer of `role` sends it: masked when that is a server. `first` is FIN, RSV and opcode.
pub(crate) fn from_peer(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    frame(role == Role::Server, first, payload)
}

pub(crate) fn frame(masked: bool, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let mask = if masked { 0x80 } else { 0 };
    match payload.len() {
        len @ ..126 => frame.push(mask | len as u8),
        len @ ..0x1_0000 => {
            frame.push(mask | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend_from_slice(&MASKING_KEY);
        frame.extend(payload.iter().zip(MASKING_KEY.iter().cycle()).map(|(octet, key)| octet ^ key));
    } else {
        frame.extend_from_slice(payload);
    }
    frame
}

/// The frames in `wire`, unmasked: FIN, RSV and opcode, and the payload. All must be whole.
pub(crate) fn frames(wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut rest = wire;
    while let [first, second, ..] = *rest {
        let (len, at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            127 => (u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize, 10),
            len => (usize::from(len), 2),
        };
        let (key, at) =
            if second & 0x80 == 0 { ([0; 4], at) } else { (rest[at..at + 4].try_into().unwrap(), at + 4) };
        let payload =
            rest[at..at + len].iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key).collect();
        frames.push((first, payload));
        rest = &rest[at + len..];
    }
    assert!(rest.is_empty(), "half a frame");
    frames
}

/// The error's name: `Error` cannot be compared, since I/O errors cannot.
pub(crate) fn name(error: &Error) -> &'static str {
    match error {
        Error::Protocol(_) => "protocol",
        Error::EndOfStream => "end of stream",
        Error::CloseTimeout => "close timeout",
        Error::DeadPeer => "dead peer",
        Error::WriteTimeout => "write timeout",
        Error::Io(_) => "io",
        Error::Send(_) => "send",
        Error::WouldBlock => "would block",
        _ => "another",
    }
}

const MASKING_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
