//! What the halves of a split WebSocket share: three short locks and one waker that wakes all who wait.
//!
//! No runtime's types are named here. The locks are taken in the order encode, receive, output, and are never held
//! across an await.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The state of a connection whose halves may be on different threads.
#[derive(Debug)]
pub(super) struct Shared<R, E, O: Output> {
    /// The parse state and the input. Senders read ahead into it.
    receive: Mutex<R>,
    /// What the frames of a message are. `None` while a sender compresses one: others wait without a lock.
    encode: Mutex<Option<E>>,
    /// Frames in order, and the transport.
    output: Mutex<O>,
    /// Whether received input may be parsed: kept beside the lock, for the receiver to look at per message.
    may_parse: AtomicBool,
    receiver_gone: AtomicBool,
    waiters: Arc<Waiters>,
    waker: Waker,
}

/// What the shared state has to know of the output side.
pub(super) trait Output {
    fn observe(&self) -> Observed;
}

/// What others may be waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    /// Whether received input may be parsed.
    pub(super) may_parse: bool,
    /// Octets written so far, and whether they are flushed.
    pub(super) written: (u64, bool),
    /// Where the connection stands, as a number that changes with it; whether writing and reading have ended.
    pub(super) standing: (u32, bool, bool),
}

impl<R, E, O: Output> Shared<R, E, O> {
    pub(super) fn new(receive: R, encode: E, output: O) -> Self {
        let waiters = Arc::new(Waiters::default());
        let may_parse = output.observe().may_parse;
        Self {
            receive: Mutex::new(receive),
            encode: Mutex::new(Some(encode)),
            output: Mutex::new(output),
            may_parse: AtomicBool::new(may_parse),
            receiver_gone: AtomicBool::new(false),
            waker: Waker::from(Arc::clone(&waiters)),
            waiters,
        }
    }

    pub(super) fn lock_receive(&self) -> MutexGuard<'_, R> {
        lock(&self.receive)
    }

    /// The encoder; `None` while somebody has [taken](Self::take_encoder) it out. Park before the lock is let go of, and
    /// its return wakes.
    pub(super) fn lock_encode(&self) -> MutexGuard<'_, Option<E>> {
        lock(&self.encode)
    }

    /// Takes the encoder out, for work that takes too long for a lock.
    pub(super) fn take_encoder(
        &self,
        mut encode: MutexGuard<'_, Option<E>>,
    ) -> Option<TakenEncoder<'_, R, E, O>> {
        let encoder = encode.take()?;
        Some(TakenEncoder { shared: self, encoder: Some(encoder) })
    }

    /// The output side, for one who has locked nothing else. When the guard is dropped, whoever waited for what has
    /// changed is woken.
    pub(super) fn lock_output(&self) -> OutputGuard<'_, R, E, O> {
        self.guard(Party::Passer, None)
    }

    /// The output side, for one who goes on until the transport waits: what it changes does not wake it.
    pub(super) fn lock_output_by<'a>(
        &'a self,
        party: Party,
        wakeups: &'a Wakeups,
    ) -> OutputGuard<'a, R, E, O> {
        self.guard(party, Some(wakeups))
    }

    fn guard<'a>(&'a self, party: Party, wakeups: Option<&'a Wakeups>) -> OutputGuard<'a, R, E, O> {
        let guard = lock(&self.output);
        let before = guard.observe();
        OutputGuard { shared: self, party, wakeups, before, guard: Some(guard) }
    }

    #[inline]
    pub(super) fn may_parse(&self) -> bool {
        self.may_parse.load(Ordering::Acquire)
    }

    pub(super) fn receiver_gone(&self) -> bool {
        self.receiver_gone.load(Ordering::Acquire)
    }

    pub(super) fn set_receiver_gone(&self) {
        self.receiver_gone.store(true, Ordering::Release);
        // Its work is the senders' from here on.
        self.waiters.wake_all();
    }

    /// The waker with which the transport is polled, always: it remembers one per direction only.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// Who is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Receiver,
    /// The sender with this number among the waiters.
    Sender(u64),
    /// Somebody who does not wait.
    Passer,
}

/// The output side, locked.
pub(super) struct OutputGuard<'a, R, E, O: Output> {
    shared: &'a Shared<R, E, O>,
    party: Party,
    /// Where wakers go that must not be called yet.
    wakeups: Option<&'a Wakeups>,
    before: Observed,
    guard: Option<MutexGuard<'a, O>>,
}

impl<R, E, O: Output> std::ops::Deref for OutputGuard<'_, R, E, O> {
    type Target = O;

    fn deref(&self) -> &O {
        // INVARIANT: only `drop` empties it.
        self.guard.as_ref().expect("the guard is there until it is dropped")
    }
}

impl<R, E, O: Output> std::ops::DerefMut for OutputGuard<'_, R, E, O> {
    fn deref_mut(&mut self) -> &mut O {
        // INVARIANT: only `drop` empties it.
        self.guard.as_mut().expect("the guard is there until it is dropped")
    }
}

