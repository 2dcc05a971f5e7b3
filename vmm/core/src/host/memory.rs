// SPDX-License-Identifier: BSD-2-Clause
//! What the guest is made from, and where it goes.

use super::{Image, MemoryOp, MemoryRefused};

/// Guest RAM, and what it is filled from.
pub trait GuestMemory {
    /// The bytes of a pristine image; empty where the guest has none.
    fn image(&self, image: Image) -> &[u8];

    /// What the boot loader or the emulator left in the plan's region `seed`; empty where the plan
    /// has none.
    fn seed(&self) -> &[u8];

    /// Does one step in the placing of images.
    ///
    /// # Errors
    /// The range leaves guest RAM.
    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused>;
}
