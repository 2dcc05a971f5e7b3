// SPDX-License-Identifier: BSD-2-Clause
//! Where the lines of shared interrupts come from: a device of the board, whose line is passed
//! through, or one that the monitor emulates.

use super::words::{WORDS, word_and_bit};
use crate::ids::{Intid, Trigger};

/// What is at the other end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A device of the board. The line is masked while it waits for the guest
    /// ([`super::Gic::fire`]), and only the host may know its level.
    Physical(Trigger),
    /// A device that the monitor emulates. The line is a level, and the controller keeps it
    /// ([`super::Gic::set_level`]).
    Emulated,
}

/// The lines that a guest has, a bit each, by word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    physical: [u32; WORDS],
    /// Those of them that are edges.
    edges: [u32; WORDS],
    emulated: [u32; WORDS],
    /// Those of them that are high.
    high: [u32; WORDS],
}

fn set(words: &mut [u32; WORDS], intid: Intid, to: bool) {
    let (word, bit) = word_and_bit(intid);
    if let Some(bits) = words.get_mut(word) {
        *bits = if to { *bits | bit } else { *bits & !bit };
    }
}

fn has(words: &[u32; WORDS], intid: Intid) -> bool {
    let (word, bit) = word_and_bit(intid);
    words.get(word).is_some_and(|bits| bits & bit != 0)
}

impl Lines {
    /// Gives a shared interrupt its line. A private one has none.
    pub(super) fn add(&mut self, intid: Intid, source: Source) {
        if intid.is_private() {
            return;
        }
        set(&mut self.physical, intid, matches!(source, Source::Physical(_)));
        set(&mut self.edges, intid, source == Source::Physical(Trigger::Edge));
        set(&mut self.emulated, intid, source == Source::Emulated);
    }

    /// How a board's device says on this line that it wants something; `None` if it has no line of the
    /// board.
    pub(super) fn trigger(&self, intid: Intid) -> Option<Trigger> {
        let trigger = if has(&self.edges, intid) { Trigger::Edge } else { Trigger::Level };
        has(&self.physical, intid).then_some(trigger)
    }

    /// The level of an emulated line; `None` if there is none.
    pub(super) fn level(&self, intid: Intid) -> Option<bool> {
        has(&self.emulated, intid).then(|| has(&self.high, intid))
    }

    /// Changes the level of an emulated line.
    pub(super) fn set_level(&mut self, intid: Intid, high: bool) {
        set(&mut self.high, intid, high);
    }

    /// All emulated devices are reset: their lines are low.
    pub(super) fn reset(&mut self) {
        self.high = [0; WORDS];
    }

    /// The board's lines, by word.
    pub(super) const fn physical(&self) -> [u32; WORDS] {
        self.physical
    }
}
