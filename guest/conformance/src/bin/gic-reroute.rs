// SPDX-License-Identifier: BSD-2-Clause
//! An interrupt that is pending for one CPU, which has not taken it, follows a new route to another,
//! and back, and comes once.
#![no_std]
#![no_main]

use guest_conformance::smp::{self, PerCpu};
use guest_conformance::{Platform, guest, require};

guest!(run, others = take);

/// What CPU 1 is to do next, and has done: it takes no interrupt for each odd number, and one for
/// each even one.
static ASKED: PerCpu = PerCpu::new();
static DONE: PerCpu = PerCpu::new();

const ROUNDS: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(0);
    gic.set_up();
    gic.enable(intid);
    let answer = smp::turn_on(platform, 1);
    require!(answer == 0, "CPU_ON answered {answer:#x}");
    let ask = |number| {
        ASKED.set(0, number);
        DONE.wait(1, number, "what was asked for");
    };
    for round in 1..=ROUNDS {
        // To this CPU.
        gic.set_target_cpu(intid, 1);
        gic.pend(intid);
        gic.expect_none();
        gic.set_target_cpu(intid, 0);
        gic.expect(intid);
        ask(2 * round - 1);
        // To the other.
        gic.pend(intid);
        gic.set_target_cpu(intid, 1);
        gic.expect_none();
        ask(2 * round);
        gic.expect_none();
    }
}

fn take(cpu: usize, platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.spare_spi(0);
    gic.set_up();
    // Nothing is taken before it is asked for: the routes decide while it is pending.
    for number in 1..=2 * ROUNDS {
        ASKED.wait(0, number, "the next task");
        if number % 2 == 0 {
            gic.expect(intid)
        } else {
            gic.expect_none()
        }
        DONE.set(cpu, number);
    }
}
