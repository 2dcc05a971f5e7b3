// SPDX-License-Identifier: BSD-2-Clause
//! How long the monitor took to answer exits: a histogram in bins of powers of two.

/// Bins. The last one holds everything from a fifteenth of a second on at 62.5 MHz.
pub const BINS: usize = 23;

/// Counts of answers by time since the monitor started, from the host's call to the core's answer:
/// the kernel calls in between are in it, the way into the monitor and back are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency([u64; BINS]);

impl Latency {
    /// One more answer, which took so many ticks of the generic timer's counter.
    pub fn add(&mut self, ticks: u64) {
        let bits = u64::BITS.saturating_sub(ticks.leading_zeros());
        let last = BINS.saturating_sub(1);
        let bin = usize::try_from(bits).unwrap_or(last).min(last);
        if let Some(count) = self.0.get_mut(bin) {
            *count = count.wrapping_add(1);
        }
    }

    /// Bin n counts the answers that took fewer than 2^n ticks, and at least half of that; the
    /// last one has no upper end.
    #[must_use]
    pub const fn bins(&self) -> &[u64; BINS] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_its_bin() {
        for (ticks, bin) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11)] {
            let mut latency = Latency::default();
            latency.add(ticks);
            assert_eq!(latency.bins().iter().position(|count| *count == 1), Some(bin), "{ticks}");
        }
        let mut latency = Latency::default();
        latency.add(u64::MAX);
        latency.add(1 << (BINS - 2));
        assert_eq!(latency.bins()[BINS - 1], 2);
    }
}
