// SPDX-License-Identifier: BSD-2-Clause
//! Unknown firmware calls, 32-bit and 64-bit, answer -1 in all 64 bits, and the guest goes on.
#![no_std]
#![no_main]

use guest_conformance::smccc::{NOT_SUPPORTED, PSCI_VERSION, smc};
use guest_conformance::{Platform, guest, require};

guest!(run);

/// Nobody's functions: each service range of DEN0028F, table 6-1, in both widths, then PSCI
/// numbers that do not exist, a standard function in a width that it does not have, and the ends.
const UNKNOWN: [u32; 18] = [
    0x8000_7fff,
    0xc000_7fff, // Arm architecture
    0x8100_7fff,
    0xc100_7fff, // CPU
    0x8200_7fff,
    0xc200_7fff, // SiP
    0x8300_7fff,
    0xc300_7fff, // OEM
    0x8400_7fff,
    0xc400_7fff, // standard secure
    0x8600_7fff,
    0xc600_7fff, // vendor hypervisor
    0xb200_0001,
    0xf200_0001, // trusted OS
    0x8400_001f, // PSCI, beyond its last function
    0xc400_0000, // PSCI_VERSION has no 64-bit form
    0x0000_0000,
    0xffff_ffff,
];

fn run(_platform: &mut Platform) {
    for id in UNKNOWN {
        let answer = smc(id, [1, 2, 3]);
        require!(answer == NOT_SUPPORTED, "{id:#x} answered {answer:#x}, not 64-bit -1");
    }
    // The identifier is the low half of X0 (DEN0028F, 2.5); a known call still works.
    let version = smc(PSCI_VERSION, [0; 3]);
    require!(version >> 16 == 1, "PSCI_VERSION answered {version:#x} after unknown calls");
}
