// SPDX-License-Identifier: BSD-2-Clause
//! The physical interrupt controller, and the list registers through which the guest's virtual
//! one delivers.

use core::arch::asm;
use core::ptr::{NonNull, with_exposed_provenance_mut};

use arm_gic::gicv2::GicV2;
use arm_gic::gicv3::{GicCpuInterface, GicV3};
use arm_gic::{IntId, InterruptGroup, Trigger, UniqueMmioPointer};
use arm_sysregs::el1::accessors::{read_id_aa64pfr0_el1, read_mpidr_el1};
use arm_sysregs::el2::accessors::{write_ich_hcr_el2, write_ich_vmcr_el2};
use arm_sysregs::el2::registers::{IchHcrEl2, IchVmcrEl2};
use arm_sysregs::{read_sysreg, read_write_sysreg};
use safe_mmio::fields::{ReadPure, ReadPureWrite};
use safe_mmio::{field, field_shared};
use vmm_core::host::Injection;

/// GICH registers (Arm IHI 0048B, 5.3.1).
#[repr(C)]
pub struct Gich {
    hcr: ReadPureWrite<u32>,
    vtr: ReadPure<u32>,
    vmcr: ReadPureWrite<u32>,
    _reserved0: [u32; 5],
    eisr0: ReadPure<u32>,
    _reserved1: [u32; 51],
    apr: ReadPureWrite<u32>,
    _reserved2: [u32; 3],
    lr: [ReadPureWrite<u32>; 64],
}

// ICH registers that arm-sysregs lacks (Arm IHI 0069H, 12.4).
read_sysreg!(ich_vtr_el2: s3_4_c12_c11_1, u64, safe);
read_sysreg!(ich_eisr_el2: s3_4_c12_c11_3, u64, safe);
read_write_sysreg!(ich_ap0r0_el2: s3_4_c12_c8_0, u64, safe_read, safe_write);
read_write_sysreg!(ich_ap1r0_el2: s3_4_c12_c9_0, u64, safe_read, safe_write);

macro_rules! list_registers {
    ($($slot:literal: $register:literal),*) => {
        fn read_ich_lr(slot: u8) -> u64 {
            let value;
            match slot {
                // SAFETY: reading a list register changes nothing.
                $($slot => unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value) },)*
                _ => value = 0,
            }
            value
        }

        fn write_ich_lr(slot: u8, value: u64) {
            match slot {
                // SAFETY: what a list register holds concerns the guest alone.
                $($slot => unsafe { asm!(concat!("msr ", $register, ", {}"), in(reg) value) },)*
                _ => {}
            }
        }
    };
}

list_registers!(
    0: "s3_4_c12_c12_0", 1: "s3_4_c12_c12_1", 2: "s3_4_c12_c12_2", 3: "s3_4_c12_c12_3",
    4: "s3_4_c12_c12_4", 5: "s3_4_c12_c12_5", 6: "s3_4_c12_c12_6", 7: "s3_4_c12_c12_7",
    8: "s3_4_c12_c13_0", 9: "s3_4_c12_c13_1", 10: "s3_4_c12_c13_2", 11: "s3_4_c12_c13_3",
    12: "s3_4_c12_c13_4", 13: "s3_4_c12_c13_5", 14: "s3_4_c12_c13_6", 15: "s3_4_c12_c13_7"
);

/// A GICH_LR (IHI 0048B, 5.3.9): pending, with end-of-interrupt maintenance, no hardware link.
fn encode_v2(irq: Injection) -> u32 {
    u32::from(irq.group) << 30
        | 0b01 << 28
        | u32::from(irq.priority) << 23
        | 1 << 19
        | u32::from(irq.intid.number())
}

/// An ICH_LR_EL2 (IHI 0069H, 12.4.3): as [`encode_v2`]; five of the eight priority bits count.
fn encode_v3(irq: Injection) -> u64 {
    0b01 << 62
        | u64::from(irq.group) << 60
        | u64::from(irq.priority) << 51
        | 1 << 41
        | u64::from(irq.intid.number())
}

/// The interrupt controller of either version.
pub enum Gic {
    /// GICv2.
    V2 {
        /// Distributor and CPU interface.
        physical: GicV2<'static>,
        /// Virtual interface control.
        lists: UniqueMmioPointer<'static, Gich>,
    },
    /// GICv3; the CPU and list registers are system registers.
    V3(GicV3<'static>),
}

impl Gic {
    /// Initialises the controller of this version: every interrupt disabled and level-sensitive,
    /// the virtual interface on. `address` gives the physical address of the registers with a
    /// name: `gicd`, `gicc` and `gich`, or `gicd` and `gicr`. `None` if one is missing, or the
    /// machine has another controller.
    ///
    /// # Safety
    /// The addresses are those of this machine's controller, mapped as device memory, and this is
    /// called once.
    pub unsafe fn new(version: u32, address: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        // System registers are there with GICv3 alone (DDI 0487, D24.2.86, field GIC).
        if (read_id_aa64pfr0_el1().gic() != 0) != (version == 3) {
            return None;
        }
        let distributor = with_exposed_provenance_mut::<()>(address("gicd")?);
        let mut gic = if version == 2 {
            let cpu = with_exposed_provenance_mut(address("gicc")?);
            // SAFETY: the caller's promise.
            let mut physical = unsafe { GicV2::new(distributor.cast(), cpu) };
            physical.enable_all_interrupts(false);
            physical.setup();
            let lists = NonNull::new(with_exposed_provenance_mut(address("gich")?))?;
            // SAFETY: the caller's promise.
            let lists = unsafe { UniqueMmioPointer::new(lists) };
            Self::V2 { physical, lists }
        } else {
            GicCpuInterface::enable_system_register_el2(true);
            let frames = NonNull::new(with_exposed_provenance_mut(address("gicr")?))?;
            let distributor = NonNull::new(distributor.cast())?;
            // SAFETY: the caller's promise.
            let distributor = unsafe { UniqueMmioPointer::new(distributor) };
            // SAFETY: the caller's promise. One processor, so one redistributor is touched.
            let mut physical = unsafe { GicV3::new(distributor, frames, 1) }.ok()?;
            physical.enable_all_interrupts(false);
            physical.setup(0);
            GicCpuInterface::set_priority_mask(0xff);
            Self::V3(physical)
        };
        gic.reset_virtual();
        Some(gic)
    }

