// SPDX-License-Identifier: BSD-2-Clause
//! The zero register as source and destination of trapped accesses: stores write zero, loads
//! change nothing.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::{Platform, guest, require};

guest!(run);

const REGISTER: usize = IPRIORITYR + 40;
const ONES: u32 = 0xf8f8_f8f8;

fn run(platform: &mut Platform) {
    let gicd = platform.gic.distributor;
    let at = gicd.address(REGISTER);
    let word = |what, should| {
        let value = gicd.read(REGISTER);
        require!(value == should, "{what} made {value:#x}, not {should:#x}");
    };
    gicd.write(REGISTER, ONES);
    // SAFETY: stores zero to the distributor.
    unsafe { asm!("strb wzr, [{}]", in(reg) at) };
    word("STRB WZR", 0xf8f8_f800);
    // SAFETY: stores zero to the distributor.
    unsafe { asm!("str wzr, [{}]", in(reg) at) };
    word("STR WZR", 0);

    gicd.write(REGISTER, ONES);
    let (zero, stack_moved): (u64, u64);
    // SAFETY: loads from the distributor into nothing, then stores zero to it. Register 31 is SP
    // elsewhere, so SP is compared.
    unsafe {
        asm!(
            "mov {sp}, sp",
            "ldr wzr, [{at}]",
            "ldrb wzr, [{at}]",
            "ldrsb xzr, [{at}]",
            "ldrsw xzr, [{at}]",
            "mov {zero}, xzr",
            "str wzr, [{at}]",
            "mov {now}, sp",
            "sub {sp}, {now}, {sp}",
            at = in(reg) at,
            zero = out(reg) zero,
            sp = out(reg) stack_moved,
            now = out(reg) _,
        );
    }
    require!(zero == 0, "XZR reads {zero:#x} after loads into it");
    require!(stack_moved == 0, "loads into XZR moved SP by {stack_moved:#x}");
    word("STR WZR after loads into XZR", 0);
}
