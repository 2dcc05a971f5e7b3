// SPDX-License-Identifier: BSD-2-Clause
//! A software-generated interrupt sent while it is disabled waits, and comes when it is enabled.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require};

guest!(run);

const SGI: u32 = 9;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    gic.disable(SGI);
    require!(!gic.is_enabled(SGI), "ICENABLER does not disable SGI {SGI}");
    gic.send_to_self(SGI);
    gic.expect_none();
    gic.disable(SGI);
    require!(gic.is_pending(SGI), "ISPENDR does not show SGI {SGI}");
    gic.enable(SGI);
    require!(gic.is_enabled(SGI), "ISENABLER does not enable SGI {SGI}");
    gic.expect(SGI);
    gic.expect_none();
    require!(!gic.is_pending(SGI), "SGI {SGI} is pending after its end");
}
