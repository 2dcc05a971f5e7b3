// SPDX-License-Identifier: BSD-2-Clause
//! A pending interrupt that the priority mask holds back does not come once it is disabled, cleared,
//! or its group is turned off, and comes when it is enabled or the group is turned on again.
#![no_std]
#![no_main]

use guest_conformance::gic::CTLR;
use guest_conformance::{Platform, guest};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(0);
    gic.set_up();
    gic.set_target(intid);
    gic.set_priority(intid, 0xa0);
    gic.enable(intid);

    gic.set_mask(0);
    gic.pend(intid);
    gic.disable(intid);
    gic.set_mask(0xf0);
    gic.expect_none();
    gic.enable(intid);
    gic.expect(intid);

    gic.set_mask(0);
    gic.pend(intid);
    gic.unpend(intid);
    gic.set_mask(0xf0);
    gic.expect_none();

    gic.set_mask(0);
    gic.pend(intid);
    let on = gic.distributor.read(CTLR);
    gic.distributor.write(CTLR, on & !0b11);
    gic.set_mask(0xf0);
    gic.expect_none();
    gic.distributor.write(CTLR, on);
    gic.expect(intid);
    gic.expect_none();
}
