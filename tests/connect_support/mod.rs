//! Transports that record what passes over them, and the two handshakes of RFC 6455 §1.2 as octets.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use sansocket::handshake::accept_value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// The request of RFC 6455 §1.2 without what is optional.
pub(crate) const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The response to it.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// RFC 6455 §5.7: a text message from a server, and from a client.
pub(crate) const HELLO: &[u8] = b"\x81\x05Hello";
pub(crate) const MASKED_HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

/// That request with another line for the header of this name, or with none.
pub(crate) fn request_with(name: &str, line: Option<&str>) -> Vec<u8> {
    let mut request = Vec::new();
    for own in std::str::from_utf8(REQUEST).unwrap().trim_end().split("\r\n") {
        if !own.starts_with(&format!("{name}:")) {
            request.extend_from_slice(format!("{own}\r\n").as_bytes());
        }
    }
    if let Some(line) = line {
        request.extend_from_slice(format!("{name}: {line}\r\n").as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// The response that accepts this request, with these lines more.
pub(crate) fn accepting(request: &[u8], lines: &str) -> Vec<u8> {
    let request = std::str::from_utf8(request).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{lines}\r\n",
        accept_value(key.as_bytes())
    )
    .into_bytes()
}

/// Reads up to the blank line, and not one octet further.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(io: &mut S) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.expect("a whole head"));
    }
    head
}

/// Reads to the end of the stream.
pub(crate) async fn read_rest<S: AsyncRead + Unpin>(io: &mut S) -> Vec<u8> {
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.expect("the end of the stream");
    rest
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A transport in memory whose near end is recorded.
pub(crate) fn tapped() -> (Tapped<DuplexStream>, DuplexStream, Tap) {
    let (near, far) = duplex(64 << 10);
    let (near, tap) = Tapped::new(near);
    (near, far, tap)
}

/// What passed over a transport.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
pub(crate) struct Record {
    /// How often it was asked for input.
    pub(crate) reads: usize,
    pub(crate) read: Vec<u8>,
    pub(crate) written: Vec<u8>,
    /// What was done with the writing side, each run of one kind once.
    pub(crate) calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Flush,
    ShutDown,
}

impl Tap {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap()
    }

    fn call(&self, call: Call) {
        let calls = &mut self.record().calls;
        if calls.last() != Some(&call) {
            calls.push(call);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tapped<S> {
    io: S,
    tap: Tap,
    /// What was written and waits for a flush, if writing is buffered.
    held: Option<Vec<u8>>,
}

impl<S> Tapped<S> {
    pub(crate) fn new(io: S) -> (Self, Tap) {
        let tap = Tap::default();
        (Self { io, tap: tap.clone(), held: None }, tap)
    }

    /// Passes on what is written at a flush, and only then.
    pub(crate) fn buffered(self) -> Self {
        Self { held: Some(Vec::new()), ..self }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.tap.record().reads += 1;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        self.tap.record().read.extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = match &mut this.held {
            Some(held) => {
                held.extend_from_slice(octets);
                octets.len()
            }
            None => ready!(Pin::new(&mut this.io).poll_write(cx, octets))?,
        };
        this.tap.call(Call::Write);
        this.tap.record().written.extend_from_slice(&octets[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(held) = &mut this.held {
            while !held.is_empty() {
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, held))?;
                held.drain(..written);
            }
        }
        this.tap.call(Call::Flush);
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tap.call(Call::ShutDown);
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
