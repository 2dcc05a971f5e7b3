// SPDX-License-Identifier: BSD-2-Clause
//! Whose a firmware call is, by its number (DEN0028F, table 6-2), and which calls only ask
//! whether something is there.

use crate::arm::numbers::id;

/// The range that a function is in, in words.
#[must_use]
pub const fn name(function: u32) -> &'static str {
    if function >> 31 == 0 {
        // Yielding calls (DEN0028F, 2.5.2).
        return match function {
            0..=0x0100_ffff => "Armv7 legacy",
            0x0200_0000..=0x1fff_ffff => "trusted OS, yielding",
            _ => "reserved, yielding",
        };
    }
    match function >> 24 & 0x3f {
        0 => "Arm architecture",
        1 => "CPU",
        2 => "chip (SiP)",
        3 => "board (OEM)",
        4 => standard(function & 0xffff),
        5 => "standard hypervisor",
        6 => "vendor's hypervisor",
        7..=47 => "reserved",
        48 | 49 => "trusted application",
        _ => "trusted OS",
    }
}

/// The parts of the standard secure services.
const fn standard(number: u32) -> &'static str {
    match number {
        0x00..=0x1f => "PSCI",
        0x20..=0x3f => "software delegated exceptions (SDEI)",
        0x40..=0x4f => "management mode (MM)",
        0x50..=0x5f => "random numbers (TRNG)",
        0x60..=0xef => "firmware framework (FF-A)",
        0xf0..=0x10f => "errata management",
        0x130..=0x14f => "firmware update",
        0x150..=0x1cf => "realm management",
        0x2e0..=0x2ef => "live firmware activation",
        _ => "standard secure",
    }
}

/// Whether a function only asks what is there. Kernels call these at every boot, and NOT_SUPPORTED
/// is an ordinary answer: nothing that anyone should hear of.
#[must_use]
pub const fn asks(function: u32) -> bool {
    // Every range has the number of its calls, its UID and its revision (DEN0028F, 6.2).
    let general = function >> 31 == 1 && matches!(function & 0xffff, 0xff00 | 0xff01 | 0xff03);
    general
        || matches!(
            function,
            id::SMCCC_ARCH_SOC_ID
                | id::SMCCC_ARCH_FEATURE_AVAILABILITY_32
                | id::SMCCC_ARCH_FEATURE_AVAILABILITY_64
                | id::SMCCC_ARCH_WORKAROUND_1
                | id::SMCCC_ARCH_WORKAROUND_2
                | id::SMCCC_ARCH_WORKAROUND_3
                | 0xc400_0020 // SDEI_VERSION
                | 0x8400_0040 // MM_VERSION
                | 0x8400_0063 // FFA_VERSION
                | 0x8400_00f0 // EM_VERSION
                | 0xc400_0150 // RMI_VERSION
                | 0xc400_02e0 // LFA_VERSION
                | id::PV_TIME_FEATURES
                | id::PV_TIME_ST
        )
}
