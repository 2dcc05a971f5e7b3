// SPDX-License-Identifier: BSD-2-Clause
//! PSCI_VERSION says 1.0 or later, in 32 bits.
#![no_std]
#![no_main]

use guest_conformance::smccc::{PSCI_VERSION, smc};
use guest_conformance::{Platform, guest, require};

guest!(run);

fn run(_platform: &mut Platform) {
    let version = smc(PSCI_VERSION, [0; 3]);
    require!(version >> 16 == 1, "PSCI_VERSION answered {version:#x}, not 1.x");
}
