//! One pass over the transport: write what is queued, read what there is, end as the closing handshake says.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bounded::{Bounded, Patience, Stop};
use super::input::{BUFFER_LEN, Input};
use super::transport::Transport;
use crate::connection::{Connection, Reading, Timestamp, TransportPhase};
use crate::error::{Failure, SendError};
use crate::transport_error::Error;

/// The transport and what is known about it. Decides nothing: the phases and deadlines are the connection's.
#[derive(Debug)]
pub(super) struct Driver<S> {
    /// `None` once there is nothing left to do with it.
    io: Option<Bounded<S>>,
    origin: Instant,
    /// The deadline of the open connection that the transport's timeouts were set for; the origin when they are for
    /// something else.
    watched: Option<Timestamp>,
    /// How many reads have not had to wait since the clock was looked at.
    busy_reads: u8,
    /// Something was written since the last flush.
    unflushed: bool,
    /// Reading came to its end, by the end of the stream or by an error.
    read_ended: bool,
    /// Writing does not work any more.
    write_failed: bool,
    /// The first error of reading or writing.
    error: Option<Arc<io::Error>>,
}

/// What a pass over the transport came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// There may be something to parse, or another phase: look again.
    Again,
    /// The connection is closed.
    Ended,
}

/// The transport does not take output now.
#[derive(Debug)]
pub(super) struct WriteBlocked;

impl From<WriteBlocked> for Error {
    fn from(_: WriteBlocked) -> Self {
        Self::WouldBlock
    }
}

impl<S> Driver<S> {
    pub(super) fn new(io: Bounded<S>) -> Self {
        Self {
            io: Some(io),
            origin: Instant::now(),
            watched: None,
            busy_reads: 0,
            unflushed: false,
            read_ended: false,
            write_failed: false,
            error: None,
        }
    }

    pub(super) fn get_ref(&self) -> Option<&S> {
        self.io.as_ref().map(Bounded::get_ref)
    }

    /// Lets go of the transport, without a word.
    pub(super) fn let_go(&mut self) {
        self.io = None;
    }

    pub(super) fn write_failed(&self) -> bool {
        self.write_failed
    }

    /// Why output can no longer be written, if it cannot.
    pub(super) fn send_error(&self, connection: &Connection) -> Option<Error> {
        match connection.failure() {
            Some(failure) => Some(self.error(failure)),
            None if self.write_failed => Some(self.error(Failure::Transport)),
            None => None,
        }
    }

    /// The reason why nothing was queued: why the connection failed, if it did, tells more than that it is closed.
    pub(super) fn refused(&self, error: SendError, connection: &Connection) -> Error {
        match error {
            SendError::Closed => self.send_error(connection).unwrap_or(Error::Send(error)),
            _ => Error::Send(error),
        }
    }

    /// The failure as the caller sees it, with the I/O error that belongs to it.
    pub(super) fn error(&self, failure: Failure) -> Error {
        Error::of(failure, self.error.as_ref())
    }
}

impl<S: Transport> Driver<S> {
    /// Writes what is queued, then reads once; in the phases of the end does what they ask for.
    ///
    /// Everything received before has to be parsed, as far as it can be.
    pub(super) fn pass(&mut self, connection: &mut Connection, input: &mut Input) -> Result<Progress, Error> {
        self.watch(connection);
        match connection.phase() {
            TransportPhase::ReadWrite => {
                // Above the high-water mark received input was left alone.
                let left_alone = connection.is_full() && !self.write_failed;
                // Queued output leaves before every read: the peer may be waiting for it before it sends more.
                let blocked = self.write(connection, input).is_err();
                if connection.phase() != TransportPhase::ReadWrite {
                    return Ok(Progress::Again);
                }
                if left_alone {
                    // What came first is parsed first.
                    let room = self.write_failed || !connection.is_full();
                    return if room { Ok(Progress::Again) } else { Err(Error::WouldBlock) };
                }
                self.read(connection, input, blocked)
            }
            TransportPhase::Flush => match self.write(connection, input) {
                Ok(()) => Ok(Progress::Again),
                Err(WriteBlocked) if self.make_way(connection, input) => Ok(Progress::Again),
                Err(WriteBlocked) => Err(Error::WouldBlock),
            },
            TransportPhase::ShutDown => {
                self.write(connection, input)?;
                self.shut_down(connection)
            }
            TransportPhase::Discard => match self.discard(connection, input) {
                Ok(()) | Err(Stop::Again) => Ok(Progress::Again),
                Err(_) => Err(Error::WouldBlock),
            },
            TransportPhase::Drop => {
                self.let_go();
                *input = Input::default();
                connection.release_buffers();
                Ok(Progress::Ended)
            }
        }
    }

