// SPDX-License-Identifier: GPL-2.0

//! Words that anybody reads and writes at any time.
//!
//! C header: [`include/asm-generic/rwonce.h`](srctree/include/asm-generic/rwonce.h)
//!
//! What `kernel::sync::atomic` does with relaxed ordering, but inline: there each
//! access is a call into C, as long as helpers are not compiled into Rust, and some
//! words are read for every packet.

use core::cell::UnsafeCell;

/// A type that the machine reads and writes in one piece.
///
/// # Safety
///
/// It must be `Copy`, at most as large as a pointer, and as aligned as it is large.
pub unsafe trait Machine: Copy {}

// SAFETY: So it is.
unsafe impl Machine for bool {}
// SAFETY: So it is.
unsafe impl Machine for i32 {}
// SAFETY: So it is.
unsafe impl Machine for u32 {}
// SAFETY: So it is, on the 64-bit kernels that this is for (see `stats.rs`).
unsafe impl Machine for u64 {}
// SAFETY: So it is.
unsafe impl Machine for usize {}

/// A word. Reading one and writing another is not ordered.
pub struct RelaxedCell<T: Machine>(UnsafeCell<T>);

// SAFETY: All access is by volatile reads and writes of one machine word, which the kernel's
// memory model lets race.
unsafe impl<T: Machine + Send> Sync for RelaxedCell<T> {}

impl<T: Machine> RelaxedCell<T> {
    /// A word with this value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// `READ_ONCE()`.
    #[inline(always)]
    pub fn read(&self) -> T {
        // SAFETY: The pointer is valid. See the implementation of `Sync`.
        unsafe { self.0.get().read_volatile() }
    }

    /// `WRITE_ONCE()`.
    #[inline(always)]
    pub fn write(&self, value: T) {
        // SAFETY: The pointer is valid. See the implementation of `Sync`.
        unsafe { self.0.get().write_volatile(value) };
    }
}
