// SPDX-License-Identifier: GPL-2.0

//! How entries grow old.

use super::{Bucket, Queue, Queues, State, Store, Table, PACES};
use crate::arp::{
    config::Settings,
    event::{Due, End},
    slots::{Entry, Place},
};
use core::ops::DerefMut;

/// How long entries stay in each queue, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    asking: [u64; PACES],
    valid: u64,
    ending: u64,
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
            ending: settings.lifetime,
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
    pub fn mend(&mut self, now: u64) {
        self.mended = now;
    }

    /// Time has passed: does at most `budget` of what is due, which goes to `out`.
    /// `dice` throws random numbers. Answers whether there is more.
    pub fn tick(
        &mut self,
        now: u64,
        budget: usize,
        mut dice: impl FnMut() -> u32,
        mut out: impl FnMut(Due),
    ) -> bool {
        // What is still there is about to be dropped.
        if !self.up {
            return false;
        }
        let (settings, waits) = (self.settings, self.waits);
        let mut left = budget;
        for (pace, wait) in waits.asking.into_iter().enumerate() {
            while let Some(place) = self.due_request(pace, wait, now) {
                let Some(rest) = left.checked_sub(1) else {
                    return true;
                };
                left = rest;
                let Some(&Entry {
                    ip, state, since, ..
                }) = self.slots.get(place)
                else {
                    break;
                };
                match state {
                    State::Incomplete { .. } if since < self.mended => {
                        self.ask(place, 0, now, dice());
                        out(Due::Ask(ip));
                    }
                    State::Incomplete { tries, .. } if tries < settings.tries => {
                        self.ask(place, tries, now, dice());
                        out(Due::Ask(ip));
                    }
                    _ => {
                        self.totals.failed = self.totals.failed.wrapping_add(1);
                        self.enter(place, State::Failed, now);
                        self.lock(place);
                    }
                }
            }
        }
        while let Some(place) = self.due(|queues| Some(&queues.valid), waits.valid, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            let Some(&Entry {
                ip,
                address,
                since,
                heard,
                ..
            }) = self.slots.get(place)
            else {
                break;
            };
            self.enter(place, State::Ending, since);
            // Some readers of the kernel's neighbours do not tell that they use them (flow tables,
            // bpf_fib_lookup()), so that a packet was ever sent counts for all of its life.
            if !heard && now.saturating_sub(since) < settings.lifetime {
                out(Due::Verify(ip, address));
            }
        }
        while let Some(place) = self.due(|queues| Some(&queues.ending), waits.ending, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.totals.expired = self.totals.expired.wrapping_add(1);
            self.go(place, End::Expired);
        }
        while let Some(place) = self.due(|queues| Some(&queues.unverified), waits.unverified, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.totals.expired = self.totals.expired.wrapping_add(1);
            self.go(place, End::Expired);
        }
        while let Some(place) = self.due(|queues| Some(&queues.failed), waits.failed, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.go(place, End::Forgiven);
        }
        false
    }

    /// When something is due next, if nothing happens until then.
    pub fn next_timeout(&self) -> Option<u64> {
        if !self.up {
            return None;
        }
        let (queues, waits) = (&self.queues, &self.waits);
        let asking = queues.asking.iter().zip(waits.asking);
        let asking = asking.map(|(queue, wait)| (queue, self.answer_wait(queue, wait)));
        let others = [
            (&queues.valid, waits.valid),
            (&queues.ending, waits.ending),
            (&queues.unverified, waits.unverified),
            (&queues.failed, waits.failed),
        ];
        asking
            .chain(others)
            .filter_map(|(queue, wait)| {
                let entry = self.slots.get(queue.first()?)?;
                Some(entry.since.saturating_add(wait))
            })
            .min()
    }

    /// The first host of a queue that is to be asked again.
    fn due_request(&self, pace: usize, wait: u64, now: u64) -> Option<Place> {
        let wait = self.answer_wait(self.queues.asking.get(pace)?, wait);
        self.due(|queues| queues.asking.get(pace), wait, now)
    }

    /// How long the first host of a queue may take to answer, if it could hear the request.
    fn answer_wait(&self, queue: &Queue, wait: u64) -> u64 {
        let first = queue.first().and_then(|place| self.slots.get(place));
        if first.is_some_and(|entry| entry.since < self.mended) {
            0
        } else {
            wait
        }
    }

    /// The first entry of a queue, if it has waited there for so long.
    #[inline]
    fn due(
        &self,
        queue: impl FnOnce(&Queues) -> Option<&Queue>,
        wait: u64,
        now: u64,
    ) -> Option<Place> {
        let place = queue(&self.queues)?.first()?;
        let entry = self.slots.get(place)?;
        (now >= entry.since.saturating_add(wait)).then_some(place)
    }
}
