//! How a connection may end, given what was done to it.

use std::sync::atomic::{AtomicU64, Ordering};

use sansocket::Role;
use sansocket::connection::{ClosedBy, ReceivedClose};
use sansocket::stream::Error;

use crate::conversation::close_code;
use crate::ledger::{Ended, Ledger, Record, is_clean};
use crate::plan::{Fault, Leave, Misdeed, WireFault, Wrong, index, other};

/// Both ends have ended: holds how against what was planned.
pub(crate) fn judge(ledger: &Ledger, record: &Record, ends: [&Ended; 2]) {
    for role in [Role::Client, Role::Server] {
        let (end, peer) = (ends[index(role)], ends[index(other(role))]);
        if let Some(what) = ended_wrongly(record, role, end, peer) {
            ledger.violation(record, format_args!("{role:?} {what}: {end:?}"));
        }
        let (certain, possible) = missing(record, role);
        if !must_be_complete(record, role, end, peer) {
            ledger.add(&ledger.unconfirmed, certain);
            continue;
        }
        let thrown_away = thrown_away(peer);
        if thrown_away < certain {
            ledger.lost.fetch_add(certain - thrown_away, Ordering::Relaxed);
            ledger.violation(
                record,
                format_args!("{} messages of the {role:?} are lost", certain - thrown_away),
            );
        } else if thrown_away > possible {
            ledger.duplicated.fetch_add(thrown_away - possible, Ordering::Relaxed);
            ledger.violation(record, format_args!("the {role:?} sent less than what was thrown away"));
        }
    }
}

/// Whether all that this role has sent must have been delivered.
fn must_be_complete(record: &Record, role: Role, end: &Ended, peer: &Ended) -> bool {
    if !matches!(peer, Ended::Reported(..)) {
        return false;
    }
    match (record.plan.fault, end) {
        // A frame that breaks the protocol comes behind those that do not, and they are delivered.
        (Fault::Raw(raw, Misdeed::Wrong(_) | Misdeed::NeverAnswersClose, _), Ended::Raw(_)) => raw == role,
        (_, Ended::Reported(Some(report), None)) if report.clean => {
            let is_answer = report.received == ReceivedClose::Code(close_code(role));
            // Who got its own status code back was answered, behind all that it had sent.
            is_clean(peer) || report.closed_by == ClosedBy::Local && is_answer
        }
        _ => false,
    }
}

/// How many messages of this role were sent for certain and not delivered, and how many may have been sent.
fn missing(record: &Record, role: Role) -> (u64, u64) {
    let sent = record.sent(role);
    let load = |number: &AtomicU64| number.load(Ordering::Acquire);
    let missing = load(&sent.next)..load(&sent.taken);
    let certain = missing.clone().filter(|number| !record.is_maybe(role, *number)).count() as u64;
    (certain, missing.count() as u64)
}

fn thrown_away(end: &Ended) -> u64 {
    match end {
        Ended::Reported(Some(report), _) => report.messages_thrown_away,
        _ => 0,
    }
}

/// Why this end must not have ended as it has.
fn ended_wrongly(record: &Record, role: Role, end: &Ended, peer: &Ended) -> Option<&'static str> {
    let (report, error) = match end {
        Ended::Reported(report, error) => (report.as_ref(), error.as_ref()),
        Ended::Raw(code) => return raw_ended_wrongly(record.plan.fault, *code),
        Ended::Panicked => return Some("panicked"),
        Ended::Left | Ended::NoHandshake => return None,
    };
    let Some(report) = report else { return Some("ended without a report") };
    if report.clean != error.is_none() {
        return Some("is not clean, and reported no error, or the other way round");
    }
    let fired = record.fault_fired.load(Ordering::Acquire);
    let fault = if fired { record.plan.fault } else { Fault::None };
    let Some(error) = error else {
        let misbehaved = matches!(fault, Fault::Raw(raw, ..) if raw != role);
        return misbehaved.then_some("took a peer for good that was not");
    };
    let is_cut = matches!(error, Error::Io(_) | Error::EndOfStream);
    let is_late = matches!(error, Error::DeadPeer | Error::WriteTimeout | Error::CloseTimeout);
    // A peer that has answered this end's Close waits 2 s for what it has sent to be read. An end that is slower than that may
    // find that its Pong was answered by a reset: it says so, and the peer has promised nothing else.
    let is_slower_than_the_drain = is_cut && report.closed_by == ClosedBy::Local && is_clean(peer);
    let may_be = match fault {
        Fault::None | Fault::Leave(_, Leave::Close, _) if is_slower_than_the_drain => true,
        Fault::None | Fault::Leave(_, Leave::Close, _) | Fault::Wire(_, WireFault::Stall(_), _) => false,
        Fault::Wire(_, WireFault::Reset | WireFault::End, _)
        | Fault::Leave(..)
        | Fault::Raw(_, Misdeed::CutAndGarbage, _) => is_cut,
        Fault::Wire(_, WireFault::HalfOpen, _) => is_cut || is_late,
        Fault::Raw(_, Misdeed::Wrong(_), _) => matches!(error, Error::Protocol(_)),
        Fault::Raw(_, Misdeed::NeverAnswersClose, _) => matches!(error, Error::CloseTimeout),
        Fault::Raw(_, Misdeed::NeverReads, _) => is_late,
        Fault::Handshake(_) => false,
    };
    (!may_be).then_some("ended with an error that it had no reason for")
}

/// A peer that has sent a wrong frame is told so in a Close frame, which no reset destroys.
fn raw_ended_wrongly(fault: Fault, code: Option<u16>) -> Option<&'static str> {
    let expected = match fault {
        Fault::Raw(_, Misdeed::Wrong(Wrong::Utf8), _) => 1007,
        Fault::Raw(_, Misdeed::Wrong(_), _) => 1002,
        _ => return None,
    };
    (code != Some(expected)).then_some("was not told that it broke the protocol")
}
