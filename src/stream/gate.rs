//! One connection attempt at a time to one address: RFC 6455 §4.1.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Lets one attempt at a time connect to an address and makes the others wait until it has succeeded or failed.
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
    /// The places to which somebody is connecting, and those who wait for that to end.
    taken: HashMap<Place, Vec<Waker>>,
    waiting: usize,
}

/// Where a connection goes to, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Address(SocketAddr),
    /// Through a proxy, which alone knows the address.
    Name(String, u16),
}

/// The right to connect to one place, until it is dropped.
#[derive(Debug)]
pub(super) struct GatePass {
    gate: Arc<Gate>,
    place: Place,
}

impl ConnectGate {
    /// A gate before which at most `max_waiting` attempts wait; one more fails.
    #[must_use]
    pub fn new(max_waiting: usize) -> Self {
        Self(Arc::new(Gate { max_waiting, state: Mutex::default() }))
    }

    /// Waits for its turn; `None` when too many do already.
    pub(super) async fn enter(&self, place: Place) -> Option<GatePass> {
        let mut waiting = Waiting { gate: &self.0, counted: false };
        poll_fn(|cx| {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            let state = &mut *state;
            let Some(wakers) = state.taken.get_mut(&place) else {
                state.taken.insert(place.clone(), Vec::new());
                return Poll::Ready(Some(GatePass { gate: Arc::clone(&self.0), place: place.clone() }));
            };
            if !waiting.counted {
                if state.waiting >= self.0.max_waiting {
                    return Poll::Ready(None);
                }
                state.waiting += 1;
                waiting.counted = true;
            }
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl Default for ConnectGate {
    /// At most 1,000 attempts wait.
    fn default() -> Self {
        Self::new(1000)
    }
}

impl Drop for GatePass {
    fn drop(&mut self) {
        let mut state = self.gate.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wakers = state.taken.remove(&self.place).unwrap_or_default();
        drop(state);
        // All of them: one that is woken may have been given up.
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// One attempt's place among those that wait, given up when it is dropped.
struct Waiting<'a> {
    gate: &'a Gate,
    counted: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.gate.state.lock().unwrap_or_else(PoisonError::into_inner).waiting -= 1;
        }
    }
}
