// SPDX-License-Identifier: BSD-2-Clause
//! GICv3: ICC_SGI1R_EL1 reaches this CPU by its target list alone; a list without it, an affinity
//! of others and "all but the sender" do not.
#![no_std]
#![no_main]

use guest_conformance::{Platform, guest, require, write_register};

guest!(run);

const SGI: u64 = 6;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spare = SGI as u32;
    gic.set_up();
    gic.enable(spare);
    let send = |value: u64| write_register!("S3_0_C12_C11_5", value | SGI << 24);
    // Fields of ICC_SGI1R_EL1 (IHI 0069H, 12.2.22). These machines' CPU 0 has affinity 0.0.0.0.
    send(1);
    gic.expect(spare);
    send(0);
    gic.expect_none();
    send(0xfffe); // CPUs that are not there
    gic.expect_none();
    send(1 << 16 | 1); // affinity 1 is not ours
    gic.expect_none();
    send(1 << 40); // all but the sender
    gic.expect_none();
    gic.disable(spare);
    send(1);
    require!(gic.is_pending(spare), "GICR_ISPENDR0 does not show SGI {SGI}");
    gic.unpend(spare);
    gic.enable(spare);
    gic.expect_none();
    send(1);
    gic.expect(spare);
}
