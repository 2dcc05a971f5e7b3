// SPDX-License-Identifier: BSD-2-Clause
//! CPU_ON of a CPU that is not there answers INVALID_PARAMETERS, and of the caller ALREADY_ON;
//! AFFINITY_INFO says the same of them.
#![no_std]
#![no_main]

use guest_conformance::smccc::{AFFINITY_INFO, ALREADY_ON, CPU_ON, INVALID_PARAMETERS, smc};
use guest_conformance::{Platform, guest, read_register, require};

guest!(run);

/// Affinities that no machine here has: 7.7.7, one with reserved bits, all ones.
const UNKNOWN: [u64; 3] = [0x07_0707, 0x4000_0001, 0xffff_ffff];

fn run(platform: &mut Platform) {
    let entry = guest_conformance::image().start as u64;
    let own = read_register!("mpidr_el1") & 0xff_00ff_ffff;
    let limit = platform.ram.start as u64;
    require!(entry >= limit, "the image is at {entry:#x}, below RAM");
    for function in CPU_ON {
        for target in UNKNOWN {
            let answer = smc(function, [target, entry, 0]);
            let invalid = answer == INVALID_PARAMETERS;
            require!(invalid, "CPU_ON {function:#x} of {target:#x} answered {answer:#x}");
        }
        let answer = smc(function, [own, entry, 0]);
        require!(answer == ALREADY_ON, "CPU_ON {function:#x} of itself answered {answer:#x}");
    }
    for function in AFFINITY_INFO {
        for target in UNKNOWN {
            let answer = smc(function, [target, 0, 0]);
            let invalid = answer == INVALID_PARAMETERS;
            require!(invalid, "AFFINITY_INFO {function:#x} of {target:#x} answered {answer:#x}");
        }
        let answer = smc(function, [own, 0, 0]);
        require!(answer == 0, "AFFINITY_INFO {function:#x} of itself answered {answer:#x}, not ON");
    }
}
