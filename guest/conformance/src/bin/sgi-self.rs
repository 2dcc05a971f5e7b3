// SPDX-License-Identifier: BSD-2-Clause
//! Each software-generated interrupt sent to the sender itself comes, once and from it.
#![no_std]
#![no_main]

use guest_conformance::{Platform, fail, guest, require};

guest!(run);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    for sgi in 0..16 {
        gic.enable(sgi);
        gic.send_to_self(sgi);
        match gic.next_within(1000) {
            None => fail!("SGI {sgi} did not come within a second"),
            Some(acknowledged) => {
                // The whole value: on GICv2 bits 12 to 10 are the sender, CPU 0.
                require!(acknowledged == sgi, "acknowledged {acknowledged:#x}, not SGI {sgi}");
                gic.end(acknowledged);
            }
        }
    }
    gic.expect_none();
}
