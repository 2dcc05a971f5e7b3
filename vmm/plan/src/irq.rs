// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts as the GIC numbers them.

use serde::Deserialize;

/// The first of the INTIDs that mean something else (Arm IHI 0048B, 2.2.1): there is no line from
/// here on.
pub const FIRST_SPECIAL: u32 = 1020;

/// INTID of the first shared interrupt (Arm IHI 0048B, 2.2.1); trees count them from 0.
pub const FIRST_SPI: u32 = 32;

/// What signals an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A high level.
    Level,
    /// A rising edge.
    Edge,
}

impl Trigger {
    /// Its name in system files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Edge => "edge",
        }
    }
}

/// An interrupt at the GIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GicInterrupt {
    /// Its number.
    pub intid: u32,
    /// What signals it.
    pub trigger: Trigger,
}

/// A device interrupt passed through to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// INTID, the same for guest and board.
    pub intid: u32,
    /// What signals it.
    pub trigger: Trigger,
    /// Microkit channel.
    pub channel: u32,
}