    /// Writes everything that is queued, and flushes the transport.
    ///
    /// An error ends writing for good. What the peer has sent can still be received.
    pub(super) fn write(
        &mut self,
        connection: &mut Connection,
        input: &mut Input,
    ) -> Result<(), WriteBlocked> {
        loop {
            self.watch(connection);
            let phase = connection.phase();
            if self.write_failed {
                // Messages are still received; a closing handshake cannot be finished.
                if phase == TransportPhase::Flush {
                    connection.transport_failed();
                }
                return Ok(());
            }
            let Some(io) = &mut self.io else { return Ok(()) };
            let step = if connection.queued() > 0 {
                self.unflushed = true;
                write_some(io, connection)
            } else if self.unflushed && phase != TransportPhase::Drop {
                let flushed = io.flush().map(|()| self.unflushed = false);
                connection.outbox.closing.flush_waits = self.unflushed;
                flushed
            } else {
                return Ok(());
            };
            match step {
                Ok(()) => {}
                Err(Stop::Again) => {
                    self.watched = Some(Timestamp::ORIGIN);
                    self.tell_time(connection, Reading::LeftAlone);
                    if phase == TransportPhase::Flush {
                        self.make_way(connection, input);
                    }
                }
                Err(Stop::WouldBlock(_)) => {
                    // What that queued is offered too; and if it was too late, that is known now.
                    if !self.tell_time(connection, Reading::LeftAlone) {
                        return Err(WriteBlocked);
                    }
                }
                Err(Stop::Failed(error)) => {
                    self.write_failed = true;
                    self.error.get_or_insert_with(|| Arc::new(error));
                    connection.write_failed();
                }
            }
        }
    }

    /// Reads once, to where the octets belong.
    fn read(
        &mut self,
        connection: &mut Connection,
        input: &mut Input,
        blocked: bool,
    ) -> Result<Progress, Error> {
        // The next message may be long in coming, and this thread has nothing else to do with what the last one left.
        if connection.missing() == 0 {
            connection.release_what_costs();
            crate::connection::free_spare();
        }
        let Some(io) = &mut self.io else { return Ok(Progress::Ended) };
        if self.write_failed || blocked {
            // With output that cannot leave, only what is there already is read.
            let glancing = io.wait_at_most(GLANCE);
            self.watched = Some(Timestamp::ORIGIN);
            if self.write_failed && glancing.is_err() {
                connection.transport_failed();
                return Ok(Progress::Again);
            }
        }
        let read = match connection.destination() {
            // A large payload is read to where it belongs, and no further.
            Some(mut destination) if destination.room() >= EXACT_READ_FROM && input.is_empty() => {
                destination.fill(BUFFER_LEN, |room| io.read(room))
            }
            _ => io.read(input.room()).inspect(|&len| input.filled(len)),
        };
        match read {
            Ok(1..) => {
                self.busy_reads += 1;
                // A peer that always has something to read, or always just before a wait would end, must not keep this end
                // from the time.
                if self.busy_reads >= BUSY_READS || connection.outbox.times_messages() {
                    self.tell_time(connection, Reading::Busy);
                }
            }
            Ok(0) => {
                self.read_ended = true;
                // Whoever cannot be written to and then ends is gone, not done.
                if self.write_failed { connection.transport_failed() } else { connection.end_of_stream() }
            }
            Err(Stop::Failed(error)) => self.read_failed(error, connection),
            // What could be read has been received: now the failure to write is the end.
            Err(_) if self.write_failed => connection.transport_failed(),
            Err(stop) => {
                let waits_again = matches!(stop, Stop::Again) && !blocked;
                if waits_again {
                    self.watched = Some(Timestamp::ORIGIN);
                }
                // Whether nothing has come is known only now.
                if !self.tell_time(connection, Reading::Dry) && !waits_again {
                    return Err(Error::WouldBlock);
                }
            }
        }
        Ok(Progress::Again)
    }

    /// Discards what comes, for one turn at most, so that a peer that is writing itself comes to read. Says whether
    /// there was anything.
    fn make_way(&mut self, connection: &mut Connection, input: &mut Input) -> bool {
        let turn = Patience::new(TURN);
        let mut made = false;
        while turn.left().is_some() {
            if let Some(io) = &mut self.io {
                // A transport that cannot be bounded has not waited for its write either.
                let _ = io.wait_at_most(GLANCE);
            }
            if self.discard(connection, input).is_err() {
                break;
            }
            made = true;
            if connection.phase() != TransportPhase::Flush {
                break;
            }
        }
        made
    }

