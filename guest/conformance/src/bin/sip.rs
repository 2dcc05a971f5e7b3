// SPDX-License-Identifier: BSD-2-Clause
//! Calls of the i.MX firmware: those that reach the whole chip answer -1 in all 64 bits, and the
//! silicon revision does so too unless the boot argument `revision=VALUE` says what it answers.
#![no_std]
#![no_main]

use guest_conformance::smccc::{NOT_SUPPORTED, smc};
use guest_conformance::{Platform, guest, require};

guest!(run);

/// GET_SOC_INFO (TF-A, plat/imx/common/include/imx_sip_svc.h).
const SOC_INFO: u32 = 0xc200_0006;

/// GPC, CPUFREQ, DDR_DVFS, SRC, HAB (ibid.).
const DANGEROUS: [u32; 5] = [0xc200_0000, 0xc200_0001, 0xc200_0004, 0xc200_0005, 0xc200_000b];

fn run(platform: &mut Platform) {
    for id in DANGEROUS {
        let answer = smc(id, [0; 3]);
        require!(answer == NOT_SUPPORTED, "{id:#x} answered {answer:#x}, not 64-bit -1");
    }
    let expected = platform.argument("revision").unwrap_or(NOT_SUPPORTED);
    let answer = smc(SOC_INFO, [0; 3]);
    require!(answer == expected, "{SOC_INFO:#x} answered {answer:#x}, not {expected:#x}");
}
