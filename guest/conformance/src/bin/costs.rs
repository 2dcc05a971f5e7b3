// SPDX-License-Identifier: BSD-2-Clause
//! A thousand exits of each kind are right, and timed: `ci/bench` runs this guest with emulated
//! time that follows instructions, with a monitor and without, and what differs is the exits.
//!
//! With the boot argument `marks=1` each kind lies between two marks, the first none at all.
#![no_std]
#![no_main]

use guest_conformance::gic::IPRIORITYR;
use guest_conformance::smccc::{PSCI_VERSION, smc};
use guest_conformance::timer;
use guest_conformance::{Platform, guest, line, require};

guest!(run);

const TIMES: u32 = 1000;
const REGISTER: usize = IPRIORITYR + 40;
const PRIORITIES: u32 = 0x8010_2030;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.timer_intid;
    let marker = platform.argument("marks").and_then(|_| platform.marker());
    let mut marks = 0;
    let mut mark = || {
        if let Some(marker) = marker {
            marker.write(0, marks);
            marks += 1;
        }
    };
    gic.set_up();
    gic.enable(intid);
    let version = smc(PSCI_VERSION, [0; 3]);
    line(format_args!("costs: {} ticks a second", timer::frequency()));

    mark();
    mark();
    time("store", || gic.distributor.write(REGISTER, PRIORITIES));
    mark();
    time("load", || {
        let back = gic.distributor.read(REGISTER);
        require!(back == PRIORITIES, "a load gave {back:#x} in place of {PRIORITIES:#x}");
    });
    mark();
    time("smc", || {
        let again = smc(PSCI_VERSION, [0; 3]);
        require!(again == version, "PSCI_VERSION is {again:#x}, was {version:#x}");
    });
    mark();
    time("interrupt", || {
        timer::arm(0);
        gic.expect_held(intid, timer::disarm);
    });
    mark();
}

/// Does it [`TIMES`] times, and prints how long that took.
fn time(what: &str, each: impl Fn()) {
    let start = timer::now();
    for _ in 0..TIMES {
        each();
    }
    let ticks = timer::now() - start;
    line(format_args!("costs: {what} {TIMES} times in {ticks} ticks"));
}
