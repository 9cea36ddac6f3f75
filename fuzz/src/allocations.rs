//! Counts the memory that Rust code allocates on this thread. Allocations of OpenSSL, in C, are not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The most bytes that an operation may hold at a time.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Bytes independent of the input.
    pub base: usize,
    /// Bytes per byte of the input.
    pub multiple: usize,
}

impl Budget {
    /// Runs `work` and asserts that it stays within the budget for an input of `input_bytes`.
    pub fn assert<T>(self, input_bytes: usize, work: impl FnOnce() -> T) -> T {
        let before = LIVE.get();
        PEAK.set(before);
        let output = work();
        let peak = PEAK.get() - before;
        let limit = self.base + self.multiple * input_bytes;
        assert!(peak <= limit as isize, "held {peak} bytes for an input of {input_bytes}: {self:?}");
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

// SAFETY: all methods forward to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller upholds the contract of `alloc`, which is the same here; likewise below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    /// Counts the new block first, since both blocks may exist at a time.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes as isize);
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, bytes) }
    }
}
