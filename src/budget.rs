//! What all connections may hold together, beside what each may hold by itself: RFC 6455 §10.4.

#[cfg(feature = "std")]
use alloc::boxed::Box;
#[cfg(feature = "std")]
use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "std")]
use core::{fmt, mem};
#[cfg(feature = "std")]
use std::sync::Arc;

use crate::config::Config;
use crate::error::{ProtocolError, SendError};
use crate::role::Role;

/// How many octets the connections that share it may hold together. Clones are the same budget.
///
/// Given by [`Config::budget`], which says what is counted and what happens when nothing is left.
///
/// ```
/// use sansocket::{Budget, Config};
///
/// let budget = Budget::new(256 << 20);
/// let config = Config::default().budget(budget.clone());
/// # let _ = config;
/// assert_eq!((budget.in_use(), budget.octets()), (0, 256 << 20));
/// ```
#[cfg(feature = "std")]
#[derive(Clone)]
pub struct Budget(Arc<Leases>);

#[cfg(feature = "std")]
struct Leases {
    octets: usize,
    /// What is leased of them.
    in_use: AtomicUsize,
}

#[cfg(feature = "std")]
impl Budget {
    /// A budget of so many octets. They are leased 16 KiB at a time: below that nothing is ever granted.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self(Arc::new(Leases { octets, in_use: AtomicUsize::new(0) }))
    }

    /// How many octets are leased to connections at this moment: never more than [`octets`](Self::octets).
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// How many octets there are in all.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.0.octets
    }

    /// Whether there were so many octets left. Nothing else is ordered by it: a number is all that is shared.
    fn lease(&self, octets: usize) -> bool {
        let Leases { octets: all, in_use } = &*self.0;
        let leased = in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| {
            in_use.checked_add(octets).filter(|in_use| in_use <= all)
        });
        leased.is_ok()
    }

    fn give_back(&self, octets: usize) {
        self.0.in_use.fetch_sub(octets, Ordering::Relaxed);
    }
}

/// Whether it is the same budget, not only one of the same size.
#[cfg(feature = "std")]
impl PartialEq for Budget {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(feature = "std")]
impl Eq for Budget {}

#[cfg(feature = "std")]
impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("octets", &self.octets()).field("in_use", &self.in_use()).finish()
    }
}

/// What one direction of a connection holds, or who reads ahead of it, and has leased for it. Without a budget, and
/// without `std`, it grants everything and counts nothing.
///
/// What it has leased is given back at the latest when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Boxed: most connections have no budget.
    #[cfg(feature = "std")]
    open: Option<Box<Open>>,
}

#[cfg(feature = "std")]
#[derive(Debug)]
struct Open {
    budget: Budget,
    role: Role,
    leased: usize,
    held: [usize; PARTS],
    /// What of it was never leased, since it could not be refused and nothing was left.
    unpaid: usize,
    /// The length of the output buffer that was lent, which costs nothing.
    lent: usize,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The message that is received, or those that were read ahead, or the copied output beyond what is not counted.
    Main,
    /// A state that decompresses and what is held back for it, or the payloads queued apart.
    Apart,
    /// Input that nobody has parsed, or the masked piece of a payload.
    Piece,
    /// What a message may need that is about to be queued.
    Reserved,
    /// The output buffer that was lent, while the transport does not take what is in it.
    #[cfg(any(feature = "tokio", test))]
    Lent,
}

#[cfg(feature = "std")]
const PARTS: usize = 5;

/// Nothing is left of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted {
    #[cfg(feature = "std")]
    role: Role,
    #[cfg(not(feature = "std"))]
    never: core::convert::Infallible,
}

impl Account {
    #[cfg_attr(not(feature = "std"), allow(unused_variables, reason = "then there is no budget"))]
    pub(crate) fn new(config: &Config, role: Role) -> Self {
        Self {
            #[cfg(feature = "std")]
            open: config.budget.as_ref().map(|budget| Box::new(Open::new(budget, role))),
        }
    }

    /// Another one with the same budget, if there is one.
    #[cfg(feature = "tokio")]
    pub(crate) fn another(&self) -> Self {
        let open = self.open.as_deref();
        Self { open: open.map(|Open { budget, role, .. }| Box::new(Open::new(budget, *role))) }
    }

    /// Whether there is a budget.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        #[cfg(feature = "std")]
        return self.open.is_some();
        #[cfg(not(feature = "std"))]
        false
    }
}

#[cfg(feature = "std")]
impl Account {
    /// Holds so many octets in this part from here on. Nothing has changed if it grows and there are not so many left.
    #[inline]
    pub(crate) fn hold(&mut self, part: Part, octets: usize) -> Result<(), Exhausted> {
        match &mut self.open {
            None => Ok(()),
            Some(open) => open.hold(part, octets),
        }
    }

    /// As [`hold`](Self::hold), for as many octets as there are of `most`, but no fewer than `least`: says how many.
    pub(crate) fn hold_most(&mut self, part: Part, least: usize, most: usize) -> Result<usize, Exhausted> {
        match &mut self.open {
            None => Ok(most),
            Some(open) => open.hold_most(part, least, most),
        }
    }

    /// As [`hold`](Self::hold), for what is less than was held, was [reserved](Part::Reserved), or must not be refused.
    #[inline]
    pub(crate) fn note(&mut self, part: Part, octets: usize) {
        if let Some(open) = &mut self.open {
            open.note(part, octets);
        }
    }

    /// What is held in this part.
    pub(crate) fn held(&self, part: Part) -> usize {
        self.open.as_ref().map_or(0, |open| open.held[part as usize])
    }

