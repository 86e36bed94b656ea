//! The locks and flags of what the halves share.

use std::sync::PoisonError;

pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

/// A panic elsewhere in the program leaves the state as it was: every change under a lock is whole.
#[inline]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
