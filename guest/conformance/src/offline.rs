// SPDX-License-Identifier: BSD-2-Clause
//! CPU 1 turns itself off with an interrupt pending that it has not acknowledged.

use crate::smp::{self, PATIENCE, PerCpu};
use crate::timer::Limit;
use crate::{Platform, require};

/// How often CPU 1 was ready, and how often it may have left.
static READY: PerCpu = PerCpu::new();
static LEAVE: PerCpu = PerCpu::new();

/// Turns CPU 1 on, lets `raise` make `intid` pending there, and waits until CPU 1 is off. From then on
/// the interrupt is routed to CPU 0. CPU 1 runs [`leave`].
pub fn strand(platform: &Platform, intid: u32, raise: impl FnOnce()) {
    let (gic, round) = (platform.gic, READY.get(1) + 1);
    gic.set_target_cpu(intid, 1);
    gic.enable(intid);
    let answer = smp::turn_on(platform, 1);
    require!(answer == 0, "CPU_ON answered {answer:#x}");
    READY.wait(1, round, "readiness");
    raise();
    gic.expect_none();
    LEAVE.set(1, round);
    let limit = Limit::milliseconds(PATIENCE);
    while smp::affinity_info(1) != 1 {
        require!(!limit.is_over(), "CPU 1 does not turn off");
    }
    gic.set_target_cpu(intid, 0);
}

/// What CPU 1 does: it takes no interrupt, and leaves when it is told to.
pub fn leave(cpu: usize, platform: &mut Platform) {
    platform.gic.set_up();
    let round = READY.get(cpu) + 1;
    READY.set(cpu, round);
    LEAVE.wait(cpu, round, "leave");
    smp::turn_off();
}
