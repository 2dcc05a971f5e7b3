// SPDX-License-Identifier: BSD-2-Clause
//! A single step over an instruction that the monitor does is over behind it, in EL1 and in EL0, as
//! over any other (Arm DDI 0487, D2.11).
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::exception::{self, DEBUG_MASK, EL0, EL1, STEP, class};
use guest_conformance::gic::{IPRIORITYR, TYPER};
use guest_conformance::smccc::PSCI_VERSION;
use guest_conformance::{Platform, guest, require};

guest!(run);

// One instruction after the other, each with what it needs in X0. The last is never executed.
global_asm!(
    ".global step_plain, step_load, step_store, step_zero, step_smc, step_wfi, step_sgi",
    "step_plain: add x1, x1, #1",
    "step_load: ldr w1, [x0]",
    "step_store: str w1, [x0]",
    "step_zero: str wzr, [x0]",
    "step_smc: smc #0",
    "step_wfi: wfi",
    "step_sgi: msr S3_0_C12_C11_5, x0",
    "brk #0",
);

unsafe extern "C" {
    static step_plain: u8;
    static step_load: u8;
    static step_store: u8;
    static step_zero: u8;
    static step_smc: u8;
    static step_wfi: u8;
    static step_sgi: u8;
}

/// SGI for whom a WFI is over at once.
const SGI: u32 = 3;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(SGI);
    exception::set_up();
    let register = |offset| gic.distributor.address(offset) as u64;
    let kept = register(IPRIORITYR + 40);
    let sgi = u64::from(SGI) << 24 | 1;
    let all = [
        ("ADD", &raw const step_plain, 0),
        ("a load of GICD_TYPER", &raw const step_load, register(TYPER)),
        ("a store to GICD_IPRIORITYR", &raw const step_store, kept),
        ("a store to GICD_TYPER", &raw const step_store, register(TYPER)),
        ("a store of WZR", &raw const step_zero, kept),
        ("SMC", &raw const step_smc, u64::from(PSCI_VERSION)),
        ("WFI", &raw const step_wfi, 0),
        ("MSR ICC_SGI1R_EL1", &raw const step_sgi, sgi),
    ];
    let last = if gic.is_v3() { all.len() } else { all.len() - 1 };
    for round in 0..3 {
        for (index, (name, code, x0)) in all[..last].iter().enumerate() {
            if *name == "WFI" {
                gic.send_to_self(SGI);
            }
            let from_el0 = index < 5;
            for (level, spsr, own) in [("EL1", EL1 & !DEBUG_MASK, 1), ("EL0", EL0, 0)] {
                if own == 0 && !from_el0 {
                    continue;
                }
                exception::steps_on();
                // SAFETY: each is one instruction that changes X0 to X3 at most (DEN0028F, 2.6).
                let ended = unsafe {
                    exception::run(code.addr() as u64, spsr | STEP, &[*x0, 0, 0, 0, 0, 0, 0, 0])
                };
                exception::steps_off();
                let found = ended.class();
                require!(found == class::STEP + own, "{name} in {level}: class {found:#x}");
                let moved = ended.elr.wrapping_sub(code.addr() as u64);
                require!(moved == 4, "round {round}: a step over {name} in {level} took {moved}");
                require!(ended.spsr & STEP == 0, "{name} in {level} leaves PSTATE.SS set");
            }
            if *name == "WFI" || name.starts_with("MSR") {
                gic.expect(SGI);
            }
        }
    }
}
