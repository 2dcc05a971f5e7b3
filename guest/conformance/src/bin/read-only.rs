// SPDX-License-Identifier: BSD-2-Clause
//! Writes to read-only registers of the interrupt controller are ignored.
#![no_std]
#![no_main]

use guest_conformance::gic::{GICR_TYPER, ICFGR, IIDR, ITARGETSR, TYPER};
use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let gicd = gic.distributor;
    // ICPIDR2 is at the end of a 4 KiB or of a 64 KiB page; SGIs are edges for ever.
    let pidr2 = if gic.is_v3() { 0xffe8 } else { 0xfe8 };
    let mut registers = [
        ("GICD_TYPER", gicd, TYPER),
        ("GICD_IIDR", gicd, IIDR),
        ("GICD_PIDR2", gicd, pidr2),
        ("ICFGR0", gic.page(0), ICFGR),
        ("GICD_ITARGETSR0", gicd, ITARGETSR),
        ("GICD_ITARGETSR7", gicd, ITARGETSR + 28),
    ];
    if let Some(gicr) = gic.redistributor {
        registers[4] = ("GICR_TYPER", gicr, GICR_TYPER);
        registers[5] = ("GICR_TYPER, upper half", gicr, GICR_TYPER + 4);
    }
    for (name, device, offset) in registers {
        let before = device.read(offset);
        for value in [!before, 0, u32::MAX] {
            device.write(offset, value);
            let after = device.read(offset);
            require!(
                after == before,
                "a write of {value:#x} made {name} {after:#x}, was {before:#x}"
            );
        }
    }
    let architecture = gicd.read(pidr2) >> 4 & 0xf;
    let should = if gic.is_v3() { 3 } else { 2 };
    require!(
        architecture == should,
        "GICD_PIDR2 says GICv{architecture}, the device tree GICv{should}"
    );
}
