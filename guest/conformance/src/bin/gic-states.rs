// SPDX-License-Identifier: BSD-2-Clause
//! GICD_ISPENDR and GICD_ISACTIVER read as inactive, pending, active, and active and pending, and
//! what GICD_ISACTIVER made active does not come.
#![no_std]
#![no_main]

use guest_conformance::gic::{Gic, ICACTIVER, ISACTIVER};
use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(0);
    gic.set_up();
    gic.set_target(intid);
    gic.enable(intid);
    states(gic, intid, (false, false));
    gic.pend(intid);
    states(gic, intid, (true, false));
    let taken = gic.next_within(1000);
    require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
    states(gic, intid, (false, true));
    gic.pend(intid);
    states(gic, intid, (true, true));
    gic.unpend(intid);
    states(gic, intid, (false, true));
    gic.end(intid);
    states(gic, intid, (false, false));

    let (at, bit) = (4 * (intid / 32) as usize, 1 << (intid % 32));
    gic.page(intid).write(ISACTIVER + at, bit);
    gic.pend(intid);
    gic.expect_none();
    states(gic, intid, (true, true));
    gic.page(intid).write(ICACTIVER + at, bit);
    gic.expect(intid);
}

/// Whether it is pending, and active.
fn states(gic: Gic, intid: u32, expected: (bool, bool)) {
    let word = gic.page(intid).read(ISACTIVER + 4 * (intid / 32) as usize);
    let is = (gic.is_pending(intid), word >> (intid % 32) & 1 == 1);
    require!(is == expected, "INTID {intid} is (pending, active) {is:?}, not {expected:?}");
}
