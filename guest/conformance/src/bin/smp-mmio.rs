// SPDX-License-Identifier: BSD-2-Clause
//! Four CPUs that use the distributor at the same time each find what they wrote.
#![no_std]
#![no_main]

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::smp::{self, OTHERS, PerCpu};
use guest_conformance::{Platform, guest, require};

guest!(run, others = use_own);

const ROUNDS: u64 = 500;

static DONE: PerCpu = PerCpu::new();

fn run(platform: &mut Platform) {
    platform.gic.set_up();
    smp::turn_all_on(platform);
    use_own(0, platform);
    for cpu in OTHERS {
        DONE.wait(cpu, 1, "end");
    }
}

/// Each CPU has an interrupt of its own in words that all of them share: a byte of one priority
/// register, a bit of one enable and one pending register.
fn use_own(cpu: usize, platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(4 + cpu as u32);
    gic.set_target_cpu(intid, cpu); // QEMU keeps nothing pending that goes nowhere
    for round in 0..ROUNDS {
        let priority = (round as u8).wrapping_mul(8); // five bits count
        gic.set_priority(intid, priority);
        gic.pend(intid);
        let place = IPRIORITYR + intid as usize;
        let found = gic.distributor.read8(place);
        require!(found == priority, "CPU {cpu}: priority is {found:#x}, not {priority:#x}");
        require!(gic.is_pending(intid), "CPU {cpu}: INTID {intid} is not pending");
        gic.unpend(intid);
        require!(!gic.is_pending(intid), "CPU {cpu}: INTID {intid} stays pending");
        gic.enable(intid);
        require!(gic.is_enabled(intid), "CPU {cpu}: INTID {intid} is not enabled");
        gic.disable(intid);
        require!(!gic.is_enabled(intid), "CPU {cpu}: INTID {intid} stays enabled");
    }
    DONE.set(cpu, 1);
}
