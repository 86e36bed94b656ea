//! What the time asks for: the two paths and the clock, joined.

use core::mem;

use super::receive::ReceivePath;
use super::send::Outbox;
use super::timers::{Arrivals, Due, Reading, Standing, Timestamp};
use crate::error::ProtocolError;

/// [`Connection::next_deadline`](super::Connection::next_deadline), for when the two paths stand apart.
#[inline]
pub(crate) fn next_deadline(receive: &ReceivePath, outbox: &Outbox) -> Option<Timestamp> {
    match &outbox.timers {
        Some(timers) if outbox.closing.is_open() => timers.next_deadline(standing(receive, outbox)),
        _ => outbox.closing.next_deadline(),
    }
}

/// [`Connection::handle_timeout`](super::Connection::handle_timeout), for when the two paths stand apart.
pub(crate) fn handle_timeout(
    receive: &mut ReceivePath,
    outbox: &mut Outbox,
    arrivals: &mut Arrivals,
    now: Timestamp,
    reading: Reading,
) {
    if !outbox.closing.is_open() {
        outbox.timers = None;
        outbox.handle_closing_timeout(now);
        return;
    }
    // Taken out: what is due changes everything else.
    let Some(mut timers) = outbox.timers.take() else { return };
    let standing = standing(receive, outbox);
    if timers.arm(now, standing, arrivals, &mut outbox.closing.progress) {
        receive.note_message();
        outbox.timers = Some(timers);
        return;
    }
    let mut progress = mem::take(&mut outbox.closing.progress);
    while let Some(due) = timers.due(now, reading, standing, arrivals, &mut progress) {
        match due {
            Due::Ping => {
                if let Some(until) = outbox.keepalive_ping() {
                    timers.ping_queued(until);
                }
            }
            Due::DeadPeer => outbox.give_up_dead_peer(),
            Due::WriteTimeout => outbox.give_up_writing(),
            Due::Idle => outbox.close_idle(),
            Due::MessageTimeout => outbox.fail(ProtocolError::MessageTimeout),
        }
        if !outbox.closing.is_open() {
            // None of them matters any more.
            return;
        }
    }
    outbox.closing.progress |= progress;
    outbox.timers = Some(timers);
}

#[inline]
fn standing(receive: &ReceivePath, outbox: &Outbox) -> Standing {
    Standing {
        message_open: receive.is_message_open(),
        message_began: receive.has_new_message(),
        output_waits: outbox.output_waits(),
        flush_waits: outbox.closing.flush_waits,
        written: outbox.output.written(),
    }
}
