//! The locks and flags of what the halves share: the standard library's, or loom's, which tries every interleaving.

use std::sync::PoisonError;

#[cfg(not(sansocket_loom))]
pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

#[cfg(sansocket_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool};

/// A panic elsewhere in the program leaves the state as it was: every change under a lock is whole.
#[inline]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
