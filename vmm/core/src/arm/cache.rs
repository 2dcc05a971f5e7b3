// SPDX-License-Identifier: BSD-2-Clause
//! Cache lines by address: the walk that both hosts do, each with its own instructions.

use core::ops::Range;

/// CTR_EL0 (Arm DDI 0487, D24.2.42): how large the smallest cache lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheType(pub u64);

impl CacheType {
    /// Bytes of the smallest data-cache line: DminLine, log2 of its words.
    #[must_use]
    pub const fn data_line(self) -> usize {
        4 << ((self.0 >> 16) & 0xf)
    }

    /// Bytes of the smallest instruction-cache line: IminLine, log2 of its words.
    #[must_use]
    pub const fn instruction_line(self) -> usize {
        4 << (self.0 & 0xf)
    }
}

/// Calls `each` with one address in every line of `line` bytes, a power of two, that holds some of
/// `addresses`, in order.
pub fn each_line(line: usize, addresses: Range<usize>, each: impl FnMut(usize)) {
    // From the start of the first line: a range that begins within one ends within another.
    let first = addresses.start & !line.wrapping_sub(1);
    (first..addresses.end).step_by(line).for_each(each);
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn lines_are_as_large_as_the_register_says() {
        // Cortex-A53 (Arm DDI 0500J, 4.3.28): both are 64 bytes.
        let a53 = CacheType(0x8444_8004);
        assert_eq!((a53.data_line(), a53.instruction_line()), (64, 64));
        let apart = CacheType(0x0005_0003);
        assert_eq!((apart.data_line(), apart.instruction_line()), (128, 32));
    }

    #[test]
    fn every_byte_is_in_a_line_that_is_visited_and_no_line_is_visited_twice() {
        for start in 0..70 {
            for end in start..140 {
                let mut lines = Vec::new();
                each_line(32, start..end, |at| lines.push(at));
                for byte in start..end {
                    let holds = lines.iter().filter(|&&at| at <= byte && byte < at + 32);
                    assert_eq!(holds.count(), 1, "{byte} of {start}..{end}: {lines:?}");
                }
                assert!(lines.iter().all(|at| at % 32 == 0 && at + 32 > start && *at < end));
            }
        }
    }
}
