//! What this thread has on the heap, for test binaries whose allocator is [`Heap`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with counters for each thread.
pub(crate) struct Heap;

thread_local! {
    static COUNTERS: Cell<Counters> = const { Cell::new(Counters { live: 0, peak: 0, transient_peak: 0 }) };
}

#[derive(Clone, Copy)]
struct Counters {
    live: isize,
    peak: isize,
    transient_peak: isize,
}

/// The most that was on the heap at one time, in octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    /// When growing a block counts as adding to it, as it is for large blocks on most systems.
    pub(crate) grown: usize,
    /// When a block that grows is there twice for a moment.
    pub(crate) transient: usize,
}

/// How many octets more than now are on the heap when `run` has come to its end; fewer are none.
pub(crate) fn held_by<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = COUNTERS.get().live;
    let result = run();
    (usize::try_from(COUNTERS.get().live - before).unwrap_or(0), result)
}

/// How many octets more than now `run` has on the heap at any one time.
pub(crate) fn peak_of<T>(run: impl FnOnce() -> T) -> (Peak, T) {
    let live = COUNTERS.get().live;
    COUNTERS.set(Counters { live, peak: live, transient_peak: live });
    let result = run();
    let Counters { peak, transient_peak, .. } = COUNTERS.get();
    (Peak { grown: peak.abs_diff(live), transient: transient_peak.abs_diff(live) }, result)
}

fn count(added: usize, removed: usize) {
    // While a thread ends its counters are gone.
    let _ = COUNTERS.try_with(|cell| {
        let mut counters = cell.get();
        counters.transient_peak = counters.transient_peak.max(counters.live + added as isize);
        counters.live += added as isize - removed as isize;
        counters.peak = counters.peak.max(counters.live);
        cell.set(counters);
    });
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
#[allow(unsafe_code, reason = "an allocator cannot be counted without being one")]
unsafe impl GlobalAlloc for Heap {
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
