// SPDX-License-Identifier: BSD-2-Clause
//! GICv2: GICD_SGIR's target filters: by list, all but the sender, the sender alone.
#![no_std]
#![no_main]

use guest_conformance::gic::SGIR;
use guest_conformance::{Platform, guest};

guest!(run);

const SGI: u32 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let gicd = gic.distributor;
    gic.set_up();
    gic.enable(SGI);

    gicd.write(SGIR, 1 << 16 | SGI); // by list, CPU 0
    gic.expect(SGI);
    gicd.write(SGIR, 0xfe << 16 | SGI); // by list, CPUs that are not there
    gic.expect_none();
    gicd.write(SGIR, 1 << 24 | 0xff << 16 | SGI); // all but the sender
    gic.expect_none();
    gicd.write(SGIR, 2 << 24 | SGI); // the sender alone
    gic.expect(SGI);
}