    /// Reads once and throws it away.
    fn discard(&mut self, connection: &mut Connection, input: &mut Input) -> Result<(), Stop> {
        input.clear();
        let Some(io) = &mut self.io else { return Ok(()) };
        if self.read_ended {
            return Err(Stop::Again);
        }
        match io.read(input.room()) {
            Ok(0) => {
                self.read_ended = true;
                connection.end_of_stream();
            }
            Ok(len) => connection.discarded(len),
            Err(Stop::Failed(error)) => self.read_failed(error, connection),
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    fn read_failed(&mut self, error: io::Error, connection: &mut Connection) {
        self.read_ended = true;
        self.error.get_or_insert_with(|| Arc::new(error));
        connection.transport_failed();
    }

    fn shut_down(&mut self, connection: &mut Connection) -> Result<Progress, Error> {
        let Some(io) = &mut self.io else { return Ok(Progress::Ended) };
        match io.shutdown_write() {
            Ok(()) => connection.write_side_shut_down(),
            Err(Stop::Again) => {}
            Err(Stop::WouldBlock(_)) => return Err(Error::WouldBlock),
            Err(Stop::Failed(error)) => {
                self.error.get_or_insert_with(|| Arc::new(error));
                connection.transport_failed();
            }
        }
        Ok(Progress::Again)
    }

    /// Tells an open connection the time, behind a wait that has ended with nothing. Says whether that changed anything.
    fn tell_time(&mut self, connection: &mut Connection, reading: Reading) -> bool {
        self.busy_reads = 0;
        if !connection.outbox.closing.is_open() {
            return false;
        }
        let queued = connection.queued();
        let now = Timestamp::from_origin(self.origin.elapsed());
        connection.handle_timeout_after(now, reading);
        connection.queued() != queued || !connection.outbox.closing.is_open()
    }

    /// Lets the next wait end at the next deadline.
    ///
    /// While the connection is open it is not judged here, before what there is has been read; and as long as the deadline is the
    /// same, the transport's timeouts stay as they are. So a wait that begins later ends later, by half a ping
    /// interval at most, and most reads cost nothing for it.
    fn watch_open(&mut self, connection: &mut Connection) {
        let Some(io) = &mut self.io else { return };
        let mut deadline = connection.next_deadline();
        let mut now = None;
        if deadline == Some(Timestamp::ORIGIN) {
            // Something is to be armed, and nothing is judged.
            connection.handle_timeout(Timestamp::from_origin(*now.insert(self.origin.elapsed())));
            deadline = connection.next_deadline();
        }
        if deadline == self.watched && !io.are_stale() {
            return;
        }
        let now = now.unwrap_or_else(|| self.origin.elapsed());
        match deadline {
            None => io.wait_as_before(),
            // A transport that cannot be bounded waits as long as it will, and is looked at in between.
            Some(deadline) => _ = io.wait_at_most(deadline.since_origin().saturating_sub(now).max(GLANCE)),
        }
        self.watched = deadline;
    }

    /// Does what is due, and lets the next wait end at the next deadline.
    fn watch(&mut self, connection: &mut Connection) {
        if connection.outbox.closing.is_open() {
            return self.watch_open(connection);
        }
        self.watched = Some(Timestamp::ORIGIN);
        let Some(io) = &mut self.io else { return };
        while let Some(deadline) = connection.next_deadline() {
            let now = self.origin.elapsed();
            match deadline.since_origin().checked_sub(now) {
                None | Some(Duration::ZERO) => connection.handle_timeout(Timestamp::from_origin(now)),
                Some(left) => {
                    let left = match connection.phase() {
                        TransportPhase::Flush => left.min(TURN),
                        _ => left,
                    };
                    // A transport that cannot be bounded waits as long as it will, and is looked at in between.
                    let _ = io.wait_at_most(left);
                    return;
                }
            }
        }
        io.wait_as_before();
    }
}

/// Writes once.
fn write_some<S: Transport>(io: &mut Bounded<S>, connection: &mut Connection) -> Result<(), Stop> {
    let mut slices = [&[][..]; MAX_SLICES];
    let filled = connection.slices(&mut slices);
    let mut vectored = [IoSlice::new(&[]); MAX_SLICES];
    for (to, octets) in vectored.iter_mut().zip(&slices[..filled]) {
        *to = IoSlice::new(octets);
    }
    match io.write(&vectored[..filled]) {
        Ok(written) => {
            connection.advance(written);
            Ok(())
        }
        Err(stop) => {
            // A transport that has encrypted them already wants the same octets again.
            let offered = slices[..filled].iter().map(|octets| octets.len()).sum();
            connection.outbox.output.offer(offered);
            Err(stop)
        }
    }
}

/// From this many octets on a payload is read to where it belongs.
const EXACT_READ_FROM: usize = 16 << 10;

/// How many slices one write gathers. Payloads up to 16 KiB are copied together, so that this many never limit a write.
const MAX_SLICES: usize = 64;

/// While the last output does not leave, writing and making way take turns of this length.
const TURN: Duration = Duration::from_millis(50);

/// After so many reads that found something the clock is looked at.
const BUSY_READS: u8 = 100;

/// How long a read waits that only is to see whether there is something.
const GLANCE: Duration = Duration::from_millis(1);
