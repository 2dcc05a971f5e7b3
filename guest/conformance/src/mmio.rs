// SPDX-License-Identifier: BSD-2-Clause
//! Device registers, one plain load or store each.
//!
//! A compiler may pick any instruction for a volatile access, also one that leaves no syndrome
//! (Arm DDI 0487, ISS encoding for a data abort, ISV). So the instructions are written out.

use core::arch::asm;

/// A device's registers.
#[derive(Clone, Copy, Debug)]
pub struct Device(usize);

impl Device {
    /// The registers at `address`.
    ///
    /// # Safety
    /// No Rust object lives there: it is a device's window, or nothing at all.
    #[must_use]
    pub const unsafe fn new(address: usize) -> Self {
        Self(address)
    }

    /// Address of the register at `offset` bytes.
    #[must_use]
    pub const fn address(self, offset: usize) -> usize {
        self.0 + offset
    }

    /// Reads the 32-bit register at `offset` bytes.
    #[must_use]
    pub fn read(self, offset: usize) -> u32 {
        let value;
        // SAFETY: `new` promises that no Rust object is there.
        unsafe { asm!("ldr {:w}, [{}]", out(reg) value, in(reg) self.address(offset)) };
        value
    }

    /// Writes the 32-bit register at `offset` bytes.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: `new` promises that no Rust object is there.
        unsafe { asm!("str {:w}, [{}]", in(reg) value, in(reg) self.address(offset)) };
    }

    /// Reads the 64-bit register at `offset` bytes.
    #[must_use]
    pub fn read64(self, offset: usize) -> u64 {
        let value;
        // SAFETY: `new` promises that no Rust object is there.
        unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) self.address(offset)) };
        value
    }

    /// Writes the 64-bit register at `offset` bytes.
    pub fn write64(self, offset: usize, value: u64) {
        // SAFETY: `new` promises that no Rust object is there.
        unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) self.address(offset)) };
    }

    /// Reads the byte at `offset`.
    #[must_use]
    pub fn read8(self, offset: usize) -> u8 {
        let value: u32;
        // SAFETY: `new` promises that no Rust object is there.
        unsafe { asm!("ldrb {:w}, [{}]", out(reg) value, in(reg) self.address(offset)) };
        value as u8
    }

    /// Writes the byte at `offset`.
    pub fn write8(self, offset: usize, value: u8) {
        // SAFETY: `new` promises that no Rust object is there.
        unsafe {
            asm!("strb {:w}, [{}]", in(reg) u32::from(value), in(reg) self.address(offset));
        };
    }
}

/// Reads a system register by name.
#[macro_export]
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reading a system register that EL1 may read changes no memory.
        unsafe { core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value) };
        value
    }};
}

/// Writes a system register by name; its effect is visible to the next instruction.
#[macro_export]
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the guests write registers that leave translation and the vectors alone.
        unsafe { core::arch::asm!(concat!("msr ", $name, ", {}"), "isb", in(reg) value) };
    }};
}
