// SPDX-License-Identifier: BSD-2-Clause
//! A CPU that was turned off and is turned on again holds nothing of its life before in its system
//! registers.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use guest_conformance::smp::{self, PATIENCE, PerCpu};
use guest_conformance::state::{self, Values};
use guest_conformance::timer::Limit;
use guest_conformance::{Platform, guest, require};

guest!(run, others = live);

/// The CPU with several lives.
const CPU: usize = 1;
const LIVES: u64 = 3;

/// How many lives it has begun, and looked through.
static LIFE: PerCpu = PerCpu::new();

struct Left(UnsafeCell<Values>);

// SAFETY: one CPU uses it, and takes no interrupt.
unsafe impl Sync for Left {}

static LEFT: Left = Left(UnsafeCell::new([0; size_of::<Values>() / 8]));

fn run(platform: &mut Platform) {
    for life in 1..=LIVES {
        let answer = smp::turn_on(platform, CPU);
        require!(answer == 0, "CPU_ON answered {answer:#x}");
        LIFE.wait(CPU, life, "number of lives");
        let limit = Limit::milliseconds(PATIENCE);
        while smp::affinity_info(CPU) != 1 {
            require!(!limit.is_over(), "CPU {CPU} does not turn off");
        }
    }
}

fn live(cpu: usize, _: &mut Platform) {
    // SAFETY: this CPU alone uses it.
    let left = unsafe { LEFT.0.get().read_volatile() };
    state::expect_forgotten(&left);
    // SAFETY: as above.
    unsafe { LEFT.0.get().write_volatile(state::leave()) };
    LIFE.set(cpu, LIFE.get(cpu) + 1);
    smp::turn_off();
}
