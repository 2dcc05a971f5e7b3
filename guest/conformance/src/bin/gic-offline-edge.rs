// SPDX-License-Identifier: BSD-2-Clause
//! An edge that a CPU has pending when it turns itself off goes to the CPU that it is routed to from
//! then on, once, and is heard again afterwards.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, offline};

guest!(run, others = offline::leave);

const ROUNDS: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let edge = platform.spare_spi(0);
    gic.set_up();
    for _ in 0..ROUNDS {
        offline::strand(platform, edge, || gic.pend(edge));
        gic.expect(edge);
        gic.expect_none();
        gic.pend(edge);
        gic.expect(edge);
        gic.expect_none();
    }
}