impl<R, E, O: Output> Drop for OutputGuard<'_, R, E, O> {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let (before, after) = (self.before, guard.observe());
        if before.may_parse != after.may_parse {
            self.shared.may_parse.store(after.may_parse, Ordering::Release);
        }
        drop(guard);
        if before == after {
            return;
        }
        let own = Wakeups::default();
        let wakeups = self.wakeups.unwrap_or(&own);
        if before.standing != after.standing {
            self.shared.waiters.take_receiver(self.party, wakeups);
        }
        self.shared.waiters.take_senders(self.party, wakeups);
    }
}

/// The encoder, while nothing is locked. It goes back when this is dropped, for which nothing may be locked either.
pub(super) struct TakenEncoder<'a, R, E, O: Output> {
    shared: &'a Shared<R, E, O>,
    encoder: Option<E>,
}

impl<R, E, O: Output> TakenEncoder<'_, R, E, O> {
    pub(super) fn encoder(&mut self) -> &mut E {
        // INVARIANT: only `drop` empties it.
        self.encoder.as_mut().expect("the encoder is there until it goes back")
    }
}

impl<R, E, O: Output> Drop for TakenEncoder<'_, R, E, O> {
    fn drop(&mut self) {
        *self.shared.lock_encode() = self.encoder.take();
        let wakeups = Wakeups::default();
        self.shared.waiters.take_senders(Party::Passer, &wakeups);
    }
}

/// Wakers to be called when nothing is locked any more: made before the guards, and so dropped after them.
///
/// A waker is the executor's code. It may drop the task that it was to wake, and with it a half of this connection.
#[derive(Debug, Default)]
pub(super) struct Wakeups(RefCell<Vec<Waker>>);

impl Drop for Wakeups {
    fn drop(&mut self) {
        if !self.0.get_mut().is_empty() {
            self.0.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Those who wait for the transport or for each other.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    receiver: Option<Waker>,
    senders: Vec<(u64, Waker)>,
    last_sender: u64,
}

impl Waiters {
    /// Parks the receiver, or takes its waker back.
    ///
    /// It must be parked before the transport is polled, so that no wake-up falls between; and it takes its waker back
    /// when it goes on, or its own task's sends would wake it.
    pub(super) fn park_receiver(&self, waker: Option<&Waker>) {
        let mut waiting = lock(&self.waiting);
        let old = match (&waiting.receiver, waker) {
            (Some(parked), Some(waker)) if parked.will_wake(waker) => None,
            (_, waker) => mem::replace(&mut waiting.receiver, waker.cloned()),
        };
        // A waker may own its task, and with it a sender's place: dropped when nothing is locked.
        drop(waiting);
        drop(old);
    }

    pub(super) fn receiver_is_parked(&self) -> bool {
        lock(&self.waiting).receiver.is_some()
    }

    pub(super) fn wake_receiver(&self) {
        self.take_receiver(Party::Passer, &Wakeups::default());
    }

    /// Wakes the receiver, unless it is the party.
    pub(super) fn take_receiver(&self, party: Party, wakeups: &Wakeups) {
        if party != Party::Receiver {
            wakeups.0.borrow_mut().extend(lock(&self.waiting).receiver.take());
        }
    }

    /// Wakes the senders, but for the party.
    fn take_senders(&self, party: Party, wakeups: &Wakeups) {
        let mut waiting = lock(&self.waiting);
        let others = waiting.senders.extract_if(.., |(number, _)| Party::Sender(*number) != party);
        wakeups.0.borrow_mut().extend(others.map(|(_, waker)| waker));
    }

    fn wake_all(&self) {
        let wakeups = Wakeups::default();
        self.take_receiver(Party::Passer, &wakeups);
        self.take_senders(Party::Passer, &wakeups);
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// One sender's place among the waiters. Dropped with its future: a waiter that is gone owns no registration.
#[derive(Debug)]
pub(super) struct SenderPlace<'a> {
    waiters: &'a Waiters,
    number: u64,
}

impl<'a> SenderPlace<'a> {
    pub(super) fn new(waiters: &'a Waiters) -> Self {
        Self { waiters, number: 0 }
    }

    /// The party that this is, once parked.
    pub(super) fn party(&self) -> Party {
        Party::Sender(self.number)
    }

    /// Parks the sender. It must be parked before the transport is polled, so that no wake-up falls between.
    pub(super) fn park(&mut self, waker: &Waker) {
        let mut waiting = lock(&self.waiters.waiting);
        if self.number == 0 {
            waiting.last_sender += 1;
            self.number = waiting.last_sender;
        }
        let old = match waiting.senders.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, parked)) if parked.will_wake(waker) => None,
            Some((_, parked)) => Some(mem::replace(parked, waker.clone())),
            None => {
                waiting.senders.push((self.number, waker.clone()));
                None
            }
        };
        drop(waiting);
        drop(old);
    }

    /// Takes the sender's waker back: what it does itself need not wake it.
    pub(super) fn unpark(&mut self) {
        if self.number == 0 {
            return;
        }
        let mut waiting = lock(&self.waiters.waiting);
        let parked = waiting.senders.iter().position(|(number, _)| *number == self.number);
        let old = parked.map(|index| waiting.senders.remove(index));
        drop(waiting);
        drop(old);
    }
}

impl Drop for SenderPlace<'_> {
    fn drop(&mut self) {
        self.unpark();
    }
}

/// A panic elsewhere in the program leaves the state as it was: every change under a lock is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
