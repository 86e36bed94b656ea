//! One pass over the transport: offer what is queued, read what there is, end as the closing handshake says.

mod end;
mod timer;
mod write;

use std::future::Future;
use std::io::{self};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::coop;
use tokio::time::Instant;

use super::Error;
use super::buffer::{self, Input};
use super::receive_side::{Parsed, ReceiveSide};
use super::shared::Observed;
use crate::connection::{Outbox, Reading, TransportPhase};
use crate::error::{Failure, SendError};

use timer::Timer;
pub(super) use write::prepare_output;

/// The transport and what is known about it. Decides nothing: the phases and deadlines are the connection's.
#[derive(Debug)]
pub(super) struct Transport<S> {
    /// `None` once there is nothing left to do with it.
    io: Option<S>,
    /// Something was written since the last flush.
    unflushed: bool,
    /// Reading came to its end, by the end of the stream or by an error.
    read_ended: bool,
    /// A driver leaves input to the receiver, and keeps the connection alive meanwhile.
    holds_input: bool,
    /// The `Stream` has yielded the failure.
    pub(super) failure_yielded: bool,
    /// Boxed: a connection without deadlines has none before its end.
    waiting: Option<Box<Waiting>>,
}

/// What is needed by who waits for a deadline, or has met an error.
#[derive(Debug)]
struct Waiting {
    /// The first error of reading or writing.
    error: Option<Arc<io::Error>>,
    /// What deadlines are counted from.
    origin: Instant,
    timer: Option<Timer>,
}

/// What a pass over the transport came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// There may be something to parse, or another phase: look again.
    Again,
    /// The connection is closed.
    Ended,
}

/// What becomes of what is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// It is handed over. Whoever queues something for it waits for room there, and nothing else waits for that: two peers
    /// that both send would wait for each other.
    Owned,
    /// It is lent beside a way out that never waits. One reply to each fits, since above the high-water mark input is left
    /// alone.
    Lent,
}

impl Receiving {
    /// Whether received input is to be left alone as long as so much is queued.
    #[inline]
    pub(super) fn leaves_input(self, outbox: &Outbox) -> bool {
        self == Self::Lent && outbox.is_full()
    }
}

/// When a sender reads for a receiver that is not at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadAhead {
    /// Nobody else waits for input.
    Always,
    /// The receiver waits for input, and reads itself; but nobody is judged before this one has looked.
    WhileWriting,
}

impl<S> Transport<S> {
    pub(super) fn new(io: S) -> Self {
        Self {
            io: Some(io),
            unflushed: false,
            read_ended: false,
            holds_input: false,
            failure_yielded: false,
            waiting: None,
        }
    }

    fn waiting(&mut self) -> &mut Waiting {
        self.waiting
            .get_or_insert_with(|| Box::new(Waiting { error: None, origin: Instant::now(), timer: None }))
    }

    /// Keeps the first error of reading or writing.
    fn keep_error(&mut self, error: io::Error) {
        self.waiting().error.get_or_insert_with(|| Arc::new(error));
    }

    fn kept_error(&self) -> Option<&Arc<io::Error>> {
        self.waiting.as_ref()?.error.as_ref()
    }

    pub(super) fn get_ref(&self) -> Option<&S> {
        self.io.as_ref()
    }

    /// Something that was written has not been flushed.
    pub(super) fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// What who waits for another's pass may be waiting for.
    #[inline]
    pub(super) fn observe(&self, outbox: &Outbox) -> Observed {
        Observed {
            written: (outbox.output.written(), self.unflushed),
            standing: (outbox.closing.standing(), outbox.write_failed(), self.read_ended),
        }
    }

    /// Lets go of the transport, without a word.
    pub(super) fn let_go(&mut self) {
        self.io = None;
        self.stop_timer();
        self.unflushed = false;
    }