    /// The length of the output buffer that was [lent](Self::lend).
    pub(crate) fn lent(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.lent)
    }

    /// An output buffer of this length was lent: not held, whatever becomes of it, by this connection.
    #[inline]
    pub(crate) fn lend(&mut self, octets: usize) {
        if let Some(open) = &mut self.open {
            open.lent = octets;
        }
    }

    /// Nothing is held any more, nor lent.
    #[cold]
    pub(crate) fn close(&mut self) {
        if let Some(open) = &mut self.open {
            (open.held, open.unpaid, open.lent) = ([0; PARTS], 0, 0);
            open.give_back(0);
        }
    }

    /// Gives back what is leased beyond what is held, but for up to `slack` octets: for what comes next.
    #[inline]
    pub(crate) fn give_back(&mut self, slack: usize) {
        if let Some(open) = &mut self.open {
            open.give_back(slack);
        }
    }
}

#[cfg(not(feature = "std"))]
#[allow(clippy::unused_self, reason = "there is no budget")]
impl Account {
    #[inline]
    pub(crate) fn hold(&mut self, _: Part, _: usize) -> Result<(), Exhausted> {
        Ok(())
    }

    pub(crate) fn hold_most(&mut self, _: Part, _: usize, most: usize) -> Result<usize, Exhausted> {
        Ok(most)
    }

    #[inline]
    pub(crate) fn note(&mut self, _: Part, _: usize) {}

    pub(crate) fn held(&self, _: Part) -> usize {
        0
    }

    pub(crate) fn lent(&self) -> usize {
        0
    }

    pub(crate) fn close(&mut self) {}

    #[inline]
    pub(crate) fn lend(&mut self, _: usize) {}

    #[inline]
    pub(crate) fn give_back(&mut self, _: usize) {}
}

#[cfg(feature = "std")]
impl Open {
    fn new(budget: &Budget, role: Role) -> Self {
        Self { budget: budget.clone(), role, leased: 0, held: [0; PARTS], unpaid: 0, lent: 0 }
    }

    fn hold(&mut self, part: Part, octets: usize) -> Result<(), Exhausted> {
        let before = (self.held[part as usize], self.unpaid);
        self.set(part, octets);
        // INVARIANT: what is paid for is leased. So nothing is missing unless this part grows.
        let missing = self.needed().saturating_sub(self.leased);
        if missing > 0 && !self.budget.lease(missing) {
            (self.held[part as usize], self.unpaid) = before;
            return Err(Exhausted { role: self.role });
        }
        self.leased += missing;
        Ok(())
    }

    fn hold_most(&mut self, part: Part, least: usize, most: usize) -> Result<usize, Exhausted> {
        let mut more = most.saturating_sub(least);
        while let Err(exhausted) = self.hold(part, least + more) {
            more = match more {
                0 => return Err(exhausted),
                // Halved, so that many pieces cost no more than a few copies each time that less is left.
                LEASE_LEN.. => more / 2,
                _ => 0,
            };
        }
        // What is leased anyway may as well be used.
        let unused = self.leased - self.paid();
        let octets = least.saturating_add(more).saturating_add(unused).min(most.max(least));
        self.held[part as usize] = octets;
        Ok(octets)
    }

    fn note(&mut self, part: Part, octets: usize) {
        if part != Part::Reserved {
            let growth = octets.saturating_sub(self.held[part as usize]);
            let reserved = &mut self.held[Part::Reserved as usize];
            *reserved = reserved.saturating_sub(growth);
        }
        self.set(part, octets);
        let missing = self.needed().saturating_sub(self.leased);
        if missing > 0 && self.budget.lease(missing) {
            self.leased += missing;
        }
        self.unpaid += self.paid().saturating_sub(self.leased);
    }

    /// What becomes free pays for what could not be refused.
    fn set(&mut self, part: Part, octets: usize) {
        let before = mem::replace(&mut self.held[part as usize], octets);
        self.unpaid = self.unpaid.saturating_sub(before.saturating_sub(octets));
    }

    fn give_back(&mut self, slack: usize) {
        let spare = self.leased.saturating_sub(self.needed().max(slack));
        if spare > 0 {
            self.leased -= spare;
            self.budget.give_back(spare);
        }
    }

    /// What is held and has to be leased.
    fn paid(&self) -> usize {
        let held = self.held.iter().fold(0, |sum: usize, part| sum.saturating_add(*part));
        held.saturating_sub(self.unpaid)
    }

    /// The same, in whole leases.
    fn needed(&self) -> usize {
        self.paid().div_ceil(LEASE_LEN).saturating_mul(LEASE_LEN)
    }
}

#[cfg(feature = "std")]
impl Drop for Open {
    fn drop(&mut self) {
        if self.leased > 0 {
            self.budget.give_back(self.leased);
        }
    }
}

impl From<Exhausted> for ProtocolError {
    fn from(exhausted: Exhausted) -> Self {
        #[cfg(feature = "std")]
        return Self::BudgetExhausted(exhausted.role);
        #[cfg(not(feature = "std"))]
        match exhausted.never {}
    }
}

impl From<Exhausted> for SendError {
    #[cfg_attr(feature = "std", allow(unused_variables, reason = "all that there is to say"))]
    fn from(exhausted: Exhausted) -> Self {
        #[cfg(feature = "std")]
        return Self::BudgetExhausted;
        #[cfg(not(feature = "std"))]
        match exhausted.never {}
    }
}

/// How much is leased at a time: so that hardly any message touches what all connections share. Multiples of it only.
pub(crate) const LEASE_LEN: usize = 16 << 10;
