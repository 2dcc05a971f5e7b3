// SPDX-License-Identifier: BSD-2-Clause
//! More interrupts pending than there are list registers: each comes, and comes once.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

/// As many as there are spare SPIs at the least; list registers are 4 on QEMU and 16 at most.
const SPIS: u32 = 16;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let all: [u32; SPIS as usize] = core::array::from_fn(|index| platform.spare_spi(index as u32));
    gic.set_up();
    for spi in all {
        gic.set_target(spi);
        gic.set_priority(spi, 0x80);
        gic.enable(spi);
    }
    for round in 0..10 {
        gic.set_mask(0);
        all.iter().for_each(|&spi| gic.pend(spi));
        (0..16).for_each(|sgi| gic.enable(sgi));
        (0..16).for_each(|sgi| gic.send_to_self(sgi));
        gic.set_mask(0xf0);
        let mut seen = 0_u64;
        for number in 0..SPIS + 16 {
            let Some(acknowledged) = gic.next_within(1000) else {
                guest_conformance::fail!("round {round}: only {number} of {} came", SPIS + 16);
            };
            let intid = acknowledged & 0x3ff;
            let due = intid < 16 || all.contains(&intid);
            require!(due, "round {round}: INTID {intid} came, which nobody raised");
            require!(seen & 1 << intid == 0, "round {round}: INTID {intid} came twice");
            seen |= 1 << intid;
            gic.end(acknowledged);
        }
        gic.expect_none();
    }
}
