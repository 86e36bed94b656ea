//! A peer that sends the same octets without end and costs no memory itself, and futures polled by hand.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use sansocket::connection::{Connection, Event, KeySource};
use sansocket::stream::WebSocket;
use sansocket::{Config, Failure, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A transport whose peer sends a period over and over, so many octets in all, and reads what it is told to.
#[derive(Debug)]
pub(crate) struct Flood {
    period: Arc<[u8]>,
    at: usize,
    count: Counts,
}

/// The test's hand on it.
#[derive(Debug, Clone)]
pub(crate) struct Counts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many octets the peer has still to send.
    left: AtomicUsize,
    /// How many octets one read gets.
    read_at_most: AtomicUsize,
    read: AtomicUsize,
    written: AtomicUsize,
    /// How much had been read when something was written first.
    read_before_output: AtomicUsize,
    takes_output: AtomicBool,
}

impl Counts {
    pub(crate) fn send(&self, octets: usize) {
        self.0.left.store(octets, Ordering::Relaxed);
    }

    pub(crate) fn read_at_most(&self, octets: usize) {
        self.0.read_at_most.store(octets, Ordering::Relaxed);
    }

    /// The peer reads what it is sent.
    pub(crate) fn take_output(&self) {
        self.0.takes_output.store(true, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> usize {
        self.0.read.load(Ordering::Relaxed)
    }

    pub(crate) fn read_before_output(&self) -> usize {
        self.0.read_before_output.load(Ordering::Relaxed)
    }

    pub(crate) fn written(&self) -> usize {
        self.0.written.load(Ordering::Relaxed)
    }
}

/// A peer that sends nothing yet, and reads nothing.
pub(crate) fn flood(period: impl Into<Vec<u8>>) -> (Flood, Counts) {
    let counts = Counts(Arc::new(Shared { read_at_most: AtomicUsize::new(usize::MAX), ..Shared::default() }));
    (Flood { period: period.into().into(), at: 0, count: counts.clone() }, counts)
}

impl Read for Flood {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let shared = &self.count.0;
        let left = shared.left.load(Ordering::Relaxed);
        let most = shared.read_at_most.load(Ordering::Relaxed);
        let len = buffer.len().min(left).min(most);
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut filled = 0;
        while filled < len {
            let rest = &self.period[self.at..];
            let piece = rest.len().min(len - filled);
            buffer[filled..filled + piece].copy_from_slice(&rest[..piece]);
            filled += piece;
            self.at = (self.at + piece) % self.period.len();
        }
        shared.left.store(left - len, Ordering::Relaxed);
        shared.read.fetch_add(len, Ordering::Relaxed);
        Ok(len)
    }
}

impl Write for Flood {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if !self.count.0.takes_output.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.count.written() == 0 {
            self.count.0.read_before_output.store(self.count.read(), Ordering::Relaxed);
        }
        self.count.0.written.fetch_add(octets.len(), Ordering::Relaxed);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.read(buffer.initialize_unfilled()) {
            Ok(len) => {
                buffer.advance(len);
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Flood {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.write(octets) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(_) => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) fn over<S>(io: S, role: Role, config: &Config) -> WebSocket<S> {
    match role {
        Role::Client => WebSocket::client(io, config, Vec::new()),
        Role::Server => WebSocket::server(io, config, Vec::new()),
    }
}

/// Polls once, and drops the future.
pub(crate) fn once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until it is done, or often in vain.
pub(crate) fn driven<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..100_000).find_map(|_| match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// A runtime whose clock stands still, for timers.
pub(crate) fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system")
}

/// One end without I/O, that keeps no input itself.
pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) input: Vec<u8>,
}

impl End {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        let connection = match role {
            Role::Client => Connection::client(config, KeySource::operating_system()),
            Role::Server => Connection::server(config),
        };
        Self { connection, input: Vec::with_capacity(128 << 10) }
    }

    /// Receives these octets; the length of each message.
    pub(crate) fn receive(&mut self, octets: &[u8]) -> Result<Vec<usize>, Failure> {
        let mut messages = Vec::new();
        self.input.extend_from_slice(octets);
        let mut at = 0;
        loop {
            let received = self.connection.receive(&mut self.input[at..])?;
            if let Some(located) = received.event
                && let Event::Binary(payload) = self.connection.event(located, &self.input[at..])
            {
                messages.push(payload.len());
            }
            at += received.consumed;
            if received.event.is_none() {
                self.input.drain(..at);
                return Ok(messages);
            }
        }
    }
}
