// SPDX-License-Identifier: BSD-2-Clause
//! GICv2: GICD_SPENDSGIR makes a software-generated interrupt pending from a sender,
//! GICD_CPENDSGIR takes it back, and both read as the pending senders.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

const SGI: u32 = 5;
/// GICD_CPENDSGIR1 and GICD_SPENDSGIR1: a byte of senders for each of SGI 4 to 7
/// (IHI 0048B, 4.3.16 and 4.3.17).
const CPENDSGIR1: usize = 0xf14;
const SPENDSGIR1: usize = 0xf24;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let gicd = gic.distributor;
    gic.set_up();
    gic.enable(SGI);
    gicd.write(SPENDSGIR1, 1 << 8); // SGI 5 from CPU 0
    gic.expect(SGI);
    gic.disable(SGI);
    gicd.write(SPENDSGIR1, 1 << 8);
    for (name, offset) in [("GICD_SPENDSGIR1", SPENDSGIR1), ("GICD_CPENDSGIR1", CPENDSGIR1)] {
        let senders = gicd.read(offset);
        require!(senders == 1 << 8, "{name} is {senders:#x}, not 0x100");
    }
    gicd.write(CPENDSGIR1, 1 << 8);
    let senders = gicd.read(SPENDSGIR1);
    require!(senders == 0, "GICD_SPENDSGIR1 is {senders:#x} after GICD_CPENDSGIR1 cleared it");
    gic.enable(SGI);
    gic.expect_none();
}
