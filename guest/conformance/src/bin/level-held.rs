// SPDX-License-Identifier: BSD-2-Clause
//! A device that holds its level line high interrupts again after every end of interrupt, and
//! stops when it lowers the line. The device is the console's transmitter.
#![no_std]
#![no_main]

use guest_conformance::{Platform, fail, guest, line, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, intid) = (platform.console, platform.console_intid);
    gic.set_up();
    gic.set_target(intid);
    gic.enable(intid);
    gic.expect_none();
    line(format_args!("level-held: a line to send"));
    console.drain();

    for round in 0..3 {
        console.set_transmit_interrupt(true);
        for number in 0..10 {
            let Some(acknowledged) = gic.next_within(1000) else {
                fail!("round {round}: the line is high, and interrupt {number} did not come");
            };
            require!(acknowledged == intid, "INTID {acknowledged} came in place of {intid}");
            gic.end(acknowledged);
        }
        gic.expect_held(intid, || console.set_transmit_interrupt(false));
        gic.expect_none();
    }

    // A line that goes high while the interrupt is disabled, and is high when it is enabled.
    gic.disable(intid);
    console.set_transmit_interrupt(true);
    gic.expect_none();
    gic.disable(intid);
    gic.enable(intid);
    gic.expect_held(intid, || console.set_transmit_interrupt(false));
    gic.expect_none();
}
