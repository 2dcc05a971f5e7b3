// SPDX-License-Identifier: BSD-2-Clause
//! An interrupt raised again while it is active comes a second time, after its end and not before.
#![no_std]
#![no_main]

use guest_conformance::{Platform, fail, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spi = platform.spare_spi(0);
    gic.set_up();
    gic.set_target(spi);
    gic.enable(spi);
    for _ in 0..5 {
        gic.pend(spi);
        let Some(first) = gic.next_within(1000) else { fail!("INTID {spi} did not come") };
        require!(first == spi, "INTID {first} came in place of {spi}");
        gic.pend(spi);
        gic.pend(spi);
        gic.expect_none();
        gic.end(first);
        gic.expect(spi);
        gic.expect_none();
    }
}
