// SPDX-License-Identifier: BSD-2-Clause
//! The virtual timer interrupts at its time and not before, as a level: for as long as its
//! condition holds, neither masked nor disabled.
#![no_std]
#![no_main]

use guest_conformance::timer::{self, ENABLE, MASK, STATUS, microseconds, milliseconds};
use guest_conformance::{Platform, fail, guest, read_register, require, write_register};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.timer_intid;
    gic.set_up();
    gic.enable(intid);
    require!(timer::frequency() > 0, "CNTFRQ_EL0 is 0");

    for sleep in [5, 0, 1, 20] {
        let due = timer::now() + milliseconds(sleep);
        timer::arm(due);
        let Some(acknowledged) = gic.next_within(sleep + 1000) else {
            fail!("the timer did not interrupt after {sleep} ms");
        };
        let now = timer::now();
        require!(acknowledged == intid, "INTID {acknowledged} came in place of {intid}");
        require!(now >= due, "interrupt {} us before its time", microseconds(due - now));
        let control = read_register!("cntv_ctl_el0");
        require!(control == ENABLE | STATUS, "CNTV_CTL_EL0 is {control:#x} when it fired");
        // Ended with the condition still there: it comes again.
        gic.end(acknowledged);
        gic.expect(intid);
        gic.expect_held(intid, timer::disarm);
        gic.expect_none();
    }

    timer::arm(0);
    gic.expect_held(intid, || write_register!("cntv_ctl_el0", ENABLE | MASK));
    gic.expect_none();
    write_register!("cntv_ctl_el0", ENABLE);
    gic.expect_held(intid, || timer::arm(u64::MAX));
    gic.expect_none();

    // Fires while its interrupt is disabled, and still holds when that is enabled.
    gic.disable(intid);
    timer::arm(0);
    gic.expect_none();
    gic.disable(intid);
    gic.enable(intid);
    gic.expect_held(intid, timer::disarm);
    gic.expect_none();
}
