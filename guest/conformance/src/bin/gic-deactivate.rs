// SPDX-License-Identifier: BSD-2-Clause
//! An interrupt that a kernel left active comes again once GICD_ICACTIVER has deactivated it: what a
//! crash kernel does, which is entered from inside a handler. A device's line and the timer.
#![no_std]
#![no_main]

use guest_conformance::gic::{Gic, ICACTIVER};
use guest_conformance::{Platform, guest, line, require, timer};

guest!(run);

const ROUNDS: u32 = 6;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, uart, tick) = (platform.console, platform.console_intid, platform.timer_intid);
    gic.set_up();
    gic.set_target(uart);
    for intid in [uart, tick] {
        gic.enable(intid);
    }
    line(format_args!("gic-deactivate: a line to send"));
    console.drain();
    for _ in 0..ROUNDS {
        console.set_transmit_interrupt(true);
        abandon(gic, uart);
        console.set_transmit_interrupt(false);
        deactivate(gic, uart);
        gic.expect_none();

        timer::arm(timer::now());
        abandon(gic, tick);
        timer::disarm();
        deactivate(gic, tick);
        gic.expect_none();
    }
    console.set_transmit_interrupt(true);
    abandon(gic, uart);
    deactivate(gic, uart);
    gic.expect_held(uart, || console.set_transmit_interrupt(false));
    gic.expect_none();
}

/// Takes an interrupt and does not end it.
fn abandon(gic: Gic, intid: u32) {
    let taken = gic.next_within(1000).map(|acknowledged| acknowledged & 0x3ff);
    require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
}

/// What a new kernel does: deactivates, and forgets the active priorities.
fn deactivate(gic: Gic, intid: u32) {
    gic.page(intid).write(ICACTIVER + 4 * (intid / 32) as usize, 1 << (intid % 32));
    gic.set_up();
}
