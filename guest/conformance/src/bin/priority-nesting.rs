// SPDX-License-Identifier: BSD-2-Clause
//! While an interrupt is active, one of higher priority comes at once and one of the same or a
//! lower priority waits for its end.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let [low, middle, same, high] = core::array::from_fn(|index| platform.spare_spi(index as u32));
    gic.set_up();
    for (spi, priority) in [(low, 0xc0), (middle, 0x80), (same, 0x80), (high, 0x40)] {
        gic.set_target(spi);
        gic.set_priority(spi, priority);
        gic.enable(spi);
    }
    gic.pend(middle);
    let first = gic.next_within(1000);
    require!(first == Some(middle), "{first:?} came in place of INTID {middle}");
    gic.pend(low);
    gic.pend(same);
    gic.expect_none();
    gic.pend(high);
    gic.expect(high);
    gic.expect_none();
    gic.end(middle);
    gic.expect(same);
    gic.expect(low);
}
