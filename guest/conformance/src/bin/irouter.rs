// SPDX-License-Identifier: BSD-2-Clause
//! GICv3: GICD_IROUTER keeps what is written to it, whole or in halves, and an interrupt routed
//! to this CPU comes.
#![no_std]
#![no_main]

use guest_conformance::gic::{IROUTER, TYPER};
use guest_conformance::{Platform, guest, read_register, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let gicd = gic.distributor;
    let spi = platform.spare_spi(0);
    let register = IROUTER + 8 * spi as usize;
    gic.set_up();
    // Affinity 3 is there if GICD_TYPER.A3V says so.
    let upper = if gicd.read(TYPER) & 1 << 24 != 0 { 0x0a } else { 0 };
    for low in [0x0001_0203, 0x00ff_ffff, 0] {
        gicd.write64(register, upper << 32 | low);
        let back = gicd.read64(register);
        require!(back == upper << 32 | low, "GICD_IROUTER is {back:#x}, not {upper:#x}, {low:#x}");
        gicd.write(register, 0x0004_0506);
        gicd.write(register + 4, 0);
        let back = gicd.read64(register);
        require!(back == 0x0004_0506, "GICD_IROUTER is {back:#x}, not 0x40506");
        let neighbour = gicd.read64(register + 8);
        require!(neighbour == 0, "the next GICD_IROUTER is {neighbour:#x}");
    }
    gicd.write64(register, read_register!("mpidr_el1") & 0xff_00ff_ffff);
    gic.enable(spi);
    gic.pend(spi);
    gic.expect(spi);
}
