//! What this thread allocates, for test binaries whose allocator is [`Counting`].
#![allow(dead_code, reason = "each test file uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a counter for each thread.
pub(crate) struct Counting;

thread_local! {
    static COUNTERS: Cell<Counters> = const { Cell::new(Counters { allocated: 0, live: 0, peak: 0 }) };
}

#[derive(Clone, Copy)]
struct Counters {
    allocated: usize,
    /// What another thread frees is not seen, and may be freed here without having been seen.
    live: isize,
    peak: isize,
}

/// How many octets `run` allocates, freed or not.
pub(crate) fn allocated_by<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNTERS.get().allocated;
    let result = run();
    (COUNTERS.get().allocated - before, result)
}

/// How many octets more than now are in use when `run` has come to its end; fewer are none.
pub(crate) fn held_by<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNTERS.get().live;
    let result = run();
    (usize::try_from(COUNTERS.get().live - before).unwrap_or(0), result)
}

/// How many octets more than now `run` has in use at any one time.
pub(crate) fn peak_of<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNTERS.get();
    COUNTERS.set(Counters { peak: before.live, ..before });
    let result = run();
    (COUNTERS.get().peak.abs_diff(before.live), result)
}

fn count(allocated: usize, freed: usize) {
    // While a thread ends its counters are gone.
    let _ = COUNTERS.try_with(|cell| {
        let mut counters = cell.get();
        counters.allocated += allocated;
        // A reallocation may have both in use for a while.
        counters.peak = counters.peak.max(counters.live + allocated as isize);
        counters.live += allocated as isize - freed as isize;
        cell.set(counters);
    });
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
#[allow(unsafe_code, reason = "an allocator cannot be counted without being one")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
