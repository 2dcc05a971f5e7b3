// SPDX-License-Identifier: BSD-2-Clause
//! The UART, written by polling: the report channel, and this program's own last words.

use core::fmt;
use core::ptr::{read_volatile, with_exposed_provenance_mut, write_volatile};
use core::sync::atomic::AtomicBool;

use arm_sysregs::el0::accessors as el0;
use spin::Once;
use vmm_core::uart::{Registers, Uart};

use crate::board::{CONSOLE, CONSOLE_BASE};

/// Kind and physical address of the registers, as a plan says; before there is one, as the board has it.
static UART: Once<(Uart, usize)> = Once::new();

/// Set while the UART takes nothing.
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

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (uart, base) = UART.get().copied().unwrap_or((CONSOLE, CONSOLE_BASE));
        uart.send(&At(base), &DEAD, text);
        Ok(())
    }
}

/// Registers at a physical address.
struct At(usize);

impl Registers for At {
    fn load(&self, offset: usize) -> u32 {
        let register = with_exposed_provenance_mut::<u32>(self.0.wrapping_add(offset));
        // SAFETY: a UART is mapped there as device memory (`select`, `main.rs`); reading what tells
        // its state or kind changes nothing.
        unsafe { read_volatile(register) }
    }

    fn store(&self, offset: usize, value: u32) {
        let register = with_exposed_provenance_mut::<u32>(self.0.wrapping_add(offset));
        // SAFETY: as above; a store to the data register sends a byte.
        unsafe { write_volatile(register, value) };
    }

    fn now(&self) -> u64 {
        el0::read_cntpct_el0().bits()
    }

    fn frequency(&self) -> u64 {
        el0::read_cntfrq_el0().bits()
    }
}
