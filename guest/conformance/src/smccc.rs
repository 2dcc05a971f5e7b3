// SPDX-License-Identifier: BSD-2-Clause
//! Firmware calls (Arm DEN0028F) and the PSCI functions that the guests use (Arm DEN0022F, 5).

use core::arch::asm;

/// PSCI_VERSION.
pub const PSCI_VERSION: u32 = 0x8400_0000;
/// CPU_SUSPEND, SMC32 and SMC64.
pub const CPU_SUSPEND: [u32; 2] = [0x8400_0001, 0xc400_0001];
/// CPU_OFF.
pub const CPU_OFF: u32 = 0x8400_0002;
/// CPU_ON, SMC32 and SMC64.
pub const CPU_ON: [u32; 2] = [0x8400_0003, 0xc400_0003];
/// AFFINITY_INFO, SMC32 and SMC64.
pub const AFFINITY_INFO: [u32; 2] = [0x8400_0004, 0xc400_0004];
/// MIGRATE_INFO_TYPE.
pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
/// SYSTEM_OFF.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// SYSTEM_RESET.
pub const SYSTEM_RESET: u32 = 0x8400_0009;
/// PSCI_FEATURES.
pub const PSCI_FEATURES: u32 = 0x8400_000a;
/// SYSTEM_RESET2, SMC32 and SMC64.
pub const SYSTEM_RESET2: [u32; 2] = [0x8400_0012, 0xc400_0012];
/// SMCCC_VERSION.
pub const SMCCC_VERSION: u32 = 0x8000_0000;

/// Answer to a call that is not implemented, in SMCCC and PSCI alike, as X0 holds it.
pub const NOT_SUPPORTED: u64 = -1_i64 as u64;
/// INVALID_PARAMETERS, as X0 holds it.
pub const INVALID_PARAMETERS: u64 = -2_i64 as u64;
/// ALREADY_ON, as X0 holds it.
pub const ALREADY_ON: u64 = -4_i64 as u64;

/// Makes a firmware call by SMC with X0 to X3; the answer's X0.
#[must_use]
pub fn smc(function: u32, arguments: [u64; 3]) -> u64 {
    smc_all(function, arguments)[0]
}

/// Makes a firmware call by SMC with X0 to X3; the answer's X0 to X3.
#[must_use]
pub fn smc_all(function: u32, arguments: [u64; 3]) -> [u64; 4] {
    let [mut x1, mut x2, mut x3] = arguments;
    let mut x0 = u64::from(function);
    // SAFETY: SMCCC keeps X4 to X30 and memory; a CPU that is turned on has a stack of its own.
    unsafe {
        asm!("smc #0", inout("x0") x0, inout("x1") x1, inout("x2") x2, inout("x3") x3);
    };
    [x0, x1, x2, x3]
}

/// Turns the machine off. If the firmware comes back from that, the guest hangs, and whoever
/// waits for it has a time limit.
pub fn system_off() -> ! {
    let _ = smc(SYSTEM_OFF, [0; 3]);
    loop {
        // SAFETY: waits.
        unsafe { asm!("wfi") };
    }
}
