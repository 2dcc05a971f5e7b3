// SPDX-License-Identifier: BSD-2-Clause
//! The UART, written by polling: the report channel, and this program's own last words.

use core::fmt;
use core::ptr::{
    read_volatile, with_exposed_provenance, with_exposed_provenance_mut, write_volatile,
};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use vmm_core::uart::Uart;

/// Physical address of the registers. Until a plan names a UART, the PL011 of QEMU's `virt`; on
/// `imx8mp-evk` that address is an unimplemented device, which takes writes and drops them.
static BASE: AtomicUsize = AtomicUsize::new(0x0900_0000);
/// Number of the kind.
static KIND: AtomicU32 = AtomicU32::new(Uart::Pl011.number());

/// Where `core::fmt` writes to.
pub struct Console;

impl Console {
    /// Uses the UART at physical address `base` from now on.
    ///
    /// # Safety
    /// A UART of this kind is there, mapped as device memory.
    pub unsafe fn select(kind: Uart, base: usize) {
        BASE.store(base, Ordering::Relaxed);
        KIND.store(kind.number(), Ordering::Relaxed);
    }

    /// Writes `text` as it is.
    pub fn print(text: &str) {
        let base = BASE.load(Ordering::Relaxed);
        let uart = Uart::from_number(KIND.load(Ordering::Relaxed)).unwrap_or(Uart::Pl011);
        let status = with_exposed_provenance::<u32>(base.wrapping_add(uart.status_offset()));
        let data = with_exposed_provenance_mut::<u32>(base.wrapping_add(uart.data_offset()));
        for byte in text.bytes() {
            // SAFETY: a UART is mapped there (`select`); reading its status changes nothing.
            while !uart.has_room(unsafe { read_volatile(status) }) {}
            // SAFETY: as above; a store to the data register sends a byte.
            unsafe { write_volatile(data, u32::from(byte)) };
        }
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Self::print(text);
        Ok(())
    }
}
