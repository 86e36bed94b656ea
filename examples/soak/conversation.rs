//! What the two ends of a connection tell each other: what to send, what to expect, when to close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sansocket::stream::Error;
use sansocket::{CloseCode, Message, MessageKind, Role, SendError};
use tokio::time::{Instant, timeout};

use crate::ends::Run;
use crate::ledger::{Ledger, Record};
use crate::message::{Messages, Mismatch};
use crate::plan::{Face, Fault, Leave, Plan, Random, Traffic, index, other};

/// Each role has a code of its own: who gets it back was answered.
pub(crate) fn close_code(role: Role) -> CloseCode {
    match role {
        Role::Client => CloseCode::NORMAL,
        Role::Server => CloseCode::GOING_AWAY,
    }
}

/// What this role sends. An echo is what the client has sent.
pub(crate) fn messages_of(plan: &Plan, sender: Role) -> Messages {
    let author = if plan.traffic == Traffic::Echo { Role::Client } else { sender };
    let longest = if plan.raw() == Some(sender) {
        16 << 10
    } else if plan.traffic == Traffic::Push && !plan.faces[index(sender)].is_split() {
        // An unsplit end that has more than the high-water mark to send leaves its input alone. Two of these, that both
        // send what nobody asked for, would wait for each other.
        MOST_QUEUED as u64 / 2
    } else {
        1 << 20
    };
    Messages { seed: plan.seed, id: plan.id, sender: author, longest }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) role: Role,
    pub(crate) record: Arc<Record>,
    pub(crate) ledger: Arc<Ledger>,
    /// The time is up: what is sent next is the last.
    pub(crate) stop: Arc<AtomicBool>,
    /// Messages sent and received.
    dealt_with: AtomicU64,
    /// For how long it may be slow, in milliseconds: a Close waits behind what it has not read, and nobody may be called dead.
    patience: AtomicU64,
    /// A message was refused, since a Close has been sent: so will be all others.
    refused: AtomicBool,
}