    /// Forgets everything that the virtual interface holds, as a reset does.
    pub fn reset_virtual(&mut self) {
        for slot in 0..self.slots() {
            self.write_list(slot, None);
        }
        match self {
            Self::V2 { lists, .. } => {
                field!(*lists, vmcr).write(0);
                field!(*lists, apr).write(0);
                field!(*lists, hcr).write(1);
            }
            Self::V3(_) => {
                write_ich_vmcr_el2(IchVmcrEl2::empty());
                write_ich_ap0r0_el2(0);
                write_ich_ap1r0_el2(0);
                // SAFETY: switches the virtual interface on, for EL1 alone.
                unsafe { write_ich_hcr_el2(IchHcrEl2::EN) };
            }
        }
    }

    /// Makes a device's interrupt come to this processor, and enables it.
    pub fn route(&mut self, intid: u32, edge: bool) {
        let trigger = if edge { Trigger::Edge } else { Trigger::Level };
        let Ok(line) = IntId::try_from(intid) else { return };
        match self {
            // On a machine with one processor GICD_ITARGETSR does not exist (IHI 0048B, 4.3.12).
            Self::V2 { physical, .. } => physical.set_trigger(line, trigger),
            Self::V3(physical) => {
                let here = read_mpidr_el1().bits();
                // The number was checked: it is an SPI, which is all that can be wrong.
                let _ = physical.set_trigger(line, Some(0), trigger);
                let _ = physical.distributor().set_routing(line, Some(here));
            }
        }
        self.enable(intid, true);
    }

    /// Enables or disables an interrupt. A disabled interrupt that becomes pending stays so.
    pub fn enable(&mut self, intid: u32, enable: bool) {
        let Ok(intid) = IntId::try_from(intid) else { return };
        // Enabling fails for interrupts that do not exist; those never fire either.
        match self {
            Self::V2 { physical, .. } => {
                let _ = physical.enable_interrupt(intid, enable);
            }
            Self::V3(physical) => {
                let _ = physical.enable_interrupt(intid, Some(0), enable);
                if enable {
                    return;
                }
                // Without this wait the interrupt could fire once more.
                if intid.is_private() {
                    let _ = physical.gicr_barrier(0);
                } else {
                    physical.gicd_barrier();
                }
            }
        }
    }

    /// Acknowledges the pending interrupt, or `None` if there is none any more.
    pub fn acknowledge(&mut self) -> Option<IntId> {
        match self {
            Self::V2 { physical, .. } => {
                physical.get_and_acknowledge_interrupt(InterruptGroup::Group0)
            }
            Self::V3(_) => GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1),
        }
    }

    /// Ends an acknowledged interrupt.
    pub fn end(&mut self, intid: IntId) {
        match self {
            Self::V2 { physical, .. } => physical.end_interrupt(intid, InterruptGroup::Group0),
            Self::V3(_) => GicCpuInterface::end_interrupt(intid, InterruptGroup::Group1),
        }
    }

    /// Number of list registers, at most 16.
    pub fn slots(&self) -> u8 {
        let vtr = match self {
            Self::V2 { lists, .. } => u64::from(field_shared!(*lists, vtr).read()),
            Self::V3(_) => read_ich_vtr_el2(),
        };
        (vtr & 0xf).to_le_bytes()[0].wrapping_add(1)
    }

    /// Fills a list register, or empties it.
    pub fn write_list(&mut self, slot: u8, irq: Option<Injection>) {
        match self {
            Self::V2 { lists, .. } => {
                if let Some(mut list) = field!(*lists, lr).get(usize::from(slot)) {
                    list.write(irq.map_or(0, encode_v2));
                }
            }
            Self::V3(_) => write_ich_lr(slot, irq.map_or(0, encode_v3)),
        }
    }

    /// Whether the interrupt in a list register is active.
    pub fn is_active(&mut self, slot: u8) -> bool {
        match self {
            Self::V2 { lists, .. } => field!(*lists, lr)
                .get(usize::from(slot))
                .is_some_and(|list| list.read() >> 29 & 1 != 0),
            Self::V3(_) => read_ich_lr(slot) >> 63 != 0,
        }
    }

    /// Empties the first list register whose interrupt the guest has ended, and says which it was.
    pub fn take_ended(&mut self) -> Option<u8> {
        let ended = match self {
            Self::V2 { lists, .. } => u64::from(field_shared!(*lists, eisr0).read()),
            Self::V3(_) => read_ich_eisr_el2(),
        };
        let slot = ended.trailing_zeros().to_le_bytes()[0];
        (slot < self.slots()).then(|| {
            self.write_list(slot, None);
            slot
        })
    }
}
