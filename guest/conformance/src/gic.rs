// SPDX-License-Identifier: BSD-2-Clause
//! GICv2 and GICv3 as one CPU sees them (Arm IHI 0048B and IHI 0069H). Registers are named by
//! offset, because the guests check registers; bits for private interrupts are the CPU's own in
//! the GICv2 distributor and in the GICv3 redistributor's second page, at the same offsets.

use crate::mmio::Device;
use crate::timer::Limit;
use crate::{read_register, write_register};

/// Distributor control.
pub const CTLR: usize = 0x000;
/// Distributor type.
pub const TYPER: usize = 0x004;
/// Distributor implementer.
pub const IIDR: usize = 0x008;
/// Interrupt group, a bit each.
pub const IGROUPR: usize = 0x080;
/// Set enable, a bit each.
pub const ISENABLER: usize = 0x100;
/// Clear enable, a bit each.
pub const ICENABLER: usize = 0x180;
/// Set pending, a bit each.
pub const ISPENDR: usize = 0x200;
/// Clear pending, a bit each.
pub const ICPENDR: usize = 0x280;
/// Set active, a bit each.
pub const ISACTIVER: usize = 0x300;
/// Clear active, a bit each.
pub const ICACTIVER: usize = 0x380;
/// Priority, a byte each.
pub const IPRIORITYR: usize = 0x400;
/// Target CPUs, a byte each (GICv2).
pub const ITARGETSR: usize = 0x800;
/// Configuration, two bits each: bit 1 set for an edge.
pub const ICFGR: usize = 0xc00;
/// Software-generated interrupt (GICv2).
pub const SGIR: usize = 0xf00;
/// Routing, 64 bits each (GICv3).
pub const IROUTER: usize = 0x6000;

/// Redistributor type, 64 bits.
pub const GICR_TYPER: usize = 0x008;
/// Redistributor wake.
pub const GICR_WAKER: usize = 0x014;

/// INTIDs from here on are special: nothing is pending (IHI 0048B, 2.2.1).
pub const SPECIAL: u32 = 1020;

/// How the CPU interface is reached.
#[derive(Clone, Copy, Debug)]
enum Interface {
    Memory(Device),
    Registers,
}

/// An interrupt controller.
#[derive(Clone, Copy, Debug)]
pub struct Gic {
    /// GICD.
    pub distributor: Device,
    /// First page of this CPU's redistributor (GICv3).
    pub redistributor: Option<Device>,
    private: Device,
    interface: Interface,
}

impl Gic {
    /// A GICv2.
    #[must_use]
    pub const fn v2(distributor: Device, interface: Device) -> Self {
        Self {
            distributor,
            redistributor: None,
            private: distributor,
            interface: Interface::Memory(interface),
        }
    }

    /// A GICv3 whose redistributor frames start with the one of this CPU; see [`Gic::of`].
    #[must_use]
    pub const fn v3(distributor: Device, redistributors: Device) -> Self {
        // SAFETY: the second 64 KiB page of the same frame (IHI 0069H, 12.10).
        let private = unsafe { Device::new(redistributors.address(0x1_0000)) };
        Self {
            distributor,
            redistributor: Some(redistributors),
            private,
            interface: Interface::Registers,
        }
    }

    /// The same controller as another CPU sees it. Redistributor frames are in the order of CPUs.
    #[must_use]
    pub const fn of(&self, cpu: usize) -> Self {
        match self.redistributor {
            None => *self,
            Some(first) => {
                // SAFETY: a frame of 128 KiB for each CPU (IHI 0069H, 12.10).
                Self::v3(self.distributor, unsafe { Device::new(first.address(cpu * 0x2_0000)) })
            }
        }
    }

    /// Whether it is a GICv3.
    #[must_use]
    pub const fn is_v3(&self) -> bool {
        self.redistributor.is_some()
    }

    /// The page with the registers of this interrupt.
    #[must_use]
    pub const fn page(&self, intid: u32) -> Device {
        if intid < 32 { self.private } else { self.distributor }
    }

