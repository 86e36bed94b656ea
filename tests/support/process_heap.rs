//! What the whole process has on the heap, for programs whose allocator is [`ProcessHeap`].

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with counters that all threads share.
pub(crate) struct ProcessHeap;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// How many octets are on the heap.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The most that ever were.
pub(crate) fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

fn add(octets: usize) {
    let live = LIVE.fetch_add(octets, Ordering::Relaxed) + octets;
    // Mostly it is no new peak, and nothing is written.
    if live > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

fn remove(octets: usize) {
    LIVE.fetch_sub(octets, Ordering::Relaxed);
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
#[allow(unsafe_code, reason = "an allocator cannot be counted without being one")]
unsafe impl GlobalAlloc for ProcessHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // A block that grows counts once: the system's allocator mostly moves its pages, or none.
        match new_size.checked_sub(layout.size()) {
            Some(grown) => add(grown),
            None => remove(layout.size() - new_size),
        }
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
