// SPDX-License-Identifier: BSD-2-Clause
//! A real-time clock: Arm PrimeCell PL031 (Arm DDI 0224C). It tells the time of the board's own clock
//! ([`crate::host::Clock::wall_clock`]) and what the guest has set it forward or back, which is forgotten when the
//! guest starts anew.
//!
//! It has no interrupt: nobody would wake the monitor for an alarm while the guest runs. The match
//! register keeps what is written and matches nothing, and the guest's tree names no interrupt, so
//! that its driver offers no alarm.

use super::{Effect, Emulated, MmioAccess, Stored};
use crate::host::Host;

/// Offsets of registers (DDI 0224C, 3.2).
mod offset {
    /// Data: seconds, read-only.
    pub const DR: u64 = 0x00;
    /// Match.
    pub const MR: u64 = 0x04;
    /// Load: sets the time.
    pub const LR: u64 = 0x08;
    /// Control: bit 0 starts the clock; once it runs it cannot be stopped.
    pub const CR: u64 = 0x0c;
    /// Interrupt mask.
    pub const IMSC: u64 = 0x10;
    /// Raw interrupt status, read-only.
    pub const RIS: u64 = 0x14;
    /// Masked interrupt status, read-only.
    pub const MIS: u64 = 0x18;
    /// Interrupt clear, write-only.
    pub const ICR: u64 = 0x1c;
    /// First of four bytes that say what it is: RTCPeriphID0 to 3.
    pub const PERIPHERAL: u64 = 0xfe0;
    /// First of four that say that it is a PrimeCell: RTCPCellID0 to 3.
    pub const CELL: u64 = 0xff0;
}

/// Part 031, designer Arm, revision 0 (DDI 0224C, 3.3.9).
const PERIPHERAL: u32 = 0x0004_1031;
/// DDI 0224C, 3.3.10.
const CELL: u32 = 0xb105_f00d;

/// The clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtc {
    /// Seconds that the guest is ahead of the board's clock, modulo 2^32.
    ahead: u32,
    matches: u32,
    mask: u32,
}

impl Rtc {
    fn register(&self, host: &mut dyn Host, offset: u64) -> Option<u32> {
        Some(match offset {
            offset::DR | offset::LR => host.wall_clock().wrapping_add(self.ahead),
            offset::MR => self.matches,
            offset::CR => 1,
            offset::IMSC => self.mask,
            offset::RIS | offset::MIS => 0,
            offset::PERIPHERAL..offset::CELL => byte(PERIPHERAL, offset),
            offset::CELL..0x1000 => byte(CELL, offset),
            _ => return None,
        })
    }
}

/// One byte of four, each of which has a register of its own.
const fn byte(word: u32, offset: u64) -> u32 {
    let [first, second, third, fourth] = word.to_le_bytes();
    let byte = match offset & 0xc {
        0x0 => first,
        0x4 => second,
        0x8 => third,
        _ => fourth,
    };
    byte as u32
}

/// Its registers are words; narrower accesses are nobody's.
const fn is_word(access: MmioAccess<'_>) -> bool {
    access.size == 4 && access.offset.is_multiple_of(4)
}

impl Emulated for Rtc {
    fn load(&mut self, host: &mut dyn Host, access: MmioAccess<'_>) -> Option<u64> {
        let word = is_word(access).then(|| self.register(host, access.offset))?;
        word.map(u64::from)
    }

    fn store(&mut self, host: &mut dyn Host, access: MmioAccess<'_>, value: u64) -> Stored {
        let Some(value) = u32::try_from(value).ok().filter(|_| is_word(access)) else {
            return Stored::NOWHERE;
        };
        match access.offset {
            offset::LR => self.ahead = value.wrapping_sub(host.wall_clock()),
            offset::MR => self.matches = value,
            offset::IMSC => self.mask = value & 1,
            offset::DR | offset::CR | offset::RIS | offset::MIS | offset::ICR => {}
            _ => return Stored::NOWHERE,
        }
        Stored::with(Effect::None)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}
