//! What was sent, what was received, and whether that is right.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sansocket::Role;
use sansocket::connection::CloseReport;
use sansocket::stream::Error;
use tokio::sync::watch;

use crate::judge::judge;
use crate::plan::{Face, Plan, Traffic, index};

/// How one end of a connection ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// The library says how; with the error, if it was one.
    Reported(Option<CloseReport>, Option<Error>),
    /// This end was dropped or aborted by its own application.
    Left,
    /// This end is not the library. The status code of the Close that it got, if it got one.
    Raw(Option<u16>),
    /// There never was a WebSocket.
    NoHandshake,
    /// It panicked.
    Panicked,
}

/// What one end has sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// All numbers below this were handed to the library, or to the wire.
    pub(crate) taken: AtomicU64,
    /// How many there will be, known before the last one is sent; 0 as long as it is not.
    pub(crate) total: AtomicU64,
    /// Numbers whose sending was given up: they may have been sent or not.
    maybe: Mutex<BTreeSet<u64>>,
    /// The number that the other end's application expects next.
    pub(crate) next: AtomicU64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) plan: Plan,
    pub(crate) sent: [Sent; 2],
    /// Whether the planned fault has come.
    pub(crate) fault_fired: AtomicBool,
    ended: [watch::Sender<Option<Ended>>; 2],
    history: Mutex<Vec<(Duration, String)>>,
    begun: Instant,
}

impl Record {
    pub(crate) fn sent(&self, role: Role) -> &Sent {
        &self.sent[index(role)]
    }

    /// Remembers what happened, for the day something is wrong.
    pub(crate) fn note(&self, what: impl fmt::Display) {
        let mut history = lock(&self.history);
        if history.len() < 100 {
            history.push((self.begun.elapsed(), what.to_string()));
        }
    }

    pub(crate) fn fault_fires(&self) {
        self.note("the fault");
        self.fault_fired.store(true, Ordering::Release);
    }

    pub(crate) fn give_up(&self, role: Role, number: u64) {
        lock(&self.sent(role).maybe).insert(number);
    }

    /// Whether this message may be missing although later ones have come: its sending was given up, by this sender or by the
    /// one whose messages it sends back.
    pub(crate) fn is_maybe(&self, sender: Role, number: u64) -> bool {
        let is_echo = sender == Role::Server && self.plan.traffic == Traffic::Echo;
        lock(&self.sent(sender).maybe).contains(&number)
            || is_echo && lock(&self.sent(Role::Client).maybe).contains(&number)
    }

    pub(crate) fn end(&self, role: Role, ended: Ended) {
        self.note(format_args!("{role:?}: {ended:?}"));
        self.ended[index(role)].send_replace(Some(ended));
    }

    /// Waits until this end has ended.
    pub(crate) async fn ended(&self, role: Role) -> Ended {
        let mut ended = self.ended[index(role)].subscribe();
        let found = ended.wait_for(Option::is_some).await.map(|ended| ended.clone());
        found.ok().flatten().unwrap_or(Ended::NoHandshake)
    }

    pub(crate) fn ended_now(&self, role: Role) -> Option<Ended> {
        self.ended[index(role)].borrow().clone()
    }
}

/// All connections, and the sum of them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    records: Mutex<HashMap<u64, Arc<Record>>>,
    pub(crate) connections: AtomicU64,
    pub(crate) compressed: AtomicU64,
    pub(crate) blocking: AtomicU64,
    pub(crate) clean: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) octets: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) unconfirmed: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) duplicated: AtomicU64,
    pub(crate) corrupt: AtomicU64,
    pub(crate) left_open: AtomicU64,
    pub(crate) violations: AtomicU64,
    /// Connections that the server has now.
    pub(crate) open: AtomicUsize,
    pub(crate) faults: Mutex<BTreeMap<&'static str, (u64, u64)>>,
    pub(crate) errors: Mutex<BTreeMap<String, u64>>,
}

impl Ledger {
    pub(crate) fn begin(&self, plan: Plan) -> Arc<Record> {
        let record = Arc::new(Record {
            sent: Default::default(),
            fault_fired: AtomicBool::new(false),
            ended: [watch::Sender::new(None), watch::Sender::new(None)],
            history: Mutex::default(),
            begun: Instant::now(),
            plan,
        });
        lock(&self.records).insert(record.plan.id, Arc::clone(&record));
        self.add(&self.connections, 1);
        self.add(&self.compressed, u64::from(record.plan.deflate));
        self.add(&self.blocking, u64::from(record.plan.faces[index(Role::Client)] == Face::Blocking));
        record
    }

    pub(crate) fn find(&self, id: u64) -> Option<Arc<Record>> {
        lock(&self.records).get(&id).cloned()
    }

    pub(crate) fn add(&self, counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn violation(&self, record: &Record, what: impl fmt::Display) {
        if self.violations.fetch_add(1, Ordering::Relaxed) >= 20 {
            return;
        }
        eprintln!("VIOLATION: {what}");
        eprintln!("  seed {}, {:?}", record.plan.seed, record.plan);
        eprintln!("  sent {:?}", record.sent);
        for (after, event) in &*lock(&record.history) {
            eprintln!("  {after:10.3?} {event}");
        }
    }

    /// Both ends have ended, or should have: judges the connection, and forgets it.
    pub(crate) fn settle(&self, record: &Record) {
        lock(&self.records).remove(&record.plan.id);
        let fired = record.fault_fired.load(Ordering::Acquire);
        let mut faults = lock(&self.faults);
        let (planned, came) = faults.entry(record.plan.fault.name()).or_default();
        *planned += 1;
        *came += u64::from(fired);
        drop(faults);
        let ends = [Role::Client, Role::Server].map(|role| record.ended_now(role));
        let [Some(client), Some(server)] = ends else {
            self.add(&self.left_open, 1);
            return self.violation(record, "left open");
        };
        for end in [&client, &server] {
            if let Ended::Reported(_, Some(error)) = end {
                *lock(&self.errors).entry(error.to_string()).or_default() += 1;
            }
        }
        judge(self, record, [&client, &server]);
        self.add(&self.clean, u64::from(is_clean(&client) && is_clean(&server)));
    }
}

pub(crate) fn is_clean(end: &Ended) -> bool {
    matches!(end, Ended::Reported(Some(report), None) if report.clean)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
