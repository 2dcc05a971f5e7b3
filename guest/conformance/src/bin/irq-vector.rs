// SPDX-License-Identifier: BSD-2-Clause
//! Interrupts that come through the vector, at the very instruction that raises them: each is
//! taken once and every register is as before.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use guest_conformance::gic::{Gic, SGIR};
use guest_conformance::registers::{Instruction, Registers};
use guest_conformance::{Platform, fail, guest, require};

guest!(run, irq);

const SGI: u32 = 11;
const ROUNDS: u32 = 1000;

// Plain loads and stores of one CPU: the handler never runs inside one of these accesses.
static TAKEN: AtomicU32 = AtomicU32::new(0);
static GIC: AtomicUsize = AtomicUsize::new(0);

fn irq() {
    // SAFETY: `run` stores the address of a Gic that lives until the guest ends.
    let gic = unsafe { &*(GIC.load(Ordering::Relaxed) as *const Gic) };
    match gic.next_within(0) {
        Some(SGI) => gic.end(SGI),
        other => fail!("the vector was entered for {other:?}, not INTID {SGI}"),
    }
    TAKEN.store(TAKEN.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn run(platform: &mut Platform) {
    let gic = &platform.gic;
    gic.set_up();
    gic.enable(SGI);
    GIC.store(core::ptr::from_ref(gic).expose_provenance(), Ordering::Relaxed);
    // SAFETY: the handler above is ready.
    unsafe { core::arch::asm!("msr daifclr, #2") };
    for round in 1..=ROUNDS {
        let mut before = Registers::pattern(round.into());
        let instruction = if gic.is_v3() {
            before.x[0] = u64::from(SGI) << 24 | 1;
            Instruction::Sgi
        } else {
            before.x[0] = gic.distributor.address(SGIR) as u64;
            before.x[1] = 2 << 24 | u64::from(SGI);
            Instruction::Store
        };
        // SAFETY: the instruction sends an SGI to this CPU.
        let after = unsafe { before.across(instruction) };
        after.expect_kept(&before, 0, "an interrupt");
        let limit = guest_conformance::timer::Limit::milliseconds(1000);
        while TAKEN.load(Ordering::Relaxed) != round {
            let taken = TAKEN.load(Ordering::Relaxed);
            require!(!limit.is_over(), "{taken} interrupts taken of {round} sent");
        }
    }
    // SAFETY: masks IRQs again.
    unsafe { core::arch::asm!("msr daifset, #2") };
}
