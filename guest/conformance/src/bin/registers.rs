// SPDX-License-Identifier: BSD-2-Clause
//! General-purpose registers, vector registers, flags and SP keep their values across every kind
//! of exit, but for those that the instruction itself changes.
#![no_std]
#![no_main]

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::registers::{Instruction, Registers};
use guest_conformance::smccc::PSCI_VERSION;
use guest_conformance::{Platform, guest, require};

guest!(run);

const REGISTER: usize = IPRIORITYR + 40;
const SGI: u32 = 3;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(SGI);
    let address = gic.distributor.address(REGISTER) as u64;
    for round in 0..50 {
        let mut before = Registers::pattern(round);
        before.x[0] = address;
        gic.distributor.write(REGISTER, 0x9008_a0f8);
        // SAFETY: X0 is a register of the distributor.
        let after = unsafe { before.across(Instruction::Load) };
        require!(after.x[1] == 0x9008_a0f8, "LDR gave {:#x}", after.x[1]);
        require!(after.x[0] == address, "LDR changed X0 to {:#x}", after.x[0]);
        after.expect_kept(&before, 2, "LDR");

        before.x[1] = before.x[1] & !0xffff_ffff | 0x1020_3040;
        // SAFETY: X0 is a register of the distributor.
        let after = unsafe { before.across(Instruction::Store) };
        after.expect_kept(&before, 0, "STR");
        let value = gic.distributor.read(REGISTER);
        require!(value == 0x1020_3040, "STR made {value:#x}");

        // X4 to X17 are the caller's since SMCCC 1.1 (DEN0028F, 2.6).
        before.x[0] = PSCI_VERSION.into();
        // SAFETY: PSCI_VERSION returns.
        let after = unsafe { before.across(Instruction::Smc) };
        require!(after.x[0] >> 16 == 1, "PSCI_VERSION answered {:#x}", after.x[0]);
        after.expect_kept(&before, 4, "SMC");

        // With an interrupt pending and IRQs masked a WFI is over at once.
        gic.send_to_self(SGI);
        // SAFETY: WFI takes no argument.
        let after = unsafe { before.across(Instruction::Wfi) };
        after.expect_kept(&before, 0, "WFI");
        gic.expect(SGI);

        if gic.is_v3() {
            before.x[0] = u64::from(SGI) << 24 | 1;
            // SAFETY: X0 asks for an interrupt to this CPU, and IRQs are masked.
            let after = unsafe { before.across(Instruction::Sgi) };
            after.expect_kept(&before, 0, "MSR ICC_SGI1R_EL1");
            gic.expect(SGI);
        }
    }
}
