// SPDX-License-Identifier: BSD-2-Clause
//! A load from an address that nobody owns stops the guest.
#![no_std]
#![no_main]

use guest_conformance::mmio::Device;
use guest_conformance::{Platform, fail, guest};

guest!(run);

fn run(_platform: &mut Platform) {
    // Between the peripherals of QEMU's virt machine, and reserved on the i.MX 8M.
    // SAFETY: nothing is there, so no Rust object either.
    let nothing = unsafe { Device::new(0x0fff_0000) };
    let value = nothing.read(0);
    fail!("read {value:#x} from an address that nobody owns");
}
