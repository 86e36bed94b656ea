//! One direction of a transport in memory: the octets on their way, and what the network does to them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
use tokio::time::Instant as Arrival;

use super::Cut;

/// What both ends and the test share.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    on_the_way: VecDeque<Chunk>,
    /// How many octets are on the way.
    unread: usize,
    end: Option<Cut>,
    /// Nobody will read what is written.
    pub(super) reader_gone: bool,
    pub(super) faults: Faults,
    /// How often the next reading, writing and flushing is still to be put off.
    hesitations: [usize; 3],
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// A waker that another has taken the place of: it is dropped when nothing is locked, since it may own a transport.
    replaced: Option<Waker>,
    was_flushed: bool,
    /// How often something was changed: nobody goes to sleep over a change that was not seen.
    changes: u64,
}

/// What the network does.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) read_at_most: usize,
    pub(super) write_at_most: usize,
    pub(super) capacity: usize,
    pub(super) stalled: bool,
    pub(super) hesitate: [usize; 3],
    #[cfg(feature = "tokio")]
    pub(super) latency: Duration,
    /// After so many octets more.
    pub(super) cut: Option<(usize, Cut)>,
    pub(super) write_error: Option<io::ErrorKind>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            read_at_most: usize::MAX,
            write_at_most: usize::MAX,
            capacity: usize::MAX,
            stalled: false,
            hesitate: [0; 3],
            #[cfg(feature = "tokio")]
            latency: Duration::ZERO,
            cut: None,
            write_error: None,
        }
    }
}

#[derive(Debug)]
struct Chunk {
    octets: Vec<u8>,
    read: usize,
    #[cfg(feature = "tokio")]
    arrives: Option<Arrival>,
}

/// What is asked of a flow.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    Read,
    Write,
    Flush,
}

/// Why a read or write did nothing.
#[derive(Debug)]
pub(super) enum Wait {
    /// Whoever asked is to ask again at once.
    Again,
    /// The waker is called when it is worth asking again.
    Change,
    /// Nothing arrives before then.
    #[cfg(feature = "tokio")]
    Until(Arrival),
    Failed(io::Error),
}

impl Flow {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that has failed in another thread tells more than the poison.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and wakes whom it may concern, with nothing locked.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = {
            let mut state = self.lock();
            state.changes += 1;
            (change(&mut state), [state.reader.take(), state.writer.take()])
        };
        self.changed.notify_all();
        wakers.into_iter().flatten().for_each(Waker::wake);
        result
    }

    /// Asks once, and wakes the other side if that was of use.
    pub(super) fn ask<T>(
        &self,
        ask: Ask,
        run: impl FnOnce(&mut State) -> Result<T, Wait>,
    ) -> Result<T, Wait> {
        let (result, waker, _replaced) = {
            let mut state = self.lock();
            let result = run(&mut state);
            let other = if let Ask::Read = ask { &mut state.writer } else { &mut state.reader };
            let waker = if result.is_ok() { other.take() } else { None };
            state.changes += u64::from(result.is_ok());
            (result, waker, state.replaced.take())
        };
        if result.is_ok() {
            self.changed.notify_all();
        }
        waker.into_iter().for_each(Waker::wake);
        result
    }

    /// Asks until it is done, for as long as the caller's timeout; none is for ever.
    pub(super) fn block<T>(
        &self,
        ask: Ask,
        timeout: Option<Duration>,
        mut run: impl FnMut(&mut State) -> Result<T, Wait>,
    ) -> io::Result<T> {
        let started = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
            let changes = self.lock().changes;
            let left = match self.ask(ask, &mut run) {
                Ok(done) => return Ok(done),
                Err(Wait::Failed(error)) => return Err(error),
                Err(Wait::Again) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Wait::Change) => left,
                #[cfg(feature = "tokio")]
                Err(Wait::Until(arrival)) => {
                    let arrival = arrival.into_std().saturating_duration_since(Instant::now());
                    Some(left.map_or(arrival, |left| left.min(arrival)))
                }
            };
            if timeout.is_some_and(|timeout| timeout <= started.elapsed()) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let state = self.lock();
            if state.changes == changes {
                // Woken for nothing it only asks again.
                match left {
                    None => drop(self.changed.wait(state)),
                    Some(left) => drop(self.changed.wait_timeout(state, left)),
                }
            }
        }
    }
}

impl State {
    /// Puts octets on the way, whatever the capacity.
    pub(super) fn put(&mut self, octets: &[u8]) {
        if octets.is_empty() || self.end.is_some() || self.reader_gone {
            return;
        }
        self.unread += octets.len();
        self.was_flushed = false;
        #[cfg(feature = "tokio")]
        let arrives = (!self.faults.latency.is_zero()).then(|| Arrival::now() + self.faults.latency);
        #[cfg(feature = "tokio")]
        let joins = |last: &Chunk| last.arrives == arrives;
        #[cfg(not(feature = "tokio"))]
        let joins = |_: &Chunk| true;
        match self.on_the_way.back_mut() {
            Some(last) if joins(last) => last.octets.extend_from_slice(octets),
            _ => self.on_the_way.push_back(Chunk {
                octets: octets.to_vec(),
                read: 0,
                #[cfg(feature = "tokio")]
                arrives,
            }),
        }
    }

