// SPDX-License-Identifier: BSD-2-Clause
//! An edge that a CPU has pending when it turns itself off goes to the CPU that it is routed to from
//! then on, once, and is heard again afterwards.
#![no_std]
#![no_main]

use guest_conformance::smp::{self, PATIENCE, PerCpu};
use guest_conformance::timer::Limit;
use guest_conformance::{Platform, guest, require};

guest!(run, others = leave);

/// CPUs that are ready, and that may leave.
static READY: PerCpu = PerCpu::new();
static LEAVE: PerCpu = PerCpu::new();

const ROUNDS: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let edge = platform.spare_spi(0);
    gic.set_up();
    for round in 1..=ROUNDS {
        gic.set_target_cpu(edge, 1);
        gic.enable(edge);
        let answer = smp::turn_on(platform, 1);
        require!(answer == 0, "CPU_ON answered {answer:#x}");
        READY.wait(1, round, "readiness");
        gic.pend(edge);
        gic.expect_none();
        LEAVE.set(1, round);
        let limit = Limit::milliseconds(PATIENCE);
        while smp::affinity_info(1) != 1 {
            require!(!limit.is_over(), "CPU 1 does not turn off");
        }
        gic.set_target_cpu(edge, 0);
        gic.expect(edge);
        gic.expect_none();
        gic.pend(edge);
        gic.expect(edge);
        gic.expect_none();
    }
}

/// Takes no interrupt, and leaves when it is told to.
fn leave(cpu: usize, platform: &mut Platform) {
    platform.gic.set_up();
    let round = READY.get(cpu) + 1;
    READY.set(cpu, round);
    LEAVE.wait(cpu, round, "leave");
    smp::turn_off();
}
