// SPDX-License-Identifier: GPL-2.0

//! Rate limit for removing neighbours from the kernel's table. Each removal walks the whole table
//! with its lock held, for all devices and namespaces.

const MS: u64 = 1_000_000;

/// Shortest time between two walks, in nanoseconds.
pub const PAUSE: u64 = 100 * MS;

/// Inverse of the largest share of time that walks may take.
const SHARE: u64 = 100;

/// Returns the pause after a walk that took `took`, both in nanoseconds. It bounds the cost of one
/// user's changes for all others, however many neighbours there are.
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
