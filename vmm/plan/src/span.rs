// SPDX-License-Identifier: BSD-2-Clause
//! Ranges of addresses and sizes that people can read.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vmm_core::addr::{Ipa, Pa};
pub use vmm_core::addr::{LARGE_PAGE, PAGE};

/// An address: of a device tree or a board's facts, as whoever reads it means it (`u64`),
/// guest-physical ([`Ipa`]) or of the board ([`Pa`]).
pub trait Address: Copy + fmt::Debug + Ord {
    /// The address of that number.
    fn from_number(number: u64) -> Self;
    /// Its number.
    fn number(self) -> u64;
}

macro_rules! address {
    ($($kind:ident)*) => {
        $(impl Address for $kind {
            fn from_number(number: u64) -> Self {
                Self(number)
            }

            fn number(self) -> u64 {
                self.0
            }
        })*
    };
}

address! { Ipa Pa }

impl Address for u64 {
    fn from_number(number: u64) -> Self {
        number
    }

    fn number(self) -> u64 {
        self
    }
}

/// A range of addresses that does not wrap: `base + size <= 2^64 - 1`, as in
/// [`IpaRange`](vmm_core::addr::IpaRange). Why not that one: a board file gives ranges of both kinds,
/// and what a tree means by an address is known only where the tree is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span<A = u64> {
    base: A,
    size: u64,
}

impl<A: Address> Span<A> {
    /// `size` bytes from `base`; `None` where they would leave the address space.
    #[must_use]
    pub fn new(base: A, size: u64) -> Option<Self> {
        base.number().checked_add(size).map(|_| Self { base, size })
    }

    /// From `base` up to `end`; empty where that is below.
    #[must_use]
    pub fn until(base: A, end: A) -> Self {
        Self { base, size: end.number().saturating_sub(base.number()) }
    }

    /// First address.
    #[must_use]
    pub const fn base(self) -> A {
        self.base
    }

    /// Bytes.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// First address past the range.
    #[must_use]
    pub fn end(self) -> A {
        // It does not wrap.
        A::from_number(self.base.number().wrapping_add(self.size))
    }

    /// Whether no address is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size == 0
    }

    /// Whether `address` lies in the range.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        self.base <= address && address < self.end()
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        !self.is_empty() && !other.is_empty() && self.base < other.end() && other.base < self.end()
    }

    /// Whether every address of `other` lies in the range.
    #[must_use]
    pub fn encloses(self, other: Self) -> bool {
        self.base <= other.base && other.end() <= self.end()
    }

    /// The pages that hold it.
    #[must_use]
    pub fn pages(self) -> Self {
        let base = A::from_number(align_down(self.base.number(), PAGE));
        Self::until(base, A::from_number(align_up(self.end().number(), PAGE)))
    }

    const fn with_base<B>(self, base: B) -> Span<B> {
        Span { base, size: self.size }
    }
}

impl Span {
    /// The same numbers as the guest's addresses: of a tree or of facts that are the guest's.
    #[must_use]
    pub const fn ipa(self) -> Span<Ipa> {
        self.with_base(Ipa(self.base))
    }

    /// The same numbers as the board's addresses: of a tree or of facts that are the board's.
    #[must_use]
    pub const fn pa(self) -> Span<Pa> {
        self.with_base(Pa(self.base))
    }
}

impl<A: Address> fmt::Display for Span<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Extent::from(*self).fmt(f)
    }
}

impl<A: Address> Serialize for Span<A> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Extent::from(*self).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let extent = Extent::deserialize(from)?;
        Self::new(extent.base, extent.size)
            .ok_or_else(|| serde::de::Error::custom(format!("{extent} leaves the address space")))
    }
}

/// Where something would be, as it was asked for: it may leave the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl<A: Address> From<Span<A>> for Extent {
    fn from(span: Span<A>) -> Self {
        Self { base: span.base.number(), size: span.size }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.base.saturating_add(self.size))
    }
}

/// `value` rounded up to a multiple of `align`; `u64::MAX` where that does not exist, which then
/// fits nowhere.
#[must_use]
pub const fn align_up(value: u64, align: u64) -> u64 {
    match value.checked_next_multiple_of(align) {
        Some(value) => value,
        None => u64::MAX,
    }
}

/// `value` rounded down to a multiple of `align`, a power of two.
#[must_use]
pub const fn align_down(value: u64, align: u64) -> u64 {
    value & !align.wrapping_sub(1)
}

/// The length of `bytes` as an address-sized number.
#[must_use]
pub fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

/// A number of bytes for people: "33.2 MiB", "64 KiB", "12 bytes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, name) = match self.0 {
            0..0x400 => return write!(f, "{} bytes", self.0),
            0x400..0x10_0000 => (10, "KiB"),
            0x10_0000..0x4000_0000 => (20, "MiB"),
            _ => (30, "GiB"),
        };
        let whole = self.0 >> shift;
        let rest = self.0 & !(u64::MAX << shift);
        let tenths = rest.saturating_mul(10) >> shift;
        match tenths {
            0 if rest == 0 => write!(f, "{whole} {name}"),
            _ => write!(f, "{whole}.{tenths} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (12, "12 bytes"),
            (0x400, "1 KiB"),
            (0x600, "1.5 KiB"),
            (0x1000_0000, "256 MiB"),
            (0x6000_0000, "1.5 GiB"),
            (0x10_0001, "1.0 MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn a_span_that_would_wrap_is_refused() {
        assert_eq!(Span::new(u64::MAX, 1), None);
        assert_eq!(Span::new(1, u64::MAX), None);
        let all = Span::new(0, u64::MAX).unwrap();
        assert_eq!((all.end(), Span::until(5, 3).size()), (u64::MAX, 0));
        let error = serde_json::from_str::<Span>("{\"base\":18446744073709547520,\"size\":4096}");
        assert!(error.is_err_and(|error| error.to_string().contains("leaves the address space")));
        assert_eq!(align_up(u64::MAX, PAGE), u64::MAX);
        assert_eq!(align_up(1, PAGE), PAGE);
        assert_eq!(align_down(0x1fff, PAGE), PAGE);
    }
}
