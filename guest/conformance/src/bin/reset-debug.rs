// SPDX-License-Identifier: BSD-2-Clause
//! After SYSTEM_RESET debug exceptions and performance counters are off, and the OS lock is locked
//! (Arm DDI 0487: MDSCR_EL1, OSLSR_EL1 and PMCR_EL0, the fields' values on a reset).
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use guest_conformance::smccc::{SYSTEM_RESET, smc};
use guest_conformance::{Platform, fail, guest, line, read_register, require, write_register};

guest!(run);

/// In memory that a start does not write.
struct Witness(UnsafeCell<u64>);

// SAFETY: one CPU runs, and takes no interrupt.
unsafe impl Sync for Witness {}

#[unsafe(link_section = ".noinit")]
static WITNESS: Witness = Witness(UnsafeCell::new(0));

/// Says that the guest ran before.
const SEEN: u64 = 0x7265_7365_742d_6462;

/// MDSCR_EL1: SS, KDE and MDE.
const DEBUG: u64 = 1 | 1 << 13 | 1 << 15;
/// OSLSR_EL1.OSLK.
const LOCKED: u64 = 1 << 1;
/// PMCR_EL0.E.
const COUNTING: u64 = 1;

fn run(platform: &mut Platform) {
    // SAFETY: the only access besides the write below.
    let seen = unsafe { WITNESS.0.get().read_volatile() } == SEEN;
    let debug = read_register!("mdscr_el1");
    let counters = read_register!("pmcr_el0");
    let lock = read_register!("oslsr_el1");
    if seen {
        require!(debug & DEBUG == 0, "MDSCR_EL1 is {debug:#x}");
        require!(lock & LOCKED != 0, "OSLSR_EL1 is {lock:#x}: not locked");
        require!(counters & COUNTING == 0, "PMCR_EL0 is {counters:#x}: counting");
        return;
    }
    line(format_args!("reset-debug: first life"));
    platform.console.drain();
    write_register!("oslar_el1", 0);
    write_register!("mdscr_el1", DEBUG);
    write_register!("pmcr_el0", COUNTING);
    require!(read_register!("mdscr_el1") & DEBUG == DEBUG, "MDSCR_EL1 cannot be written");
    require!(read_register!("pmcr_el0") & COUNTING != 0, "PMCR_EL0 cannot be written");
    // SAFETY: the only access besides the read above.
    unsafe { WITNESS.0.get().write_volatile(SEEN) };
    let answer = smc(SYSTEM_RESET, [0; 3]);
    fail!("SYSTEM_RESET came back with {answer:#x}");
}
