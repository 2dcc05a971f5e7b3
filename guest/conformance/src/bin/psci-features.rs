// SPDX-License-Identifier: BSD-2-Clause
//! PSCI_FEATURES knows every function that PSCI 1.0 demands, and what it says of the others is
//! what calling them says.
#![no_std]
#![no_main]

use guest_conformance::smccc::{
    AFFINITY_INFO, CPU_OFF, CPU_ON, CPU_SUSPEND, MIGRATE_INFO_TYPE, NOT_SUPPORTED, PSCI_FEATURES,
    PSCI_VERSION, SMCCC_VERSION, SYSTEM_OFF, SYSTEM_RESET, smc,
};
use guest_conformance::{Platform, guest, require};

guest!(run);

/// Mandatory functions (DEN0022F, table 4).
const MANDATORY: [u32; 11] = [
    PSCI_VERSION,
    CPU_SUSPEND[0],
    CPU_SUSPEND[1],
    CPU_OFF,
    CPU_ON[0],
    CPU_ON[1],
    AFFINITY_INFO[0],
    AFFINITY_INFO[1],
    SYSTEM_OFF,
    SYSTEM_RESET,
    PSCI_FEATURES,
];

fn feature(function: u32) -> u64 {
    smc(PSCI_FEATURES, [function.into(), 0, 0])
}

fn run(_platform: &mut Platform) {
    for function in MANDATORY {
        let answer = feature(function);
        // CPU_SUSPEND has flags in bits 0 and 1 (DEN0022F, table 10), the others answer 0.
        let most = if CPU_SUSPEND.contains(&function) { 3 } else { 0 };
        require!(answer <= most, "PSCI_FEATURES of {function:#x} answered {answer:#x}");
    }
    for number in 0..0x20 {
        for function in [0x8400_0000 | number, 0xc400_0000 | number] {
            if feature(function) == NOT_SUPPORTED {
                let answer = smc(function, [0; 3]);
                let absent = answer == NOT_SUPPORTED;
                require!(absent, "{function:#x} is no feature, but answered {answer:#x}");
            }
        }
    }
    for function in [MIGRATE_INFO_TYPE, SMCCC_VERSION] {
        if feature(function) != NOT_SUPPORTED {
            let answer = smc(function, [0; 3]);
            require!(answer != NOT_SUPPORTED, "{function:#x} is a feature, but not supported");
        }
    }
    for function in [0x8400_00ff, 0xc400_0000, 0xc400_000a, 0x8500_0000, 0] {
        let answer = feature(function);
        require!(answer == NOT_SUPPORTED, "PSCI_FEATURES of {function:#x} answered {answer:#x}");
    }
}
