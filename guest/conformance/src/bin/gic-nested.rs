// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts nest as deep as there are priorities, and end in the reverse order.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

const DEPTH: u32 = 12;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    for n in 0..DEPTH {
        let intid = platform.spare_spi(n);
        gic.set_target(intid);
        gic.set_priority(intid, 0xe0 - 0x10 * n as u8);
        gic.enable(intid);
    }
    for _ in 0..3 {
        for n in 0..DEPTH {
            let intid = platform.spare_spi(n);
            gic.pend(intid);
            let taken = gic.next_within(1000);
            require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
        }
        // Each comes again as soon as it has ended, and not before.
        for n in 0..DEPTH {
            gic.pend(platform.spare_spi(n));
        }
        gic.expect_none();
        for n in (0..DEPTH).rev() {
            let intid = platform.spare_spi(n);
            gic.end(intid);
            gic.expect(intid);
        }
        gic.expect_none();
    }
}
