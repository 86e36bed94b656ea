//! What the halves of a split WebSocket share: two short locks and one waker that wakes all who wait.
//!
//! No runtime's types are named here. The locks are taken in the order receive, output, and are never held across an
//! await.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::sync::{AtomicBool, Mutex, MutexGuard, lock};
use super::waiters::{Party, Waiters, Wakeups};

/// The state of a connection whose halves may be on different threads.
#[derive(Debug)]
pub(super) struct Shared<R, O: Output> {
    /// The parse state and the input. Senders read ahead into it.
    receive: Mutex<R>,
    /// Messages in order, their frames, and the transport.
    output: Mutex<O>,
    /// Whether received octets still are frames: kept beside the lock, for the receiver to look at per message. Once they are
    /// not, they never are again. Who waits has looked under a lock behind which this or the next was stored: neither needs
    /// an order of its own.
    parses_input: AtomicBool,
    receiver_gone: AtomicBool,
    waiters: Arc<Waiters>,
    waker: Waker,
}

/// What the shared state has to know of the output side.
pub(super) trait Output {
    /// What makes frames of messages.
    type Encoder;

    /// Where the encoder is; `None` while a sender has [taken](Shared::take_encoder) it out.
    fn encoder(&mut self) -> &mut Option<Self::Encoder>;

    /// Whether received octets still are frames.
    fn parses_input(&self) -> bool;

    fn observe(&self) -> Observed;
}

/// What others may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    /// Octets written so far, and whether they are flushed.
    pub(super) written: (u64, bool),
    /// Where the connection stands, as a number that changes with it; whether writing and reading have ended.
    pub(super) standing: (u32, bool, bool),
}

impl Observed {
    /// The same of a connection on which nothing has begun to end.
    pub(super) fn while_open(self) -> Self {
        Self { standing: (0, false, false), ..self }
    }
}

impl<R, O: Output> Shared<R, O> {
    pub(super) fn new(receive: R, output: O) -> Self {
        let waiters = Arc::new(Waiters::default());
        Self {
            receive: Mutex::new(receive),
            parses_input: AtomicBool::new(output.parses_input()),
            output: Mutex::new(output),
            receiver_gone: AtomicBool::new(false),
            waker: Waker::from(Arc::clone(&waiters)),
            waiters,
        }
    }

    #[inline]
    pub(super) fn lock_receive(&self) -> MutexGuard<'_, R> {
        lock(&self.receive)
    }

    /// The output side, to append to it, or to look, and for nothing else. Nobody waits for that but who reads, and
    /// whoever appends [wakes](Waiters::wake_readers) those when nothing is locked.
    #[inline]
    pub(super) fn lock_to_append(&self) -> MutexGuard<'_, O> {
        lock(&self.output)
    }

    /// Takes the encoder out, for work that takes too long for a lock. Whoever finds it gone parks, and looks again:
    /// its return wakes.
    pub(super) fn take_encoder(&self, mut output: MutexGuard<'_, O>) -> Option<TakenEncoder<'_, R, O>> {
        let encoder = output.encoder().take()?;
        Some(TakenEncoder { shared: self, encoder: Some(encoder) })
    }

    /// The output side, for one who has locked nothing else. When the guard is dropped, whoever waited for what has
    /// changed is woken.
    pub(super) fn lock_output(&self) -> OutputGuard<'_, R, O> {
        self.guard(Party::Passer, None)
    }

    /// The output side, for one who goes on until the transport waits: what it changes does not wake it.
    pub(super) fn lock_output_by<'a>(&'a self, party: Party, wakeups: &'a Wakeups) -> OutputGuard<'a, R, O> {
        self.guard(party, Some(wakeups))
    }

    fn guard<'a>(&'a self, party: Party, wakeups: Option<&'a Wakeups>) -> OutputGuard<'a, R, O> {
        let guard = lock(&self.output);
        let before = guard.observe();
        OutputGuard { shared: self, party, wakeups, before, guard: Some(guard) }
    }

    #[inline]
    pub(super) fn parses_input(&self) -> bool {
        self.parses_input.load(Ordering::Relaxed)
    }

    pub(super) fn receiver_gone(&self) -> bool {
        self.receiver_gone.load(Ordering::Relaxed)
    }

    /// The receiver is gone, and [`set_receiver_gone`](Self::set_receiver_gone) will follow.
    pub(super) fn mark_receiver_gone(&self) {
        self.receiver_gone.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_receiver_gone(&self) {
        self.mark_receiver_gone();
        // Its work is the senders' from here on.
        self.waiters.wake_all();
    }

    /// The waker with which the transport is polled, always: it remembers one per direction only.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    #[inline]
    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// The output side, locked.
pub(super) struct OutputGuard<'a, R, O: Output> {
    shared: &'a Shared<R, O>,
    party: Party,
    /// Where wakers go that must not be called yet.
    wakeups: Option<&'a Wakeups>,
    before: Observed,
    guard: Option<MutexGuard<'a, O>>,
}

impl<R, O: Output> std::ops::Deref for OutputGuard<'_, R, O> {
    type Target = O;

    fn deref(&self) -> &O {
        // INVARIANT: only `drop` empties it.
        self.guard.as_ref().expect("the guard is there until it is dropped")
    }
}

impl<R, O: Output> std::ops::DerefMut for OutputGuard<'_, R, O> {
    fn deref_mut(&mut self) -> &mut O {
        // INVARIANT: only `drop` empties it.
        self.guard.as_mut().expect("the guard is there until it is dropped")
    }
}

impl<R, O: Output> Drop for OutputGuard<'_, R, O> {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let (before, after) = (self.before, guard.observe());
        if before.standing != after.standing {
            self.shared.parses_input.store(guard.parses_input(), Ordering::Relaxed);
        }
        drop(guard);
        if before == after {
            return;
        }
        let own = Wakeups::default();
        let wakeups = self.wakeups.unwrap_or(&own);
        if before.standing != after.standing {
            self.shared.waiters.take_readers(self.party, wakeups);
        }
        self.shared.waiters.take_senders(self.party, wakeups);
    }
}

/// The encoder, while nothing is locked. It goes back when this is dropped, for which nothing may be locked either.
pub(super) struct TakenEncoder<'a, R, O: Output> {
    shared: &'a Shared<R, O>,
    encoder: Option<O::Encoder>,
}

impl<R, O: Output> TakenEncoder<'_, R, O> {
    pub(super) fn encoder(&mut self) -> &mut O::Encoder {
        // INVARIANT: only `drop` empties it.
        self.encoder.as_mut().expect("the encoder is there until it goes back")
    }
}

impl<R, O: Output> Drop for TakenEncoder<'_, R, O> {
    fn drop(&mut self) {
        *self.shared.lock_to_append().encoder() = self.encoder.take();
        let wakeups = Wakeups::default();
        self.shared.waiters.take_senders(Party::Passer, &wakeups);
    }
}
