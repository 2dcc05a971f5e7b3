// SPDX-License-Identifier: BSD-2-Clause
//! Translation tables of a guest's own: every address is itself, and one window of 2 MiB is made of
//! pages that may be anything (Arm DDI 0487, D8.3; 4 KiB granule, 39 bits).

use core::arch::asm;

use crate::mmio::Device;
use crate::{Platform, read_register, write_register};

/// Bytes at the end of RAM that the tables and a spare page take: no image lies there, and a guest
/// has 16 MiB.
const ROOM: usize = 0x1_0000;
/// Where the window is.
const WINDOW: u64 = 8 << 30;
/// Pages in the window.
pub const PAGES: u64 = 512;
/// Descriptors: a block or the last level's page that EL1 may read and write; a table.
const BLOCK: u64 = 1 | 1 << 10;
const TABLE: u64 = 3;
/// Attribute 1 of MAIR_EL1: normal memory without caches. Attribute 0 is device memory.
const NORMAL: u64 = 1 << 2;
/// SCTLR_EL1.M.
const MMU: u64 = 1;

/// Three tables: 1 GiB entries, the window's 2 MiB entry, its pages.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    base: usize,
}

impl Tables {
    /// Fills the tables and turns the MMU on; caches stay off, so that what is stored is seen by
    /// the processor's walks. The window has no pages yet. `attributes` are MAIR_EL1's upper six.
    #[must_use]
    pub fn turn_on(platform: &Platform, attributes: u64) -> Self {
        let tables = Self { base: platform.ram.end - ROOM };
        for level in 0..3 {
            (0..512).for_each(|index| tables.put(level, index, 0));
        }
        tables.put(0, 0, BLOCK);
        for index in platform.ram.start >> 30..=(platform.ram.end - 1) >> 30 {
            tables.put(0, index, (index as u64) << 30 | NORMAL | BLOCK);
        }
        tables.put(0, (WINDOW >> 30) as usize, tables.at(1) | TABLE);
        tables.set_window(None);
        write_register!("mair_el1", attributes << 16 | 0x44 << 8);
        // 39 bits of addresses below, nothing above, 40 bits of physical ones (D24.2.194).
        write_register!("tcr_el1", 25 | 1 << 23 | 2 << 32);
        write_register!("ttbr0_el1", tables.at(0));
        Self::forget();
        write_register!("sctlr_el1", read_register!("sctlr_el1") | MMU);
        tables
    }

    /// Turns the MMU off.
    pub fn turn_off(self) {
        write_register!("sctlr_el1", read_register!("sctlr_el1") & !MMU);
        Self::forget();
    }

    /// Physical address of a page that nobody uses.
    #[must_use]
    pub const fn spare(self) -> u64 {
        self.at(8)
    }

    /// Virtual address of a page of the window.
    #[must_use]
    pub const fn page(self, index: u64) -> u64 {
        WINDOW + (index % PAGES) * 0x1000
    }

    /// Writes the descriptor of a page of the window.
    pub fn set_page(self, index: u64, descriptor: u64) {
        self.put(2, (index % PAGES) as usize, descriptor);
    }

    /// Takes the table of the window's pages from this address, or from its own place.
    pub fn set_window(self, table: Option<u64>) {
        self.put(1, 0, table.unwrap_or(self.at(2)) | TABLE);
    }

    /// Makes the processor look at the tables again.
    pub fn forget() {
        // SAFETY: translations are looked up again; the guest's own stay what they are.
        unsafe { asm!("dsb sy", "tlbi vmalle1", "dsb sy", "isb") };
    }

    const fn at(self, page: usize) -> u64 {
        (self.base + page * 0x1000) as u64
    }

    fn put(self, level: usize, index: usize, descriptor: u64) {
        // SAFETY: the end of RAM, which no Rust object uses.
        let table = unsafe { Device::new(self.base + level * 0x1000) };
        table.write64(index * 8, descriptor);
    }
}
