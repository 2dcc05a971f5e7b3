// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts that the priority mask holds back keep out none of higher priority, however many they
//! are: pseudo-NMI, and what raises its priority mask in place of masking IRQs.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest};

guest!(run);

const LOW: u32 = 10;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let high = platform.spare_spi(LOW);
    gic.set_up();
    for n in 0..=LOW {
        let intid = platform.spare_spi(n);
        gic.set_target(intid);
        gic.set_priority(intid, if intid == high { 0x40 } else { 0xc0 });
        gic.enable(intid);
    }
    gic.set_mask(0x80);
    for n in 0..LOW {
        gic.pend(platform.spare_spi(n));
    }
    gic.expect_none();
    for _ in 0..3 {
        gic.pend(high);
        gic.expect(high);
        gic.expect_none();
    }
    gic.set_mask(0xf0);
    // Which of several of one priority comes first is nobody's promise (IHI 0048B, 3.3).
    let mut due: u32 = (0..LOW).map(|n| 1 << n).sum();
    while due != 0 {
        let acknowledged = gic.next_within(1000).unwrap_or(u32::MAX);
        let came = (0..LOW).find(|n| platform.spare_spi(*n) == acknowledged & 0x3ff);
        let Some(n) = came.filter(|n| due & (1 << n) != 0) else {
            guest_conformance::fail!("INTID {} came, {due:#b} are due", acknowledged & 0x3ff)
        };
        due &= !(1 << n);
        gic.end(acknowledged);
    }
    gic.expect_none();
}
