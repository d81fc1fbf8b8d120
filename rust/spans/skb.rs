// SPDX-License-Identifier: GPL-2.0

//! The packet traits of `spans_logic` for [`SkBuff`] and [`SkBuffList`].

use crate::net::{SkBuff, SkBuffList};
use spans_logic::packet::{Packet, Packets};

impl Packet for SkBuff {
    #[inline]
    fn len(&self) -> usize {
        SkBuff::len(self)
    }

    #[inline]
    fn wire_len(&self) -> usize {
        SkBuff::wire_len(self)
    }

    #[inline]
    fn set_time(&mut self, time: u64) {
        self.set_cb(time);
    }

    #[inline]
    fn time(&self) -> u64 {
        self.cb()
    }
}

impl Packets for SkBuffList {
    type Packet = SkBuff;

    #[inline]
    fn len(&self) -> usize {
        SkBuffList::len(self)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        SkBuffList::is_empty(self)
    }

    #[inline]
    fn push_back(&mut self, packet: SkBuff) {
        SkBuffList::push_back(self, packet);
    }

    #[inline]
    fn pop_front(&mut self) -> Option<SkBuff> {
        SkBuffList::pop_front(self)
    }

    #[inline]
    fn append(&mut self, other: &mut Self) {
        SkBuffList::append(self, other);
    }

    #[inline]
    fn front(&self) -> Option<&SkBuff> {
        SkBuffList::front(self)
    }
}