    /// Forgets whom the timer wakes, too.
    pub(super) fn stop_timer(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.timer = None;
        }
    }

    /// Why output can no longer be written, if it cannot.
    pub(super) fn send_error(&self, outbox: &Outbox) -> Option<Error> {
        match outbox.closing.failure() {
            Some(failure) => Some(self.error(failure)),
            None if outbox.write_failed() => Some(self.error(Failure::Transport)),
            None => None,
        }
    }

    /// The reason why nothing was queued: why the connection failed, if it did, tells more than that it is closed.
    pub(super) fn refused(&self, error: SendError, outbox: &Outbox) -> Error {
        match error {
            SendError::Closed => self.send_error(outbox).unwrap_or(Error::Send(error)),
            _ => Error::Send(error),
        }
    }

    /// The failure as the caller sees it, with the I/O error that belongs to it.
    pub(super) fn error(&self, failure: Failure) -> Error {
        Error::of(failure, self.kept_error())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Offers what is queued to the transport, then reads once, unless there is something to parse; in the phases of
    /// the end does what they ask for.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
        receiving: Receiving,
    ) -> Poll<Progress> {
        self.holds_input = false;
        self.check_deadline(outbox);
        match outbox.closing.phase() {
            TransportPhase::ReadWrite => {
                // Queued output is offered before every read: a peer whose input never runs dry still gets replies.
                let written = self.poll_write(cx, outbox);
                if outbox.closing.phase() != TransportPhase::ReadWrite {
                    return Poll::Ready(Progress::Again);
                }
                if receiving.leaves_input(outbox) && written.is_pending() {
                    // The peer may be waiting for us to read before it reads itself.
                    if self.poll_read_ahead(cx, receive, outbox, written).is_ready() {
                        return Poll::Ready(Progress::Again);
                    }
                    if let Err(error) = receive.park() {
                        outbox.fail(error);
                        return Poll::Ready(Progress::Again);
                    }
                    return self.poll_timer(cx, receive, outbox, Reading::LeftAlone);
                }
                match receive.parsed {
                    // It was left alone until now.
                    Parsed::NotYet => Poll::Ready(Progress::Again),
                    Parsed::Dry => self.poll_read(cx, receive, outbox),
                }
            }
            phase => {
                receive.end(outbox);
                self.poll_end(cx, phase, receive, outbox)
            }
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
    ) -> Poll<Progress> {
        if self.read_ended {
            return self.end_reading(outbox);
        }
        let Some(io) = &mut self.io else { return Poll::Ready(Progress::Ended) };
        let read = match receive.path.destination() {
            // A large payload is read to where it belongs, and no further.
            Some((destination, len)) if len >= EXACT_READ_FROM && receive.input.is_empty() => {
                pin!(io.read_buf(&mut destination.limit(len))).poll(cx)
            }
            _ => {
                let read_len = receive.read_len();
                receive.path.input_is_pooled();
                poll_fill(Pin::new(io), cx, &mut receive.input, read_len)
            }
        };
        match read {
            Poll::Ready(Ok(0)) => {
                self.read_ended = true;
                self.end_reading(outbox)
            }
            Poll::Ready(Ok(_)) => {
                receive.parsed = Parsed::NotYet;
                receive.arrived = true;
                Poll::Ready(Progress::Again)
            }
            Poll::Ready(Err(error)) => {
                self.read_failed(error);
                self.end_reading(outbox)
            }
            // What could be read has been received: now the failure to write is the end.
            Poll::Pending if outbox.write_failed() => {
                outbox.transport_failed();
                Poll::Ready(Progress::Again)
            }
            Poll::Pending => {
                // When only the scheduler wants its turn, the next read is near.
                if !coop::has_budget_remaining() {
                    return self.poll_timer(cx, receive, outbox, Reading::Busy);
                }
                let parked = receive.park();
                receive.path.release_buffers();
                if let Err(error) = parked {
                    outbox.fail(error);
                    return Poll::Ready(Progress::Again);
                }
                self.poll_timer(cx, receive, outbox, Reading::Dry)
            }
        }
    }

    /// Writes what is queued, with what can be done for the peer beside it: ready when all of it is out.
    pub(super) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
        read_ahead: ReadAhead,
    ) -> Poll<Result<(), Error>> {
        loop {
            let written = self.poll_write(cx, outbox);
            let parses = outbox.closing.phase() == TransportPhase::ReadWrite;
            if !parses {
                receive.end(outbox);
            }
            if let Some(error) = self.send_error(outbox) {
                if outbox.closing.phase() == TransportPhase::Drop {
                    self.let_go();
                }
                return Poll::Ready(Err(error));
            }
            let reads = written.is_pending() || read_ahead == ReadAhead::Always;
            if reads && self.poll_read_ahead(cx, receive, outbox, written).is_ready() {
                // Pongs that it has queued are offered at once.
                continue;
            }
            // Only what may still be parsed is paid for: an open connection can fail, and then ends this loop.
            if parses && let Err(error) = receive.park() {
                outbox.fail(error);
                continue;
            }
            if written.is_ready() && !outbox.times_writing() {
                return Poll::Ready(Ok(()));
            }
            let reading = self.reading_ahead(receive);
            if written.is_ready() {
                // The peer's time to answer a Ping begins here, and not when the receiver comes to look.
                let _ = self.poll_timer(cx, receive, outbox, reading);
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_timer(cx, receive, outbox, reading));
        }
    }

    /// Writes what is queued, reads up to a buffer of input and answers the Pings in it, for one that is not to receive more
    /// now; keeps the time.
    pub(super) fn poll_held(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
    ) -> Poll<Progress> {
        self.holds_input = true;
        let written = ready!(self.poll_output(cx, receive, outbox, ReadAhead::Always));
        if outbox.closing.phase() != TransportPhase::ReadWrite {
            return Poll::Ready(Progress::Again);
        }
        let reading = if written.is_err() {
            // What cannot be written any more is told behind what can be received, and nothing was read beside it. Nor does
            // the transport wake anybody: the receiver does, when there is room.
            if let Err(error) = receive.park() {
                outbox.fail(error);
                return Poll::Ready(Progress::Again);
            }
            Reading::Held
        } else {
            self.reading_ahead(receive)
        };
        self.poll_timer(cx, receive, outbox, reading)
    }

    /// Reads what fits the input buffer, without delivering it, and answers the Pings in it: for callers that wait for
    /// the transport to take output. Ready when something came in.
    ///
    /// While output waits, Pings that came in before are answered too.
    pub(super) fn poll_read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
        written: Poll<()>,
    ) -> Poll<()> {
        if outbox.closing.phase() != TransportPhase::ReadWrite {
            return Poll::Pending;
        }
        let read = self.poll_append(cx, &mut receive.input);
        if read.is_ready() {
            receive.parsed = Parsed::NotYet;
            receive.arrived = true;
        }
        if read.is_ready() || written.is_pending() {
            crate::connection::answer_pings_ahead(&mut receive.path, outbox, receive.input.unconsumed());
        }
        read
    }

    /// How far reading ahead came that found nothing.
    fn reading_ahead(&self, receive: &ReceiveSide) -> Reading {
        if self.read_ended {
            return Reading::LeftAlone;
        }
        if receive.input.vacancy() == 0 {
            return if self.holds_input { Reading::Held } else { Reading::LeftAlone };
        }
        match receive.parsed {
            // Who is called dead has nothing more to say: messages that are there already come first.
            Parsed::NotYet if self.holds_input => Reading::Held,
            Parsed::Dry if coop::has_budget_remaining() => Reading::Dry,
            Parsed::Dry => Reading::Busy,
            Parsed::NotYet if coop::has_budget_remaining() => Reading::Unreceived,
            Parsed::NotYet => Reading::LeftAlone,
        }
    }

    /// Reads once, behind what has not been parsed. Ready when something came in.
    fn poll_append(&mut self, cx: &mut Context<'_>, input: &mut Input) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        let vacancy = input.vacancy();
        if self.read_ended || vacancy == 0 {
            return Poll::Pending;
        }
        let mut scratch = buffer::take();
        let mut read = ReadBuf::new(&mut scratch[..vacancy]);
        let result = Pin::new(io).poll_read(cx, &mut read);
        let octets = read.filled();
        let came = !octets.is_empty();
        input.append(octets);
        buffer::give(scratch);
        match ready!(result) {
            Ok(()) if came => return Poll::Ready(()),
            Ok(()) => self.read_ended = true,
            Err(error) => self.read_failed(error),
        }
        Poll::Pending
    }

    fn read_failed(&mut self, error: io::Error) {
        self.read_ended = true;
        // TLS says so when the stream ends without its goodbye: it is an end without a Close all the same.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return;
        }
        self.keep_error(error);
    }

    /// Everything that was read is parsed, and no more can come.
    fn end_reading(&mut self, outbox: &mut Outbox) -> Poll<Progress> {
        if self.kept_error().is_some() {
            outbox.transport_failed();
        } else {
            outbox.end_of_stream();
        }
        Poll::Ready(Progress::Again)
    }
}

/// Reads once into the input.
fn poll_fill<S: AsyncRead>(
    io: Pin<&mut S>,
    cx: &mut Context<'_>,
    input: &mut Input,
    limit: usize,
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(input.room(limit));
    ready!(io.poll_read(cx, &mut read))?;
    let len = read.filled().len();
    input.filled(len);
    Poll::Ready(Ok(len))
}

/// From this many octets on a payload is read to where it belongs.
const EXACT_READ_FROM: usize = 16 << 10;
