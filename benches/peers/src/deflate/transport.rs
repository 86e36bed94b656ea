//! A transport in memory: it hands out one piece at a time, when it is told to, and counts what is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of a connection whose peer has been scripted.
#[derive(Debug)]
pub(crate) struct Transport {
    script: Arc<Vec<Vec<u8>>>,
    /// The piece that is read, and what has been read of it.
    position: (usize, usize),
    wire: Arc<Wire>,
}

/// The peer's hand on a transport.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    allowed: AtomicUsize,
    written: AtomicUsize,
    recording: AtomicBool,
    record: Mutex<Vec<u8>>,
}

impl Transport {
    /// A transport that will give the pieces of `script`, and the hand on it.
    pub(crate) fn new(script: Arc<Vec<Vec<u8>>>) -> (Self, Arc<Wire>) {
        let wire = Arc::new(Wire::default());
        (Self { script, position: (0, 0), wire: wire.clone() }, wire)
    }
}

impl Wire {
    /// Has one more piece arrive.
    pub(crate) fn arrive(&self) {
        self.allowed.fetch_add(1, Relaxed);
    }

    /// How many octets have been written.
    pub(crate) fn written(&self) -> usize {
        self.written.load(Relaxed)
    }

    fn take(&self, octets: &[u8]) {
        self.written.fetch_add(octets.len(), Relaxed);
        if self.recording.load(Relaxed) {
            self.record.lock().expect("no panic holds the lock").extend_from_slice(octets);
        }
    }

    /// Keeps what is written from now on.
    pub(crate) fn record(&self) {
        self.recording.store(true, Relaxed);
    }

    /// What was written since it was kept, or since the last call.
    pub(crate) fn take_record(&self) -> Vec<u8> {
        std::mem::take(&mut self.record.lock().expect("no panic holds the lock"))
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (piece, read) = self.position;
        // No waker is kept: who has a piece arrive asks for the message itself.
        if piece >= self.wire.allowed.load(Relaxed) {
            return Poll::Pending;
        }
        let rest = &self.script[piece][read..];
        let len = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..len]);
        self.position = if len == rest.len() { (piece + 1, 0) } else { (piece, read + len) };
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.take(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        slices.iter().for_each(|slice| self.wire.take(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
