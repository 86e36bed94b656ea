//! What the halves of a split WebSocket share: two short locks and one waker that wakes all who wait.
//!
//! No runtime's types are named here. The locks are taken in the order receive, output, and are never held across an
//! await.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The state of a connection whose halves may be on different threads.
#[derive(Debug)]
pub(super) struct Shared<R, O: Output> {
    /// The parse state and the input. Senders read ahead into it.
    receive: Mutex<R>,
    /// Messages in order, their frames, and the transport.
    output: Mutex<O>,
    /// Whether received input may be parsed: kept beside the lock, for the receiver to look at per message.
    may_parse: AtomicBool,
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

    /// Whether received input may be parsed.
    fn may_parse(&self) -> bool;

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

impl<R, O: Output> Shared<R, O> {
    pub(super) fn new(receive: R, output: O) -> Self {
        let waiters = Arc::new(Waiters::default());
        Self {
            receive: Mutex::new(receive),
            may_parse: AtomicBool::new(output.may_parse()),
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

    /// The output side, to append to it and for nothing else.
    #[inline]
    pub(super) fn lock_to_append(&self) -> AppendGuard<'_, O> {
        AppendGuard { may_parse: &self.may_parse, guard: lock(&self.output) }
    }

    /// Takes the encoder out, for work that takes too long for a lock. Whoever finds it gone parks, and looks again:
    /// its return wakes.
    pub(super) fn take_encoder(&self, mut output: AppendGuard<'_, O>) -> Option<TakenEncoder<'_, R, O>> {
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

    #[inline]
    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }
}

/// The output side, locked to append to it, or to look. Nobody waits for that but the receiver, and whoever appends
/// [wakes](Waiters::wake_receiver) it when nothing is locked. Above the high-water mark it stops parsing.
pub(super) struct AppendGuard<'a, O: Output> {
    may_parse: &'a AtomicBool,
    guard: MutexGuard<'a, O>,
}

impl<O: Output> std::ops::Deref for AppendGuard<'_, O> {
    type Target = O;

    #[inline]
    fn deref(&self) -> &O {
        &self.guard
    }
}

impl<O: Output> std::ops::DerefMut for AppendGuard<'_, O> {
    #[inline]
    fn deref_mut(&mut self) -> &mut O {
        &mut self.guard
    }
}

