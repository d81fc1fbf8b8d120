// SPDX-License-Identifier: GPL-2.0

//! How entries grow old.

use super::{Bucket, List, Lists, State, Store, Table, PACES};
use crate::arp::{
    config::Settings,
    event::{Due, RemoveReason},
    slots::{Entry, SlotId},
};
use core::ops::DerefMut;

/// How long entries stay in each queue, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    asking: [u64; PACES],
    valid: u64,
    expiring: u64,
    unverified: u64,
    failed: u64,
}

impl Waits {
    /// What follows from what the user has set.
    pub(super) fn new(settings: &Settings) -> Self {
        let sixteenth = settings.retry / 16;
        Self {
            asking: core::array::from_fn(|pace| sixteenth.saturating_mul(13 + 2 * pace as u64)),
            valid: settings.lifetime.saturating_sub(settings.lead()),
            expiring: settings.lifetime,
            unverified: settings.lifetime,
            failed: settings.hold,
        }
    }
}

impl<E, B> Table<E, B>
where
    E: Store<State>,
    B: DerefMut<Target = [Bucket]>,
{
    /// The line is mended: hosts that are being asked for are asked at once, as if for the
    /// first time.
    pub fn carrier_on(&mut self, now: u64) {
        self.carrier_since = now;
    }

    /// Time has passed: does at most `budget` of what is due, which goes to `out`.
    /// `random` throws random numbers. Answers whether there is more.
    pub fn tick(
        &mut self,
        now: u64,
        budget: usize,
        mut random: impl FnMut() -> u32,
        mut out: impl FnMut(Due),
    ) -> bool {
        // What is still there is about to be dropped.
        if !self.up {
            return false;
        }
        let (settings, waits) = (self.settings, self.waits);
        let mut left = budget;
        for (pace, wait) in waits.asking.into_iter().enumerate() {
            while let Some(id) = self.due_request(pace, wait, now) {
                let Some(rest) = left.checked_sub(1) else {
                    return true;
                };
                left = rest;
                let Some(&Entry {
                    ip, state, since, ..
                }) = self.slots.get(id)
                else {
                    break;
                };
                match state {
                    State::Incomplete { .. } if since < self.carrier_since => {
                        self.request(id, 0, now, random());
                        out(Due::Request(ip));
                    }
                    State::Incomplete { tries, .. } if tries < settings.tries => {
                        self.request(id, tries, now, random());
                        out(Due::Request(ip));
                    }
                    _ => {
                        self.stats.failed = self.stats.failed.wrapping_add(1);
                        self.set_state(id, State::Failed, now);
                        self.lock(id);
                    }
                }
            }
        }
        while let Some(id) = self.due(|lists| Some(&lists.valid), waits.valid, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            let Some(&Entry {
                ip,
                address,
                since,
                unsolicited,
                ..
            }) = self.slots.get(id)
            else {
                break;
            };
            self.set_state(id, State::Expiring, since);
            // Some readers of the kernel's neighbours do not tell that they use them (flow tables,
            // bpf_fib_lookup()), so that a packet was ever sent counts for all of its life.
            if !unsolicited && now.saturating_sub(since) < settings.lifetime {
                out(Due::Verify(ip, address));
            }
        }
        while let Some(id) = self.due(|lists| Some(&lists.expiring), waits.expiring, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.stats.expired = self.stats.expired.wrapping_add(1);
            self.mark_removed(id, RemoveReason::Expired);
        }
        while let Some(id) = self.due(|lists| Some(&lists.unverified), waits.unverified, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.stats.expired = self.stats.expired.wrapping_add(1);
            self.mark_removed(id, RemoveReason::Expired);
        }
        while let Some(id) = self.due(|lists| Some(&lists.failed), waits.failed, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.mark_removed(id, RemoveReason::RetryAllowed);
        }
        false
    }

    /// When something is due next, if nothing happens until then.
    pub fn next_timeout(&self) -> Option<u64> {
        if !self.up {
            return None;
        }
        let (lists, waits) = (&self.lists, &self.waits);
        let asking = lists.asking.iter().zip(waits.asking);
        let asking = asking.map(|(list, wait)| (list, self.answer_wait(list, wait)));
        let others = [
            (&lists.valid, waits.valid),
            (&lists.expiring, waits.expiring),
            (&lists.unverified, waits.unverified),
            (&lists.failed, waits.failed),
        ];
        asking
            .chain(others)
            .filter_map(|(list, wait)| {
                let entry = self.slots.get(list.first()?)?;
                Some(entry.since.saturating_add(wait))
            })
            .min()
    }

    /// The first host of a queue that is to be asked again.
    fn due_request(&self, pace: usize, wait: u64, now: u64) -> Option<SlotId> {
        let wait = self.answer_wait(self.lists.asking.get(pace)?, wait);
        self.due(|lists| lists.asking.get(pace), wait, now)
    }

    /// How long the first host of a queue may take to answer, if it could hear the request.
    fn answer_wait(&self, list: &List, wait: u64) -> u64 {
        let first = list.first().and_then(|id| self.slots.get(id));
        if first.is_some_and(|entry| entry.since < self.carrier_since) {
            0
        } else {
            wait
        }
    }

    /// The first entry of a queue, if it has waited there for so long.
    #[inline]
    fn due(
        &self,
        list: impl FnOnce(&Lists) -> Option<&List>,
        wait: u64,
        now: u64,
    ) -> Option<SlotId> {
        let id = list(&self.lists)?.first()?;
        let entry = self.slots.get(id)?;
        (now >= entry.since.saturating_add(wait)).then_some(id)
    }
}
