// SPDX-License-Identifier: BSD-2-Clause
//! Page tables outside RAM, where the processor's walk fails, stop the guest.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::{Platform, fail, guest, write_register};

guest!(run);

fn run(platform: &mut Platform) {
    write_register!("mair_el1", 0xff);
    // 39 bits of addresses below, nothing above; 4 KiB pages (Arm DDI 0487, D24.2.194).
    write_register!("tcr_el1", 25 | 1 << 23);
    write_register!("ttbr0_el1", platform.ram.end as u64);
    // SAFETY: whatever runs next, it is not Rust code: there is no mapping.
    unsafe {
        asm!("tlbi vmalle1", "dsb sy", "isb", "mrs {s}, sctlr_el1", "orr {s}, {s}, #1",
             "msr sctlr_el1, {s}", "isb", s = out(reg) _);
    }
    fail!("the guest runs on without page tables");
}
