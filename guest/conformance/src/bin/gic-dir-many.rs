// SPDX-License-Identifier: BSD-2-Clause
//! Of twelve interrupts that are active at once each is deactivated alone, in whatever order: as many
//! as no processor has list registers for.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

const MANY: u32 = 12;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.set_two_steps(true);
    for n in 0..MANY {
        gic.set_target(platform.spare_spi(n));
        gic.enable(platform.spare_spi(n));
    }
    // Steps that have no divisor in common with the number go round all of them.
    for step in [1, 5, 7, 11] {
        for n in 0..MANY {
            let intid = platform.spare_spi(n);
            gic.pend(intid);
            let taken = gic.next_within(1000);
            require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
            gic.end(intid);
        }
        for n in 0..MANY {
            gic.pend(platform.spare_spi(n));
        }
        gic.expect_none();
        for n in 0..MANY {
            let intid = platform.spare_spi(n * step % MANY);
            gic.deactivate(intid);
            let taken = gic.next_within(1000);
            require!(taken == Some(intid), "{taken:?} came after INTID {intid} was deactivated");
            gic.end(intid);
            gic.deactivate(intid);
            gic.expect_none();
        }
    }
}
