// SPDX-License-Identifier: GPL-2.0

//! How entries grow old.

use super::{Bucket, Queue, Queues, Slot, State, Table, PACES};
use crate::arp::{
    event::{Due, End},
    slots::{Entry, Place},
};
use core::ops::DerefMut;

impl<E, B> Table<E, B>
where
    E: DerefMut<Target = [Slot]>,
    B: DerefMut<Target = [Bucket]>,
{
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
        let settings = self.settings;
        let mut left = budget;
        for pace in 0..PACES {
            let wait = wait(settings.retry, pace);
            while let Some(place) = self.due(|queues| queues.asking.get(pace), wait, now) {
                let Some(rest) = left.checked_sub(1) else {
                    return true;
                };
                left = rest;
                let Some(&Entry { ip, state, .. }) = self.slots.get(place) else {
                    break;
                };
                match state {
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
        let look = settings.lifetime.saturating_sub(settings.lead());
        while let Some(place) = self.due(|queues| Some(&queues.valid), look, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            let Some(&Entry {
                ip, address, since, ..
            }) = self.slots.get(place)
            else {
                break;
            };
            self.enter(place, State::Ending, since);
            if now.saturating_sub(since) < settings.lifetime {
                out(Due::Verify(ip, address));
            }
        }
        while let Some(place) = self.due(|queues| Some(&queues.ending), settings.lifetime, now) {
            let Some(rest) = left.checked_sub(1) else {
                return true;
            };
            left = rest;
            self.totals.expired = self.totals.expired.wrapping_add(1);
            self.go(place, End::Expired);
        }
        while let Some(place) = self.due(|queues| Some(&queues.failed), settings.hold, now) {
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
        let settings = &self.settings;
        let at = |queue: &Queue, wait: u64| {
            let entry = self.slots.get(queue.first()?)?;
            Some(entry.since.saturating_add(wait))
        };
        let asking = self
            .queues
            .asking
            .iter()
            .enumerate()
            .filter_map(|(pace, queue)| at(queue, wait(settings.retry, pace)));
        let look = settings.lifetime.saturating_sub(settings.lead());
        asking
            .chain(at(&self.queues.valid, look))
            .chain(at(&self.queues.ending, settings.lifetime))
            .chain(at(&self.queues.failed, settings.hold))
            .min()
    }

    /// The first entry of a queue, if it has waited there for so long.
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

/// How long an entry waits for an answer that waits at this pace.
fn wait(retry: u64, pace: usize) -> u64 {
    (retry / 16).saturating_mul(13 + 2 * pace as u64)
}
