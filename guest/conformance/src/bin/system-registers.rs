// SPDX-License-Identifier: BSD-2-Clause
//! System registers of EL1 and EL0 keep their values across exits, and across a sleep in which
//! another program may run on the same processor.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::smccc::{PSCI_VERSION, smc};
use guest_conformance::timer::{self, milliseconds};
use guest_conformance::{Platform, guest, read_register, require, write_register};

guest!(run);

/// Reads all of them by name. None is used by a guest with its MMU off.
macro_rules! registers {
    ($($name:literal)+) => {
        const NAMES: &[&str] = &[$($name),+];

        fn write(seed: u64) {
            let mut value = seed;
            $(
                value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                write_register!($name, value);
            )+
        }

        fn read() -> [u64; NAMES.len()] {
            [$(read_register!($name)),+]
        }
    };
}

registers! {
    "tpidr_el0" "tpidrro_el0" "tpidr_el1" "sp_el0" "elr_el1" "far_el1" "esr_el1" "afsr0_el1"
    "afsr1_el1" "mair_el1" "amair_el1" "ttbr0_el1" "ttbr1_el1" "contextidr_el1" "par_el1"
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.enable(platform.timer_intid);
    for round in 1..=10 {
        write(round);
        // Some bits are fixed: what was kept of the pattern is what has to stay.
        let before = read();
        let check = |what: &str| {
            for ((name, then), now) in NAMES.iter().zip(before).zip(read()) {
                require!(now == then, "{what} changed {name} from {then:#x} to {now:#x}");
            }
        };
        let _ = gic.distributor.read(IPRIORITYR + 40);
        check("a load");
        let _ = smc(PSCI_VERSION, [0; 3]);
        check("SMC");
        timer::arm(timer::now() + milliseconds(20));
        // SAFETY: waits for the timer.
        unsafe { asm!("wfi") };
        check("a sleep of 20 ms");
        gic.expect_held(platform.timer_intid, timer::disarm);
    }
}
