// SPDX-License-Identifier: BSD-2-Clause
//! Numbers of firmware calls, each once: the planner and the hosts take them from here
//! (docs/decisions/function-numbers.md).

/// Function identifiers (DEN0022F, 5.1; DEN0028F, 7).
pub mod id {
    /// PSCI_VERSION.
    pub const PSCI_VERSION: u32 = 0x8400_0000;
    /// CPU_SUSPEND, 32-bit arguments.
    pub const CPU_SUSPEND_32: u32 = 0x8400_0001;
    /// CPU_SUSPEND, 64-bit arguments.
    pub const CPU_SUSPEND_64: u32 = 0xc400_0001;
    /// CPU_OFF.
    pub const CPU_OFF: u32 = 0x8400_0002;
    /// CPU_ON, 32-bit arguments.
    pub const CPU_ON_32: u32 = 0x8400_0003;
    /// CPU_ON, 64-bit arguments.
    pub const CPU_ON_64: u32 = 0xc400_0003;
    /// AFFINITY_INFO, 32-bit arguments.
    pub const AFFINITY_INFO_32: u32 = 0x8400_0004;
    /// AFFINITY_INFO, 64-bit arguments.
    pub const AFFINITY_INFO_64: u32 = 0xc400_0004;
    /// MIGRATE_INFO_TYPE.
    pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
    /// SYSTEM_OFF.
    pub const SYSTEM_OFF: u32 = 0x8400_0008;
    /// SYSTEM_RESET.
    pub const SYSTEM_RESET: u32 = 0x8400_0009;
    /// PSCI_FEATURES.
    pub const PSCI_FEATURES: u32 = 0x8400_000a;
    /// SYSTEM_RESET2, 32-bit arguments.
    pub const SYSTEM_RESET2_32: u32 = 0x8400_0012;
    /// SYSTEM_RESET2, 64-bit arguments.
    pub const SYSTEM_RESET2_64: u32 = 0xc400_0012;
    /// TRNG_VERSION (DEN0098 1.0, 2.3).
    pub const TRNG_VERSION: u32 = 0x8400_0050;
    /// TRNG_FEATURES (DEN0098, 2.4).
    pub const TRNG_FEATURES: u32 = 0x8400_0051;
    /// TRNG_GET_UUID (DEN0098, 2.5).
    pub const TRNG_GET_UUID: u32 = 0x8400_0052;
    /// TRNG_RND, 32-bit registers (DEN0098, 2.6).
    pub const TRNG_RND_32: u32 = 0x8400_0053;
    /// TRNG_RND, 64-bit registers (DEN0098, 2.6).
    pub const TRNG_RND_64: u32 = 0xc400_0053;
    /// SMCCC_VERSION.
    pub const SMCCC_VERSION: u32 = 0x8000_0000;
    /// SMCCC_ARCH_FEATURES.
    pub const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
    /// SMCCC_ARCH_SOC_ID.
    pub const SMCCC_ARCH_SOC_ID: u32 = 0x8000_0002;
    /// SMCCC_ARCH_FEATURE_AVAILABILITY, 32-bit arguments.
    pub const SMCCC_ARCH_FEATURE_AVAILABILITY_32: u32 = 0x8000_0003;
    /// SMCCC_ARCH_FEATURE_AVAILABILITY, 64-bit arguments.
    pub const SMCCC_ARCH_FEATURE_AVAILABILITY_64: u32 = 0xc000_0003;
    /// SMCCC_ARCH_WORKAROUND_1.
    pub const SMCCC_ARCH_WORKAROUND_1: u32 = 0x8000_8000;
    /// SMCCC_ARCH_WORKAROUND_2.
    pub const SMCCC_ARCH_WORKAROUND_2: u32 = 0x8000_7fff;
    /// SMCCC_ARCH_WORKAROUND_3.
    pub const SMCCC_ARCH_WORKAROUND_3: u32 = 0x8000_3fff;
    /// PV_TIME_FEATURES (DEN0057A).
    pub const PV_TIME_FEATURES: u32 = 0xc500_0020;
    /// PV_TIME_ST (DEN0057A).
    pub const PV_TIME_ST: u32 = 0xc500_0021;
    /// UID of the vendor's hypervisor services.
    pub const VENDOR_HYPERVISOR_UID: u32 = 0x8600_ff01;
}

/// Function identifiers of NXP's firmware on the i.MX 8M (TF-A, plat/imx/common/include/imx_sip_svc.h).
pub mod imx {
    /// Power domains of the whole chip.
    pub const GPC: u32 = 0xc200_0000;
    /// The processors' clock.
    pub const CPUFREQ: u32 = 0xc200_0001;
    /// The secure real-time clock.
    pub const SRTC: u32 = 0xc200_0003;
    /// The memory's clock.
    pub const DDR_DVFS: u32 = 0xc200_0004;
    /// Resets of other cores.
    pub const SRC: u32 = 0xc200_0005;
    /// Silicon revision.
    pub const GET_SOC_INFO: u32 = 0xc200_0006;
    /// Fuses.
    pub const HAB: u32 = 0xc200_000b;
}
