// SPDX-License-Identifier: BSD-2-Clause
//! The guest's UART, written to by polling while the guest is stopped. This is the only voice of
//! a monitor on a release kernel.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use vmm_core::uart::{PART, Registers, Uart};

use crate::{counter, symbols};

/// The [`Uart`] there is, as its number; zero before [`open`].
static KIND: AtomicU32 = AtomicU32::new(0);

/// Set while the UART takes nothing.
static DEAD: AtomicBool = AtomicBool::new(false);

/// Says what kind of UART is at `uart_vaddr`.
pub fn open(kind: Uart) {
    KIND.store(kind as u32, Ordering::Relaxed);
}

/// Finds out what kind of UART is at `uart_vaddr`, where no plan says so.
pub fn identify() {
    if let Some(page) = Page::mapped() {
        open(Uart::of_part(page.load(PART)));
    }
}

/// Writes `text`. Without effect before [`open`], or in a system that gave the monitor no UART.
pub fn print(text: &str) {
    if let (Some(kind), Some(page)) = (Uart::new(KIND.load(Ordering::Relaxed)), Page::mapped()) {
        kind.send(&page, &DEAD, text);
    }
}

/// The page of UART registers.
struct Page {
    base: usize,
}

impl Page {
    fn mapped() -> Option<Self> {
        let base = symbols::uart_vaddr();
        (base != 0).then_some(Self { base })
    }
}

impl Registers for Page {
    fn load(&self, offset: usize) -> u32 {
        let register = self.base.wrapping_add(offset) as *const u32;
        // SAFETY: `base` is the page of UART registers that the Microkit tool mapped as device
        // memory, and all offsets are below 4 KiB. Reading those registers has no side effects.
        unsafe { register.read_volatile() }
    }

    fn store(&self, offset: usize, value: u32) {
        let register = self.base.wrapping_add(offset) as *mut u32;
        // SAFETY: as above; the transmit register takes a byte, which is all that this does.
        unsafe { register.write_volatile(value) }
    }

    fn now(&self) -> u64 {
        counter::now()
    }

    fn frequency(&self) -> u64 {
        counter::frequency()
    }
}
