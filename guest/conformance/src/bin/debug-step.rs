// SPDX-License-Identifier: BSD-2-Clause
//! A program in EL0 is stepped 100,000 times, as a debugger does, while the guest's kernel uses its
//! machine: each step is one instruction, and everything else goes on.
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::exception::{self, EL0, STEP, class};
use guest_conformance::gic::TYPER;
use guest_conformance::timer::{self, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run);

const STEPS: u64 = 100_000;

// A step that is lost lets the program run on: not for long, because X1 counts it down.
global_asm!(
    ".global debug_loop",
    "debug_loop: add x0, x0, #1",
    "subs x1, x1, #1",
    "b.ne debug_loop",
    "svc #0",
);

unsafe extern "C" {
    static debug_loop: u8;
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.timer_intid;
    gic.set_up();
    gic.enable(intid);
    exception::set_up();
    let steps = platform.argument("steps").unwrap_or(STEPS);
    let typer = gic.distributor.read(TYPER);
    let start = (&raw const debug_loop).addr() as u64;
    let (mut pc, mut x) = (start, [0; 8]);
    let mut beats = 0_u32;
    // Steps since the program began; those that were lost.
    let (mut counted, mut lost) = (0_u64, 0_u64);
    let may_be_lost = platform.argument("lost").unwrap_or(0);
    timer::arm(timer::now() + milliseconds(1));
    for step in 1..=steps {
        x[1] = 4;
        // As Linux does it: before each return to the program (arch/arm64, enable_step_tsk).
        exception::steps_on();
        // SAFETY: instructions of a loop that changes X0 and X1.
        let ended = unsafe { exception::run(pc, EL0 | STEP, &x) };
        let found = ended.class();
        if found == class::SVC64 && lost < may_be_lost {
            // It ran on to its end: begins anew.
            lost += 1;
            (pc, x, counted) = (start, [0; 8], 0);
            continue;
        }
        counted += 1;
        require!(found == class::STEP, "step {step} ends in exception class {found:#x}");
        let expected = if pc == start + 8 { start } else { pc + 4 };
        require!(ended.elr == expected, "step {step} ends at {:#x}", ended.elr);
        (pc, x) = (ended.elr, ended.x);
        require!(x[0] == counted.div_ceil(3), "{counted} steps made the program count {}", x[0]);
        // With single steps on whoever works for the guest must not be stepped.
        if step.is_multiple_of(64) {
            let now = gic.distributor.read(TYPER);
            require!(now == typer, "step {step}: GICD_TYPER is {now:#x}");
        }
        let acknowledged = gic.acknowledge();
        if acknowledged == intid {
            beats += 1;
            timer::arm(timer::now() + milliseconds(1));
            gic.end(intid);
        }
    }
    exception::steps_off();
    timer::disarm();
    line(format_args!("debug-step: {steps} steps, {lost} lost, {beats} beats of the timer"));
    require!(beats > 0, "the timer did not interrupt");
}
