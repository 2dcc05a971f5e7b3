// SPDX-License-Identifier: BSD-2-Clause
//! A pending interrupt that the guest clears while it is disabled does not come.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (cleared, kept) = (platform.spare_spi(0), platform.spare_spi(1));
    gic.set_up();
    for spi in [cleared, kept] {
        gic.set_target(spi);
        gic.pend(spi);
    }
    gic.unpend(cleared);
    require!(!gic.is_pending(cleared), "ICPENDR does not clear INTID {cleared}");
    require!(gic.is_pending(kept), "ICPENDR for {cleared} cleared INTID {kept}");
    gic.enable(cleared);
    gic.expect_none();
    gic.enable(kept);
    gic.expect(kept);
}
