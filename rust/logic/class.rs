// SPDX-License-Identifier: GPL-2.0

//! The class of a packet selects one of the two FIFOs of a subqueue.

/// The class of a packet (DragonFly `ifaltq_subque`: `prio` and `norm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Leaves first: control and interactive traffic.
    Prio,
    /// Everything else.
    Norm,
}

/// `TC_PRIO_MAX`: higher bits of `skb->priority` name a class of a qdisc.
const TC_PRIO_MAX: u32 = 15;
const TC_PRIO_INTERACTIVE: u32 = 6;
const TC_PRIO_CONTROL: u32 = 7;

impl Class {
    /// Returns the class for this `skb->priority`: `Prio` if `pfifo_fast` has it in band 0
    /// (`net/sched/sch_generic.c`, `sch_default_prio2band`).
    #[inline]
    pub const fn of(priority: u32) -> Self {
        match priority & TC_PRIO_MAX {
            TC_PRIO_INTERACTIVE | TC_PRIO_CONTROL => Self::Prio,
            _ => Self::Norm,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prio_is_band_0_of_pfifo_fast() {
        let prio2band = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
        for (priority, band) in prio2band.into_iter().enumerate() {
            for class in [0, 0x10_0000] {
                let prio = Class::of(priority as u32 + class) == Class::Prio;
                assert_eq!(prio, band == 0, "priority {priority}");
            }
        }
    }
}
