// SPDX-License-Identifier: BSD-2-Clause
//! A hypervisor call answers NOT_SUPPORTED in all 64 bits, keeps the other registers, and the
//! guest goes on behind it.
#![no_std]
#![no_main]

use guest_conformance::registers::{Instruction, Registers};
use guest_conformance::smccc::{NOT_SUPPORTED, PSCI_VERSION};
use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(_platform: &mut Platform) {
    // Under seL4 X7 is the number of a system call; the kernel's own are small negatives.
    for (round, x7) in (0..).zip([0, 1, 0xff, 0x7fff_ffff, i64::MAX as u64, 1 << 63]) {
        for function in [PSCI_VERSION, 0x8600_ff01, 0xc600_0001, 0, u32::MAX] {
            let mut before = Registers::pattern(round);
            before.x[0] = function.into();
            before.x[7] = x7;
            // SAFETY: there is no call that would take memory.
            let after = unsafe { before.across(Instruction::Hvc) };
            let answer = after.x[0];
            let none = answer == NOT_SUPPORTED;
            require!(none, "HVC {function:#x} with X7 {x7:#x} answered {answer:#x}");
            after.expect_kept(&before, 4, "HVC");
        }
    }
}
