//! A WebSocket echo written by hand, for this echo alone: what is left of the protocol when nothing is general.
//!
//! It knows masked, unfragmented text and binary frames of its own load generator and ends on anything else: no control
//! frames, no limits, no roles, nobody to hand a message to.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::mem::take;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use peers::frame_header::{Header, REPLY_HEADER_LEN};

use super::Ended;

pub(super) fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> impl Future<Output = Ended> {
    // An incomplete frame that the next read begins with.
    let mut tail = Vec::new();
    // Boxed: a connection that waits for a message has a pointer of it.
    let mut unfinished: Option<Box<Unfinished>> = None;
    poll_fn(move |cx| {
        loop {
            if let Some(reply) = &mut unfinished {
                ready!(reply.poll(&mut stream, cx))?;
                unfinished = None;
            }
            match ready!(poll_small(&mut stream, cx, &mut tail))? {
                Step::End => return Poll::Ready(Ok(())),
                Step::Wait(reply) => unfinished = Some(reply),
            }
        }
    })
}

/// What [`poll_small`] cannot do at once.
enum Step {
    End,
    Wait(Box<Unfinished>),
}

/// Output that the transport did not take, or a large frame that is not there as a whole.
struct Unfinished {
    output: Vec<u8>,
    written: usize,
    /// What comes behind that output.
    large: Option<Large>,
    is_large: bool,
}

/// A large frame, with what is there of its payload.
struct Large {
    header: Header,
    /// Room for the reply's header, and the payload.
    reply: Vec<u8>,
}

struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many large frames have begun and are not answered yet.
    began: usize,
    /// For their replies, used again as long as there is any such frame.
    spare: Vec<Vec<u8>>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; INPUT_LEN],
        output: Vec::with_capacity(INPUT_LEN),
        began: 0,
        spare: Vec::new(),
    });
}

const INPUT_LEN: usize = 256 << 10;

/// Frames from here on are read into a place of their own, if they are not there already.
const LARGE: usize = 16 << 10;

/// Echoes what is read as a whole, until something has to wait.
fn poll_small(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    tail: &mut Vec<u8>,
) -> Poll<io::Result<Step>> {
    BUFFERS.with_borrow_mut(|Buffers { input, output, began, spare }| {
        loop {
            let start = tail.len();
            let mut read = ReadBuf::new(&mut input[start..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            let read = read.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(Step::End));
            }
            input[..start].copy_from_slice(tail);
            // Nothing is held by a connection that waits.
            *tail = Vec::new();
            let mut left = &mut input[..start + read];
            output.clear();
            let mut large = None;
            while let Some(header) = Header::parse(left)? {
                let payload = &mut take(&mut left)[header.len..];
                if payload.len() < header.payload_len {
                    if header.payload_len < LARGE {
                        // Back to where the frame begins: an incomplete one is parsed again.
                        let missing = start + read - payload.len() - header.len;
                        left = &mut input[missing..start + read];
                        break;
                    }
                    *began += 1;
                    let mut reply = spare.pop().unwrap_or_default();
                    reply.resize(REPLY_HEADER_LEN + header.payload_len, 0);
                    reply[REPLY_HEADER_LEN..][..payload.len()].copy_from_slice(payload);
                    header.unmask(&mut reply[REPLY_HEADER_LEN..][..payload.len()], 0);
                    large = Some((Large { header, reply }, payload.len()));
                    break;
                }
                let (payload, behind) = payload.split_at_mut(header.payload_len);
                header.unmask(payload, 0);
                header.check(payload)?;
                let (reply_header, len) = header.reply();
                output.extend_from_slice(&reply_header[..len]);
                output.extend_from_slice(payload);
                left = behind;
            }
            tail.extend_from_slice(left);
            let mut unwritten = &output[..];
            while !unwritten.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, unwritten)? {
                    Poll::Ready(written) => unwritten = &unwritten[written..],
                    Poll::Pending => break,
                }
            }
            if let Some((mut large, there)) = large {
                large.header.there = there;
                let output = unwritten.to_vec();
                let reply = Unfinished { output, written: 0, large: Some(large), is_large: true };
                return Poll::Ready(Ok(Step::Wait(Box::new(reply))));
            }
            if !unwritten.is_empty() {
                let reply =
                    Unfinished { output: unwritten.to_vec(), written: 0, large: None, is_large: false };
                return Poll::Ready(Ok(Step::Wait(Box::new(reply))));
            }
        }
    })
}

impl Unfinished {
    /// Writes what is left; then reads exactly what is missing of the large frame, and sends it back with one write.
    fn poll(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.written < self.output.len() {
                self.written += ready!(Pin::new(&mut *stream).poll_write(cx, &self.output[self.written..]))?;
            }
            let Some(large) = &mut self.large else { return Poll::Ready(Ok(())) };
            ready!(large.poll_read(stream, cx))?;
            self.written = large.finish();
            self.output = take(&mut large.reply);
            self.large = None;
        }
    }
}

/// Nothing is kept when no large frame is on its way any more: what a thread keeps, all its idle connections hold.
impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.is_large {
            BUFFERS.with_borrow_mut(|Buffers { began, spare, .. }| {
                *began -= 1;
                match began {
                    0 => spare.clear(),
                    _ => spare.push(take(&mut self.output)),
                }
            });
        }
    }
}

impl Large {
    /// The rest of the payload, unmasked as it arrives.
    fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { header, reply } = self;
        while header.there < header.payload_len {
            let missing = &mut reply[REPLY_HEADER_LEN + header.there..];
            let mut read = ReadBuf::new(missing);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            let read = read.filled().len();
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            header.unmask(&mut missing[..read], header.there);
            header.there += read;
        }
        Poll::Ready(header.check(&reply[REPLY_HEADER_LEN..]))
    }

    /// Puts the reply's header before the payload, and says where it begins.
    fn finish(&mut self) -> usize {
        let (header, len) = self.header.reply();
        let start = REPLY_HEADER_LEN - len;
        self.reply[start..REPLY_HEADER_LEN].copy_from_slice(&header[..len]);
        start
    }
}