    /// Says that nothing more is put on the way.
    pub(super) fn end(&mut self, end: Cut) {
        self.end.get_or_insert(end);
    }

    /// Drops what is on the way, and lets nothing more through.
    pub(super) fn reset(&mut self, error: io::ErrorKind) {
        self.on_the_way.clear();
        self.unread = 0;
        self.end = Some(Cut::Fails(error));
        self.faults.write_error = Some(error);
    }

    /// How many octets are on the way.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Whether all that was written has been flushed.
    pub(super) fn was_flushed(&self) -> bool {
        self.was_flushed
    }

    /// Whether the writer has ended its side.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Reads up to `limit` octets; zero are the end of the stream.
    pub(super) fn read(
        &mut self,
        limit: usize,
        mut take: impl FnMut(&[u8]),
        waker: Option<&Waker>,
    ) -> Result<usize, Wait> {
        if self.faults.stalled {
            return Err(self.wait(Ask::Read, waker));
        }
        let cut = match self.faults.cut {
            Some((0, cut)) => return cut.result(),
            Some((left, _)) => left,
            None => usize::MAX,
        };
        let Some(chunk) = self.on_the_way.front_mut() else {
            return match self.end {
                Some(end) => end.result(),
                None => Err(self.wait(Ask::Read, waker)),
            };
        };
        #[cfg(feature = "tokio")]
        if let Some(arrives) = chunk.arrives
            && Arrival::now() < arrives
        {
            return Err(Wait::Until(arrives));
        }
        let waiting = &chunk.octets[chunk.read..];
        let len = waiting.len().min(limit).min(self.faults.read_at_most).min(cut);
        if self.hesitations[Ask::Read as usize] < self.faults.hesitate[Ask::Read as usize] {
            self.hesitations[Ask::Read as usize] += 1;
            return Err(Wait::Again);
        }
        take(&waiting[..len]);
        chunk.read += len;
        if chunk.read == chunk.octets.len() {
            self.on_the_way.pop_front();
        } else if chunk.read >= KEPT_LEN && chunk.read * 2 > chunk.octets.len() {
            chunk.octets.drain(..chunk.read);
            chunk.read = 0;
        }
        self.unread -= len;
        if let Some((left, _)) = &mut self.faults.cut {
            *left -= len;
        }
        self.hesitations[Ask::Read as usize] = 0;
        Ok(len)
    }

    /// Writes what there is room for, at least one octet.
    pub(super) fn write(&mut self, slices: &[io::IoSlice<'_>], waker: Option<&Waker>) -> Result<usize, Wait> {
        self.check_write()?;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        if self.hesitates(Ask::Write) {
            return Err(Wait::Again);
        }
        let room = self.faults.capacity.saturating_sub(self.unread).min(self.faults.write_at_most);
        if room == 0 {
            return Err(self.wait(Ask::Write, waker));
        }
        self.hesitations[Ask::Write as usize] = 0;
        let mut written = 0;
        for slice in slices {
            let len = slice.len().min(room - written);
            self.put(&slice[..len]);
            written += len;
        }
        Ok(written)
    }

    /// Flushes: there is nothing between the ends that would hold anything back, but it may be put off.
    pub(super) fn flush(&mut self) -> Result<(), Wait> {
        if let Some(error) = self.faults.write_error {
            return Err(Wait::Failed(error.into()));
        }
        if self.hesitates(Ask::Flush) {
            return Err(Wait::Again);
        }
        self.hesitations[Ask::Flush as usize] = 0;
        self.was_flushed = true;
        Ok(())
    }

    fn check_write(&self) -> Result<(), Wait> {
        match self.faults.write_error {
            Some(error) => Err(Wait::Failed(error.into())),
            None if self.reader_gone || self.end.is_some() => {
                Err(Wait::Failed(io::ErrorKind::BrokenPipe.into()))
            }
            None => Ok(()),
        }
    }

    fn hesitates(&mut self, ask: Ask) -> bool {
        let hesitates = self.hesitations[ask as usize] < self.faults.hesitate[ask as usize];
        self.hesitations[ask as usize] += usize::from(hesitates);
        hesitates
    }

    fn wait(&mut self, ask: Ask, waker: Option<&Waker>) -> Wait {
        let place = if let Ask::Read = ask { &mut self.reader } else { &mut self.writer };
        if let Some(waker) = waker {
            self.replaced = place.replace(waker.clone());
        }
        Wait::Change
    }
}

impl Cut {
    fn result(self) -> Result<usize, Wait> {
        match self {
            Self::End => Ok(0),
            Self::Fails(error) => Err(Wait::Failed(error.into())),
        }
    }
}

/// Up to this many octets that were read are kept in front of others that were not.
const KEPT_LEN: usize = 64 << 10;
