// SPDX-License-Identifier: GPL-2.0

//! Addition of NAPI instances to a device.

use super::{Napi, Poll};
use crate::net::{
    bindings,
    device::Device,
    rtnl::Rtnl,
    spinlock_bh::local_bh_disable, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Full, Release},
        Arc,
    },
};

/// NAPI instances that are added to a device and enabled: `netif_napi_add()`, `napi_enable()`.
///
/// Dropping it disables and removes them, and waits for an RCU grace period. Process context.
///
/// # Invariants
///
/// Each of `napis` has been added to `device` and enabled, and its `registered` is set, so that it
/// is part of no other registration.
pub struct Registration<T: Poll> {
    napis: KVec<Arc<Napi<T>>>,
    _device: ARef<Device<T::Driver>>,
}

impl<T: Poll> Registration<T> {
    /// Adds all of `napis` to `device` and enables them. Process context. Fails with `EBUSY` if one
    /// of them is already registered.
    pub fn new(device: &Device<T::Driver>, napis: KVec<Arc<Napi<T>>>, _: &Rtnl) -> Result<Self> {
        for (index, napi) in napis.iter().enumerate() {
            if napi.registered.xchg(true, Full) {
                for claimed in napis.iter().take(index) {
                    claimed.registered.store(false, Release);
                }
                return Err(EBUSY);
            }
        }
        for napi in napis.iter() {
            // The timer that would have polled was cancelled with the last registration.
            napi.masked.write(false);
            let raw = napi.napi.get();
            // SAFETY: It is a valid `napi_struct`, on no list, as this is its only registration.
            // The reference in `napis` keeps it alive until it is removed.
            unsafe {
                bindings::rust_helper_netif_napi_add(
                    device.as_raw(),
                    raw,
                    Some(Napi::<T>::poll_callback),
                );
                bindings::napi_enable(raw);
            }
        }
        let bh = local_bh_disable();
        for napi in napis.iter() {
            napi.timing.lock(&bh).allowed = true;
        }
        drop(bh);
        // INVARIANT: All were claimed, added and enabled.
        Ok(Self {
            napis,
            _device: device.into(),
        })
    }
}

impl<T: Poll> Drop for Registration<T> {
    fn drop(&mut self) {
        for napi in self.napis.iter() {
            napi.timing.lock(&local_bh_disable()).allowed = false;
            // SAFETY: The timer is initialised, and is not started any more, as `allowed` is false.
            // This waits for its callback.
            unsafe { bindings::hrtimer_cancel(napi.timer.get()) };
        }
        for napi in self.napis.iter() {
            // SAFETY: By the type invariant it is enabled. This waits for a CSD in flight and for a
            // poll, which clears `NAPI_STATE_SCHED`.
            unsafe { bindings::napi_disable(napi.napi.get()) };
        }
        for napi in self.napis.iter() {
            // SAFETY: By the type invariant it was added, and it was just disabled.
            unsafe { bindings::rust_helper___netif_napi_del(napi.napi.get()) };
        }
        // SAFETY: Process context. RCU readers of the device's NAPI list and of the table of NAPI
        // IDs may still see the removed instances.
        unsafe { bindings::synchronize_net() };
        for napi in self.napis.iter() {
            napi.registered.store(false, Release);
        }
    }
}
