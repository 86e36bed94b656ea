//! Waiting for the next deadline, with one timer.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Progress, Transport, Waiting};
use crate::connection::{self, Outbox, Reading, Timestamp};
use crate::stream::receive_side::ReceiveSide;

/// A timer, and whom it wakes.
#[derive(Debug)]
pub(super) struct Timer {
    sleep: Pin<Box<Sleep>>,
    waker: Option<Waker>,
    /// Its deadline has come, and the transport is read once more before anything is judged.
    came: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Does what is due at the end of a connection: a peer that always has something to read must not put it off. As long as it
    /// is open, nothing is due before what there is has been read.
    #[inline]
    pub(super) fn check_deadline(&mut self, outbox: &mut Outbox) {
        if outbox.closing.next_deadline().is_some() {
            let now = self.waiting().now();
            outbox.handle_closing_timeout(now);
        }
    }

    /// Waits for the next deadline, if there is one, and does what is due. `Ready` when that changed the phase, or queued
    /// something.
    pub(in crate::stream) fn poll_timer(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
        reading: Reading,
    ) -> Poll<Progress> {
        let deadline = connection::next_deadline(&receive.path, outbox);
        match (deadline, &self.waiting) {
            (None, None) => Poll::Pending,
            (Some(deadline), Some(waiting)) if waiting.waits_for(deadline, cx.waker()) => Poll::Pending,
            _ => self.poll_deadline(cx, receive, outbox, reading),
        }
    }

    #[inline(never)]
    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut ReceiveSide,
        outbox: &mut Outbox,
        reading: Reading,
    ) -> Poll<Progress> {
        let (phase, queued) = (outbox.closing.phase(), outbox.output.len());
        while let Some(deadline) = connection::next_deadline(&receive.path, outbox) {
            let waiting = self.waiting();
            if deadline > Timestamp::ORIGIN {
                // A timeout beyond what the clock can tell never comes.
                let Some(deadline) = waiting.origin.checked_add(deadline.since_origin()) else { break };
                if waiting.poll_until(deadline, cx).is_pending() {
                    return Poll::Pending;
                }
                // The runtime looks for input before it looks at the time. So what it has found when this timer has come is
                // all that came in time; what was read before that may not be.
                if outbox.closing.is_open() && waiting.timer.as_mut().is_some_and(Timer::has_just_come) {
                    return Poll::Ready(Progress::Again);
                }
            }
            let (now, mut arrivals) = (waiting.now(), receive.arrivals());
            connection::handle_timeout(&mut receive.path, outbox, &mut arrivals, now, reading);
            receive.set_arrivals(&arrivals);
            if outbox.closing.phase() != phase || outbox.output.len() != queued {
                return Poll::Ready(Progress::Again);
            }
        }
        self.stop_timer();
        Poll::Pending
    }
}

impl Timer {
    /// Whether that is new; not when it is asked again.
    fn has_just_come(&mut self) -> bool {
        self.came = !self.came;
        self.came
    }
}

impl Waiting {
    fn now(&self) -> Timestamp {
        Timestamp::from_origin(self.origin.elapsed())
    }

    /// Whether the timer is set to this deadline, has not come to it, and will wake this waker: then there is nothing to poll it
    /// for.
    fn waits_for(&self, deadline: Timestamp, waker: &Waker) -> bool {
        let Some(Timer { sleep, waker: Some(woken), .. }) = &self.timer else { return false };
        woken.will_wake(waker)
            && self.origin.checked_add(deadline.since_origin()) == Some(sleep.deadline())
            && !sleep.is_elapsed()
    }

    fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Timer { sleep, waker, came } = self.timer.get_or_insert_with(|| Timer {
            sleep: Box::pin(sleep_until(deadline)),
            waker: None,
            came: false,
        });
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
            *came = false;
        }
        // The time does not wait for the scheduler's next turn: a peer that keeps it busy would put it off for ever.
        let elapsed = pin!(coop::unconstrained(sleep.as_mut())).poll(cx);
        if elapsed.is_pending() {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
        }
        elapsed
    }
}
