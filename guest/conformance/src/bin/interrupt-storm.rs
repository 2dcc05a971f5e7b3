// SPDX-License-Identifier: BSD-2-Clause
//! A guest that ends a device's interrupt again and again without quieting the device, and does
//! nothing else, is stopped. The device is the console's transmitter.
#![no_std]
#![no_main]

use guest_conformance::{Platform, fail, guest, line};

guest!(run);

/// More than come in the half second that the monitor lets pass.
const MANY: u32 = 300_000;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, intid) = (platform.console, platform.console_intid);
    gic.set_up();
    gic.set_target(intid);
    gic.enable(intid);
    console.set_transmit_interrupt(true);
    for number in 0..MANY {
        if number % 20_000 == 0 {
            line(format_args!("interrupt-storm: {number} interrupts"));
        }
        match gic.next_within(1000) {
            Some(acknowledged) => gic.end(acknowledged),
            None => fail!("the line is high, and interrupt {number} did not come"),
        }
    }
    fail!("{MANY} interrupts in a row, and nobody minded");
}
