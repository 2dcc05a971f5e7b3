// SPDX-License-Identifier: BSD-2-Clause
//! The generic timer's counter, which the kernel lets user level read
//! (`KernelArmExportPCNTUser`, on in every Microkit SDK).

use core::arch::asm;

/// CNTPCT_EL0, in ticks.
pub fn now() -> u64 {
    let ticks;
    // SAFETY: reads a counter. The barrier keeps the read from being done early
    // (Arm DDI 0487, D12.2.2); neither instruction touches memory or flags.
    unsafe {
        asm!("isb", "mrs {}, cntpct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    ticks
}

/// CNTFRQ_EL0: the counter's frequency in hertz, as the firmware set it.
pub fn frequency() -> u64 {
    let hertz;
    // SAFETY: reads an identification register.
    unsafe {
        asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack, preserves_flags));
    }
    hertz
}
