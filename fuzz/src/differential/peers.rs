//! The other crates, each over a transport in memory that gives as little as possible at a time.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use ::fastwebsockets::{FragmentCollector, OpCode, WebSocket, WebSocketError};
use ::tungstenite::protocol::{self, WebSocketConfig};
use ::tungstenite::{Error, Message};
use sansocket::Role;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::walk::Walk;
use super::{At, Case, End, Received, Seen};
use crate::frames::wire_frames;

/// The octets, one at a time wherever that makes a difference: so it shows in which frame something was found.
pub(super) struct Wire<'a> {
    octets: &'a [u8],
    walk: &'a Walk,
    at: usize,
    frame: usize,
    written: Vec<u8>,
    /// Is told how many octets were read.
    read: Option<&'a Cell<usize>>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(case: &Case<'a>) -> Self {
        Self { octets: case.wire, walk: case.walk, at: 0, frame: 0, written: Vec::new(), read: None }
    }

    /// How many octets were read.
    pub(super) fn octets(&self) -> usize {
        self.at
    }

    /// The next ones; `None` at the end.
    pub(super) fn read(&mut self, room: usize) -> Option<&'a [u8]> {
        let rest = &self.octets[self.at..];
        if rest.is_empty() {
            return None;
        }
        while self.walk.frames[self.frame].end <= self.at {
            self.frame += 1;
        }
        let frame = &self.walk.frames[self.frame];
        let is_inside = frame.payload_at.saturating_add(SINGLE) <= self.at;
        let middle = frame.end.saturating_sub(self.at + SINGLE);
        let len = if is_inside { middle.max(1) } else { 1 };
        let piece = &rest[..len.min(rest.len()).min(room)];
        self.at += piece.len();
        if let Some(read) = self.read {
            read.set(self.at);
        }
        Some(piece)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let Some(piece) = self.read(buffer.len()) else { return 0 };
        buffer[..piece.len()].copy_from_slice(piece);
        piece.len()
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty());
        Ok(self.fill(buffer))
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = Wire::read(&mut self, buffer.remaining()) {
            buffer.put_slice(piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(super) fn tungstenite(case: &Case<'_>) -> Seen {
    let role = match case.role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_LEN)
        .max_message_size(Some(case.limits.message_len()))
        .max_frame_size(Some(case.limits.frame_len()));
    let mut socket = protocol::WebSocket::from_raw_socket(Wire::new(case), role, Some(config));
    let mut events = Vec::new();
    let end = loop {
        let received = match socket.read() {
            Ok(Message::Text(text)) => Received::Text(text.as_bytes().to_vec()),
            Ok(Message::Binary(payload)) => Received::Binary(payload.to_vec()),
            Ok(Message::Ping(payload)) => Received::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Received::Pong(payload.to_vec()),
            Ok(Message::Close(close)) => {
                let (code, reason) = match close {
                    Some(close) => (Some(close.code.into()), close.reason.as_bytes().to_vec()),
                    None => (None, Vec::new()),
                };
                Received::Close(code, reason)
            }
            Ok(Message::Frame(_)) => panic!("read returns no frames"),
            Err(Error::Protocol(::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                break End::Cut;
            }
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => {
                break End::Failed(At { octets: socket.get_ref().octets(), what: None });
            }
            Err(error) => panic!("{error:?}"),
        };
        let is_close = matches!(received, Received::Close(..));
        events.push(At { octets: socket.get_ref().octets(), what: received });
        if is_close {
            // The answer leaves; a server then says that the connection is closed.
            let _ = socket.flush();
            break End::Closed;
        }
    };
    Seen { events, end, pongs: Some(pongs(case.role, &socket.get_ref().written)) }
}

pub(super) fn fastwebsockets(case: &Case<'_>) -> Seen {
    let role = match case.role {
        Role::Server => ::fastwebsockets::Role::Server,
        Role::Client => ::fastwebsockets::Role::Client,
    };
    // The collector keeps its transport to itself.
    let octets = Cell::new(0);
    let mut socket = WebSocket::after_handshake(Wire { read: Some(&octets), ..Wire::new(case) }, role);
    // It would answer them without saying so.
    socket.set_auto_pong(false);
    // Its limit is the first length that is too long.
    socket.set_max_message_size(case.limits.frame_len() + 1);
    let mut socket = FragmentCollector::new(socket);
    let mut events = Vec::new();
    let end = loop {
        let frame = match now(socket.read_frame()) {
            Ok(frame) => frame,
            Err(WebSocketError::UnexpectedEOF) => break End::Cut,
            Err(WebSocketError::IoError(error)) => panic!("{error:?}"),
            Err(_) => break End::Failed(At { octets: octets.get(), what: None }),
        };
        let payload = frame.payload.to_vec();
        let what = match frame.opcode {
            OpCode::Text => Received::Text(payload),
            OpCode::Binary => Received::Binary(payload),
            OpCode::Ping => Received::Ping(payload),
            OpCode::Pong => Received::Pong(payload),
            OpCode::Close => match payload.split_first_chunk() {
                Some((code, reason)) => Received::Close(Some(u16::from_be_bytes(*code)), reason.to_vec()),
                None => Received::Close(None, payload),
            },
            OpCode::Continuation => panic!("fragments are collected"),
        };
        let is_close = matches!(what, Received::Close(..));
        events.push(At { octets: octets.get(), what });
        if is_close {
            break End::Closed;
        }
    };
    Seen { events, end, pongs: None }
}

/// What a future returns that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the transport never waits"),
    }
}

pub(super) fn pongs(role: Role, output: &[u8]) -> Vec<Vec<u8>> {
    let frames = wire_frames(role, output).into_iter();
    frames.filter(|frame| frame[0] == 0x8a).map(|frame| frame[2..].to_vec()).collect()
}

/// How many octets at both ends of a payload come one at a time.
const SINGLE: usize = 32;
const READ_BUFFER_LEN: usize = 64;
