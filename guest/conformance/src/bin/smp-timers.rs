// SPDX-License-Identifier: BSD-2-Clause
//! Each CPU has a virtual timer of its own, which wakes it at its time and nobody else.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::smp::{self, OTHERS, PerCpu};
use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, require};

guest!(run, others = beat);

const BEATS: u64 = 15;

/// Milliseconds between the beats of each CPU.
const PERIODS: [u64; smp::CPUS] = [5, 7, 11, 2];

static DONE: PerCpu = PerCpu::new();

fn run(platform: &mut Platform) {
    smp::turn_all_on(platform);
    beat(0, platform);
    for cpu in OTHERS {
        DONE.wait(cpu, BEATS, "number of beats");
    }
}

fn beat(cpu: usize, platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.set_priority(platform.timer_intid, 0xa0);
    gic.enable(platform.timer_intid);
    for beat in 1..=BEATS {
        let due = timer::now() + milliseconds(PERIODS[cpu]);
        timer::arm(due);
        let mut woke = timer::now();
        // A WFI may end for no reason; the interrupt may not come for none.
        while woke < due {
            require!(gic.next_within(0).is_none(), "CPU {cpu} is interrupted before its time");
            // SAFETY: waits for an interrupt; IRQs are masked, so it goes on behind the WFI.
            unsafe { asm!("wfi") };
            woke = timer::now();
        }
        let late = microseconds(woke - due);
        require!(late < 500_000, "CPU {cpu} woke {late} us late");
        gic.expect_held(platform.timer_intid, timer::disarm);
        DONE.set(cpu, beat);
    }
}
