//! One connection attempt at a time to one address: RFC 6455 §4.1.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Lets one attempt at a time connect to an address and makes the others wait, in the order in which they came, until
/// it has succeeded or failed.
///
/// Clones are the same gate.
#[derive(Debug, Clone)]
pub struct ConnectGate(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    max_waiting: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The attempts at each place to which somebody connects: the first does, the others wait.
    queues: HashMap<Place, VecDeque<Attempt>>,
    /// How many wait, at all places together.
    waiting: usize,
    next_id: u64,
}

#[derive(Debug)]
struct Attempt {
    id: u64,
    waker: Option<Waker>,
}

/// Where a connection goes to, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Address(SocketAddr),
    /// Through a proxy, which alone knows the address.
    Name(String, u16),
}

/// A place in the queue and then the right to connect, until it is dropped.
#[derive(Debug)]
pub(super) struct GatePass {
    gate: Arc<Gate>,
    place: Place,
    id: u64,
}

impl ConnectGate {
    /// A gate before which at most `max_waiting` attempts wait; one more fails.
    #[must_use]
    pub fn new(max_waiting: usize) -> Self {
        Self(Arc::new(Gate { max_waiting, state: Mutex::default() }))
    }

    /// Waits for its turn; `None` when too many do already.
    pub(super) async fn enter(&self, place: Place) -> Option<GatePass> {
        let pass = self.queue_up(place)?;
        poll_fn(|cx| pass.poll_turn(cx)).await;
        Some(pass)
    }

    fn queue_up(&self, place: Place) -> Option<GatePass> {
        let mut state = self.0.lock();
        let state = &mut *state;
        // INVARIANT: no queue is empty, so whoever finds one waits.
        if state.queues.contains_key(&place) {
            if state.waiting >= self.0.max_waiting {
                return None;
            }
            state.waiting += 1;
        }
        let id = state.next_id;
        state.next_id += 1;
        state.queues.entry(place.clone()).or_default().push_back(Attempt { id, waker: None });
        Some(GatePass { gate: Arc::clone(&self.0), place, id })
    }
}

impl Default for ConnectGate {
    /// At most 1,000 attempts wait.
    fn default() -> Self {
        Self::new(1000)
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GatePass {
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.gate.lock();
        let mut waiting = state.queues.get_mut(&self.place).into_iter().flatten().skip(1);
        match waiting.find(|attempt| attempt.id == self.id) {
            Some(attempt) => {
                attempt.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for GatePass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let State { queues, waiting, .. } = &mut *state;
        let Some(queue) = queues.get_mut(&self.place) else { return };
        queue.retain(|attempt| attempt.id != self.id);
        // Nobody new has come to the front when this attempt only waited: waking the first does no harm.
        let next = queue.front_mut().and_then(|attempt| attempt.waker.take());
        if queue.is_empty() {
            queues.remove(&self.place);
        } else {
            *waiting -= 1;
        }
        drop(state);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
