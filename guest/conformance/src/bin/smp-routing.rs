// SPDX-License-Identifier: BSD-2-Clause
//! A shared interrupt goes to the CPU that it is routed to, and to no other.
#![no_std]
#![no_main]

use guest_conformance::smp::{self, CPUS, OTHERS, PATIENCE, PerCpu};
use guest_conformance::timer::Limit;
use guest_conformance::{Platform, guest, require};

guest!(run, others = take);

const ROUNDS: u64 = 10;

/// CPUs that are ready, and interrupts that each has had.
static READY: PerCpu = PerCpu::new();
static TAKEN: PerCpu = PerCpu::new();

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(0);
    gic.set_up();
    gic.enable(intid);
    smp::turn_all_on(platform);
    for cpu in OTHERS {
        READY.wait(cpu, 1, "readiness");
    }
    for round in 1..=ROUNDS {
        for target in 0..CPUS {
            gic.set_target_cpu(intid, target);
            gic.pend(intid);
            let limit = Limit::milliseconds(PATIENCE);
            while TAKEN.get(target) != round {
                take_one(0, platform, intid);
                require!(!limit.is_over(), "INTID {intid} does not come to CPU {target}");
            }
            for cpu in 0..CPUS {
                let due = if cpu <= target { round } else { round - 1 };
                let taken = TAKEN.get(cpu);
                require!(taken == due, "CPU {cpu} took {taken}, not {due}; it went to {target}");
            }
        }
    }
}

fn take_one(cpu: usize, platform: &Platform, intid: u32) {
    let gic = platform.gic;
    if let Some(acknowledged) = gic.next_within(0) {
        let came = acknowledged & 0x3ff;
        require!(came == intid, "INTID {came} came to CPU {cpu} in place of {intid}");
        gic.end(acknowledged);
        TAKEN.set(cpu, TAKEN.get(cpu) + 1);
    }
}

fn take(cpu: usize, platform: &mut Platform) {
    let intid = platform.spare_spi(0);
    platform.gic.set_up();
    READY.set(cpu, 1);
    loop {
        take_one(cpu, platform, intid);
    }
}
