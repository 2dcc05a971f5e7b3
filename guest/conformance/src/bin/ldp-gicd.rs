// SPDX-License-Identifier: BSD-2-Clause
//! A load of two registers from an emulated device has no syndrome and stops the guest.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::{Platform, fail, guest};

guest!(run);

fn run(platform: &mut Platform) {
    let (low, high): (u32, u32);
    // SAFETY: reads two registers of the distributor.
    unsafe {
        asm!(
            "ldp {:w}, {:w}, [{}]",
            out(reg) low,
            out(reg) high,
            in(reg) platform.gic.distributor.address(0),
        );
    }
    fail!("LDP from the distributor went through: {low:#x}, {high:#x}");
}