    /// Lets interrupts through to the CPU, as Linux does; each one is still disabled. Like Linux it
    /// forgets the priorities of interrupts that were active before a reset: seL4 keeps them in the
    /// virtual CPU interface, where the monitor cannot reach them.
    pub fn set_up(&self) {
        match (self.redistributor, self.interface) {
            (_, Interface::Memory(interface)) => {
                self.distributor.write(CTLR, 1);
                for register in 0..4 {
                    interface.write(0x0d0 + 4 * register, 0); // GICC_APRn
                }
                interface.write(0x004, 0xf0); // GICC_PMR
                interface.write(0x000, 1); // GICC_CTLR.Enable
            }
            (redistributor, Interface::Registers) => {
                if let Some(frame) = redistributor {
                    frame.write(GICR_WAKER, frame.read(GICR_WAKER) & !(1 << 1));
                    let limit = Limit::milliseconds(1000);
                    while frame.read(GICR_WAKER) & (1 << 2) != 0 {
                        crate::require!(!limit.is_over(), "GICR_WAKER.ChildrenAsleep stays set");
                    }
                }
                let lines = 32 * ((self.distributor.read(TYPER) & 0x1f) + 1);
                for word in 0..lines / 32 {
                    self.page(word * 32).write(IGROUPR + 4 * word as usize, !0);
                }
                self.distributor.write(CTLR, 0x13); // ARE, EnableGrp1A, EnableGrp1
                write_register!("S3_0_C12_C12_5", read_register!("S3_0_C12_C12_5") | 1); // SRE
                // Five bits of priority need no more than the first of the four registers.
                write_register!("S3_0_C12_C9_0", 0); // ICC_AP1R0_EL1
                self.set_mask(0xf0);
                write_register!("S3_0_C12_C12_4", 0); // ICC_CTLR_EL1: EOImode 0
                write_register!("S3_0_C12_C12_7", 1); // ICC_IGRPEN1_EL1
            }
        }
    }

    /// Holds back priorities at and below (numerically from) `mask`.
    pub fn set_mask(&self, mask: u8) {
        match self.interface {
            Interface::Memory(interface) => interface.write(0x004, mask.into()), // GICC_PMR
            Interface::Registers => write_register!("S3_0_C4_C6_0", mask.into()), // ICC_PMR_EL1
        }
    }

    fn set_bit(&self, register: usize, intid: u32) {
        self.page(intid).write(register + 4 * (intid / 32) as usize, 1 << (intid % 32));
    }

    fn bit(&self, register: usize, intid: u32) -> bool {
        let word = self.page(intid).read(register + 4 * (intid / 32) as usize);
        word & (1 << (intid % 32)) != 0
    }

    /// Enables the interrupt.
    pub fn enable(&self, intid: u32) {
        self.set_bit(ISENABLER, intid);
    }

    /// Disables the interrupt.
    pub fn disable(&self, intid: u32) {
        self.set_bit(ICENABLER, intid);
    }

    /// Whether the interrupt is enabled.
    #[must_use]
    pub fn is_enabled(&self, intid: u32) -> bool {
        self.bit(ISENABLER, intid)
    }

    /// Makes an SPI pending.
    pub fn pend(&self, intid: u32) {
        self.set_bit(ISPENDR, intid);
    }

    /// Takes a pending interrupt back.
    pub fn unpend(&self, intid: u32) {
        self.set_bit(ICPENDR, intid);
    }

    /// Whether the distributor says that the interrupt is pending.
    #[must_use]
    pub fn is_pending(&self, intid: u32) -> bool {
        self.bit(ISPENDR, intid)
    }

    /// Sets the interrupt's priority; 0 is the highest.
    pub fn set_priority(&self, intid: u32, priority: u8) {
        self.page(intid).write8(IPRIORITYR + intid as usize, priority);
    }

    /// Routes an SPI to this CPU.
    pub fn set_target(&self, intid: u32) {
        if self.is_v3() {
            let own = read_register!("mpidr_el1") & 0xff_00ff_ffff;
            self.distributor.write64(IROUTER + 8 * intid as usize, own);
        } else {
            self.distributor.write8(ITARGETSR + intid as usize, 1);
        }
    }

    /// Routes an SPI to a CPU.
    pub fn set_target_cpu(&self, intid: u32, cpu: usize) {
        if self.is_v3() {
            self.distributor.write64(IROUTER + 8 * intid as usize, cpu as u64);
        } else {
            self.distributor.write8(ITARGETSR + intid as usize, 1 << cpu);
        }
    }

    /// Sends a software-generated interrupt to a CPU, whose affinity is its number.
    pub fn send_to(&self, sgi: u32, cpu: usize) {
        match self.interface {
            Interface::Memory(_) => self.distributor.write(SGIR, (1 << (16 + cpu)) | sgi),
            Interface::Registers => {
                write_register!("S3_0_C12_C11_5", u64::from(sgi) << 24 | 1 << cpu);
            }
        }
    }

