//! A transport that reads what a script says and records everything that is done to it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was done to the transport, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// This many octets were read; zero at the end of the stream.
    Read(usize),
    ReadPending,
    ReadFailed,
    /// This many octets were taken.
    Write(usize),
    WritePending,
    WriteFailed,
    Flush,
    FlushPending,
    Shutdown,
    Dropped,
}

enum Incoming {
    Octets(VecDeque<u8>),
    End,
    Error(io::ErrorKind),
}

struct State {
    incoming: VecDeque<Incoming>,
    read_at_most: usize,
    /// Before every read there is a Pending, which wakes at once.
    drips: bool,
    dripped: bool,
    written: Vec<u8>,
    flushed: usize,
    write_at_most: usize,
    /// How many octets are taken before writing waits.
    window: usize,
    /// How often a write is Pending before it is taken, waking at once.
    hesitation: usize,
    hesitated: usize,
    write_error: Option<io::ErrorKind>,
    takes_nothing: bool,
    /// What a write that had to wait was given: the next one has to begin with it.
    offered: Vec<u8>,
    flush_held: bool,
    flush_error: Option<io::ErrorKind>,
    flush_hesitation: usize,
    shutdown_held: bool,
    vectored: bool,
    was_shut_down: bool,
    is_dropped: bool,
    ops: Vec<Op>,
    read_waker: Option<Waker>,
    write_waker: Option<Waker>,
}

/// The transport.
pub(crate) struct Mock(Arc<Mutex<State>>);

/// The test's hand on it.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

/// A transport that takes every write and has nothing to read.
pub(crate) fn mock() -> (Mock, Script) {
    let state = Arc::new(Mutex::new(State {
        incoming: VecDeque::new(),
        read_at_most: usize::MAX,
        drips: false,
        dripped: false,
        written: Vec::new(),
        flushed: 0,
        write_at_most: usize::MAX,
        window: usize::MAX,
        hesitation: 0,
        hesitated: 0,
        write_error: None,
        takes_nothing: false,
        offered: Vec::new(),
        flush_held: false,
        flush_error: None,
        flush_hesitation: 0,
        shutdown_held: false,
        vectored: true,
        was_shut_down: false,
        is_dropped: false,
        ops: Vec::new(),
        read_waker: None,
        write_waker: None,
    }));
    (Mock(Arc::clone(&state)), Script(state))
}

