// SPDX-License-Identifier: BSD-2-Clause
//! When the last CPU that runs turns itself off, the guest is over, and the monitor says so.
#![no_std]
#![no_main]

use guest_conformance::smp::turn_off;
use guest_conformance::{Platform, guest};

guest!(run);

fn run(_: &mut Platform) {
    turn_off();
}
