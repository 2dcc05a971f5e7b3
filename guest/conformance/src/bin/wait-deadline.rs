// SPDX-License-Identifier: BSD-2-Clause
//! WFIT and WFET end at their deadline where nothing else ends them (FEAT_WFxT; Arm DDI 0487, C6.2).
//! Both may end earlier, for no reason at all: how often they do is printed, not judged.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, line, read_register, require};

guest!(run);

/// Waits in milliseconds; the last ones have a deadline that has passed.
const WAITS: [u64; 8] = [1, 20, 2, 50, 3, 10, 0, 0];

fn run(platform: &mut Platform) {
    // ID_AA64ISAR2_EL1 by its encoding (the assembler knows the name from Armv8.7 on), WFxT: 2.
    if read_register!("s3_0_c0_c6_2") & 0xf != 2 {
        line(format_args!("wait-deadline: this processor has no WFIT"));
        return;
    }
    platform.gic.set_up();
    for (name, wait) in [("WFIT", wfit as fn(u64)), ("WFET", wfet)] {
        let (mut late, mut early) = (0, 0);
        for milliseconds in WAITS.map(milliseconds) {
            let deadline = timer::now() + milliseconds;
            wait(deadline);
            while timer::now() < deadline {
                early += 1;
                wait(deadline);
            }
            late = late.max(microseconds(timer::now() - deadline));
        }
        line(format_args!("wait-deadline: {name} {late} us late at worst, {early} times early"));
        // An emulator's host may be busy; a wait that knows no deadline does not end at all.
        require!(late < 500_000, "{name} ended {late} us late");
    }
}

fn wfit(deadline: u64) {
    // SAFETY: WFIT X0: waits; IRQs are masked, so it goes on behind it.
    unsafe { asm!(".inst 0xd5031020", in("x0") deadline) }
}

fn wfet(deadline: u64) {
    // SAFETY: an event that was there already is taken by the WFE; then WFET X0 waits.
    unsafe { asm!("sevl", "wfe", ".inst 0xd5031000", in("x0") deadline) }
}
