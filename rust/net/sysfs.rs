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

/// A group of files that each device has.
pub trait Attributes: Operations {
    /// The name of their folder.
    const GROUP: &'static CStr;
    /// The files, at most [`MAX_ATTRIBUTES`].
    const ATTRIBUTES: &'static [Attribute<Self>];
}

/// How many files a group has at most.
pub const MAX_ATTRIBUTES: usize = 31;

/// A file that whoever may administer the network of its namespace can write, and
/// everybody read.
#[repr(C)]
pub struct Attribute<T: Operations> {
    attribute: bindings::device_attribute,
    show: Show<T>,
    store: Store<T>,
    /// To write it takes `CAP_NET_ADMIN` of the machine.
    init_ns_only: bool,
}

/// Writes the value of a file, without the end of the line. The device may be on its
/// way out; no lock is held. Process context.
pub type Show<T> = fn(&Device<T>, &mut dyn Write) -> Result;

/// Takes a new value, without the end of the line. Process context.
pub type Store<T> = fn(&Device<T>, &str, &Rtnl) -> Result;

impl<T: Operations> Attribute<T> {
    /// A file with this name.
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

    /// A file that nobody can write.
    pub const fn read_only(name: &'static CStr, show: Show<T>) -> Self {
        let mut this = Self::new(name, show, |_, _, _| Err(EACCES));
        this.attribute.attr.mode = 0o444;
        this
    }

    /// It takes `CAP_NET_ADMIN` of the machine to write it, not just of the namespace,
    /// as it has others do work (like `queues/rx-N/rps_cpus`).
    pub const fn init_ns_only(mut self) -> Self {
        self.init_ns_only = true;
        self
    }

    /// # Safety
    ///
    /// Called by the core for the `dev` of a registered `net_device` of `T` and the
    /// `attribute` of an `Attribute<T>`. `buf` is a page.
    unsafe extern "C" fn show_callback(
        dev: *mut bindings::device,
        attribute: *mut bindings::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: The device stays there while its files are in use.
        let device = unsafe { device::<T>(dev) };
        if !device.was_registered() {
            return ENODEV.to_errno() as isize;
        }
        // SAFETY: It is the first field.
        let this = unsafe { &*attribute.cast::<Self>() };
        // SAFETY: A page may be written, and nobody else uses it.
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
    /// Called by the core for the `dev` of a registered `net_device` of `T` and the
    /// `attribute` of an `Attribute<T>`. `buf` is `count` bytes long.
    unsafe extern "C" fn store_callback(
        dev: *mut bindings::device,
        attribute: *mut bindings::device_attribute,
        buf: *const c_char,
        count: usize,
    ) -> isize {
        // SAFETY: The device stays there while its files are in use.
        let device = unsafe { device::<T>(dev) };
        // SAFETY: It is the first field.
        let this = unsafe { &*attribute.cast::<Self>() };
        // SAFETY: The core gives us the bytes for the duration of the call.
        let bytes = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), count) };
        let store = || -> Result {
            let text = core::str::from_utf8(bytes).map_err(|_| EINVAL)?;
            // What cannot be shown cannot be set: it ends with a newline and a null there. The core
            // cuts what is longer than a page.
            if bytes.len() >= PAGE_SIZE || text.trim().len() > PAGE_SIZE - 2 {
                return Err(EINVAL);
            }
            if this.init_ns_only && !capable_net_admin() {
                return Err(EPERM);
            }
            // Whoever unregisters the device holds RTNL and waits for us to end: RTNL must not be
            // waited for.
            // SAFETY: Process context.
            if unsafe { bindings::rtnl_trylock() } == 0 {
                // SAFETY: No requirements.
                return to_result(unsafe { bindings::rust_helper_restart_syscall() });
            }
            // SAFETY: RTNL was just taken, and is held until the value was used last.
            let rtnl = unsafe { Rtnl::assume() };
            let result = if device.is_registered() {
                device
                    .may_be_administered(&rtnl)
                    .and_then(|()| (this.store)(device, text.trim(), &rtnl))
            } else {
                Err(ENODEV)
            };
            // SAFETY: It was taken above.
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
    // SAFETY: The caller promises it.
    unsafe {
        Device::from_raw(
            dev.byte_sub(offset_of!(bindings::net_device, dev))
                .cast::<bindings::net_device>(),
        )
    }
}

/// The tables that the core reads, made of those of `T`.
pub(super) struct Group<T: Attributes>(PhantomData<T>);

impl<T: Attributes> Group<T> {
    /// Ends with null.
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
