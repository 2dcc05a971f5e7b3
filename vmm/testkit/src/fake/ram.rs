// SPDX-License-Identifier: BSD-2-Clause
//! Guest RAM behind caches that do what they may at any time: write a dirty line back, fetch
//! instructions ahead.

use core::ops::Range;
use std::collections::BTreeMap;
use std::vec::Vec;

use vmm_core::addr::{Ipa, IpaRange};

/// Bytes of a cache line.
const LINE: u64 = 64;

/// The same as a length.
const LINE_LEN: usize = 64;

/// Guest RAM: memory, dirty lines of the data cache, lines of the instruction cache. A clean data
/// line that stays cached and one that is dropped are the same here: neither is written back.
#[derive(Clone, Debug)]
pub struct Ram {
    range: IpaRange,
    memory: Vec<u8>,
    dirty: BTreeMap<u64, [u8; LINE_LEN]>,
    /// Lines as memory had them when they were fetched.
    code: BTreeMap<u64, [u8; LINE_LEN]>,
}

/// From the first line that a range touches to its end.
fn span(range: IpaRange) -> Range<u64> {
    let first = range.base().0 & !(LINE - 1);
    if range.is_empty() { first..first } else { first..range.end().0 }
}

/// The cache lines that a range touches.
fn lines_of(range: IpaRange) -> impl Iterator<Item = u64> {
    span(range).step_by(LINE_LEN)
}

impl Ram {
    /// Zeroed RAM at `range`, whose size is rounded down to cache lines.
    #[must_use]
    pub fn new(range: IpaRange) -> Self {
        let size = usize::try_from(range.size() & !(LINE - 1)).unwrap_or(0);
        Self { range, memory: std::vec![0; size], dirty: BTreeMap::new(), code: BTreeMap::new() }
    }

    /// Where it is.
    #[must_use]
    pub const fn range(&self) -> IpaRange {
        self.range
    }

    fn index(&self, ipa: Ipa) -> Option<usize> {
        ipa.offset_from(self.range.base()).and_then(|at| usize::try_from(at).ok())
    }

    /// The line at `base` in memory.
    fn memory_line(&self, base: u64) -> [u8; LINE_LEN] {
        self.load_uncached(Ipa(base), LINE_LEN).try_into().unwrap_or([0; LINE_LEN])
    }

    /// Writes every dirty line back, as a cache may at any time.
    pub fn evict(&mut self) {
        for (base, bytes) in core::mem::take(&mut self.dirty) {
            self.store_uncached(Ipa(base), &bytes);
        }
    }

    /// The guest stores with its caches off: memory changes, dirty lines stay. What is not
    /// wholly in RAM is not stored.
    pub fn store_uncached(&mut self, ipa: Ipa, bytes: &[u8]) {
        let place =
            self.index(ipa).and_then(|at| self.memory.get_mut(at..)?.get_mut(..bytes.len()));
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
    }

    /// The guest, or the monitor, stores with its caches on: lines become dirty.
    pub fn store_cached(&mut self, ipa: Ipa, bytes: &[u8]) {
        let (mut at, mut rest) = (ipa.0, bytes);
        while !rest.is_empty() {
            let base = at & !(LINE - 1);
            let skip = usize::try_from(at & (LINE - 1)).unwrap_or(0);
            let mut line = self.dirty.get(&base).copied().unwrap_or_else(|| self.memory_line(base));
            let count = rest.len().min(LINE_LEN.saturating_sub(skip));
            let (now, later) = rest.split_at(count);
            if let Some(place) = line.get_mut(skip..).and_then(|line| line.get_mut(..count)) {
                place.copy_from_slice(now);
            }
            self.dirty.insert(base, line);
            rest = later;
            at = base.saturating_add(LINE);
        }
    }

    /// What a guest with its caches off sees.
    #[must_use]
    pub fn load_uncached(&self, ipa: Ipa, count: usize) -> Vec<u8> {
        let memory = self.index(ipa).and_then(|at| self.memory.get(at..)).unwrap_or_default();
        memory.get(..count).unwrap_or(memory).to_vec()
    }

    /// The instruction cache fetches this range from memory, because the guest executes it or
    /// because the processor looks ahead, which it may at any time.
    pub fn fetch(&mut self, range: IpaRange) {
        for base in lines_of(range) {
            let line = self.memory_line(base);
            self.code.entry(base).or_insert(line);
        }
    }

    /// Whether an instruction fetched from here is an old one.
    #[must_use]
    pub fn stale(&self, range: IpaRange) -> bool {
        lines_of(range)
            .any(|base| self.code.get(&base).is_some_and(|line| *line != self.memory_line(base)))
    }

    /// Writes dirty lines of a range back.
    pub(super) fn clean(&mut self, range: IpaRange) {
        let lines: Vec<u64> = self.dirty.range(span(range)).map(|(base, _)| *base).collect();
        for base in lines {
            if let Some(bytes) = self.dirty.remove(&base) {
                self.store_uncached(Ipa(base), &bytes);
            }
        }
    }

    /// Drops lines of the instruction cache.
    pub(super) fn invalidate_instructions(&mut self, range: IpaRange) {
        for base in lines_of(range) {
            self.code.remove(&base);
        }
    }
}
