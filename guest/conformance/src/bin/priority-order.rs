// SPDX-License-Identifier: BSD-2-Clause
//! Of several pending interrupts the one with the highest priority comes first, whatever the order
//! in which they were raised.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spi = |index| platform.spare_spi(index);
    gic.set_up();
    for index in 0..4 {
        gic.set_target(spi(index));
        gic.enable(spi(index));
    }
    for (priorities, raised, expected) in [
        ([0xa0, 0x60, 0x20], [0, 1, 2], [2, 1, 0]),
        ([0x20, 0x60, 0xa0], [2, 1, 0], [0, 1, 2]),
        ([0x80, 0xc0, 0x20], [1, 0, 2], [2, 0, 1]),
        ([0x40, 0x00, 0x80], [2, 0, 1], [1, 0, 2]),
    ] {
        for (index, priority) in (0..).zip(priorities) {
            gic.set_priority(spi(index), priority);
        }
        gic.set_mask(0); // nothing comes until all three are pending
        for index in raised {
            gic.pend(spi(index));
        }
        gic.expect_none();
        gic.set_mask(0xf0);
        for index in expected {
            gic.expect(spi(index));
        }
        gic.expect_none();
    }
}
