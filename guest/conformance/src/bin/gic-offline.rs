// SPDX-License-Identifier: BSD-2-Clause
//! What a CPU has pending when it turns itself off goes to the CPU that it is routed to from then on,
//! and is heard again afterwards: a device's level line. For an edge see `gic-offline-edge`.
#![no_std]
#![no_main]

use guest_conformance::smp::{self, PATIENCE, PerCpu};
use guest_conformance::timer::Limit;
use guest_conformance::{Platform, guest, line, require};

guest!(run, others = leave);

/// CPUs that are ready, and that may leave.
static READY: PerCpu = PerCpu::new();
static LEAVE: PerCpu = PerCpu::new();

const ROUNDS: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let (console, level) = (platform.console, platform.console_intid);
    gic.set_up();
    // A PL011 asks for more only once it has sent something (DDI 0183G, UARTTXINTR).
    line(format_args!("gic-offline: a line to send"));
    console.drain();
    for round in 1..=ROUNDS {
        gic.set_target_cpu(level, 1);
        gic.enable(level);
        let answer = smp::turn_on(platform, 1);
        require!(answer == 0, "CPU_ON answered {answer:#x}");
        READY.wait(1, round, "readiness");
        console.set_transmit_interrupt(true);
        gic.expect_none();
        LEAVE.set(1, round);
        let limit = Limit::milliseconds(PATIENCE);
        while smp::affinity_info(1) != 1 {
            require!(!limit.is_over(), "CPU 1 does not turn off");
        }
        gic.set_target_cpu(level, 0);
        for _ in 0..2 {
            gic.expect_held(level, || console.set_transmit_interrupt(false));
            gic.expect_none();
            console.set_transmit_interrupt(true);
        }
        gic.expect_held(level, || console.set_transmit_interrupt(false));
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
