// SPDX-License-Identifier: BSD-2-Clause
//! GICC_IAR says which CPU has sent a software-generated interrupt.
#![no_std]
#![no_main]

use guest_conformance::smp::{self, OTHERS};
use guest_conformance::{Platform, guest, require};

guest!(run, others = send);

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    gic.set_up();
    for cpu in OTHERS {
        gic.enable(cpu as u32);
    }
    for cpu in OTHERS {
        let answer = smp::turn_on(platform, cpu);
        require!(answer == 0, "CPU_ON of {cpu} answered {answer:#x}");
        let Some(acknowledged) = gic.next_within(smp::PATIENCE) else {
            guest_conformance::fail!("the interrupt of CPU {cpu} does not come")
        };
        let (intid, source) = (acknowledged & 0x3ff, acknowledged >> 10 & 7);
        require!(intid == cpu as u32 && source == intid, "SGI {intid} came from CPU {source}");
        gic.end(acknowledged);
    }
}

/// Sends the first CPU the interrupt with its own number.
fn send(cpu: usize, platform: &mut Platform) {
    platform.gic.set_up();
    platform.gic.send_to(cpu as u32, 0);
}
