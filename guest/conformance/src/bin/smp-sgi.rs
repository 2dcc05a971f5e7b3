// SPDX-License-Identifier: BSD-2-Clause
//! A software-generated interrupt from one CPU reaches another, polling or asleep, or all others at
//! once.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

use guest_conformance::smp::{self, OTHERS, PerCpu};
use guest_conformance::{Platform, guest, require};

guest!(run, others = answer);

/// What CPU 0 sends, and what it is answered with.
const CALL: u32 = 3;
const ANSWER: u32 = 4;
const ROUNDS: u64 = 20;

/// CPUs that are ready, and calls that each has had.
static READY: PerCpu = PerCpu::new();
static CALLS: PerCpu = PerCpu::new();
/// Whether CPUs sleep until they are called.
static SLEEP: AtomicBool = AtomicBool::new(false);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(ANSWER);
    smp::turn_all_on(platform);
    for cpu in OTHERS {
        READY.wait(cpu, 1, "readiness");
    }
    let mut calls = 0;
    for round in 0..ROUNDS {
        SLEEP.store(round % 2 == 1, Ordering::SeqCst);
        for cpu in OTHERS {
            gic.send_to(CALL, cpu);
            gic.expect(ANSWER);
        }
        calls += 1;
        for cpu in OTHERS {
            require!(
                CALLS.get(cpu) == calls,
                "CPU {cpu} had {} calls, not {calls}",
                CALLS.get(cpu)
            );
        }
    }
    gic.disable(ANSWER);
    for _ in 0..ROUNDS {
        gic.send_to_others(CALL);
        calls += 1;
        for cpu in OTHERS {
            CALLS.wait(cpu, calls, "number of calls");
        }
    }
}

fn answer(cpu: usize, platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(CALL);
    READY.set(cpu, 1);
    loop {
        if SLEEP.load(Ordering::SeqCst) {
            // SAFETY: waits for an interrupt; IRQs are masked, so it goes on behind the WFI.
            unsafe { asm!("wfi") };
        }
        // Not all that ends a WFI is an interrupt.
        let Some(acknowledged) = gic.next_within(1) else { continue };
        let intid = acknowledged & 0x3ff;
        require!(intid == CALL, "INTID {intid} came to CPU {cpu} in place of {CALL}");
        gic.end(acknowledged);
        CALLS.set(cpu, CALLS.get(cpu) + 1);
        gic.send_to(ANSWER, 0);
    }
}
