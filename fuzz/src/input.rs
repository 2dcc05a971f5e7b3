// SPDX-License-Identifier: BSD-2-Clause
//! A fuzzer's bytes as a stream of decisions. All are small and fixed in size, so that a changed
//! byte changes one decision.

/// The rest of the bytes.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// The next two bytes.
    pub fn half(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: u8) -> Option<u8> {
        self.byte().map(|byte| byte % limit)
    }

    /// One of `all`, which is not empty.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        self.byte().map(|byte| all[usize::from(byte) % all.len()])
    }

    /// A number with a bias: small, all ones, a bit, one of `known` and its neighbours, or any.
    pub fn number(&mut self, known: &[u64]) -> Option<u64> {
        let kind = self.byte()?;
        Some(match kind % 8 {
            0 => u64::from(kind >> 3),
            1 => u64::MAX - u64::from(kind >> 3),
            2 => 1 << self.below(64)?,
            3 => self.word()?.into(),
            4 => self.long()?,
            _ if known.is_empty() => self.half()?.into(),
            5 => self.one_of(known)?,
            _ => self.one_of(known)?.wrapping_add(self.half()?.into()).wrapping_sub(8),
        })
    }
}
