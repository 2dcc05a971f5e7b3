// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts nest as deep as there are priorities, and end in the reverse order, whatever was
//! deactivated before its own end earlier.
#![no_std]
#![no_main]

use guest_conformance::gic::{ICACTIVER, ISACTIVER};
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
        // Its end drops its priority, and ends nothing.
        let first = platform.spare_spi(0);
        gic.pend(first);
        let taken = gic.next_within(1000);
        require!(taken == Some(first), "{taken:?} came in place of INTID {first}");
        gic.page(first).write(ICACTIVER + 4 * (first / 32) as usize, 1 << (first % 32));
        gic.end(first);
        for n in 0..DEPTH {
            let intid = platform.spare_spi(n);
            gic.pend(intid);
            let taken = gic.next_within(1000);
            require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
        }
        for n in 0..DEPTH {
            let intid = platform.spare_spi(n);
            let word = gic.page(intid).read(ISACTIVER + 4 * (intid / 32) as usize);
            require!(word >> (intid % 32) & 1 == 1, "INTID {intid} is not active");
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
