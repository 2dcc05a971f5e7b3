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
    let [quarter, worst] = [late[SLEEPS.len() / 4], late[SLEEPS.len() - 1]];
    let steady = time_is_steady();
    line(format_args!(
        "wfi-timer: late by {quarter} us (quarter), {worst} us (worst), steady {steady}"
    ));
    // A busy machine may hold up an emulator whose time is the machine's own; not always, though,
    // and not for long.
    require!(quarter < 2000, "woke {quarter} us late three times out of four");
    require!(worst < 500_000, "woke {worst} us late");
    require!(!steady || worst < 2000, "woke {worst} us late, though time is steady");
}

/// Whether the same work takes the same time: on a processor of its own, and under an emulator
/// whose time follows the instructions (QEMU's `-icount`).
fn time_is_steady() -> bool {
    let work = || {
        let start = timer::now();
        for _ in 0..10_000 {
            core::hint::black_box(());
        }
        timer::now() - start
    };
    let first = work();
    // A host may have a tick of its own.
    (0..20).filter(|_| work().abs_diff(first) <= first / 1000 + 1).count() >= 15
}
