// SPDX-License-Identifier: BSD-2-Clause
//! What the guest is made from, and where it goes.

use crate::addr::{Ipa, IpaRange};

/// One of the pristine images that every start of the guest is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// arm64 Linux `Image`, or any program that starts with the same header.
    Kernel,
    /// Flattened device tree.
    DeviceTree,
    /// Initial RAM file system.
    Initrd,
}

/// One step in the placing of images. The order is the core's ([`crate::boot::place`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOp {
    /// Write dirty lines of this guest RAM back and drop them (`dc civac`).
    CleanInvalidate(IpaRange),
    /// Copy a pristine image to this place in guest RAM.
    Copy(Image, Ipa),
    /// Store these four bytes at this place in guest RAM.
    Store(Ipa, [u8; 4]),
    /// Write dirty lines of this guest RAM back to the point of coherency (`dc cvac`), so that a
    /// guest with its caches off sees them.
    Clean(IpaRange),
    /// Drop instruction-cache lines of this guest RAM (`ic ivau`).
    InvalidateInstructions(IpaRange),
}

/// A memory step could not be done: the range is not guest RAM, or the image does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest RAM does not hold {0:?}")]
pub struct MemoryRefused(pub MemoryOp);

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
