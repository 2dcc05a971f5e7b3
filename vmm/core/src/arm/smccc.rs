// SPDX-License-Identifier: BSD-2-Clause
//! Firmware calls: which function a guest asks for, and what the answer is before anyone acts.
//!
//! PSCI 1.1 (Arm DEN0022F), SMCCC 1.1 (Arm DEN0028F). Every call has an answer: what nobody knows
//! is NOT_SUPPORTED in all 64 bits, so that neither a 32-bit nor a 64-bit reader takes it for a
//! value.

pub use crate::arm::numbers::id;
use crate::arm::numbers::imx;
use crate::arm::services;
use crate::plan::{PlanBlock, RuleAction};

/// SMCCC and PSCI NOT_SUPPORTED, 64 bits wide (DEN0028F, 2.9; DEN0022F, 5.2.2).
pub const NOT_SUPPORTED: u64 = u64::MAX;
/// PSCI SUCCESS.
pub const SUCCESS: u64 = 0;
/// PSCI INVALID_PARAMETERS.
pub const INVALID_PARAMETERS: u64 = minus(2);
/// PSCI ALREADY_ON.
pub const ALREADY_ON: u64 = minus(4);
/// PSCI INVALID_ADDRESS.
pub const INVALID_ADDRESS: u64 = minus(9);

const fn minus(code: u64) -> u64 {
    0_u64.wrapping_sub(code)
}

/// PSCI version 1.1.
const PSCI_VERSION: u64 = 1 << 16 | 1;
/// SMCCC version 1.1.
const SMCCC_VERSION: u64 = 1 << 16 | 1;
/// MIGRATE_INFO_TYPE: no trusted OS that would have to move.
const NO_MIGRATION: u64 = 2;

/// Calls of the i.MX 8M firmware that change clocks, power, resets or fuses for everyone on the
/// chip: never forwarded, whatever the board's rules say.
pub const NEVER_FORWARDED: [u32; 5] = [imx::GPC, imx::CPUFREQ, imx::DDR_DVFS, imx::SRC, imx::HAB];

/// What a firmware call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Answer with this in X0.
    Answer(u64),
    /// Nobody knows this function: NOT_SUPPORTED, and worth counting.
    Unknown,
    /// Hand it to the board's firmware.
    Forward,
    /// Random numbers: [`crate::arm::trng::answer`].
    Random {
        /// One of `id::TRNG_*`.
        function: u32,
        /// X1.
        argument: u64,
    },
    /// PSCI CPU_SUSPEND: wait for an interrupt.
    Suspend,
    /// PSCI CPU_OFF.
    CpuOff,
    /// PSCI CPU_ON.
    CpuOn {
        /// MPIDR of the vCPU.
        target: u64,
        /// Where it starts.
        entry: u64,
        /// Its X0.
        context: u64,
    },
    /// PSCI AFFINITY_INFO.
    AffinityInfo {
        /// MPIDR of the vCPU.
        target: u64,
        /// Lowest affinity level.
        level: u64,
    },
    /// PSCI SYSTEM_OFF.
    SystemOff,
    /// PSCI SYSTEM_RESET or SYSTEM_RESET2.
    SystemReset,
}

