//! The load generator: many connections on one thread, with so many messages in flight on each.
//!
//! Neutral: it knows no crate. Frames are made in advance, replies are counted and compared; it does less for each message
//! than any server, so it is the server that is busy.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::histogram::Histogram;
use crate::serve::{REQUEST, RESPONSE};
use peers::frames::{Frames, Verify};

/// Connections to one server, with nothing in flight.
pub(crate) struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Shared by all.
    buffer: Vec<u8>,
    verify: Verify,
}

struct Connection {
    stream: TcpStream,
    /// Where in the frames the next octet to be sent stands.
    position: usize,
    /// Octets that should be sent and are not yet.
    unsent: usize,
    /// Octets of replies so far.
    received: usize,
    /// When each message in flight was sent.
    sent_at: VecDeque<Instant>,
}

/// What came of it.
pub(crate) struct Echoed {
    pub(crate) messages: u64,
    pub(crate) latency: Histogram,
}

/// When to stop sending.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Instant),
    /// When every connection has sent what it may have in flight.
    Once,
}

impl Load {
    /// Opens connections, one after the other.
    pub(crate) fn connect(port: u16, connections: usize, verify: Verify) -> io::Result<Self> {
        let mut load = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(connections),
            buffer: vec![0; 256 << 10],
            verify,
        };
        for _ in 0..connections {
            load.open(port)?;
        }
        Ok(load)
    }

    /// How thoroughly replies are looked at from here on.
    pub(crate) fn verify(&mut self, verify: Verify) {
        self.verify = verify;
    }

    fn open(&mut self, port: u16) -> io::Result<()> {
        let stream = open(port)?;
        stream.set_nonblocking(true)?;
        // Edge-triggered: all that is there is read, and all that fits is written, each time.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(self.connections.len() as u64), flags)?;
        self.connections.push(Connection {
            stream,
            position: 0,
            unsent: 0,
            received: 0,
            sent_at: VecDeque::new(),
        });
        Ok(())
    }

    /// Keeps so many messages in flight on each connection of a range until the time has come, and waits for the last
    /// echo.
    pub(crate) fn run(
        &mut self,
        frames: &Frames,
        in_flight: usize,
        connections: std::ops::Range<usize>,
        until: Until,
    ) -> io::Result<Echoed> {
        let mut echoed = Echoed { messages: 0, latency: Histogram::new() };
        let mut outstanding = connections.len() * in_flight;
        for connection in &mut self.connections[connections] {
            connection.restart();
            connection.send(frames, in_flight, Instant::now())?;
        }
        let mut events = Vec::with_capacity(256);
        let mut is_over = matches!(until, Until::Once);
        while outstanding > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&TIMEOUT))?;
            if events.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{outstanding} echoes are missing"),
                ));
            }
            for event in &events {
                let connection = &mut self.connections[event.data.u64() as usize];
                let echoes = connection.receive(frames, &mut self.buffer, self.verify)?;
                let now = Instant::now();
                for sent_at in connection.sent_at.drain(..echoes) {
                    echoed.latency.add(now.duration_since(sent_at));
                }
                echoed.messages += echoes as u64;
                if let Until::Time(end) = until {
                    is_over |= now >= end;
                }
                let more = if is_over { 0 } else { echoes };
                outstanding -= echoes - more;
                connection.send(frames, more, now)?;
            }
        }
        Ok(echoed)
    }
}

/// Replies that do not come are a failure, not a slow server.
const TIMEOUT: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

impl Connection {
    /// Other frames may follow: they begin with the first.
    fn restart(&mut self) {
        (self.position, self.unsent, self.received) = (0, 0, 0);
    }

    fn send(&mut self, frames: &Frames, messages: usize, now: Instant) -> io::Result<()> {
        self.sent_at.extend(std::iter::repeat_n(now, messages));
        self.unsent += messages * frames.sent_len();
        while self.unsent > 0 {
            match self.stream.write(frames.from(self.position, self.unsent)) {
                Ok(written) => {
                    self.position = (self.position + written) % frames.period;
                    self.unsent -= written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many replies are there now that were not all there before.
    fn receive(&mut self, frames: &Frames, buffer: &mut [u8], verify: Verify) -> io::Result<usize> {
        let before = self.received / frames.reply_len();
        // Without this a wake-up that is only about writing would cost a read.
        while !self.sent_at.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    frames.verify(self.received, &buffer[..read], verify);
                    self.received += read;
                    // A short read means drained.
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.received / frames.reply_len() - before)
    }
}

/// One connection, its handshake done; blocking.
pub(crate) fn open(port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(REQUEST.as_bytes())?;
    let mut response = vec![0; RESPONSE.len()];
    stream.read_exact(&mut response)?;
    assert!(response == RESPONSE.as_bytes(), "the handshake is the same for all");
    Ok(stream)
}
