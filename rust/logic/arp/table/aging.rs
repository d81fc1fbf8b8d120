// SPDX-License-Identifier: GPL-2.0

//! Aging: retries, verification and expiry.

use super::{Bucket, List, Lists, State, Store, Table, PACES};
use crate::arp::{
    config::Settings,
    event::{Due, RemoveReason},
    slots::{Entry, SlotId},
};
use core::ops::DerefMut;

/// The timeouts of the lists, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    asking: [u64; PACES],
    valid: u64,
    expiring: u64,
    unverified: u64,
    failed: u64,
}

impl Waits {
    /// Derives the timeouts from the settings.
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
    /// Restarts all pending requests: the carrier is on. They are due at once, as if none had been
    /// sent.
    pub fn carrier_on(&mut self, now: u64) {
        self.carrier_since = now;
    }

    /// Performs at most `budget` of the due actions, and passes requests to `out`. `random` spreads
    /// the retries. Returns whether more is due.
    pub fn tick(
        &mut self,
        now: u64,
        budget: usize,
        mut random: impl FnMut() -> u32,
        mut out: impl FnMut(Due),
    ) -> bool {
        // The caller is about to flush the remaining entries.
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
            // Some users of neighbours do not report use (flow tables, `bpf_fib_lookup()`), so one
            // packet ever sent is enough to verify the entry.
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

    /// Returns the time of the next due action, in nanoseconds.
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

    /// Returns the first entry of a retry list if its timeout is over.
    fn due_request(&self, pace: usize, wait: u64, now: u64) -> Option<SlotId> {
        let wait = self.answer_wait(self.lists.asking.get(pace)?, wait);
        self.due(|lists| lists.asking.get(pace), wait, now)
    }

    /// Returns the timeout of the first entry of a retry list: 0 if its request was sent before the
    /// carrier was on.
    fn answer_wait(&self, list: &List, wait: u64) -> u64 {
        let first = list.first().and_then(|id| self.slots.get(id));
        if first.is_some_and(|entry| entry.since < self.carrier_since) {
            0
        } else {
            wait
        }
    }

    /// Returns the first entry of a list if its timeout is over.
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