impl Script {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn incoming(&self, incoming: Incoming) {
        let waker = {
            let mut state = self.state();
            state.incoming.push_back(incoming);
            state.read_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Octets to be read; one call never reads across two of these.
    pub(crate) fn peer_sends(&self, octets: impl AsRef<[u8]>) {
        self.incoming(Incoming::Octets(octets.as_ref().iter().copied().collect()));
    }

    /// Octets that nobody is told of.
    pub(crate) fn peer_sends_unannounced(&self, octets: impl AsRef<[u8]>) {
        self.state().incoming.push_back(Incoming::Octets(octets.as_ref().iter().copied().collect()));
    }

    pub(crate) fn peer_ends(&self) {
        self.incoming(Incoming::End);
    }

    pub(crate) fn read_fails(&self, kind: io::ErrorKind) {
        self.incoming(Incoming::Error(kind));
    }

    pub(crate) fn read_at_most(&self, octets: usize) {
        self.state().read_at_most = octets;
    }

    /// Before every octet that is read there is a Pending, which wakes at once.
    pub(crate) fn drip(&self) {
        let mut state = self.state();
        state.read_at_most = 1;
        state.drips = true;
    }

    pub(crate) fn write_at_most(&self, octets: usize) {
        self.state().write_at_most = octets;
    }

    /// Writing waits once so many more octets are taken. More room wakes the writer.
    pub(crate) fn window(&self, octets: usize) {
        let waker = {
            let mut state = self.state();
            state.window = octets;
            state.write_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Every write is Pending so often before it is taken, waking at once.
    pub(crate) fn hesitate(&self, times: usize) {
        self.state().hesitation = times;
    }

    /// Room that nobody is told of.
    pub(crate) fn window_unannounced(&self, octets: usize) {
        self.state().window = octets;
    }

    /// Every write is accepted, and none of it taken.
    pub(crate) fn take_nothing(&self) {
        self.state().takes_nothing = true;
    }

    pub(crate) fn write_fails(&self, kind: io::ErrorKind) {
        self.state().write_error = Some(kind);
    }

    pub(crate) fn hold_flush(&self, held: bool) {
        let waker = {
            let mut state = self.state();
            state.flush_held = held;
            state.write_waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn flush_fails(&self, kind: io::ErrorKind) {
        self.state().flush_error = Some(kind);
    }

    /// The next flushes are Pending so often, waking at once.
    pub(crate) fn hesitate_to_flush(&self, times: usize) {
        self.state().flush_hesitation = times;
    }

    pub(crate) fn hold_shutdown(&self) {
        self.state().shutdown_held = true;
    }

    pub(crate) fn not_vectored(&self) {
        self.state().vectored = false;
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.state().written.clone()
    }

    pub(crate) fn take_written(&self) -> Vec<u8> {
        let mut state = self.state();
        state.flushed = 0;
        std::mem::take(&mut state.written)
    }

    /// Everything that was written has been flushed.
    pub(crate) fn is_flushed(&self) -> bool {
        let state = self.state();
        state.flushed == state.written.len()
    }

    /// What was done since the last time.
    pub(crate) fn take_ops(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().ops)
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.state().is_dropped
    }

    pub(crate) fn was_shut_down(&self) -> bool {
        self.state().was_shut_down
    }

    /// How many octets have not been read.
    pub(crate) fn unread(&self) -> usize {
        let state = self.state();
        state
            .incoming
            .iter()
            .map(|incoming| if let Incoming::Octets(octets) = incoming { octets.len() } else { 0 })
            .sum()
    }

    /// Whether waking this waker would wake the reader that was registered last.
    pub(crate) fn reader_is(&self, waker: &Waker) -> bool {
        self.state().read_waker.as_ref().is_some_and(|registered| registered.will_wake(waker))
    }
}

impl State {
    fn write(&mut self, cx: &Context<'_>, slices: &[&[u8]]) -> Poll<io::Result<usize>> {
        // Some TLS libraries insist on it, those that encrypt before they write; none of them is vectored.
        let given = if self.vectored { Vec::new() } else { slices.concat() };
        let known = given.len().min(self.offered.len());
        assert!(given[..known] == self.offered[..known], "other octets than were offered before");
        let result = self.take(cx, slices);
        self.offered = if result.is_pending() { given } else { Vec::new() };
        result
    }

    fn take(&mut self, cx: &Context<'_>, slices: &[&[u8]]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.write_error {
            self.ops.push(Op::WriteFailed);
            return Poll::Ready(Err(kind.into()));
        }
        if self.takes_nothing {
            return Poll::Ready(Ok(0));
        }
        if self.hesitated < self.hesitation {
            self.hesitated += 1;
            self.ops.push(Op::WritePending);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let limit = self.write_at_most.min(self.window);
        if limit == 0 {
            self.ops.push(Op::WritePending);
            self.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.hesitated = 0;
        let mut taken = 0;
        for slice in slices {
            let len = slice.len().min(limit - taken);
            self.written.extend_from_slice(&slice[..len]);
            taken += len;
        }
        if self.window != usize::MAX {
            self.window -= taken;
        }
        self.ops.push(Op::Write(taken));
        Poll::Ready(Ok(taken))
    }

    fn read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        assert!(buf.remaining() > 0, "a read into nothing looks like the end of the stream");
        if self.drips && !self.dripped && !self.incoming.is_empty() {
            self.dripped = true;
            self.ops.push(Op::ReadPending);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.dripped = false;
        match self.incoming.front_mut() {
            None => {
                self.ops.push(Op::ReadPending);
                self.read_waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(Incoming::Octets(octets)) => {
                let len = octets.len().min(self.read_at_most).min(buf.remaining());
                let front: Vec<u8> = octets.drain(..len).collect();
                buf.put_slice(&front);
                if octets.is_empty() {
                    self.incoming.pop_front();
                }
                self.ops.push(Op::Read(len));
            }
            Some(Incoming::End) => self.ops.push(Op::Read(0)),
            Some(&mut Incoming::Error(kind)) => {
                self.ops.push(Op::ReadFailed);
                return Poll::Ready(Err(kind.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Mock {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Script(Arc::clone(&self.0)).state().read(cx, buf)
    }
}

impl AsyncWrite for Mock {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Script(Arc::clone(&self.0)).state().write(cx, &[buf])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices: Vec<&[u8]> = bufs.iter().map(|slice| &**slice).collect();
        Script(Arc::clone(&self.0)).state().write(cx, &slices)
    }

    fn is_write_vectored(&self) -> bool {
        Script(Arc::clone(&self.0)).state().vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let script = Script(Arc::clone(&self.0));
        let mut state = script.state();
        if let Some(kind) = state.flush_error {
            return Poll::Ready(Err(kind.into()));
        }
        if state.flush_hesitation > 0 {
            state.flush_hesitation -= 1;
            state.ops.push(Op::FlushPending);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.flush_held {
            state.ops.push(Op::FlushPending);
            state.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flushed = state.written.len();
        state.ops.push(Op::Flush);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let script = Script(Arc::clone(&self.0));
        let mut state = script.state();
        if state.shutdown_held {
            state.write_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flushed = state.written.len();
        state.was_shut_down = true;
        state.ops.push(Op::Shutdown);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let script = Script(Arc::clone(&self.0));
        let mut state = script.state();
        state.is_dropped = true;
        state.ops.push(Op::Dropped);
    }
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mock")
    }
}
