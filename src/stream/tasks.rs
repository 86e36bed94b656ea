//! The tasks that wait for an unsplit socket: mostly one, and two where it was split as any `Stream` and `Sink` can be.

use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::shared::Observed;
use super::sync::{Mutex, lock};

/// What a task asks for: each of two asks for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Receive,
    Send,
}

/// Who waits.
///
/// A transport remembers one waker for each direction, and a timer one. But who sends reads ahead, who receives writes, and
/// both keep the time: so the one would replace the waker of the other. A lone task's waker is handed through, and
/// remembered, which after the first time costs a comparison. When somebody else comes while it waits for the other side,
/// the transport is polled, from then on, with a waker that wakes both.
#[derive(Debug, Default)]
pub(super) enum Tasks {
    #[default]
    Nobody,
    /// Its last waker, and the sides on which it waits: [`Side`] as an index.
    One(Waker, [bool; 2]),
    /// Boxed: most sockets never have two.
    Two(Box<Two>),
}

/// Two tasks, of which either may wait.
#[derive(Debug)]
pub(super) struct Two {
    waiting: Arc<Waiting>,
    /// The waker that wakes both.
    waker: Waker,
    /// How things stood behind the last pass.
    seen: Option<Observed>,
}

/// What has changed between two passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub(super) anything: bool,
    /// Where the connection stands.
    pub(super) standing: bool,
}

#[derive(Debug)]
struct Waiting(Mutex<[Option<Waker>; 2]>);

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Receive => Self::Send,
            Self::Send => Self::Receive,
        }
    }
}

impl Tasks {
    /// Whether the waker may be handed through: nobody else waits.
    #[inline]
    pub(super) fn is_alone(&self, side: Side, waker: &Waker) -> bool {
        match self {
            Self::Nobody => true,
            Self::One(other, waits) => !waits[side.other() as usize] || other.will_wake(waker),
            Self::Two(_) => false,
        }
    }

    /// Remembers what a poll of the transport came to for a task that [is alone](Self::is_alone).
    #[inline]
    pub(super) fn polled(&mut self, side: Side, waker: &Waker, is_pending: bool) {
        match self {
            Self::One(known, waits) if !is_pending || known.will_wake(waker) => {
                waits[side as usize] = is_pending;
            }
            _ if is_pending => self.remember(side, waker),
            _ => {}
        }
    }

    #[cold]
    fn remember(&mut self, side: Side, waker: &Waker) {
        let mut waits = [false; 2];
        waits[side as usize] = true;
        *self = Self::One(waker.clone(), waits);
    }

    /// Two tasks, from here on.
    #[cold]
    pub(super) fn two(&mut self) -> &mut Two {
        if !matches!(self, Self::Two(_)) {
            let waiting = match mem::take(self) {
                Self::One(waker, waits) => waits.map(|waits| waits.then(|| waker.clone())),
                _ => [None, None],
            };
            *self = Self::Two(Box::new(Two::new(waiting)));
        }
        match self {
            Self::Two(two) => two,
            // INVARIANT: it has just been made.
            _ => unreachable!("there are two"),
        }
    }

    /// What was pending has become enough: the task does not wait.
    pub(super) fn goes_on(&mut self, side: Side) {
        match self {
            Self::Nobody => {}
            Self::One(_, waits) => waits[side as usize] = false,
            Self::Two(two) => two.unpark(side),
        }
    }

    /// Wakes who waits on a side, unless it is the one with this waker.
    pub(super) fn wake(&mut self, side: Side, own: &Waker) {
        match self {
            Self::One(waker, waits) if waits[side as usize] && !waker.will_wake(own) => waker.wake_by_ref(),
            Self::Two(two) => two.wake(side),
            _ => {}
        }
    }
}

impl Two {
    fn new(waiting: [Option<Waker>; 2]) -> Self {
        let waiting = Arc::new(Waiting(Mutex::new(waiting)));
        Self { waker: Waker::from(Arc::clone(&waiting)), waiting, seen: None }
    }

    /// The waker with which the transport is polled, whoever does it.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Takes note of how things stand behind a pass, and returns what has changed since the last one: what was parsed between
    /// the two included. Ahead of the first one it was open.
    pub(super) fn sees(&mut self, before: Observed, now: Observed) -> Changed {
        let seen = self.seen.replace(now).unwrap_or(before.while_open());
        Changed { anything: seen != now, standing: seen.standing != now.standing }
    }

    /// Must come before the transport is polled, so that no wake-up falls between.
    pub(super) fn park(&self, side: Side, waker: &Waker) {
        let mut waiting = lock(&self.waiting.0);
        let known = &mut waiting[side as usize];
        if known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        let old = known.replace(waker.clone());
        drop(waiting);
        drop(old);
    }

    /// Takes a waker back: what its task does itself need not wake it.
    pub(super) fn unpark(&self, side: Side) {
        drop(self.take(side));
    }

    /// Wakes who waits on a side.
    pub(super) fn wake(&self, side: Side) {
        if let Some(waker) = self.take(side) {
            waker.wake();
        }
    }

    /// Wakes who waits on the other side.
    pub(super) fn wake_other(&self, side: Side) {
        self.wake(side.other());
    }

    /// To be called or dropped when nothing is locked: it is the executor's code, and may come back here.
    fn take(&self, side: Side) -> Option<Waker> {
        lock(&self.waiting.0)[side as usize].take()
    }
}

/// A transport's other end may still have the waker for both. Nobody is kept by it.
impl Drop for Two {
    fn drop(&mut self) {
        drop(self.waiting.take_all());
    }
}

impl Waiting {
    fn take_all(&self) -> [Option<Waker>; 2] {
        mem::take(&mut *lock(&self.0))
    }
}

/// A waker is taken as it is called: a task that has ended is not kept, and who still waits comes back to be parked.
impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.take_all().into_iter().flatten().for_each(Waker::wake);
    }
}
