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

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Ended;

pub(super) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Ended {
    // An incomplete frame that the next read begins with.
    let mut tail = Vec::new();
    loop {
        match poll_fn(|cx| poll_small(&mut stream, cx, &mut tail)).await? {
            Step::End => return Ok(()),
            Step::Write(rest) => stream.write_all(&rest).await?,
            Step::Large { rest, large } => {
                stream.write_all(&rest).await?;
                drop(rest);
                echo_large(&mut stream, large).await?;
            }
        }
    }
}

/// What poll_small cannot do at once.
enum Step {
    End,
    /// Output that the transport did not take.
    Write(Vec<u8>),
    /// A large frame has begun, behind output that may not have been taken.
    Large {
        rest: Vec<u8>,
        large: Large,
    },
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
    /// For large replies, used again.
    spare: Vec<Vec<u8>>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        input: vec![0; INPUT_LEN],
        output: Vec::with_capacity(INPUT_LEN),
        spare: Vec::new(),
    });
}

const INPUT_LEN: usize = 256 << 10;

/// Frames from here on are read into a place of their own, if they are not there already.
const LARGE: usize = 16 << 10;

/// The longest header of a reply.
const REPLY_HEADER_LEN: usize = 10;

/// Echoes what is read as a whole, until something has to wait.
fn poll_small(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    cx: &mut Context<'_>,
    tail: &mut Vec<u8>,
) -> Poll<io::Result<Step>> {
    BUFFERS.with_borrow_mut(|Buffers { input, output, spare }| {
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
                return Poll::Ready(Ok(Step::Large { rest: unwritten.to_vec(), large }));
            }
            if !unwritten.is_empty() {
                return Poll::Ready(Ok(Step::Write(unwritten.to_vec())));
            }
        }
    })
}

/// Reads exactly what is missing, unmasked as it arrives, and sends it back with one write.
async fn echo_large(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), large: Large) -> Ended {
    let Large { header, mut reply } = large;
    let mut there = header.there;
    while there < header.payload_len {
        let missing = &mut reply[REPLY_HEADER_LEN + there..];
        let read = stream.read(missing).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        header.unmask(&mut missing[..read], there);
        there += read;
    }
    header.check(&reply[REPLY_HEADER_LEN..])?;
    let (reply_header, len) = header.reply();
    let start = REPLY_HEADER_LEN - len;
    reply[start..REPLY_HEADER_LEN].copy_from_slice(&reply_header[..len]);
    stream.write_all(&reply[start..]).await?;
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.spare.len() < SPARE {
            buffers.spare.push(reply);
        }
    });
    Ok(())
}

/// How many buffers for large replies are kept by a thread.
const SPARE: usize = 4;

struct Header {
    first: u8,
    /// Of the header itself, masking-key and all.
    len: usize,
    payload_len: usize,
    masking_key: [u8; 4],
    /// How much of the payload has been read.
    there: usize,
}

impl Header {
    /// `None` as long as it is not all there.
    fn parse(octets: &[u8]) -> io::Result<Option<Self>> {
        let [first, second, rest @ ..] = octets else { return Ok(None) };
        if !matches!(first, 0x81 | 0x82) || second & 0x80 == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (len, payload_len) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(len) => (8, usize::from(u16::from_be_bytes(*len))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(len) => (14, u64::from_be_bytes(*len) as usize),
                None => return Ok(None),
            },
            len => (6, usize::from(len)),
        };
        let Some(Some(&masking_key)) = octets.get(..len).map(|header| header.last_chunk()) else {
            return Ok(None);
        };
        Ok(Some(Self { first: *first, len, payload_len, masking_key, there: 0 }))
    }

    fn unmask(&self, payload: &mut [u8], offset: usize) {
        let mut key = self.masking_key;
        key.rotate_left(offset % 4);
        let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
        let mut chunks = payload.chunks_exact_mut(8);
        for chunk in &mut chunks {
            if let Some(octets) = chunk.first_chunk_mut() {
                *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
            }
        }
        for (octet, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
            *octet ^= key;
        }
    }

    /// Text has to be UTF-8.
    fn check(&self, payload: &[u8]) -> io::Result<()> {
        match self.first {
            0x81 => simdutf8::basic::from_utf8(payload).map(drop).map_err(io::Error::other),
            _ => Ok(()),
        }
    }

    fn reply(&self) -> ([u8; REPLY_HEADER_LEN], usize) {
        let mut header = [0; REPLY_HEADER_LEN];
        header[0] = self.first;
        let len = match self.payload_len {
            len @ 0..=125 => {
                header[1] = len as u8;
                2
            }
            len @ 126..=0xffff => {
                header[1] = 126;
                header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
                4
            }
            len => {
                header[1] = 127;
                header[2..].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        };
        (header, len)
    }
}
