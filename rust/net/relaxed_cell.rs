// SPDX-License-Identifier: GPL-2.0

//! Values that several CPUs read and write without order.
//!
//! C header: [`include/asm-generic/rwonce.h`](srctree/include/asm-generic/rwonce.h)
//!
//! Equivalent to `kernel::sync::atomic` with relaxed ordering, but inline: there each access is a
//! call into C unless helpers are compiled into Rust, and some values are read for each packet.

use core::cell::UnsafeCell;

/// A type that the CPU reads and writes in one piece.
///
/// # Safety
///
/// It must be `Copy`, at most as large as a pointer, and as aligned as it is large.
pub unsafe trait Machine: Copy {}

// SAFETY: `Copy`, one byte large and as aligned.
unsafe impl Machine for bool {}
// SAFETY: `Copy`, 4 bytes large and as aligned.
unsafe impl Machine for i32 {}
// SAFETY: `Copy`, 4 bytes large and as aligned.
unsafe impl Machine for u32 {}
// SAFETY: `Copy`, and 8 bytes large and as aligned on 64-bit kernels (`stats.rs` rejects others).
unsafe impl Machine for u64 {}
// SAFETY: `Copy`, as large and as aligned as a pointer.
unsafe impl Machine for usize {}

/// A relaxed cell: accesses of different cells are not ordered.
pub struct RelaxedCell<T: Machine>(UnsafeCell<T>);

// SAFETY: All accesses are volatile reads and writes of one machine word, which the kernel's memory
// model permits to race.
unsafe impl<T: Machine + Send> Sync for RelaxedCell<T> {}

impl<T: Machine> RelaxedCell<T> {
    /// Creates a cell with this value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Reads the value: `READ_ONCE()`. Any context.
    #[inline(always)]
    pub fn read(&self) -> T {
        // SAFETY: The pointer is valid. See the implementation of `Sync`.
        unsafe { self.0.get().read_volatile() }
    }

    /// Writes the value: `WRITE_ONCE()`. Any context.
    #[inline(always)]
    pub fn write(&self, value: T) {
        // SAFETY: The pointer is valid. See the implementation of `Sync`.
        unsafe { self.0.get().write_volatile(value) };
    }
}
