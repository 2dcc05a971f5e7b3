// SPDX-License-Identifier: BSD-2-Clause
//! A program in EL0 calls neither firmware nor hypervisor, and is woken from its waits.
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::timer::{self, milliseconds};
use guest_conformance::{Platform, guest, read_register, require, write_register};

guest!(run);

global_asm!(include_str!("../user.s"));

unsafe extern "C" {
    static user_vectors: u8;
    /// Runs the instruction in EL0, then SVC: ESR_EL1 of the exception that came first.
    fn user_instruction(instruction: u32) -> u64;
}

const SMC: u32 = 0xd400_0003;
const HVC: u32 = 0xd400_0002;
const WFI: u32 = 0xd503_207f;
const NOP: u32 = 0xd503_201f;

/// Exception classes: an undefined instruction, SVC (Arm DDI 0487, D24.2.45).
const UNDEFINED: u64 = 0;
const SVC: u64 = 0x15;

/// SCTLR_EL1.nTWI: EL0 may execute WFI.
const WAIT_IS_ALLOWED: u64 = 1 << 16;

fn class_of(instruction: u32) -> u64 {
    // SAFETY: what runs in EL0 here changes no register; the vectors come back from any exception.
    let esr = unsafe { user_instruction(instruction) };
    esr >> 26 & 0x3f
}

fn run(platform: &mut Platform) {
    // SAFETY: the vectors take exceptions from EL0 alone, and nothing else comes: IRQs are masked.
    write_register!("vbar_el1", (&raw const user_vectors).addr() as u64);
    require!(class_of(NOP) == SVC, "a program in EL0 does not run");
    for (name, instruction) in [("SMC", SMC), ("HVC", HVC)] {
        let class = class_of(instruction);
        require!(class == UNDEFINED, "{name} in EL0 ends in exception class {class:#x}");
    }

    platform.gic.set_up();
    platform.gic.enable(platform.timer_intid);
    write_register!("sctlr_el1", read_register!("sctlr_el1") | WAIT_IS_ALLOWED);
    let deadline = timer::now() + milliseconds(20);
    timer::arm(deadline);
    // A wait may end early, for no reason.
    while timer::now() < deadline {
        let class = class_of(WFI);
        require!(class == SVC, "WFI in EL0 ends in exception class {class:#x}");
    }
    platform.gic.expect(platform.timer_intid);
    timer::disarm();
}
