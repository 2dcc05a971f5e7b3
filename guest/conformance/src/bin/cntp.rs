// SPDX-License-Identifier: BSD-2-Clause
//! The physical timer's registers are there, or undefined; either way the guest goes on, and what it
//! writes to them takes no sleep from it.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

use guest_conformance::exception::{self, EL1, class};
use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run);

// Each is one access to the physical timer, and SVC.
global_asm!(
    ".global cntp_read, cntp_ctl, cntp_cval, cntp_tval",
    "cntp_read: mrs x0, cntp_ctl_el0",
    "svc #0",
    "cntp_ctl: msr cntp_ctl_el0, x0",
    "svc #0",
    "cntp_cval: msr cntp_cval_el0, x0",
    "svc #0",
    "cntp_tval: msr cntp_tval_el0, x0",
    "svc #0",
);

unsafe extern "C" {
    static cntp_read: u8;
    static cntp_ctl: u8;
    static cntp_cval: u8;
    static cntp_tval: u8;
}

/// How much later than its time a sleep may end, in microseconds: the emulator may be held up.
const LATE: u64 = 500_000;

/// Whether the access is there; if it is undefined, that the exception says so.
fn is_there(what: &str, code: *const u8, value: u64) -> bool {
    // SAFETY: the code changes X0 at most, and ends in an exception at its second instruction.
    let ended = unsafe { exception::run(code.addr() as u64, EL1, &[value, 0, 0, 0, 0, 0, 0, 0]) };
    let found = ended.class();
    if found == class::SVC64 {
        return true;
    }
    require!(found == class::UNDEFINED, "{what} ends in exception class {found:#x}");
    require!(ended.esr == 1 << 25, "{what}: ESR_EL1 is {:#x}", ended.esr);
    require!(ended.elr == code.addr() as u64, "{what}: ELR_EL1 is {:#x}", ended.elr);
    require!(ended.spsr == EL1, "{what}: SPSR_EL1 is {:#x}", ended.spsr);
    require!(ended.x[0] == value, "{what} changed X0");
    false
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(platform.timer_intid);
    exception::set_up();
    let there = is_there("MRS CNTP_CTL_EL0", &raw const cntp_read, 0);
    line(format_args!("cntp: the physical timer is {}", if there { "there" } else { "undefined" }));
    // Off, masked, on and far off, on and long past.
    let now = timer::now();
    for (ctl, cval) in [(0, now), (3, 0), (1, u64::MAX), (1, 0), (1, now), (0, 0)] {
        for (what, code, value) in [
            ("MSR CNTP_CVAL_EL0", &raw const cntp_cval, cval),
            ("MSR CNTP_TVAL_EL0", &raw const cntp_tval, cval & 0xffff_ffff),
            ("MSR CNTP_CVAL_EL0", &raw const cntp_cval, cval),
            ("MSR CNTP_CTL_EL0", &raw const cntp_ctl, ctl),
        ] {
            require!(is_there(what, code, value) == there, "{what} is not as MRS CNTP_CTL_EL0");
        }
        for sleep in [1, 10, 30] {
            let due = timer::now() + milliseconds(sleep);
            timer::arm(due);
            while timer::now() < due {
                // SAFETY: waits for an interrupt; IRQs are masked, so it goes on behind the WFI.
                unsafe { asm!("wfi") };
            }
            let late = microseconds(timer::now() - due);
            require!(
                late < LATE,
                "with {ctl} in CNTP_CTL a sleep of {sleep} ms was {late} us late"
            );
            gic.expect_held(platform.timer_intid, timer::disarm);
        }
    }
    let _ = is_there("MSR CNTP_CTL_EL0", &raw const cntp_ctl, 0);
}
