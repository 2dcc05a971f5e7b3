// SPDX-License-Identifier: BSD-2-Clause
//! Single steps, breakpoints and watchpoints anywhere, performance counters and timers, written at
//! random as `seed=` says, for `seconds=`, between calls and accesses that the monitor answers:
//! the monitor is not stepped, stopped or delayed by any of it.
#![no_std]
#![no_main]

use core::arch::global_asm;

use guest_conformance::exception::{self, DEBUG_MASK, EL0, EL1, STEP, class};
use guest_conformance::gic::TYPER;
use guest_conformance::smccc::{NOT_SUPPORTED, PSCI_VERSION, smc};
use guest_conformance::timer::{Limit, arm, disarm, milliseconds, now};
use guest_conformance::{Platform, guest, line, read_register, require, write_register};

guest!(run);

/// Default of `seconds=`.
const SECONDS: u64 = 1;

// What is stepped: a few instructions, then the exception of a system call.
global_asm!(
    ".global hostile_stepped",
    "hostile_stepped: add x0, x0, #1",
    "ldr w1, [x2]",
    "str wzr, [x3]",
    "add x0, x0, #1",
    "svc #0",
);

unsafe extern "C" {
    static hostile_stepped: u8;
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Writes one of these registers, by its place in the list.
macro_rules! write_one {
    ($which:expr, $value:expr; $($name:literal)+) => {{
        const NAMES: &[&str] = &[$($name),+];
        let which = $which % NAMES.len() as u64;
        let mut place = 0;
        $(
            if which == place {
                write_register!($name, $value);
            }
            place += 1;
        )+
        let _ = place;
    }};
}

/// An address: the monitor's or the guest's program, or anything, aligned to a word.
fn address(random: &mut Random) -> u64 {
    let bits = random.next();
    (match random.below(4) {
        0 => bits & 0x3f_ffff | 0x20_0000, // where Microkit's protection domains are linked
        1 => bits & 0xffff_ffff,
        2 => bits | 0xffff << 48,
        _ => bits,
    }) & !3
}

/// Breakpoints and watchpoints on EL0 alone: EL1 is this guest itself, whose D is set anyway.
fn debug_point(random: &mut Random) {
    let at = address(random);
    // E, PMC or PAC for EL0, BAS, LSC (D24.3.2, D24.3.11).
    let control = 1 | 0b10 << 1 | 0b11 << 3 | (random.next() & 0xff) << 5;
    write_one!(random.next(), at; "dbgbvr0_el1" "dbgbvr1_el1" "dbgwvr0_el1" "dbgwvr1_el1");
    write_one!(random.next(), control; "dbgbcr0_el1" "dbgbcr1_el1" "dbgwcr0_el1" "dbgwcr1_el1");
}

fn debug_control(random: &mut Random) {
    match random.below(4) {
        0 => write_register!("oslar_el1", random.next() & 1),
        1 => write_register!("oslar_el1", 0),
        // MDE, KDE, TDCC, SS and what else can be written.
        2 => write_register!("mdscr_el1", random.next() & 0xffff_ffff),
        _ => write_register!("mdscr_el1", 1 << 15 | 1 << 13 | 1),
    }
}

/// Counters that overflow soon, their interrupts on, for every level that a guest may count.
fn performance(random: &mut Random) {
    let value = random.next() & 0xffff_ffff;
    match random.below(4) {
        0 => write_register!("pmcr_el0", random.next() & 0x7f),
        1 => write_register!("pmselr_el0", random.below(6)),
        2 => write_one!(random.next(), value; "pmxevtyper_el0" "pmxevcntr_el0" "pmccntr_el0"
            "pmccfiltr_el0" "pmuserenr_el0"),
        _ => write_one!(random.next(), value; "pmcntenset_el0" "pmcntenclr_el0" "pmintenset_el1"
            "pmintenclr_el1" "pmovsclr_el0" "pmovsset_el0" "pmswinc_el0"),
    }
}

fn timers(random: &mut Random) {
    match random.below(5) {
        0 => arm(now() + milliseconds(random.below(3))),
        1 => arm(random.next()),
        2 => disarm(),
        3 => write_register!("cntkctl_el1", random.next() & 0x3ff),
        _ => write_register!("cntv_tval_el0", random.next() & 0xffff_ffff),
    }
}

/// Steps a few instructions with whatever debug registers there are; any exception may end it.
fn step(platform: &Platform, random: &mut Random) {
    let gicd = platform.gic.distributor;
    let start = (&raw const hostile_stepped).addr() as u64;
    let mut x = [0, 0, gicd.address(TYPER) as u64, gicd.address(TYPER) as u64, 0, 0, 0, 0];
    let spsr = if random.below(2) == 0 { EL0 } else { EL1 & !DEBUG_MASK };
    write_register!("oslar_el1", 0);
    write_register!("mdscr_el1", 1 | 1 << 13 | (random.next() & 1) << 15);
    let mut pc = start;
    for _ in 0..8 {
        // SAFETY: each instruction changes X0 and X1 at most, and the last is a system call.
        let ended = unsafe { exception::run(pc, spsr | STEP, &x) };
        let found = ended.class() & !1;
        // A break- or watchpoint of our own ends a step as well, at the same place.
        if found != class::STEP {
            break;
        }
        require!(ended.elr == pc + 4, "a step from {pc:#x} ends at {:#x}", ended.elr);
        (pc, x) = (ended.elr, ended.x);
    }
}

/// What everyone asks of the machine is answered as ever.
fn check(platform: &Platform, typer: u32) {
    let version = smc(PSCI_VERSION, [0; 3]);
    require!(version >> 16 == 1, "PSCI_VERSION answers {version:#x}");
    let unknown = smc(0x8600_ff01, [0; 3]);
    require!(unknown == NOT_SUPPORTED, "an unknown call answers {unknown:#x}");
    let after = platform.gic.distributor.read(TYPER);
    require!(after == typer, "GICD_TYPER was {typer:#x}, is {after:#x}");
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    exception::set_up();
    let seed = platform.argument("seed").unwrap_or(1);
    let seconds = platform.argument("seconds").unwrap_or(SECONDS);
    line(format_args!("hostile: seed {seed}, {seconds} s of debug registers"));
    let typer = gic.distributor.read(TYPER);
    let mut random = Random(seed);
    let mut done = 0_u64;
    let limit = Limit::milliseconds(1000 * seconds);
    while !limit.is_over() {
        match random.below(16) {
            0..4 => debug_point(&mut random),
            4..6 => debug_control(&mut random),
            6..9 => performance(&mut random),
            9..11 => timers(&mut random),
            11..14 => step(platform, &mut random),
            14 => {
                arm(now() + milliseconds(1));
                gic.enable(platform.timer_intid);
                // SAFETY: waits for the timer; IRQs are masked.
                unsafe { core::arch::asm!("wfi") };
                gic.expect_held(platform.timer_intid, disarm);
            }
            _ => check(platform, typer),
        }
        done += 1;
    }
    write_register!("mdscr_el1", 0);
    write_register!("pmcr_el0", 0);
    disarm();
    check(platform, typer);
    let counting = read_register!("pmcr_el0") & 1;
    require!(counting == 0, "PMCR_EL0.E is {counting}");
    line(format_args!("hostile: {done} attempts, all of debug registers"));
}
