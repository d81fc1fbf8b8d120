// SPDX-License-Identifier: GPL-2.0

//! How often neighbours are removed from the kernel's table. Each time all of that is walked
//! through with its lock held, for all devices and namespaces.

const MS: u64 = 1_000_000;

/// Between two walks, in nanoseconds, at least.
pub const PAUSE: u64 = 100 * MS;

/// The part of the time in which the table may be walked through: one in so many.
const SHARE: u64 = 100;

/// How long after a walk that took so long the next one may begin, in nanoseconds: the wish of
/// one user must not cost all others more, however many neighbours there are.
pub fn pause(took: u64) -> u64 {
    took.saturating_mul(SHARE).max(PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_takes_a_hundredth_of_the_time_at_most() {
        assert_eq!(pause(0), PAUSE);
        assert_eq!(pause(MS), 100 * MS);
        assert_eq!(pause(20 * MS), 2000 * MS);
        assert_eq!(pause(u64::MAX), u64::MAX);
    }
}
