// SPDX-License-Identifier: BSD-2-Clause
//! Addresses that cannot be mixed up.
//!
//! A guest-physical address ([`Ipa`]) is what the guest calls physical, a physical address
//! ([`Pa`]) is what the board calls physical; the two are equal only where a plan says so. Host
//! pointers never enter this crate.

use core::fmt;

/// Bytes of the smallest page of stage 2: 4 KiB granule (Arm DDI 0487, D8.1).
pub const PAGE: u64 = 0x1000;
/// Bytes of stage 2's block at level 2, and of Microkit's large page.
pub const LARGE_PAGE: u64 = 0x20_0000;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `bytes` further on, or `None` past the end of the address space.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The distance in bytes from `base` up to this address, or `None` below it.
            #[must_use]
            pub const fn offset_from(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }

            /// Whether the address is a multiple of `align`, a power of two.
            #[must_use]
            pub const fn is_aligned(self, align: u64) -> bool {
                self.0 & align.wrapping_sub(1) == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// Guest-physical address: an intermediate physical address (Arm DDI 0487, D8.1.2).
    Ipa
}

address! {
    /// Physical address of the board.
    Pa
}

/// A range of guest-physical addresses that does not wrap: `base + size <= 2^64 - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpaRange {
    base: Ipa,
    size: u64,
}

impl IpaRange {
    /// The range of `size` bytes from `base`, or `None` where it would leave the address space.
    #[must_use]
    pub const fn new(base: Ipa, size: u64) -> Option<Self> {
        match base.checked_add(size) {
            Some(_) => Some(Self { base, size }),
            None => None,
        }
    }

    /// First address.
    #[must_use]
    pub const fn base(self) -> Ipa {
        self.base
    }

    /// Size in bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// First address past the range.
    #[must_use]
    pub const fn end(self) -> Ipa {
        Ipa(self.base.0.wrapping_add(self.size))
    }

    /// Whether the range has no address in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size == 0
    }

    /// Whether `ipa` lies in the range.
    #[must_use]
    pub const fn contains(self, ipa: Ipa) -> bool {
        match ipa.offset_from(self.base) {
            Some(offset) => offset < self.size,
            None => false,
        }
    }

    /// Whether every address of `other` lies in the range (an empty `other` at its ends does).
    #[must_use]
    pub const fn encloses(self, other: Self) -> bool {
        self.base.0 <= other.base.0 && other.end().0 <= self.end().0
    }

    /// Whether the two ranges share an address.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.size != 0
            && other.size != 0
            && self.base.0 < other.end().0
            && other.base.0 < self.end().0
    }
}

impl fmt::Display for IpaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.base, self.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_that_wraps_is_refused() {
        assert_eq!(IpaRange::new(Ipa(u64::MAX), 1), None);
        assert_eq!(IpaRange::new(Ipa(1), u64::MAX), None);
        assert!(IpaRange::new(Ipa(0), u64::MAX).is_some());
    }

    #[test]
    fn an_empty_range_contains_and_overlaps_nothing() {
        let empty = IpaRange::new(Ipa(0x1000), 0).unwrap();
        let page = IpaRange::new(Ipa(0x1000), 0x1000).unwrap();
        assert!(empty.is_empty());
        assert!(!empty.contains(Ipa(0x1000)));
        assert!(!empty.overlaps(page));
        assert!(!page.overlaps(empty));
        assert!(page.encloses(empty));
    }

    #[test]
    fn display_is_hex() {
        let page = IpaRange::new(Ipa(0x800_0000), 0x1000).unwrap();
        assert_eq!(page.to_string(), "0x8000000..0x8001000");
        assert_eq!(Pa(16).to_string(), "0x10");
    }

    #[test]
    fn alignment() {
        assert!(Ipa(0x20_0000).is_aligned(0x20_0000));
        assert!(!Ipa(0x20_1000).is_aligned(0x20_0000));
        assert!(Ipa(0).is_aligned(4096));
    }

    /// Every pair of ranges whose bases and sizes are at an edge of something, against arithmetic
    /// that cannot overflow.
    #[test]
    fn every_pair_of_ranges_at_the_edges() {
        let edges: [u64; 14] = [
            0,
            1,
            2,
            0xfff,
            0x1000,
            (1 << 32) - 1,
            1 << 32,
            (1 << 48) - 1,
            1 << 63,
            (1 << 63) + 1,
            u64::MAX - 0x1000,
            u64::MAX - 2,
            u64::MAX - 1,
            u64::MAX,
        ];
        let all = edges.into_iter().flat_map(|base| edges.map(|size| (base, size)));
        let ranges: Vec<(u128, u128, IpaRange)> = all
            .filter_map(|(base, size)| {
                let (first, end) = (u128::from(base), u128::from(base) + u128::from(size));
                let range = IpaRange::new(Ipa(base), size);
                assert_eq!(range.is_some(), end <= u128::from(u64::MAX), "{base:#x} {size:#x}");
                Some((first, end, range?))
            })
            .collect();
        assert!(ranges.len() > 90);
        for &(a, a_end, x) in &ranges {
            assert_eq!((u128::from(x.base().0), u128::from(x.end().0)), (a, a_end));
            assert_eq!(x.is_empty(), a == a_end);
            for ipa in edges {
                let inside = a <= u128::from(ipa) && u128::from(ipa) < a_end;
                assert_eq!(x.contains(Ipa(ipa)), inside);
                let distance = u128::from(ipa).checked_sub(a).map(|n| n as u64);
                assert_eq!(Ipa(ipa).offset_from(x.base()), distance);
            }
            for &(b, b_end, y) in &ranges {
                assert_eq!(x.overlaps(y), a.max(b) < a_end.min(b_end), "{x} {y}");
                assert_eq!(x.encloses(y), a <= b && b_end <= a_end, "{x} {y}");
            }
        }
    }

    proptest! {
        #[test]
        fn overlap_is_what_a_shared_address_says(a in 0u64..64, n in 0u64..16, b in 0u64..64, m in 0u64..16) {
            let x = IpaRange::new(Ipa(a), n).unwrap();
            let y = IpaRange::new(Ipa(b), m).unwrap();
            let shared = (0..96).any(|i| x.contains(Ipa(i)) && y.contains(Ipa(i)));
            prop_assert_eq!(x.overlaps(y), shared);
            prop_assert_eq!(y.overlaps(x), shared);
        }

        #[test]
        fn enclosing_is_containing_every_address(a in 0u64..64, n in 1u64..16, b in 0u64..64, m in 1u64..16) {
            let x = IpaRange::new(Ipa(a), n).unwrap();
            let y = IpaRange::new(Ipa(b), m).unwrap();
            let all = (b..b + m).all(|i| x.contains(Ipa(i)));
            prop_assert_eq!(x.encloses(y), all);
        }
    }
}
