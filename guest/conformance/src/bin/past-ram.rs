// SPDX-License-Identifier: BSD-2-Clause
//! A jump past the end of RAM stops the guest.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::{Platform, fail, guest};

guest!(run);

fn run(platform: &mut Platform) {
    // SAFETY: there is no code to run; if the call comes back, the guest has failed.
    unsafe { asm!("blr {}", in(reg) platform.ram.end, clobber_abi("C")) };
    fail!("came back from {:#x}, past the end of RAM", platform.ram.end);
}
