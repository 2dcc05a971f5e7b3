// SPDX-License-Identifier: BSD-2-Clause
//! GICv3: ICC_SRE_EL1.SRE is set and cannot be cleared; interrupts come all the same.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, read_register, require, write_register};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    for value in [0, 7] {
        write_register!("S3_0_C12_C12_5", value);
        let sre = read_register!("S3_0_C12_C12_5");
        require!(sre & 1 == 1, "ICC_SRE_EL1 is {sre:#x} after {value:#x}");
    }
    gic.enable(1);
    gic.send_to_self(1);
    gic.expect(1);
}
