// SPDX-License-Identifier: BSD-2-Clause
//! Where nobody is, a load, a store and a jump take a synchronous external abort, as the
//! architecture has it, from EL1 and from EL0 (Arm DDI 0487, D1.4, D24.2.45).
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::exception::{self, EL0, EL1, Ended, class};
use guest_conformance::gic::TYPER;
use guest_conformance::{Platform, guest, require};

guest!(run);

global_asm!(
    ".global abort_load, abort_pair, abort_store",
    "abort_load: ldr w1, [x0]",
    "b .",
    "abort_pair: ldp x1, x2, [x0]",
    "b .",
    "abort_store: str x1, [x0]",
    "b .",
);

unsafe extern "C" {
    static abort_load: u8;
    static abort_pair: u8;
    static abort_store: u8;
}

/// ESR_ELx.IL; ISS.ISV, EA, FnV and WnR; fault status code of an external abort.
const IL: u64 = 1 << 25;
const ISV: u64 = 1 << 24;
const NO_ADDRESS: u64 = 1 << 10;
const WRITE: u64 = 1 << 6;
const STATUS: u64 = 0x3f;
const EXTERNAL: u64 = 0x10;
/// Condition flags, which an exception keeps.
const FLAGS: u64 = 0b1010 << 28;

fn check(what: &str, ended: Ended, class: u64, address: u64, at: u64, spsr: u64) {
    let found = ended.class();
    require!(found == class, "{what} ends in exception class {found:#x}");
    let Ended { esr, far, elr, .. } = ended;
    require!(esr & STATUS == EXTERNAL, "{what}: the fault status is {:#x}", esr & STATUS);
    require!(esr & (IL | ISV) == IL, "{what}: ESR_EL1 is {esr:#x}");
    require!(esr & NO_ADDRESS != 0 || far == address, "{what}: FAR_EL1 is {far:#x}");
    require!(elr == at, "{what}: ELR_EL1 is {elr:#x}, not {at:#x}");
    require!(ended.spsr == spsr, "{what}: SPSR_EL1 is {:#x}, not {spsr:#x}", ended.spsr);
}

fn run(platform: &mut Platform) {
    exception::set_up();
    let nowhere = platform.ram.end as u64 + 0x1000;
    let typer = platform.gic.distributor.read(TYPER);
    for round in 0..100 {
        let address = nowhere + round * 16;
        for (level, spsr, own) in [("EL1", EL1 | FLAGS, 1), ("EL0", EL0 | FLAGS, 0)] {
            let all = [
                ("a load", &raw const abort_load, false),
                ("a load of a pair", &raw const abort_pair, false),
                ("a store", &raw const abort_store, true),
            ];
            for (name, code, write) in all {
                let at = code.addr() as u64;
                let x = [address, 1, 2, 3, 4, 5, 6, 7];
                // SAFETY: there is nothing at the address.
                let ended = unsafe { exception::run(at, spsr, &x) };
                check(name, ended, class::DATA + own, address, at, spsr);
                require!(ended.x == x, "{name} in {level} changed registers: {:x?}", ended.x);
                let told = ended.esr & WRITE != 0;
                require!(told == write, "{name} in {level}: WnR is {told}");
            }
            // SAFETY: there is nothing at the address.
            let ended = unsafe { exception::run(address, spsr, &[0; 8]) };
            check("a jump", ended, class::FETCH + own, address, address, spsr);
        }
        let now = platform.gic.distributor.read(TYPER);
        require!(now == typer, "round {round}: GICD_TYPER is {now:#x}");
    }
}
