//! How often and how much is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a counter for each thread.
pub(crate) struct Counting;

/// Allocations, and octets in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allocated {
    pub(crate) times: usize,
    pub(crate) octets: usize,
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { times: 0, octets: 0 }) };
}

/// What `run` allocates, freed or not.
pub(crate) fn allocated_by(run: impl FnOnce()) -> Allocated {
    let before = ALLOCATED.get();
    run();
    let after = ALLOCATED.get();
    Allocated { times: after.times - before.times, octets: after.octets - before.octets }
}

fn count(octets: usize) {
    // While a thread ends its counters are gone.
    let _ = ALLOCATED.try_with(|cell| {
        let Allocated { times, octets: before } = cell.get();
        cell.set(Allocated { times: times + 1, octets: before + octets });
    });
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
#[allow(unsafe_code, reason = "an allocator cannot be counted without being one")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
