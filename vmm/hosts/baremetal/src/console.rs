// SPDX-License-Identifier: BSD-2-Clause
//! The UART, written by polling: the report channel, and this program's own last words.

use core::fmt;
use core::ptr::{read_volatile, with_exposed_provenance_mut, write_volatile};
use core::sync::atomic::{AtomicBool, Ordering};

use arm_sysregs::el0::accessors as el0;
use spin::Once;
use vmm_core::uart::Uart;

/// The PL011 of QEMU's `virt` (hw/arm/virt.c, VIRT_UART).
const PL011: usize = 0x0900_0000;
/// UART1 of `imx8mp-evk` (i.MX 8M Plus Reference Manual, 2.2).
const IMX: usize = 0x3086_0000;

/// Kind and physical address of the registers, as a plan says.
static UART: Once<(Uart, usize)> = Once::new();

/// Set while the UART takes nothing, because the guest turned it off: what follows is dropped
/// rather than waited for.
static DEAD: AtomicBool = AtomicBool::new(false);

/// Where `core::fmt` writes to.
pub struct Console;

impl Console {
    /// Uses the UART at physical address `base` from now on.
    ///
    /// # Safety
    /// A UART of this kind is there, mapped as device memory.
    pub unsafe fn select(kind: Uart, base: usize) {
        UART.call_once(|| (kind, base));
    }
}

/// The UART of which of QEMU's machines this is, for as long as no plan says so: a PL011 has its
/// part number in UARTPeriphID0 (Arm DDI 0183G, 3.3.15); on `imx8mp-evk` nothing is there, and
/// reads as zero.
fn identify() -> (Uart, usize) {
    // SAFETY: mapped as device memory (`main.rs`); reading that register changes nothing.
    let part = unsafe { read_volatile(with_exposed_provenance_mut::<u32>(PL011 + 0xfe0)) };
    if part == 0x11 { (Uart::Pl011, PL011) } else { (Uart::Imx, IMX) }
}

impl fmt::Write for Console {
    /// Writes `text` as it is, waiting for each byte's room at most a tenth of a second.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (uart, base) = UART.get().copied().unwrap_or_else(identify);
        let register = |offset| with_exposed_provenance_mut::<u32>(base.wrapping_add(offset));
        let (status, data) = (register(uart.status_offset()), register(uart.data_offset()));
        for byte in text.bytes() {
            let patience =
                if DEAD.load(Ordering::Relaxed) { 0 } else { el0::read_cntfrq_el0().bits() / 10 };
            let give_up = el0::read_cntpct_el0().bits().saturating_add(patience);
            // SAFETY: a UART is mapped there (`select`); reading its status changes nothing.
            while !uart.has_room(unsafe { read_volatile(status) }) {
                if el0::read_cntpct_el0().bits() > give_up {
                    DEAD.store(true, Ordering::Relaxed);
                    return Ok(());
                }
            }
            DEAD.store(false, Ordering::Relaxed);
            // SAFETY: as above; a store to the data register sends a byte.
            unsafe { write_volatile(data, u32::from(byte)) };
        }
        Ok(())
    }
}
