// SPDX-License-Identifier: BSD-2-Clause
//! Addresses and sizes that the Microkit tool writes into this program: `setvar_vaddr` and
//! `setvar_prefill_size` of each mapping in the system file. Zero where there is no such region.

use sel4_microkit::var;

macro_rules! patched {
    ($($(#[$doc:meta])* $symbol:ident)*) => {
        $(
            $(#[$doc])*
            pub fn $symbol() -> usize {
                *var!($symbol: usize = 0)
            }
        )*
    };
}

patched! {
    /// The plan block.
    plan_vaddr
    /// Its size in bytes.
    plan_size
    /// The pristine kernel.
    kernel_vaddr
    /// Its size in bytes.
    kernel_size
    /// The pristine device tree.
    dtb_vaddr
    /// Its size in bytes.
    dtb_size
    /// The pristine initial RAM file system.
    initrd_vaddr
    /// Its size in bytes.
    initrd_size
    /// Guest RAM.
    ram_vaddr
    /// The UART's registers.
    uart_vaddr
    /// Registers of the idle timer, if it is a device.
    idle_vaddr
    /// What seeds the guest's random numbers.
    seed_vaddr
    /// Registers of the board's real-time clock.
    rtc_vaddr
}

/// The bytes of a prefilled region; none where the system has no such region.
fn prefilled(address: usize, size: usize) -> &'static [u8] {
    if address == 0 {
        return &[];
    }
    // SAFETY: the Microkit tool patched both numbers from one mapping of the system file: normal
    // memory, mapped for this protection domain alone, never unmapped and never written after the
    // system was built.
    unsafe { core::slice::from_raw_parts(address as *const u8, size) }
}

/// The plan block.
pub fn plan() -> &'static [u8] {
    prefilled(plan_vaddr(), plan_size())
}

/// The pristine kernel.
pub fn kernel() -> &'static [u8] {
    prefilled(kernel_vaddr(), kernel_size())
}

/// The pristine device tree.
pub fn device_tree() -> &'static [u8] {
    prefilled(dtb_vaddr(), dtb_size())
}

/// What seeds the guest's random numbers, in the region of this size.
pub fn seed(size: usize) -> &'static [u8] {
    // No file of the image, but the same holds: whoever wrote it did so before this system.
    prefilled(seed_vaddr(), size)
}

/// The pristine initial RAM file system.
pub fn initrd() -> &'static [u8] {
    prefilled(initrd_vaddr(), initrd_size())
}