impl<O: Output> Drop for AppendGuard<'_, O> {
    #[inline]
    fn drop(&mut self) {
        if !self.guard.may_parse() {
            self.may_parse.store(false, Ordering::Release);
        }
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

/// Wakers to be called when nothing is locked any more: made before the guards, and so dropped after them.
///
/// A waker is the executor's code. It may drop the task that it was to wake, and with it a half of this connection.
#[derive(Default)]
pub(super) struct Wakeups {
    /// Mostly there is one, for which nothing need be allocated.
    first: Cell<Option<Waker>>,
    more: RefCell<Vec<Waker>>,
}

impl Wakeups {
    fn push(&self, waker: Waker) {
        match self.first.take() {
            None => self.first.set(Some(waker)),
            first => {
                self.first.set(first);
                self.more.borrow_mut().push(waker);
            }
        }
    }
}

impl Drop for Wakeups {
    #[inline]
    fn drop(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
            self.more.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// Those who wait for the transport or for each other.
///
/// Whether anybody waits is kept beside the lock, for messages that nobody waits for. A waiter parks first, and then
/// looks once more, under the lock of what it waits for (output, or receive), whether it has to wait. Who changes that
/// does so under the same lock, and looks here afterwards. If the waiter's look came first, that lock makes its flag
/// visible, so the flags need no order of their own; if it came later, it saw the change. The transport has no such
/// lock: what it wakes is looked up under the one here.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Waiting>,
    /// Whether there is a receiver in `waiting`; stored while that is locked.
    receiver_waits: AtomicBool,
    /// Whether there are senders in `waiting`; stored while that is locked.
    senders_wait: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    receiver: Option<Waker>,
    senders: Vec<(u64, Waker)>,
    last_sender: u64,
}

impl Waiters {
    /// Parks the receiver. It must be parked before the transport is polled, so that no wake-up falls between.
    pub(super) fn park_receiver(&self, waker: Waker) {
        let mut waiting = lock(&self.waiting);
        let old = waiting.receiver.replace(waker);
        self.receiver_waits.store(true, Ordering::Relaxed);
        drop(waiting);
        drop(old);
    }

    /// Takes the receiver's waker back when it goes on, or its own task's sends would wake it. A waker may own its
    /// task, and with it a sender's place: one of another task has to be dropped when nothing is locked.
    #[inline]
    pub(super) fn unpark_receiver(&self) -> Option<Waker> {
        // Only the receiver parks itself, so that what it sees here cannot become true meanwhile.
        if self.receiver_waits() { self.remove_receiver() } else { None }
    }

    #[inline]
    pub(super) fn receiver_waits(&self) -> bool {
        self.receiver_waits.load(Ordering::Relaxed)
    }

    /// Wakes the receiver, if it waits. For one who has locked nothing, and has changed what it waits for.
    #[inline]
    pub(super) fn wake_receiver(&self) {
        if self.receiver_waits()
            && let Some(receiver) = self.remove_receiver()
        {
            receiver.wake();
        }
    }

    /// Wakes the receiver, unless it is the party.
    pub(super) fn take_receiver(&self, party: Party, wakeups: &Wakeups) {
        if party != Party::Receiver
            && self.receiver_waits()
            && let Some(receiver) = self.remove_receiver()
        {
            wakeups.push(receiver);
        }
    }

    /// Wakes the senders, but for the party.
    fn take_senders(&self, party: Party, wakeups: &Wakeups) {
        if self.senders_wait.load(Ordering::Relaxed) {
            self.remove_senders(&mut lock(&self.waiting), party, wakeups);
        }
    }

    #[cold]
    fn remove_receiver(&self) -> Option<Waker> {
        let mut waiting = lock(&self.waiting);
        self.receiver_waits.store(false, Ordering::Relaxed);
        waiting.receiver.take()
    }

    fn remove_senders(&self, waiting: &mut Waiting, party: Party, wakeups: &Wakeups) {
        let others = waiting.senders.extract_if(.., |(number, _)| Party::Sender(*number) != party);
        others.for_each(|(_, waker)| wakeups.push(waker));
        self.senders_wait.store(!waiting.senders.is_empty(), Ordering::Relaxed);
    }

    fn wake_all(&self) {
        let wakeups = Wakeups::default();
        // Locked whatever the flags say: see above.
        let mut waiting = lock(&self.waiting);
        self.receiver_waits.store(false, Ordering::Relaxed);
        if let Some(receiver) = waiting.receiver.take() {
            wakeups.push(receiver);
        }
        self.remove_senders(&mut waiting, Party::Passer, &wakeups);
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
    #[inline]
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
                self.waiters.senders_wait.store(true, Ordering::Relaxed);
                None
            }
        };
        drop(waiting);
        drop(old);
    }

    /// Takes the sender's waker back: what it does itself need not wake it.
    #[inline]
    pub(super) fn unpark(&mut self) {
        // Most messages are queued before anybody parks.
        if self.number != 0 {
            self.remove();
        }
    }

    #[cold]
    fn remove(&mut self) {
        let mut waiting = lock(&self.waiters.waiting);
        let parked = waiting.senders.iter().position(|(number, _)| *number == self.number);
        let old = parked.map(|index| waiting.senders.remove(index));
        self.waiters.senders_wait.store(!waiting.senders.is_empty(), Ordering::Relaxed);
        drop(waiting);
        drop(old);
    }
}

impl Drop for SenderPlace<'_> {
    #[inline]
    fn drop(&mut self) {
        self.unpark();
    }
}

/// A panic elsewhere in the program leaves the state as it was: every change under a lock is whole.
#[inline]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
