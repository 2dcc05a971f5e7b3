// SPDX-License-Identifier: BSD-2-Clause
//! The guest's UART, written to by polling while the guest is stopped. This is the only voice of
//! a monitor on a release kernel.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use vmm_core::uart::Uart;

use crate::{counter, symbols};

/// The [`Uart`] there is, as its number; zero before [`open`].
static KIND: AtomicU32 = AtomicU32::new(0);

/// Set while the UART takes nothing, because the guest turned it off: what follows is dropped
/// rather than waited for.
static DEAD: AtomicBool = AtomicBool::new(false);

/// Says what kind of UART is at `uart_vaddr`.
pub fn open(kind: Uart) {
    KIND.store(kind as u32, Ordering::Relaxed);
}

/// Finds out what kind of UART is at `uart_vaddr`, where no plan says so: a PL011 has its part
/// number in UARTPeriphID0 (Arm DDI 0183G, 3.3.15).
pub fn identify() {
    let base = symbols::uart_vaddr();
    if base != 0 {
        open(if read(base, 0xfe0) == 0x11 { Uart::Pl011 } else { Uart::Imx });
    }
}

/// Writes `text`, waiting for each byte's room at most a tenth of a second (a byte takes 1 ms at
/// 9600 baud). Without effect before [`open`], or in a system that gave the monitor no UART.
pub fn print(text: &str) {
    let base = symbols::uart_vaddr();
    let Some(kind) = Uart::from_number(KIND.load(Ordering::Relaxed)) else { return };
    if base == 0 {
        return;
    }
    for byte in text.bytes() {
        let patience = if DEAD.load(Ordering::Relaxed) { 0 } else { counter::frequency() / 10 };
        let give_up = counter::now().saturating_add(patience);
        while !kind.has_room(read(base, kind.status_offset())) {
            if counter::now() > give_up {
                DEAD.store(true, Ordering::Relaxed);
                return;
            }
        }
        DEAD.store(false, Ordering::Relaxed);
        write(base, kind.data_offset(), u32::from(byte));
    }
}

fn read(base: usize, offset: usize) -> u32 {
    let register = base.wrapping_add(offset) as *const u32;
    // SAFETY: `base` is the page of UART registers that the Microkit tool mapped as device memory,
    // and all offsets are below 4 KiB. Reading those registers has no side effects.
    unsafe { register.read_volatile() }
}

fn write(base: usize, offset: usize, value: u32) {
    let register = base.wrapping_add(offset) as *mut u32;
    // SAFETY: as above; the transmit register takes a byte, which is all that this does.
    unsafe { register.write_volatile(value) }
}
