//! Those who wait for the transport or for each other, and how they are woken.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

use super::sync::{AtomicBool, Mutex, lock};

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
    /// Whether there is a driver in `waiting`; stored while that is locked.
    driver_waits: AtomicBool,
    /// Whether there are senders in `waiting`; stored while that is locked.
    senders_wait: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    receiver: Option<Waker>,
    /// The driver among them, as [`DRIVER`]: most connections have none, and no room for one.
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

    /// Wakes the receiver and the driver, if they wait. For one who has locked nothing, and has changed what they wait for.
    #[inline]
    pub(super) fn wake_readers(&self) {
        if self.receiver_waits()
            && let Some(receiver) = self.remove_receiver()
        {
            receiver.wake();
        }
        if self.driver_waits()
            && let Some(driver) = self.remove_driver()
        {
            driver.wake();
        }
    }

    /// Wakes the receiver and the driver, but for the party.
    pub(super) fn take_readers(&self, party: Party, wakeups: &Wakeups) {
        self.take_receiver(party, wakeups);
        self.take_driver(party, wakeups);
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

    /// Parks the driver. It must be parked before the transport is polled, so that no wake-up falls between.
    pub(super) fn park_driver(&self, waker: &Waker) {
        let mut waiting = lock(&self.waiting);
        let old = waiting.park(DRIVER, waker);
        self.driver_waits.store(true, Ordering::Relaxed);
        drop(waiting);
        drop(old);
    }

    /// Takes the driver's waker back: to be dropped when nothing is locked.
    pub(super) fn unpark_driver(&self) -> Option<Waker> {
        if self.driver_waits() { self.remove_driver() } else { None }
    }

    #[inline]
    fn driver_waits(&self) -> bool {
        self.driver_waits.load(Ordering::Relaxed)
    }

    /// Wakes the driver, unless it is the party.
    pub(super) fn take_driver(&self, party: Party, wakeups: &Wakeups) {
        if party != Party::Driver
            && self.driver_waits()
            && let Some(driver) = self.remove_driver()
        {
            wakeups.push(driver);
        }
    }

    #[cold]
    fn remove_driver(&self) -> Option<Waker> {
        let mut waiting = lock(&self.waiting);
        self.driver_waits.store(false, Ordering::Relaxed);
        waiting.remove(DRIVER)
    }

    /// Wakes the senders, but for the party.
    pub(super) fn take_senders(&self, party: Party, wakeups: &Wakeups) {
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
        let others = waiting
            .senders
            .extract_if(.., |(number, _)| *number != DRIVER && Party::Sender(*number) != party);
        others.for_each(|(_, waker)| wakeups.push(waker));
        self.senders_wait.store(waiting.has_senders(), Ordering::Relaxed);
    }

    pub(super) fn wake_all(&self) {
        let wakeups = Wakeups::default();
        // Locked whatever the flags say: see above.
        let mut waiting = lock(&self.waiting);
        self.receiver_waits.store(false, Ordering::Relaxed);
        if let Some(receiver) = waiting.receiver.take() {
            wakeups.push(receiver);
        }
        self.driver_waits.store(false, Ordering::Relaxed);
        if let Some(driver) = waiting.remove(DRIVER) {
            wakeups.push(driver);
        }
        self.remove_senders(&mut waiting, Party::Passer, &wakeups);
    }
}

impl Waiting {
    /// Puts the waker in its place. The one that was there is to be dropped when nothing is locked.
    fn park(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        match self.senders.iter_mut().find(|(parked, _)| *parked == number) {
            Some((_, parked)) if parked.will_wake(waker) => None,
            Some((_, parked)) => Some(mem::replace(parked, waker.clone())),
            None => {
                self.senders.push((number, waker.clone()));
                None
            }
        }
    }

    fn remove(&mut self, number: u64) -> Option<Waker> {
        let index = self.senders.iter().position(|(parked, _)| *parked == number)?;
        Some(self.senders.remove(index).1)
    }

    fn has_senders(&self) -> bool {
        self.senders.iter().any(|(number, _)| *number != DRIVER)
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
        let old = waiting.park(self.number, waker);
        self.waiters.senders_wait.store(true, Ordering::Relaxed);
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
        let old = waiting.remove(self.number);
        self.waiters.senders_wait.store(waiting.has_senders(), Ordering::Relaxed);
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

/// Who is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Receiver,
    Driver,
    /// The sender with this number among the waiters.
    Sender(u64),
    /// Somebody who does not wait.
    Passer,
}

/// The driver's number among the waiters. Senders are counted from 1.
const DRIVER: u64 = u64::MAX;

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
