// SPDX-License-Identifier: BSD-2-Clause
//! Registers by name: byte offsets in their windows, and the fields of those that the controller
//! makes up itself. A name stands for the first of several; what follows a block begins where that
//! one ends.

use crate::ids::Vcpu;

/// One of the controller's register windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// GICD.
    Distributor,
    /// GICR of one vCPU (GICv3 only).
    Redistributor(Vcpu),
}

/// A store of 32 bits or fewer, as its register sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegisterWrite {
    /// Bits outside of `mask` mean nothing.
    pub value: u32,
    /// The bits that are stored.
    pub mask: u32,
}

impl RegisterWrite {
    /// The bits that are stored as one.
    pub(super) const fn ones(self) -> u32 {
        self.value & self.mask
    }

    /// What a register that held `old` holds behind it.
    pub(super) const fn onto(self, old: u32) -> u32 {
        (old & !self.mask) | self.ones()
    }
}

/// The lower and the upper half of a register of 64 bits.
pub(super) const fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// Where an access lies in its register of 32 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    /// Offset of the register, or of the first of two.
    pub first: u64,
    /// The shift of the access' lowest byte in it.
    pub shift: u32,
    /// The mask of its bytes before that shift.
    pub mask: u32,
}

impl Lanes {
    /// `None` if the access is not aligned to its size.
    pub(super) fn of(offset: u64, size: u8) -> Option<Self> {
        let mask = match size {
            1 => 0xff,
            2 => 0xffff,
            4 | 8 => u32::MAX,
            _ => return None,
        };
        if !offset.is_multiple_of(u64::from(size)) {
            return None;
        }
        let shift = u32::try_from(offset & 3).ok()?.wrapping_mul(8);
        Some(Self { first: offset & !3, shift, mask })
    }
}

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
    /// IHI 0048B, 4.1.2.
    pub const V2_END: u64 = 0x1000;
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
