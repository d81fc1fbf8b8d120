// SPDX-License-Identifier: GPL-2.0

//! Work on packets in softirq context.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)
//!
//! A [`Napi<T>`] is a `struct napi_struct` together with what its poll works on.
//! Anybody may [`schedule`](Napi::schedule) it at any time; it is polled only
//! while a [`Registration`] of it exists, on one CPU at a time.

use super::{
    bindings,
    device::{Device, Operations},
    rtnl::Rtnl,
    skbuff::{self, DropReason, PacketType, SkBuff},
    spinlock_bh::LocalBhDisabled,
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{AtomicFlag, Full, Release},
        Arc,
    },
    types::Opaque,
};

/// What is polled.
pub trait Poll: Sized + Send + Sync + 'static {
    /// The driver whose devices this belongs to.
    type Driver: Operations;

    /// Works on packets, receiving at most `context.budget()`, and answers how
    /// many were received; with the whole budget for an answer it is polled again
    /// soon. A budget of 0 asks to transmit only.
    ///
    /// Softirq context, or a thread of its own with bottom halves off.
    fn poll(&self, context: &PollContext<'_, Self>) -> usize;
}

/// Something that is polled, with the `struct napi_struct` for it.
///
/// # Invariants
///
/// `napi.state` has `NAPI_STATE_SCHED` set from the beginning, and loses it only
/// between `napi_enable()` and `napi_disable()`: scheduling it at other times
/// does nothing.
#[repr(C)]
#[pin_data]
pub struct Napi<T> {
    #[pin]
    napi: Opaque<bindings::napi_struct>,
    /// Whether there is a [`Registration`] of it.
    registered: AtomicFlag,
    #[pin]
    data: T,
}

// SAFETY: `napi` may be used by any thread under its own rules.
unsafe impl<T: Send> Send for Napi<T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for Napi<T> {}

impl<T> Deref for Napi<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: Poll> Napi<T> {
    /// Creates an initialiser.
    pub fn new(data: impl PinInit<T, Error>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            napi <- Opaque::ffi_init(|slot: *mut bindings::napi_struct| {
                // INVARIANT: The bit is set.
                // SAFETY: `slot` is valid for writes; zeroes are a valid `napi_struct` that is in
                // no list.
                unsafe {
                    slot.write(pin_init::zeroed());
                    (*slot).state = 1 << bindings::NAPI_STATE_SCHED | 1 << bindings::NAPI_STATE_NPSVC;
                }
            }),
            registered: AtomicFlag::new(false),
            data <- data,
        })
    }

    /// Has it polled soon, on this CPU. Any context.
    ///
    /// Whatever the caller did before is seen by the poll: scheduling what is
    /// being polled at the moment has it polled once more.
    #[inline]
    pub fn schedule(&self) {
        let napi = self.napi.get();
        // SAFETY: By the type invariant this is a valid `napi_struct`; if it is not enabled, the
        // first call says no.
        unsafe {
            if bindings::napi_schedule_prep(napi) {
                bindings::__napi_schedule(napi);
            }
        }
    }

    /// # Safety
    ///
    /// Called by the core for the `napi` of a `Napi<T>` that a [`Registration`]
    /// keeps alive, with bottom halves off.
    unsafe extern "C" fn poll_callback(napi: *mut bindings::napi_struct, budget: c_int) -> c_int {
        // SAFETY: `napi` is the first field of a `repr(C)` structure, which the registration keeps
        // alive until no poll is running.
        let this = unsafe { &*napi.cast::<Self>() };
        let context = PollContext {
            napi: this,
            // SAFETY: `Registration::new` added it to a device of `T::Driver`, on which it has a
            // reference.
            device: unsafe { Device::from_raw((*napi).dev) },
            budget: budget.try_into().unwrap_or(0),
            // SAFETY: The core polls with bottom halves off. Netpoll, which would poll with
            // interrupts off instead, leaves devices alone that `Setup::prepare` made.
            bh: unsafe { LocalBhDisabled::assume() },
        };
        let received = this.data.poll(&context).min(context.budget);
        // With a budget of 0 netpoll asks, and does the rest itself.
        if received < context.budget {
            // SAFETY: This is the poll of `napi`.
            unsafe { bindings::napi_complete_done(napi, received as c_int) };
        }
        received as c_int
    }
}

