// SPDX-License-Identifier: BSD-2-Clause
//! A CPU that writes the physical timer's registers again and again takes no sleep from another.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

use guest_conformance::exception::{self, EL1, class};
use guest_conformance::gic::TYPER;
use guest_conformance::smp::{self, PerCpu};
use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run, others = write);

global_asm!(
    ".global smp_cntp",
    "smp_cntp: msr cntp_cval_el0, x0",
    "msr cntp_ctl_el0, x1",
    "svc #0",
);

unsafe extern "C" {
    static smp_cntp: u8;
}

/// The CPU that writes.
const WRITER: usize = 1;
/// How much later than its time a sleep may end, in microseconds. On one core CPUs take turns, and
/// QEMU's under `-icount` last up to 100 ms.
const LATE: u64 = 500_000;

static WRITES: PerCpu = PerCpu::new();
static END: PerCpu = PerCpu::new();

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(platform.timer_intid);
    let answer = smp::turn_on(platform, WRITER);
    require!(answer == 0, "CPU_ON answered {answer:#x}");
    let mut worst = 0;
    for round in 0..40 {
        let due = timer::now() + milliseconds(1 + round % 20);
        timer::arm(due);
        while timer::now() < due {
            // SAFETY: waits for an interrupt; IRQs are masked, so it goes on behind the WFI.
            unsafe { asm!("wfi") };
        }
        worst = worst.max(microseconds(timer::now() - due));
        gic.expect_held(platform.timer_intid, timer::disarm);
    }
    END.set(0, 1);
    let writes = WRITES.get(WRITER);
    line(format_args!("smp-cntp: {writes} writes, a sleep was {worst} us late at most"));
    require!(worst < LATE, "a sleep was {worst} us late");
    require!(writes > 0, "CPU {WRITER} has written nothing");
}

fn write(cpu: usize, platform: &mut Platform) {
    exception::set_up();
    let code = (&raw const smp_cntp).addr() as u64;
    while END.get(0) == 0 {
        let number = WRITES.get(cpu) + 1;
        // Off, or far off: the next deadline of whoever uses this timer is gone.
        let x = [u64::MAX - number, number & 1, 0, 0, 0, 0, 0, 0];
        // SAFETY: the code changes no register and ends in an exception.
        let ended = unsafe { exception::run(code, EL1, &x) };
        let found = ended.class();
        let fine = matches!(found, class::SVC64 | class::UNDEFINED);
        require!(fine, "MSR CNTP_CVAL_EL0 ends in exception class {found:#x}");
        WRITES.set(cpu, number);
        // A kernel leaves its processor sometimes, if only for its tick.
        if number.is_multiple_of(1000) {
            let _ = platform.gic.distributor.read(TYPER);
        }
    }
}
