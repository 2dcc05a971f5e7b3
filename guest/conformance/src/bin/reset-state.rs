// SPDX-License-Identifier: BSD-2-Clause
//! After SYSTEM_RESET the system registers hold nothing of the life before.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use guest_conformance::smccc::{SYSTEM_RESET, smc};
use guest_conformance::state::{self, Values};
use guest_conformance::{Platform, fail, guest, line};

guest!(run);

/// In memory that a start does not write.
struct Witness(UnsafeCell<(u64, Values)>);

// SAFETY: one CPU runs, and takes no interrupt.
unsafe impl Sync for Witness {}

#[unsafe(link_section = ".noinit")]
static WITNESS: Witness = Witness(UnsafeCell::new((0, [0; size_of::<Values>() / 8])));

/// Says that the guest ran before.
const SEEN: u64 = 0x7265_7365_742d_7374;

fn run(platform: &mut Platform) {
    // SAFETY: the only access besides the write below.
    let (seen, left) = unsafe { WITNESS.0.get().read_volatile() };
    if seen == SEEN {
        state::expect_forgotten(&left);
        return;
    }
    line(format_args!("reset-state: first life"));
    platform.console.drain();
    let left = state::leave();
    // SAFETY: the only access besides the read above.
    unsafe { WITNESS.0.get().write_volatile((SEEN, left)) };
    let answer = smc(SYSTEM_RESET, [0; 3]);
    fail!("SYSTEM_RESET came back with {answer:#x}");
}