    /// Sends a software-generated interrupt to every CPU but this one.
    pub fn send_to_others(&self, sgi: u32) {
        match self.interface {
            // Target filter 1 (IHI 0048B, 4.3.15); the IRM bit (IHI 0069H, 12.2.22).
            Interface::Memory(_) => self.distributor.write(SGIR, (1 << 24) | sgi),
            Interface::Registers => {
                write_register!("S3_0_C12_C11_5", u64::from(sgi) << 24 | 1 << 40);
            }
        }
    }

    /// Sends a software-generated interrupt to this CPU alone.
    pub fn send_to_self(&self, sgi: u32) {
        match self.interface {
            // Target filter 2: the CPU that writes (IHI 0048B, 4.3.15).
            Interface::Memory(_) => self.distributor.write(SGIR, (2 << 24) | sgi),
            Interface::Registers => {
                // ICC_SGI1R_EL1: affinity 3.2.1 and a target list with one bit (IHI 0069H, 12.2.22).
                let own = read_register!("mpidr_el1");
                let affinity = ((own >> 32) & 0xff) << 48
                    | ((own >> 16) & 0xff) << 32
                    | ((own >> 8) & 0xff) << 16;
                let target = 1 << (own & 0xf);
                write_register!("S3_0_C12_C11_5", affinity | u64::from(sgi) << 24 | target);
            }
        }
    }

    /// Acknowledges the best pending interrupt: the whole GICC_IAR or ICC_IAR1_EL1, which holds
    /// the INTID and, for a GICv2 SGI, the sender.
    #[must_use]
    pub fn acknowledge(&self) -> u32 {
        match self.interface {
            Interface::Memory(interface) => interface.read(0x00c),
            Interface::Registers => {
                let value = read_register!("S3_0_C12_C12_0") as u32;
                // The acknowledge takes effect before what follows (IHI 0069H, 12.2.14).
                // SAFETY: a barrier.
                unsafe { core::arch::asm!("dsb sy") };
                value
            }
        }
    }

    /// Ends the interrupt with this acknowledge value.
    pub fn end(&self, acknowledged: u32) {
        match self.interface {
            Interface::Memory(interface) => interface.write(0x010, acknowledged),
            Interface::Registers => write_register!("S3_0_C12_C12_1", acknowledged.into()),
        }
    }

    /// From now on [`Gic::end`] drops the priority and no more, and [`Gic::deactivate`] ends the
    /// interrupt; or both are one again (GICC_CTLR.EOImode, IHI 0048B, 4.4.1; ICC_CTLR_EL1.EOImode).
    pub fn set_two_steps(&self, on: bool) {
        match self.interface {
            Interface::Memory(interface) => interface.write(0x000, 1 | u32::from(on) << 9),
            Interface::Registers => write_register!("S3_0_C12_C12_4", u64::from(on) << 1),
        }
    }

    /// Deactivates an interrupt whose priority was dropped (GICC_DIR, IHI 0048B, 4.4.15; ICC_DIR_EL1).
    pub fn deactivate(&self, acknowledged: u32) {
        match self.interface {
            Interface::Memory(interface) => interface.write(0x1000, acknowledged),
            Interface::Registers => write_register!("S3_0_C12_C11_1", acknowledged.into()),
        }
    }

    /// Acknowledges an interrupt as soon as there is one; `None` once `milliseconds` are over.
    #[must_use]
    pub fn next_within(&self, milliseconds: u64) -> Option<u32> {
        let limit = Limit::milliseconds(milliseconds);
        loop {
            let acknowledged = self.acknowledge();
            if acknowledged & 0x3ff < SPECIAL {
                return Some(acknowledged);
            }
            if limit.is_over() {
                return None;
            }
        }
    }

    /// Fails the guest unless the next interrupt is this one; ends it.
    pub fn expect(&self, intid: u32) {
        self.expect_held(intid, || ());
    }

    /// Fails the guest unless the next interrupt is this one; ends it once `release` has made the
    /// device lower its line.
    pub fn expect_held(&self, intid: u32, release: impl FnOnce()) {
        match self.next_within(1000) {
            None => crate::fail!("INTID {intid} did not come within a second"),
            Some(acknowledged) if acknowledged & 0x3ff == intid => {
                release();
                self.end(acknowledged);
            }
            Some(other) => crate::fail!("INTID {} came in place of {intid}", other & 0x3ff),
        }
    }

    /// Fails the guest if any interrupt comes for a while.
    pub fn expect_none(&self) {
        if let Some(acknowledged) = self.next_within(5) {
            crate::fail!("INTID {} came, and none was due", acknowledged & 0x3ff);
        }
    }
}
