// SPDX-License-Identifier: BSD-2-Clause
//! A guest that serves a million interrupts of a device, quieting it each time, and does nothing else
//! is not stopped. The device is the console's transmitter.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, line};

guest!(run);

/// Boot argument `count`.
const MANY: u64 = 1_000_000;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, intid) = (platform.console, platform.console_intid);
    gic.set_up();
    gic.set_target(intid);
    gic.enable(intid);
    for number in 0..platform.argument("count").unwrap_or(MANY) {
        if number % 10_000 == 0 {
            line(format_args!("busy-device: {number} interrupts"));
            console.drain();
        }
        console.set_transmit_interrupt(true);
        gic.expect_held(intid, || console.set_transmit_interrupt(false));
    }
}
