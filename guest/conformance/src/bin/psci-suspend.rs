// SPDX-License-Identifier: BSD-2-Clause
//! CPU_SUSPEND to standby ends with SUCCESS when the timer interrupts, and not before.
#![no_std]
#![no_main]

use guest_conformance::smccc::{CPU_SUSPEND, smc};
use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(platform.timer_intid);
    for (function, sleep) in CPU_SUSPEND.into_iter().zip([20, 5]) {
        let due = timer::now() + milliseconds(sleep);
        timer::arm(due);
        // Power state 0: standby (DEN0022F, 5.4.2); entry point and context do not matter.
        let answer = smc(function, [0; 3]);
        let now = timer::now();
        require!(answer == 0, "CPU_SUSPEND {function:#x} answered {answer:#x}");
        let early = microseconds(due.saturating_sub(now));
        require!(now >= due, "CPU_SUSPEND {function:#x} ended {early} us early");
        gic.expect_held(platform.timer_intid, timer::disarm);
    }
}
