// SPDX-License-Identifier: GPL-2.0

//! Rate limit for removing neighbours from the kernel's table. Each removal walks the whole table
//! with its lock held, for all devices and namespaces.

const MS: u64 = 1_000_000;

/// Shortest time between two walks, in nanoseconds.
pub const PAUSE: u64 = 100 * MS;

/// Inverse of the largest share of time that walks may take.
const SHARE: u64 = 100;

/// Time after which a table is looked at again that was too large for a walk, in nanoseconds: about
/// as long as the kernel pauses between its own (`neigh_periodic_work()`).
const RETRY: u64 = 15_000 * MS;

/// Returns the pause after a walk that took `took`, both in nanoseconds, or after one that was left
/// out. It bounds the cost of one user's changes for all others, however many neighbours there are.
pub fn pause(took: u64, walked: bool) -> u64 {
    if walked {
        took.saturating_mul(SHARE).max(PAUSE)
    } else {
        RETRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_takes_a_hundredth_of_the_time_at_most() {
        assert_eq!(pause(0, true), PAUSE);
        assert_eq!(pause(MS, true), 100 * MS);
        assert_eq!(pause(20 * MS, true), 2000 * MS);
        assert_eq!(pause(u64::MAX, true), u64::MAX);
        assert_eq!(pause(0, false), RETRY);
    }
}
