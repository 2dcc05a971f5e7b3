// SPDX-License-Identifier: BSD-2-Clause
//! Text in a plan block.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A short ASCII text, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Text<const N: usize>(pub [u8; N]);

impl<const N: usize> Text<N> {
    /// `text`, cut at `N` bytes; what is not printable ASCII becomes `?`, and so do `"` and `\`,
    /// which would end a string of the JSON report.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = if matches!(from, b' '..=b'~') && !matches!(from, b'"' | b'\\') {
                from
            } else {
                b'?'
            };
        }
        Self(bytes)
    }

    /// The text; empty if it is not ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // What is split has a first part; what is no text is none.
        let text = self.0.split(|&byte| byte == 0).next().unwrap_or_default();
        if text.is_ascii() { core::str::from_utf8(text).unwrap_or_default() } else { "" }
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}
