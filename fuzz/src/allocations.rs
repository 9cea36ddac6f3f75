//! Counts what Rust allocates on this thread. What OpenSSL takes for itself, in C, is not seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The most bytes that some work may hold at once, and so the largest that it may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Whatever the input.
    pub base: usize,
    /// For each byte of the input.
    pub multiple: usize,
}

impl Budget {
    /// Runs `work` on an input of so many bytes, and asserts that it kept within the budget.
    pub fn assert<T>(self, input_bytes: usize, work: impl FnOnce() -> T) -> T {
        let before = LIVE.get();
        PEAK.set(before);
        let output = work();
        let peak = PEAK.get() - before;
        let limit = self.base + self.multiple * input_bytes;
        assert!(peak <= limit as isize, "held {peak} bytes at once for an input of {input_bytes}: {self:?}");
        output
    }
}

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    let live = LIVE.get() + change;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are passed on; so below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    /// Old and new may exist at once.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes as isize);
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, bytes) }
    }
}
