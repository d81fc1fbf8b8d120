// SPDX-License-Identifier: GPL-2.0

//! Bindings to the kernel's C interface, made by `bindgen` from
//! `include/spans/bindings_helper.h` with `rust/bindings_parameters`.
//!
//! The kernel crate has bindings too, but `struct net_device` is opaque there
//! and neither link kinds nor header operations exist. These are complete in
//! themselves, and only `rust/net` sees them.

#![allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    improper_ctypes,
    unreachable_pub,
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks
)]

use kernel::ffi;
use pin_init::{MaybeZeroable, Zeroable};

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

// SAFETY: `__BindgenBitfieldUnit` is a newtype around `Storage`.
unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

include!(env!("SPANS_BINDINGS"));