/// What a poll may do.
pub struct PollContext<'a, T: Poll> {
    napi: &'a Napi<T>,
    device: &'a Device<T::Driver>,
    budget: usize,
    bh: LocalBhDisabled,
}

impl<'a, T: Poll> PollContext<'a, T> {
    /// The device that is polled.
    #[inline]
    pub fn device(&self) -> &'a Device<T::Driver> {
        self.device
    }

    /// How many packets may be received.
    #[inline]
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// Evidence that bottom halves are off.
    #[inline]
    pub fn bh(&self) -> &LocalBhDisabled {
        &self.bh
    }

    /// Hands a packet to the stack, as received on the receive queue `queue` of
    /// this device. Its link header of `N` bytes is taken off, after it has said
    /// that this is the EtherType `protocol` (in host order) and whom it is for;
    /// compare `eth_type_trans()`. A packet shorter than that, or for which there
    /// is no memory, comes back.
    pub fn receive<const N: usize>(
        &self,
        mut skb: SkBuff,
        protocol: u16,
        packet_type: PacketType,
        queue: u16,
    ) -> Result<(), (SkBuff, DropReason)> {
        if let Err(reason) = skb.header::<N>() {
            return Err((skb, reason));
        }
        let skb = skb.into_raw();
        let napi = self.napi.napi.get();
        // SAFETY: The packet is ours and becomes the stack's. It has `N` bytes of linear data to
        // pull, as was just seen. The device lives, and its `napi` is being polled by us, so its
        // GRO list is ours. GRO writes to what it is given: the data is made the packet's own
        // first, and no socket may be left that GRO would not know of.
        unsafe {
            *skbuff::dev(skb) = self.device.as_raw();
            bindings::rust_helper_skb_reset_mac_header(skb);
            bindings::rust_helper_skb_pull_rcsum(skb, N as c_uint);
            let headers = &mut *skbuff::headers(skb);
            headers.protocol = protocol.to_be();
            headers.set_pkt_type(match packet_type {
                PacketType::Host => bindings::PACKET_HOST,
                PacketType::Broadcast => bindings::PACKET_BROADCAST,
            } as u8);
            bindings::rust_helper_skb_record_rx_queue(skb, queue);
            bindings::rust_helper_skb_prepare_for_gro(skb);
            if bindings::rust_helper_skb_unclone(skb, bindings::SPANS_GFP_ATOMIC) == 0 {
                bindings::gro_receive_skb(&raw mut (*napi).gro, skb);
            } else {
                bindings::netif_receive_skb(skb);
            }
        }
        Ok(())
    }
}

/// Several [`Napi`] that are polled for as long as this exists: added to a
/// device and enabled.
///
/// Dropping it disables and removes them, and waits for an RCU grace period.
/// Process context.
///
/// # Invariants
///
/// Each of `napis` has been added to `device` and enabled, and its `registered`
/// is set, so that no other registration has it.
pub struct Registration<T: Poll> {
    napis: KVec<Arc<Napi<T>>>,
    _device: ARef<Device<T::Driver>>,
}

impl<T: Poll> Registration<T> {
    /// Adds all to `device` and enables them. Fails with `EBUSY` when one of them
    /// is registered already.
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
            let raw = napi.napi.get();
            // SAFETY: It is a valid `napi_struct` of which this is the only registration, so it is
            // on no list. It is kept alive by the reference in `napis` until it is removed.
            unsafe {
                bindings::rust_helper_netif_napi_add(
                    device.as_raw(),
                    raw,
                    Some(Napi::<T>::poll_callback),
                );
                bindings::napi_enable(raw);
            }
        }
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
            // SAFETY: By the type invariant it is enabled. This waits for a poll to end.
            unsafe { bindings::napi_disable(napi.napi.get()) };
        }
        for napi in self.napis.iter() {
            // SAFETY: By the type invariant it was added, and it was just disabled.
            unsafe { bindings::rust_helper___netif_napi_del(napi.napi.get()) };
        }
        // SAFETY: Process context. Readers of the device's list and of the table of NAPI numbers
        // may still see what was removed.
        unsafe { bindings::synchronize_net() };
        for napi in self.napis.iter() {
            napi.registered.store(false, Release);
        }
    }
}
