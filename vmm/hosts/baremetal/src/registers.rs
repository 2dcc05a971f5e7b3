// SPDX-License-Identifier: BSD-2-Clause
//! System registers of EL1 and EL0 on this processor, which EL2 uses none of: those of an exception,
//! and what a start leaves in all of them.

use core::arch::asm;

use vmm_core::host::{ENTRY_SCTLR_EL1, El1};

/// Reads a system register by name.
macro_rules! read {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a register of EL1 or EL0, which changes nothing.
        unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack)) };
        value
    }};
}

/// Writes system registers by name.
macro_rules! write {
    ($($name:literal)+ = $value:expr) => {{
        let value: u64 = $value;
        $(
            // SAFETY: a register of EL1 or EL0: it concerns the guest, which EL2's stage 2 and traps
            // keep where it is.
            unsafe { asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack)) };
        )+
    }};
}

/// A register's value.
pub fn read(register: El1) -> u64 {
    match register {
        El1::Sctlr => read!("sctlr_el1"),
        El1::Vbar => read!("vbar_el1"),
        El1::Elr => read!("elr_el1"),
        El1::Spsr => read!("spsr_el1"),
        El1::Esr => read!("esr_el1"),
        El1::Far => read!("far_el1"),
    }
}

/// Changes a register.
pub fn write(register: El1, value: u64) {
    match register {
        El1::Sctlr => write!("sctlr_el1" = value),
        El1::Vbar => write!("vbar_el1" = value),
        El1::Elr => write!("elr_el1" = value),
        El1::Spsr => write!("spsr_el1" = value),
        El1::Esr => write!("esr_el1" = value),
        El1::Far => write!("far_el1" = value),
    }
}

/// Functions that turn off and clear breakpoint or watchpoint n.
macro_rules! debug {
    ($kind:literal: $($n:literal)+) => {
        [$(|| {
            // SAFETY: a debug register of EL1, turned off.
            unsafe { asm!(concat!("msr dbg", $kind, "cr", $n, "_el1, xzr"), options(nostack)) };
            // SAFETY: the same one's address.
            unsafe { asm!(concat!("msr dbg", $kind, "vr", $n, "_el1, xzr"), options(nostack)) };
        }),+]
    };
}

type Clear = fn();
const BREAKPOINTS: [Clear; 16] = debug!("b": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
const WATCHPOINTS: [Clear; 16] = debug!("w": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

/// How many event counters there are; `None` where there are no performance counters at all.
pub fn event_counters() -> Option<u64> {
    // ID_AA64DFR0_EL1.PMUVer: 0 none, 15 others than the architecture's (DDI 0487, D24.2.80).
    let version = read!("id_aa64dfr0_el1") >> 8 & 0xf;
    // PMCR_EL0.N.
    (1..15).contains(&version).then(|| read!("pmcr_el0") >> 11 & 0x1f)
}

/// Everything that EL1 and EL0 can write, as a processor comes out of a cold reset (Arm DDI 0487,
/// D1.6.3, and each register's own page): zero, but for SCTLR_EL1 and the OS lock, which is locked.
/// What the architecture leaves open is zero too, so that nothing of an earlier life is seen.
pub fn reset() {
    write!("sctlr_el1" = ENTRY_SCTLR_EL1);
    // Traps and translation.
    write!("cpacr_el1" "ttbr0_el1" "ttbr1_el1" "tcr_el1" "mair_el1" "amair_el1" "contextidr_el1"
        "vbar_el1" "csselr_el1" = 0);
    // The last exception, and what a kernel keeps for itself.
    write!("afsr0_el1" "afsr1_el1" "esr_el1" "far_el1" "par_el1" "elr_el1" "spsr_el1" "sp_el1"
        "sp_el0" "tpidr_el1" "tpidr_el0" "tpidrro_el0" = 0);
    // Timers.
    write!("cntv_ctl_el0" "cntv_cval_el0" "cntp_ctl_el0" "cntp_cval_el0" "cntkctl_el1" = 0);
    if let Some(counters) = event_counters() {
        reset_counters(counters);
    }
    // Debug: off, and locked. ID_AA64DFR0_EL1 has the numbers of break- and watchpoints less one.
    write!("mdscr_el1" "osdlr_el1" = 0);
    let numbers = read!("id_aa64dfr0_el1");
    (0..=numbers >> 12 & 0xf).zip(BREAKPOINTS).for_each(|(_, clear)| clear());
    (0..=numbers >> 20 & 0xf).zip(WATCHPOINTS).for_each(|(_, clear)| clear());
    write!("oslar_el1" = 1);
    // SAFETY: the writes above are done before anything else.
    unsafe { asm!("isb", options(nostack)) };
}

/// Performance counters: off, zero, nothing selected, nothing for EL0.
fn reset_counters(events: u64) {
    write!("pmuserenr_el0" "pmccfiltr_el0" = 0);
    write!("pmcntenclr_el0" "pmintenclr_el1" "pmovsclr_el0" = u64::from(u32::MAX));
    for event in 0..events {
        write!("pmselr_el0" = event);
        // SAFETY: a barrier: the next access is to the counter selected.
        unsafe { asm!("isb", options(nostack)) };
        write!("pmxevtyper_el0" = 0);
    }
    write!("pmselr_el0" = 0);
    write!("pmcr_el0" = PMCR_CLEAR);
    write!("pmcr_el0" = 0);
}

/// PMCR_EL0.P and C: event counters and cycle counter go to zero.
const PMCR_CLEAR: u64 = 1 << 1 | 1 << 2;
