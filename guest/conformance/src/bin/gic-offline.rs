// SPDX-License-Identifier: BSD-2-Clause
//! What a CPU has pending when it turns itself off goes to the CPU that it is routed to from then on,
//! and is heard again afterwards: a device's level line. For an edge see `gic-offline-edge`.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, line, offline};

guest!(run, others = offline::leave);

const ROUNDS: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, level) = (platform.console, platform.console_intid);
    gic.set_up();
    // A PL011 asks for more only once it has sent something (DDI 0183G, UARTTXINTR).
    line(format_args!("gic-offline: a line to send"));
    console.drain();
    for _ in 0..ROUNDS {
        offline::strand(platform, level, || console.set_transmit_interrupt(true));
        for _ in 0..2 {
            gic.expect_held(level, || console.set_transmit_interrupt(false));
            gic.expect_none();
            console.set_transmit_interrupt(true);
        }
        gic.expect_held(level, || console.set_transmit_interrupt(false));
        gic.expect_none();
    }
}
