// SPDX-License-Identifier: BSD-2-Clause
//! A shared interrupt raised while it is disabled is kept, also when it is disabled once more, and
//! comes once when it is enabled.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spi = platform.spare_spi(0);
    gic.set_up();
    gic.set_target(spi);
    gic.pend(spi);
    gic.expect_none();
    gic.disable(spi);
    require!(gic.is_pending(spi), "ISPENDR does not show INTID {spi}");
    gic.enable(spi);
    gic.expect(spi);
    gic.expect_none();
    require!(!gic.is_pending(spi), "INTID {spi} is pending after its end");
}
