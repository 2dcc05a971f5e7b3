// SPDX-License-Identifier: BSD-2-Clause
//! The virtual timer ends a WFI within 2 ms of its time, and never before it.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run);

/// Sleeps in milliseconds, short and long in turns.
const SLEEPS: [u64; 15] = [1, 20, 2, 50, 3, 10, 1, 100, 5, 1, 30, 2, 10, 1, 5];

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.set_priority(platform.timer_intid, 0xa0);
    gic.enable(platform.timer_intid);

    let mut late = [0; SLEEPS.len()];
    for (late, sleep) in late.iter_mut().zip(SLEEPS) {
        let due = timer::now() + milliseconds(sleep);
        timer::arm(due);
        // SAFETY: waits for an interrupt; IRQs are masked, so it goes on behind the WFI.
        unsafe { asm!("wfi") };
        let woke = timer::now();
        let short = microseconds(due.saturating_sub(woke));
        require!(woke >= due, "a WFI of {sleep} ms ended {short} us early");
        *late = microseconds(woke - due);
        gic.expect_held(platform.timer_intid, timer::disarm);
    }
    late.sort_unstable();
    let (median, worst) = (late[SLEEPS.len() / 2], late[SLEEPS.len() - 1]);
    line(format_args!("wfi-timer: late by {median} us (median), {worst} us (worst)"));
    // The machine under an emulator may be held up; not most of the time, and not for long.
    require!(median < 2000, "woke {median} us late more often than not");
    require!(worst < 200_000, "woke {worst} us late");
}
