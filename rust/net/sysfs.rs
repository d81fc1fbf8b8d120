// SPDX-License-Identifier: GPL-2.0

//! Files in `/sys/class/net/DEVICE/GROUP/`.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use super::{
    bindings,
    capability::capable_net_admin,
    device::{Device, Operations},
    rtnl::Rtnl,
};
use core::{marker::PhantomData, mem::offset_of};
use kernel::{
    error::to_result,
    fmt::Write,
    page::PAGE_SIZE,
    prelude::*,
    str::{CStr, NullTerminatedFormatter},
};

/// An attribute group that each device has.
pub trait Attributes: Operations {
    /// The name of the directory.
    const GROUP: &'static CStr;
    /// The files, at most [`MAX_ATTRIBUTES`].
    const ATTRIBUTES: &'static [Attribute<Self>];
}

/// The maximum number of files of a group.
pub const MAX_ATTRIBUTES: usize = 31;

/// A file that all users can read, and a process with `CAP_NET_ADMIN` in the user namespace of the
/// network namespace can write: `struct device_attribute`.
#[repr(C)]
pub struct Attribute<T: Operations> {
    attribute: bindings::device_attribute,
    show: Show<T>,
    store: Store<T>,
    /// Writing requires `CAP_NET_ADMIN` in the initial user namespace.
    init_ns_only: bool,
}

/// Writes the value of a file, without a newline. The device may be being unregistered; no lock is
/// held. Process context.
pub type Show<T> = fn(&Device<T>, &mut dyn Write) -> Result;

/// Sets a new value, without its newline. Process context.
pub type Store<T> = fn(&Device<T>, &str, &Rtnl) -> Result;

impl<T: Operations> Attribute<T> {
    /// Creates a file.
    pub const fn new(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        let mut attribute: bindings::device_attribute = pin_init::zeroed();
        attribute.attr.name = name.to_bytes_with_nul().as_ptr().cast();
        attribute.attr.mode = 0o644;
        attribute.__bindgen_anon_1.show = Some(Self::show_callback);
        attribute.__bindgen_anon_2.store = Some(Self::store_callback);
        Self {
            attribute,
            show,
            store,
            init_ns_only: false,
        }
    }

    /// Creates a read-only file.
    pub const fn read_only(name: &'static CStr, show: Show<T>) -> Self {
        let mut this = Self::new(name, show, |_, _, _| Err(EACCES));
        this.attribute.attr.mode = 0o444;
        this
    }

    /// Requires `CAP_NET_ADMIN` in the initial user namespace for writing, for a setting that moves
    /// work to other CPUs (like `queues/rx-N/rps_cpus`).
    pub const fn init_ns_only(mut self) -> Self {
        self.init_ns_only = true;
        self
    }

    /// # Safety
    ///
    /// Called by the core for the `dev` of a registered `net_device` of `T` and the `attribute` of
    /// an `Attribute<T>`. `buf` is a page.
    unsafe extern "C" fn show_callback(
        dev: *mut bindings::device,
        attribute: *mut bindings::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: The device is not freed while its files are in use.
        let device = unsafe { device::<T>(dev) };
        if !device.was_registered() {
            return ENODEV.to_errno() as isize;
        }
        // SAFETY: `attribute` is the first field of an `Attribute<T>`, which is static.
        let this = unsafe { &*attribute.cast::<Self>() };
        // SAFETY: `buf` is a writable page that nothing else uses during the call.
        let page = unsafe { core::slice::from_raw_parts_mut(buf.cast::<u8>(), PAGE_SIZE) };
        let show = |page: &mut [u8]| -> Result<usize> {
            {
                let mut writer = NullTerminatedFormatter::new(page).ok_or(EINVAL)?;
                (this.show)(device, &mut writer)?;
                writer.write_char('\n')?;
            }
            let text = CStr::from_bytes_until_nul(page).map_err(|_| EINVAL)?;
            Ok(text.to_bytes().len())
        };
        match show(page) {
            Ok(len) => len as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// Called by the core for the `dev` of a registered `net_device` of `T` and the `attribute` of
    /// an `Attribute<T>`. `buf` is `count` bytes long.
    unsafe extern "C" fn store_callback(
        dev: *mut bindings::device,
        attribute: *mut bindings::device_attribute,
        buf: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: The device is not freed while its files are in use.
        let device = unsafe { device::<T>(dev) };
        // SAFETY: `attribute` is the first field of an `Attribute<T>`, which is static.
        let this = unsafe { &*attribute.cast::<Self>() };
        // SAFETY: `buf` has `count` bytes, which do not change during the call.
        let bytes = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), count) };
        let store = || -> Result {
            let text = core::str::from_utf8(bytes).map_err(|_| EINVAL)?;
            // A value must fit into the page of `show`, with a newline and a NUL. The core
            // truncates a longer write to a page.
            if bytes.len() >= PAGE_SIZE || text.trim().len() > PAGE_SIZE - 2 {
                return Err(EINVAL);
            }
            if this.init_ns_only && !capable_net_admin() {
                return Err(EPERM);
            }
            // Unregistering the device waits for this function with RTNL held, so this function
            // must not wait for RTNL.
            // SAFETY: Process context.
            if unsafe { bindings::rtnl_trylock() } == 0 {
                // SAFETY: No requirements.
                return to_result(unsafe { bindings::rust_helper_restart_syscall() });
            }
            // SAFETY: RTNL was just taken, and is released after the last use of the value.
            let rtnl = unsafe { Rtnl::assume() };
            let result = if device.is_registered() {
                device
                    .may_be_administered(&rtnl)
                    .and_then(|()| (this.store)(device, text.trim(), &rtnl))
            } else {
                Err(ENODEV)
            };
            // SAFETY: RTNL was taken above.
            unsafe { bindings::rtnl_unlock() };
            result
        };
        match store() {
            Ok(()) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }
}

/// # Safety
///
/// `dev` must be that field of a registered `net_device` of `T`, for `'a`.
unsafe fn device<'a, T: Operations>(dev: *mut bindings::device) -> &'a Device<T> {
    // SAFETY: By the safety requirements of this function.
    unsafe {
        Device::from_raw(
            dev.byte_sub(offset_of!(bindings::net_device, dev))
                .cast::<bindings::net_device>(),
        )
    }
}

/// Builds the `struct attribute_group` of `T`.
pub(super) struct Group<T: Attributes>(PhantomData<T>);

impl<T: Attributes> Group<T> {
    /// Null-terminated.
    const POINTERS: [*const bindings::attribute; MAX_ATTRIBUTES + 1] = {
        let mut pointers = [core::ptr::null(); MAX_ATTRIBUTES + 1];
        assert!(T::ATTRIBUTES.len() <= MAX_ATTRIBUTES);
        let mut index = 0;
        while index < T::ATTRIBUTES.len() {
            pointers[index] = &raw const T::ATTRIBUTES[index].attribute.attr;
            index += 1;
        }
        pointers
    };

    const GROUP: bindings::attribute_group = {
        let mut group: bindings::attribute_group = pin_init::zeroed();
        group.name = T::GROUP.to_bytes_with_nul().as_ptr().cast();
        group.__bindgen_anon_2.attrs_const = (&raw const *Self::pointers()).cast();
        group
    };

    const fn pointers() -> &'static [*const bindings::attribute; MAX_ATTRIBUTES + 1] {
        &Self::POINTERS
    }

    pub(super) const fn build() -> &'static bindings::attribute_group {
        &Self::GROUP
    }
}