impl End {
    pub(crate) fn new(role: Role, record: &Arc<Record>, run: &Run) -> Arc<Self> {
        Arc::new(Self {
            role,
            record: Arc::clone(record),
            ledger: Arc::clone(&run.ledger),
            stop: Arc::clone(&run.stop),
            patience: AtomicU64::new(run.patience.as_millis() as u64),
            dealt_with: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.record.plan
    }

    pub(crate) fn face(&self) -> Face {
        self.plan().faces[index(self.role)]
    }

    pub(crate) fn random(&self, part: u64) -> Random {
        Random::new(&[self.plan().seed, self.plan().id, index(self.role) as u64, 1000 + part])
    }

    pub(crate) fn echoes(&self) -> bool {
        self.role == Role::Server
            && self.plan().traffic == Traffic::Echo
            && !self.refused.load(Ordering::Relaxed)
    }

    /// How this end goes now, if it does: as the plan has it, without asking the other, or since all has been said.
    pub(crate) fn leaves(&self) -> Option<Leave> {
        match self.plan().fault {
            Fault::Leave(role, leave, after)
                if role == self.role && self.dealt_with.load(Ordering::Relaxed) >= after =>
            {
                self.record.fault_fires();
                Some(leave)
            }
            _ => self.may_close().then_some(Leave::Close),
        }
    }

    /// Whether it is this end that closes, and all has been said and heard.
    fn may_close(&self) -> bool {
        let total = |role| {
            let author = if self.plan().traffic == Traffic::Echo { Role::Client } else { role };
            self.record.sent(author).total.load(Ordering::Acquire)
        };
        let (own, others) = (total(self.role), total(other(self.role)));
        self.plan().closer == self.role
            && own != 0
            && self.record.sent(self.role).taken.load(Ordering::Acquire) == own
            && others != 0
            && self.record.sent(other(self.role)).next.load(Ordering::Acquire) == others
    }

    /// Checks what has come, and says which message it is.
    pub(crate) fn received(&self, kind: MessageKind, payload: &[u8]) -> u64 {
        let sender = other(self.role);
        let messages = messages_of(self.plan(), sender);
        let next = &self.record.sent(sender).next;
        let expected = next.load(Ordering::Relaxed);
        let mut number = expected;
        let found = loop {
            match messages.check(number, kind, payload) {
                Ok(()) => break Ok(number),
                Err(_) if self.record.is_maybe(sender, number) => number += 1,
                Err(mismatch) => break Err(mismatch),
            }
        };
        let number = found.unwrap_or_else(|mismatch| {
            let (counter, number) = match mismatch {
                Mismatch::Number(found) if found < expected => (&self.ledger.duplicated, expected),
                Mismatch::Number(found) => (&self.ledger.lost, found),
                Mismatch::Foreign | Mismatch::Corrupt => (&self.ledger.corrupt, expected),
            };
            self.ledger.add(counter, 1);
            let len = payload.len();
            let what =
                format_args!("{:?} expected {expected}, received {len} octets: {mismatch:?}", self.role);
            self.ledger.violation(&self.record, what);
            number
        });
        next.store(number + 1, Ordering::Release);
        self.dealt_with.fetch_add(1, Ordering::Relaxed);
        self.ledger.add(&self.ledger.messages, 1);
        self.ledger.add(&self.ledger.octets, payload.len() as u64);
        number
    }

    /// What has become of sending a message; false if nothing can be sent any more.
    pub(crate) fn sent(&self, number: u64, sent: Sent) -> bool {
        let taken = match &sent {
            Sent::Certain | Sent::Maybe => true,
            // Nothing was queued: the other end has closed.
            Sent::Refused(Error::Send(SendError::SendAfterClose | SendError::Closed)) => {
                self.refused.store(true, Ordering::Relaxed);
                return false;
            }
            Sent::Refused(Error::Send(error)) => {
                self.ledger.violation(&self.record, format_args!("{:?} cannot send: {error}", self.role));
                return false;
            }
            // The connection has failed, and what of it the other end has got cannot be known.
            Sent::Refused(error) => {
                self.record.note(format_args!("{:?} sends {number}: {error}", self.role));
                false
            }
        };
        if !matches!(sent, Sent::Certain) {
            self.record.give_up(self.role, number);
            self.ledger.add(&self.ledger.given_up, 1);
        }
        self.record.sent(self.role).taken.store(number + 1, Ordering::Release);
        self.dealt_with.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// How long a slow reader takes for a message.
    pub(crate) fn delay(&self, random: &mut Random) -> Option<Duration> {
        let delay = self.plan().slow[index(self.role)]?;
        if !random.percent(30) || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let spend = |left: u64| left.checked_sub(delay.as_millis() as u64);
        self.patience.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok().then_some(delay)
    }

    /// Whether the sending of this message may be given up: the last must come, a receiver must know
    /// which is missing, and what may still be on its way must not be much.
    pub(crate) fn may_give_up(&self, number: u64) -> bool {
        let messages = messages_of(self.plan(), self.role);
        !self.is_last(number) && messages.is_unique(number) && messages.len(number) <= MOST_QUEUED / 2
    }

    /// Whether this message is the last that its author sends.
    pub(crate) fn is_last(&self, number: u64) -> bool {
        let author = if self.plan().traffic == Traffic::Echo { Role::Client } else { self.role };
        self.record.sent(author).total.load(Ordering::Acquire) == number + 1
    }
}

/// What became of a message.
pub(crate) enum Sent {
    Certain,
    /// The future was dropped.
    Maybe,
    Refused(Error),
}

impl From<Result<(), Error>> for Sent {
    fn from(result: Result<(), Error>) -> Self {
        match result {
            Ok(()) => Self::Certain,
            Err(error) => Self::Refused(error),
        }
    }
}

/// Waits for a future, for a moment that is often too short.
pub(crate) async fn give_up(random: &mut Random, sending: impl Future<Output = Result<(), Error>>) -> Sent {
    match random.below(4) {
        // Never polled.
        0 => Sent::Maybe,
        _ => match timeout(Duration::from_micros(random.below(2000)), sending).await {
            Ok(result) => result.into(),
            Err(_) => Sent::Maybe,
        },
    }
}

/// What an end has to say by itself, and when.
#[derive(Debug)]
pub(crate) struct Source {
    end: Arc<End>,
    messages: Messages,
    number: u64,
    random: Random,
    /// Messages left until the next pause.
    burst: u64,
    pub(crate) due: Instant,
}

impl Source {
    /// `None` if this end only sends back.
    pub(crate) fn new(end: &Arc<End>) -> Option<Self> {
        (!end.echoes()).then(|| Self {
            messages: messages_of(end.plan(), end.role),
            number: 0,
            random: end.random(1),
            burst: 0,
            due: Instant::now(),
            end: Arc::clone(end),
        })
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Whether the next message may be queued by one who is not waited for by a receiver of its own.
    pub(crate) fn has_room(&self, queued: usize) -> bool {
        let len = self.messages.len(self.number);
        // Of an echo the same comes back: what is on its way must not be more than an end can have before it.
        let back = if self.end.plan().traffic == Traffic::Echo {
            let from = self.end.record.sent(Role::Server).next.load(Ordering::Acquire);
            (from..self.number)
                .filter(|number| !self.end.record.is_maybe(Role::Server, *number))
                .map(|number| self.messages.len(number))
                .sum()
        } else {
            0
        };
        let before = queued.max(back);
        before == 0 || before + len <= MOST_QUEUED
    }

    pub(crate) fn next(&mut self) -> (u64, Message) {
        let number = self.number;
        let plan = self.end.plan();
        let planned = plan.messages[index(self.end.role)];
        if number + 1 >= planned || self.end.stop.load(Ordering::Relaxed) {
            // Before it is sent: who receives it may close.
            self.end.record.sent(self.end.role).total.store(number + 1, Ordering::Release);
        }
        self.number += 1;
        let pause = plan.pause[index(self.end.role)];
        if self.burst == 0 {
            // All pauses of a connection together take some twenty seconds at most.
            self.burst = 1 + self.random.below(2 + planned * pause / 15_000);
            self.due = Instant::now() + Duration::from_millis(self.random.below(pause + 1));
        }
        self.burst -= 1;
        (number, self.messages.message(number))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.end.is_last(self.number.wrapping_sub(1))
    }
}

/// How much an unsplit end that sends by itself has queued at most, below the high-water mark.
const MOST_QUEUED: usize = 200 << 10;