/// Looks a call up. `args` are X0 to X3; of X0 the function identifier is the lower half, and a
/// function of the 32-bit convention takes the lower half of the others (DEN0028F, 2.5).
#[must_use]
pub fn look_up(plan: &PlanBlock<'_>, args: [u64; 4]) -> Call {
    let [x0, x1, x2, x3] = args;
    let Ok(function) = u32::try_from(x0 & 0xffff_ffff) else { return Call::Unknown };
    let wide = function & 1 << 30 != 0;
    let cut = |arg: u64| if wide { arg } else { arg & 0xffff_ffff };
    match function {
        id::PSCI_VERSION => Call::Answer(PSCI_VERSION),
        id::CPU_SUSPEND_32 | id::CPU_SUSPEND_64 => Call::Suspend,
        id::CPU_OFF => Call::CpuOff,
        id::CPU_ON_32 | id::CPU_ON_64 => {
            Call::CpuOn { target: cut(x1), entry: cut(x2), context: cut(x3) }
        }
        id::AFFINITY_INFO_32 | id::AFFINITY_INFO_64 => {
            Call::AffinityInfo { target: cut(x1), level: cut(x2) }
        }
        id::MIGRATE_INFO_TYPE => Call::Answer(NO_MIGRATION),
        id::SYSTEM_OFF => Call::SystemOff,
        id::SYSTEM_RESET => Call::SystemReset,
        // Type 0 is the architected warm reset; vendors' types are not ours (DEN0022F, 5.14).
        id::SYSTEM_RESET2_32 | id::SYSTEM_RESET2_64 if x1 & 0xffff_ffff == 0 => Call::SystemReset,
        id::SYSTEM_RESET2_32 | id::SYSTEM_RESET2_64 => Call::Answer(INVALID_PARAMETERS),
        id::PSCI_FEATURES => Call::Answer(psci_feature(x1)),
        id::SMCCC_VERSION => Call::Answer(SMCCC_VERSION),
        id::SMCCC_ARCH_FEATURES => Call::Answer(arch_feature(x1)),
        // Before the rules: no rule can take PSCI or random numbers from the monitor.
        _ if is_random(function) => Call::Random { function, argument: x1 },
        _ => by_rule(plan, function),
    }
}

/// Whether a function is one of the interface to random numbers.
#[must_use]
pub const fn is_random(function: u32) -> bool {
    matches!(
        function,
        id::TRNG_VERSION
            | id::TRNG_FEATURES
            | id::TRNG_GET_UUID
            | id::TRNG_RND_32
            | id::TRNG_RND_64
    )
}

fn by_rule(plan: &PlanBlock<'_>, function: u32) -> Call {
    match plan.rules().find(|rule| rule.function == function) {
        None if services::asks(function) => Call::Answer(NOT_SUPPORTED),
        None => Call::Unknown,
        Some(rule) => match rule.action {
            RuleAction::Answer => Call::Answer(rule.value),
            RuleAction::Forward if may_forward(function) => Call::Forward,
            RuleAction::Forward => Call::Unknown,
        },
    }
}

/// Whether a function may be handed to the firmware at all: a fast call of the SiP or OEM range
/// that is not on the list of those that hurt (DEN0028F, table 2-1). PSCI is the monitor's own.
#[must_use]
pub fn may_forward(function: u32) -> bool {
    let fast = function >> 31 == 1;
    let owner = function >> 24 & 0x3f;
    fast && matches!(owner, 2 | 3) && !NEVER_FORWARDED.contains(&function)
}

/// PSCI_FEATURES: 0 for what is there (CPU_SUSPEND: the original parameter format).
fn psci_feature(function: u64) -> u64 {
    let known = u32::try_from(function & 0xffff_ffff).is_ok_and(|function| {
        matches!(
            function,
            id::PSCI_VERSION
                | id::CPU_SUSPEND_32
                | id::CPU_SUSPEND_64
                | id::CPU_OFF
                | id::CPU_ON_32
                | id::CPU_ON_64
                | id::AFFINITY_INFO_32
                | id::AFFINITY_INFO_64
                | id::MIGRATE_INFO_TYPE
                | id::SYSTEM_OFF
                | id::SYSTEM_RESET
                | id::PSCI_FEATURES
                | id::SYSTEM_RESET2_32
                | id::SYSTEM_RESET2_64
                | id::SMCCC_VERSION
        )
    });
    if known { SUCCESS } else { NOT_SUPPORTED }
}

/// SMCCC_ARCH_FEATURES: the two functions of this group; no workaround, no SOC_ID.
fn arch_feature(function: u64) -> u64 {
    let known = u32::try_from(function & 0xffff_ffff)
        .is_ok_and(|function| matches!(function, id::SMCCC_VERSION | id::SMCCC_ARCH_FEATURES));
    if known { SUCCESS } else { NOT_SUPPORTED }
}
