//! How often the connections of a thread may still send, and when its clock runs.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot::{Receiver, Sender, channel};

#[derive(Clone, Copy)]
struct Turns {
    /// Octets of every reply.
    len: usize,
    sent: usize,
    received: usize,
    /// After how many replies the clock starts, and after how many it stops.
    warm: usize,
    total: usize,
    started: Duration,
}

thread_local! {
    static TURNS: Cell<Option<Turns>> = const { Cell::new(None) };
    static DONE: RefCell<Option<Sender<Duration>>> = const { RefCell::new(None) };
}

/// Begins: `sent` messages are sent by themselves, `total` all in all. What comes in the end is the processor time of the
/// thread from the last reply that does not count, number `warm`, to the last of all.
pub(crate) fn begin(len: usize, sent: usize, warm: usize, total: usize) -> Receiver<Duration> {
    TURNS.set(Some(Turns { len, sent, received: 0, warm, total, started: Duration::ZERO }));
    let (sender, receiver) = channel();
    DONE.set(Some(sender));
    receiver
}

/// A reply of this length has come: whether to send another message.
///
/// # Panics
///
/// If the length is wrong: then no figure means anything.
pub(crate) fn next(len: usize) -> bool {
    let mut turns = TURNS.get().expect("a client runs on its thread");
    assert!(len == turns.len, "a reply has {len} octets");
    turns.received += 1;
    if turns.received == turns.warm {
        turns.started = used();
    }
    if turns.received == turns.total {
        // Nobody waits for it where the driver has given up.
        let _ = DONE.take().map(|done| done.send(used() - turns.started));
    }
    let goes_on = turns.sent < turns.total;
    turns.sent += usize::from(goes_on);
    TURNS.set(Some(turns));
    goes_on
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
