// SPDX-License-Identifier: BSD-2-Clause
//! All five bits of a priority count, for the order of pending interrupts and against the mask.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spis: [u32; 3] = core::array::from_fn(|index| platform.spare_spi(index as u32));
    gic.set_up();
    for spi in spis {
        gic.set_target(spi);
        gic.enable(spi);
    }
    for (priorities, expected) in [
        ([0x90, 0x88, 0x80], [2, 1, 0]),
        ([0x08, 0x00, 0x10], [1, 0, 2]),
        ([0xd8, 0xe0, 0xc8], [2, 0, 1]),
    ] {
        for (spi, priority) in spis.into_iter().zip(priorities) {
            gic.set_priority(spi, priority);
        }
        gic.set_mask(0); // nothing comes until all three are pending
        spis.into_iter().for_each(|spi| gic.pend(spi));
        gic.expect_none();
        // A mask lets through what is above it, so each comes when its turn is reached.
        for index in expected {
            gic.set_mask(priorities[index]);
            gic.expect_none();
            gic.set_mask(priorities[index] + 8);
            gic.expect(spis[index]);
        }
        gic.expect_none();
    }
}
