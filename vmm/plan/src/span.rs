// SPDX-License-Identifier: BSD-2-Clause
//! Ranges of addresses and sizes that people can read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of the small page of stage 2 and of Microkit.
pub const PAGE: u64 = 0x1000;
/// Bytes of the large page of stage 2 and of Microkit.
pub const LARGE_PAGE: u64 = 0x20_0000;

/// A range of addresses of any one kind. Reading a board file checks that it does not wrap; other
/// makers use [`Span::new`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

impl Span {
    /// `size` bytes from `base`; cut short at the end of the address space.
    #[must_use]
    pub const fn new(base: u64, size: u64) -> Self {
        Self { base, size: base.saturating_add(size).saturating_sub(base) }
    }

    /// First address past the range.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Whether the two share an address.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.size != 0 && other.size != 0 && self.base < other.end() && other.base < self.end()
    }

    /// Whether every address of `other` lies in the range.
    #[must_use]
    pub const fn encloses(self, other: Self) -> bool {
        self.base <= other.base && other.end() <= self.end()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.end())
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
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A number of bytes for people: "33.2 MiB", "64 KiB", "12 bytes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0..0x400 => return write!(f, "{} bytes", self.0),
            0x400..0x10_0000 => (0x400, "KiB"),
            0x10_0000..0x4000_0000 => (0x10_0000, "MiB"),
            _ => (0x4000_0000, "GiB"),
        };
        let whole = self.0.checked_div(unit).unwrap_or(0);
        let rest = self.0.checked_rem(unit).unwrap_or(0);
        let tenths = rest.saturating_mul(10).checked_div(unit).unwrap_or(0);
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
    fn a_span_never_wraps() {
        let span = Span::new(u64::MAX, 10);
        assert_eq!(span.end(), u64::MAX);
        assert_eq!(span.size, 0);
        assert_eq!(align_up(u64::MAX, PAGE), u64::MAX);
        assert_eq!(align_up(1, PAGE), PAGE);
        assert_eq!(align_down(0x1fff, PAGE), PAGE);
    }
}
