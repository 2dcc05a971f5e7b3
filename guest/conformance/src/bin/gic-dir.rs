// SPDX-License-Identifier: BSD-2-Clause
//! With EOImode 1 an interrupt that was ended gives way to others of its priority and is active still:
//! it comes again only once it is deactivated, in whatever order (IHI 0048B, 3.2.1; IHI 0069H, 4.1.2).
#![no_std]
#![no_main]

use guest_conformance::gic::{Gic, ISACTIVER};
use guest_conformance::{Platform, guest, line, require, timer};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, uart, tick) = (platform.console, platform.console_intid, platform.timer_intid);
    let spare = [0, 1, 2].map(|n| platform.spare_spi(n));
    gic.set_up();
    gic.set_two_steps(true);
    for intid in spare.into_iter().chain([uart]) {
        gic.set_target(intid);
        gic.enable(intid);
    }
    gic.enable(tick);

    // In the order in which they came, and in the other one.
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        for intid in spare {
            gic.pend(intid);
            drop_priority(gic, intid);
        }
        for intid in spare {
            gic.pend(intid);
        }
        gic.expect_none();
        for n in order {
            gic.deactivate(spare[n]);
            drop_priority(gic, spare[n]);
            gic.expect_none();
        }
        for n in order {
            gic.deactivate(spare[n]);
        }
        gic.expect_none();
    }

    // A device's line, and the timer's, which are high still when they are deactivated.
    line(format_args!("gic-dir: a line to send"));
    console.drain();
    for _ in 0..3 {
        console.set_transmit_interrupt(true);
        drop_priority(gic, uart);
        gic.expect_none();
        gic.deactivate(uart);
        drop_priority(gic, uart);
        console.set_transmit_interrupt(false);
        gic.deactivate(uart);
        gic.expect_none();

        timer::arm(timer::now());
        drop_priority(gic, tick);
        gic.expect_none();
        gic.deactivate(tick);
        drop_priority(gic, tick);
        timer::disarm();
        gic.deactivate(tick);
        gic.expect_none();
    }

    gic.set_two_steps(false);
    gic.pend(spare[0]);
    gic.expect(spare[0]);
    gic.expect_none();
    let active = gic.page(spare[0]).read(ISACTIVER + 4 * (spare[0] / 32) as usize);
    require!(active >> (spare[0] % 32) & 1 == 0, "INTID {} is active still", spare[0]);
}

/// Takes an interrupt and ends it, which does not deactivate it.
fn drop_priority(gic: Gic, intid: u32) {
    let taken = gic.next_within(1000);
    require!(taken == Some(intid), "{taken:?} came in place of INTID {intid}");
    gic.end(intid);
}
