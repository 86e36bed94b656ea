//! What the servers run on: TCP, or TCP whose calls are counted.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use wtx::stream::{StreamReader, StreamWriter};

use crate::servers;

/// All that any of the crates asks for.
pub(crate) trait Any: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// wtx has traits of its own, whose futures are known to be `Send` only where the type of the stream is known.
    fn spawn_wtx(self);
}

impl Any for TcpStream {
    fn spawn_wtx(self) {
        servers::spawn(servers::wtx(self));
    }
}

/// TCP, with every call counted for the whole process.
pub(crate) struct Counted(pub(crate) TcpStream);

/// Calls so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    /// Reads that brought something.
    pub(crate) reads: u64,
    /// Reads that found nothing: not each is a system call, since tokio remembers what it has seen.
    pub(crate) waits: u64,
    pub(crate) writes: u64,
}

static READS: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);

pub(crate) fn calls() -> Calls {
    Calls { reads: READS.load(Relaxed), waits: WAITS.load(Relaxed), writes: WRITES.load(Relaxed) }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(cx, buffer);
        if polled.is_ready() { &READS } else { &WAITS }.fetch_add(1, Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        WRITES.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        WRITES.fetch_add(1, Relaxed);
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Of a TCP stream, does nothing.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Any for Counted {
    fn spawn_wtx(self) {
        servers::spawn(servers::wtx(CountedForWtx(self)));
    }
}

/// [`Counted`], as wtx wants it.
pub(crate) struct CountedForWtx(Counted);

impl StreamReader for CountedForWtx {
    async fn read(&mut self, octets: &mut [u8]) -> wtx::Result<usize> {
        Ok(self.0.read(octets).await?)
    }
}

impl StreamWriter for CountedForWtx {
    async fn write_all(&mut self, octets: &[u8]) -> wtx::Result<()> {
        Ok(self.0.write_all(octets).await?)
    }

    async fn write_all_vectored(&mut self, octets: &[&[u8]]) -> wtx::Result<()> {
        let mut slices = [io::IoSlice::new(&[]); 8];
        for (slice, octets) in slices.iter_mut().zip(octets) {
            *slice = io::IoSlice::new(octets);
        }
        let mut left = &mut slices[..octets.len()];
        while !left.is_empty() {
            let written = self.0.write_vectored(left).await?;
            io::IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }
}
