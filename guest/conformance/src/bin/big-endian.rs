// SPDX-License-Identifier: BSD-2-Clause
//! With SCTLR_EL1.EE set, loads and stores of a device have their bytes the other way round (Arm
//! DDI 0487, D24.2.175).
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::{Platform, guest, read_register, require};

guest!(run);

/// SCTLR_EL1.EE.
const BIG_ENDIAN: u64 = 1 << 25;

/// One instruction with big-endian data, with a register's address.
macro_rules! big_endian {
    ($instruction:literal, $address:expr, $value:expr) => {{
        let mut value: u64 = $value;
        let little = read_register!("sctlr_el1");
        // SAFETY: nothing but a device's register is accessed while data is big-endian.
        unsafe {
            asm!(
                "msr sctlr_el1, {big}", "isb",
                $instruction,
                "msr sctlr_el1, {little}", "isb",
                big = in(reg) little | BIG_ENDIAN, little = in(reg) little,
                value = inout(reg) value, address = in(reg) $address as u64,
            );
        }
        value
    }};
}

fn run(platform: &mut Platform) {
    let gicd = platform.gic.distributor;
    let register = IPRIORITYR + 40;
    let address = gicd.address(register);
    gicd.write(register, 0x8010_2030);
    let word = big_endian!("ldr {value:w}, [{address}]", address, 0);
    require!(word == 0x3020_1080, "a load of 0x80102030 gives {word:#x}");
    let byte = big_endian!("ldrb {value:w}, [{address}]", address, 0);
    require!(byte == 0x30, "a load of the byte 0x30 gives {byte:#x}");
    let _ = big_endian!("str {value:w}, [{address}]", address, 0x4050_6070);
    let word = gicd.read(register);
    require!(word == 0x7060_5040, "a store of 0x40506070 leaves {word:#x}");
    let _ = big_endian!("strb {value:w}, [{address}]", address, 0x90);
    let word = gicd.read(register);
    require!(word == 0x7060_5090, "a store of the byte 0x90 leaves {word:#x}");
}
