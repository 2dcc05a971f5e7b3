// SPDX-License-Identifier: BSD-2-Clause
//! Registers by name: byte offsets in their windows, and the fields of those that the controller
//! makes up itself. A name stands for the first of several; what follows a block begins where that
//! one ends.

/// The distributor (Arm IHI 0048B, table 4-1; IHI 0069H, 12.8).
pub(super) mod gicd {
    pub const CTLR: u64 = 0x000;
    pub const TYPER: u64 = 0x004;
    pub const IIDR: u64 = 0x008;
    pub const TYPER2: u64 = 0x00c;
    pub const IGROUPR: u64 = 0x080;
    pub const ISENABLER: u64 = 0x100;
    pub const ICENABLER: u64 = 0x180;
    pub const ISPENDR: u64 = 0x200;
    pub const ICPENDR: u64 = 0x280;
    pub const ISACTIVER: u64 = 0x300;
    pub const ICACTIVER: u64 = 0x380;
    pub const IPRIORITYR: u64 = 0x400;
    pub const ITARGETSR: u64 = 0x800;
    pub const ICFGR: u64 = 0xc00;
    /// Behind the blocks that both versions have; GICv3's GICD_IGRPMODR.
    pub const BLOCKS_END: u64 = 0xd00;
    pub const NSACR: u64 = 0xe00;
    pub const SGIR: u64 = 0xf00;
    pub const CPENDSGIR: u64 = 0xf10;
    pub const SPENDSGIR: u64 = 0xf20;
    pub const SPENDSGIR_END: u64 = 0xf30;
    /// GICv2's identification registers; ICPIDR2 among them.
    pub const V2_ID: u64 = 0xfd0;
    pub const V2_ICPIDR2: u64 = 0xfe8;
    pub const V2_END: u64 = super::super::v2::DISTRIBUTOR_SIZE;
    pub const IROUTER: u64 = 0x6000;
    pub const IROUTER_END: u64 = 0x8000;

    /// CTLR.EnableGrp0 and EnableGrp1 (IHI 0048B, 4.3.1).
    pub const CTLR_GROUPS: u32 = 0b11;
    /// GICv3's CTLR.ARE and CTLR.DS, both fixed at one.
    pub const CTLR_FIXED: u32 = 1 << 4 | 1 << 6;
    /// GICv3's TYPER: 10 bits of INTID, affinity 3 valid, no 1-of-N.
    pub const TYPER_FIXED: u32 = 9 << 19 | 1 << 24 | 1 << 25;
    /// Implementer Arm, everything else zero.
    pub const IIDR_ARM: u32 = 0x43b;
    /// ICPIDR2: architecture 2.
    pub const V2_ARCHITECTURE: u32 = 0x2b;
    /// IROUTER.Interrupt_Routing_Mode: any vCPU.
    pub const IROUTER_ANY: u64 = 1 << 31;
    /// The affinity fields of IROUTER.
    pub const IROUTER_AFFINITY: u64 = 0xff_00ff_ffff;
}

/// The first frame of a redistributor (IHI 0069H, 12.10). The second one has the distributor's blocks.
pub(super) mod gicr {
    pub const CTLR: u64 = 0x000;
    pub const IIDR: u64 = 0x004;
    pub const TYPER: u64 = 0x008;
    /// Its upper half: the affinity.
    pub const TYPER_HIGH: u64 = 0x00c;
    pub const STATUSR: u64 = 0x010;
    pub const WAKER: u64 = 0x014;
    /// Behind STATUSR, WAKER and the registers of LPIs.
    pub const END: u64 = 0x100;

    /// WAKER.ProcessorSleep, and ChildrenAsleep which follows it.
    pub const WAKER_SLEEP: u32 = 1 << 1;
    pub const WAKER_ASLEEP: u32 = 1 << 2;
}

/// What every frame of GICv3 ends with (IHI 0069H, 12.1.13): identification, PIDR2 among it.
pub(super) mod frame {
    pub const ID: u64 = 0xffd0;
    pub const PIDR2: u64 = 0xffe8;
    pub const END: u64 = 0x1_0000;

    /// PIDR2: architecture 3.
    pub const V3_ARCHITECTURE: u32 = 0x3b;
}
