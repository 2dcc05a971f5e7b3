// SPDX-License-Identifier: BSD-2-Clause
//! The physical interrupt controller, and the list registers through which the guest's virtual
//! one delivers.

use core::arch::asm;
use core::ptr::{NonNull, read_volatile, with_exposed_provenance_mut, write_volatile};

use arm_gic::InterruptGroup::{Group0, Group1};
use arm_gic::gicv2::{GicV2, SgiTarget, SgiTargetListFilter};
use arm_gic::gicv3::{GicCpuInterface, GicV3};
use arm_gic::{IntId, UniqueMmioPointer};
use arm_sysregs::el1::accessors::{read_id_aa64pfr0_el1, read_mpidr_el1, write_icc_sgi1r_el1};
use arm_sysregs::el1::registers::IccSgi1rEl1;
use arm_sysregs::el2::accessors::{
    read_ich_hcr_el2, read_ich_vmcr_el2, write_ich_hcr_el2, write_ich_vmcr_el2,
};
use arm_sysregs::el2::registers::{IchHcrEl2, IchVmcrEl2};
use arm_sysregs::{read_sysreg, read_write_sysreg};
use safe_mmio::fields::{ReadPure, ReadPureWrite};
use safe_mmio::{field, field_shared};
use vmm_core::host::{Injection, ListState};
use vmm_core::ids::{GicVersion, Intid, Trigger, Vcpu, VcpuCount};
use vmm_core::plan::RegionName;

/// The SGI by which a processor calls another.
pub const KICK: u32 = 0;

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

/// The lower half of a word.
const fn low(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

macro_rules! list_registers {
    ($($slot:literal: $register:literal),*) => {
        /// Writes a list register, if there is something to write, and reads it.
        fn ich_lr(slot: u8, write: Option<u64>) -> u64 {
            // Of what is not written the value is read.
            let mut value = write.unwrap_or_default();
            match (slot, write) {
                $(
                    // SAFETY: reading a list register changes nothing.
                    ($slot, None) => unsafe { asm!(concat!("mrs {}, ", $register), out(reg) value) },
                    // SAFETY: what a list register holds concerns the guest alone.
                    ($slot, _) => unsafe { asm!(concat!("msr ", $register, ", {}"), in(reg) value) },
                )*
                _ => value = 0,
            }
            value
        }
    };
}

// As many as a Cortex-A53 has.
list_registers!(0: "s3_4_c12_c12_0", 1: "s3_4_c12_c12_1", 2: "s3_4_c12_c12_2", 3: "s3_4_c12_c12_3");

/// What goes into a list register of GICv2 (IHI 0048B, 5.3.8) and of GICv3 (IHI 0069H, 12.4.6, five
/// of the eight priority bits): pending, no hardware link, with end-of-interrupt maintenance.
fn encode(irq: Injection) -> (u32, u64) {
    let (group, priority) = (u32::from(irq.group), u32::from(irq.priority));
    let (intid, source) = (u32::from(irq.intid.number()), u32::from(irq.source.0));
    let v2 = group << 30 | 1 << 28 | priority << 23 | ENDED.0 | source << 10 | intid;
    let (group, priority) = (u64::from(group), u64::from(priority));
    (v2, group << 60 | 1 << 62 | priority << 51 | ENDED.1 | u64::from(intid))
}

/// Maintenance asked for and nothing else: an interrupt that the guest has ended.
const ENDED: (u32, u64) = (1 << 19, 1 << 41);

/// The list registers of whatever processor asks: they are reached without the machine's lock.
#[derive(Clone, Copy)]
pub struct OwnLists {
    /// GICH, which is banked.
    gich: Option<usize>,
    slots: u8,
}

impl OwnLists {
    /// The states of all four, two bits each.
    pub fn states(self) -> u8 {
        (0..self.slots).fold(0, |states, slot| {
            let state = match self.gich {
                Some(gich) => {
                    let at =
                        gich.wrapping_add(0x100).wrapping_add(usize::from(slot).wrapping_mul(4));
                    // SAFETY: reading GICH_LRn (IHI 0048B, 5.3.8) changes nothing.
                    unsafe { read_volatile(with_exposed_provenance_mut::<u32>(at)) >> 28 }
                }
                None => low(ich_lr(slot, None) >> 62),
            };
            let [state, ..] = (state & 0b11).to_le_bytes();
            states | state.wrapping_shl(u32::from(slot).wrapping_mul(2))
        })
    }
}

/// The state of one list register, of those of [`OwnLists::states`].
pub const fn unpack(states: u8, slot: u8) -> ListState {
    match states.wrapping_shr((slot as u32).wrapping_mul(2)) & 0b11 {
        0b00 => ListState::Empty,
        0b01 => ListState::Pending,
        _ => ListState::Active,
    }
}

/// GICH_HCR.EOICount and ICH_HCR_EL2.EOIcount.
const EOI_COUNT: u32 = 0x1f << 27;

/// GICH_HCR.LRENPIE and ICH_HCR_EL2.LRENPIE: [`Gic::attend`] has asked for ends.
const ENDS: u32 = 1 << 2;

/// The count that goes on: what was counted before anybody asked was the end of interrupts that the
/// guest had deactivated by GICD_ICACTIVER.
const fn counted(hcr: u32) -> u32 {
    if hcr & ENDS == 0 { 0 } else { hcr & EOI_COUNT }
}

/// The interrupt controller of either version. What a processor has of its own is reached from
/// that processor alone; processor n has affinity 0.0.0.n, redistributor n and CPU interface n.
pub enum Gic {
    /// GICv2.
    V2 {
        /// Distributor and CPU interface.
        physical: GicV2<'static>,
        /// Virtual interface control.
        lists: UniqueMmioPointer<'static, Gich>,
        /// GICD, for what arm-gic leaves out.
        gicd: usize,
    },
    /// GICv3; the CPU and list registers are system registers.
    V3 {
        /// Distributor and redistributors.
        physical: GicV3<'static>,
        /// GICD, for what arm-gic leaves out.
        gicd: usize,
    },
}

impl Gic {
    /// Initialises the controller of this version for so many processors: every interrupt
    /// disabled and level-sensitive. `at` gives the physical address of the registers with a
    /// name: GICD, GICC and GICH, or GICD and GICR. `None` if one is missing, or the
    /// machine has another controller. [`Gic::join`] follows on each processor.
    ///
    /// # Safety
    /// The addresses are those of this machine's controller, mapped as device memory, and this is
    /// called once.
    pub unsafe fn new(
        version: GicVersion,
        cpus: VcpuCount,
        at: impl Fn(RegionName) -> Option<usize>,
    ) -> Option<Self> {
        // System registers are there with GICv3 alone (DDI 0487, D24.2.93, field GIC).
        if (read_id_aa64pfr0_el1().gic() != 0) != (version == GicVersion::V3) {
            return None;
        }
        let gicd = at(RegionName::Gicd)?;
        let distributor = with_exposed_provenance_mut::<()>(gicd);
        if version == GicVersion::V2 {
            let cpu = with_exposed_provenance_mut(at(RegionName::Gicc)?);
            // SAFETY: the caller's promise.
            let mut physical = unsafe { GicV2::new(distributor.cast(), cpu) };
            physical.enable_all_interrupts(false);
            let lists = NonNull::new(with_exposed_provenance_mut(at(RegionName::Gich)?))?;
            // SAFETY: the caller's promise.
            let lists = unsafe { UniqueMmioPointer::new(lists) };
            Some(Self::V2 { physical, lists, gicd })
        } else {
            GicCpuInterface::enable_system_register_el2(true);
            let frames = NonNull::new(with_exposed_provenance_mut(at(RegionName::Gicr)?))?;
            let distributor = NonNull::new(distributor.cast())?;
            // SAFETY: the caller's promise.
            let distributor = unsafe { UniqueMmioPointer::new(distributor) };
            // SAFETY: the caller's promise.
            let mut physical =
                unsafe { GicV3::new(distributor, frames, cpus.get().into()) }.ok()?;
            physical.enable_all_interrupts(false);
            physical.setup(0);
            Some(Self::V3 { physical, gicd })
        }
    }

    /// Initialises what this processor has of its own: its virtual interface is on, and `own`, its
    /// own interrupts, are enabled.
    pub fn join(&mut self, cpu: Vcpu, own: &[u32]) {
        match self {
            Self::V2 { physical, .. } => physical.setup(),
            Self::V3 { physical, .. } => {
                GicCpuInterface::enable_system_register_el2(true);
                physical.init_cpu(cpu.index());
                GicCpuInterface::enable_group1(true);
                GicCpuInterface::set_priority_mask(0xff);
            }
        }
        (0..32).for_each(|intid| self.enable(cpu, intid, own.contains(&intid)));
        (0..self.list_register_count()).for_each(|slot| self.write_list(slot, None));
        self.reset_virtual();
    }

    /// Resets the virtual interface. What is pending stays so; what is active nobody will end any
    /// more, so it counts as ended.
    pub fn reset_virtual(&mut self) {
        for slot in 0..self.list_register_count() {
            if self.is_active(slot) {
                self.write_raw(slot, ENDED);
            }
        }
        match self {
            Self::V2 { lists, .. } => {
                field!(*lists, vmcr).write(0);
                field!(*lists, apr).write(0);
                field!(*lists, hcr).write(1);
            }
            Self::V3 { .. } => {
                write_ich_vmcr_el2(IchVmcrEl2::empty());
                write_ich_ap0r0_el2(0);
                write_ich_ap1r0_el2(0);
                // SAFETY: switches the virtual interface on, for EL1 alone.
                unsafe { write_ich_hcr_el2(IchHcrEl2::EN) };
            }
        }
    }

    /// Makes a device's interrupt come to this processor, which is the first, and enables it.
    pub fn route(&mut self, intid: Intid, trigger: Trigger) {
        let trigger = match trigger {
            Trigger::Level => arm_gic::Trigger::Level,
            Trigger::Edge => arm_gic::Trigger::Edge,
        };
        let intid = u32::from(intid.number());
        let Ok(line) = IntId::try_from(intid) else { return };
        match self {
            Self::V2 { physical, gicd, .. } => {
                physical.set_trigger(line, trigger);
                let targets = gicd.wrapping_add(0x800); // GICD_ITARGETSR, a byte each
                let target = with_exposed_provenance_mut(targets.wrapping_add(intid as usize));
                // SAFETY: the interrupt's own byte (IHI 0048B, 4.3.12); nobody else writes there.
                unsafe { write_volatile(target, 1_u8) };
            }
            Self::V3 { physical, .. } => {
                let here = read_mpidr_el1().bits();
                // The number was checked: it is an SPI, which is all that can be wrong.
                let _ = physical.set_trigger(line, Some(0), trigger);
                let _ = physical.distributor().set_routing(line, Some(here));
            }
        }
        self.enable(Vcpu(0), intid, true);
    }

    /// Makes another processor leave its guest or its sleep: [`KICK`] comes.
    pub fn kick(&mut self, cpu: Vcpu) {
        let target_list = 1_u16.wrapping_shl(cpu.0.into());
        match self {
            Self::V2 { physical, .. } => {
                let target_list_filter = SgiTargetListFilter::CPUTargetList;
                let target = SgiTarget::List { target_list_filter, target_list };
                physical.send_sgi(IntId::sgi(KICK), target);
            }
            Self::V3 { .. } => {
                write_icc_sgi1r_el1(IccSgi1rEl1::from_bits_retain(target_list.into()))
            }
        }
    }

    /// Enables or disables an interrupt, of this processor or shared. A disabled interrupt that
    /// becomes pending stays so.
    pub fn enable(&mut self, cpu: Vcpu, intid: u32, enable: bool) {
        let Ok(intid) = IntId::try_from(intid) else { return };
        // Enabling fails for interrupts that do not exist; those never fire either.
        match self {
            Self::V2 { physical, .. } => {
                let _ = physical.enable_interrupt(intid, enable);
            }
            Self::V3 { physical, .. } => {
                let _ = physical.enable_interrupt(intid, Some(cpu.index()), enable);
                // Without this wait a disabled interrupt could fire once more.
                if intid.is_private() {
                    let _ = physical.gicr_barrier(cpu.index());
                } else {
                    physical.gicd_barrier();
                }
            }
        }
    }

    /// Acknowledges the pending interrupt, or `None` if there is none any more.
    pub fn acknowledge(&mut self) -> Option<IntId> {
        match self {
            Self::V2 { physical, .. } => physical.get_and_acknowledge_interrupt(Group0),
            Self::V3 { .. } => GicCpuInterface::get_and_acknowledge_interrupt(Group1),
        }
    }

    /// Ends an acknowledged interrupt.
    pub fn end(&mut self, intid: IntId) {
        match self {
            Self::V2 { physical, .. } => physical.end_interrupt(intid, Group0),
            Self::V3 { .. } => GicCpuInterface::end_interrupt(intid, Group1),
        }
    }

    /// Number of list registers, at most four.
    pub fn list_register_count(&self) -> u8 {
        let vtr = match self {
            Self::V2 { lists, .. } => u64::from(field_shared!(*lists, vtr).read()),
            Self::V3 { .. } => read_ich_vtr_el2(),
        };
        (vtr & 0xf).to_le_bytes()[0].wrapping_add(1).min(4)
    }

    /// Fills a list register, or empties it.
    pub fn write_list(&mut self, slot: u8, irq: Option<Injection>) {
        // Zero is an empty list register (IHI 0048B, GICH_LRn.State; IHI 0069H, ICH_LR<n>_EL2.State).
        self.write_raw(slot, irq.map(encode).unwrap_or_default());
    }

    fn write_raw(&mut self, slot: u8, (v2, v3): (u32, u64)) {
        match self {
            Self::V2 { lists, .. } => {
                if let Some(mut list) = field!(*lists, lr).get(usize::from(slot)) {
                    list.write(v2);
                }
            }
            Self::V3 { .. } => _ = ich_lr(slot, Some(v3)),
        }
    }

    /// What a list register of this processor holds. The two bits of its state are pending and
    /// active (IHI 0048B, 5.3.8; IHI 0069H, 12.4.6).
    pub fn list_state(&mut self, slot: u8) -> ListState {
        let state = match self {
            Self::V2 { lists, .. } => field!(*lists, lr)
                .get(usize::from(slot))
                .map_or(0, |list| u64::from(list.read() >> 28)),
            Self::V3 { .. } => ich_lr(slot, None) >> 62,
        };
        unpack(state.to_le_bytes()[0], 0)
    }

    /// What all list registers of this processor hold, for [`unpack`].
    pub fn own_lists(&self) -> OwnLists {
        let gich = match self {
            Self::V2 { lists, .. } => Some(lists.ptr().expose_provenance()),
            Self::V3 { .. } => None,
        };
        OwnLists { gich, slots: self.list_register_count() }
    }

    fn is_active(&mut self, slot: u8) -> bool {
        self.list_state(slot) == ListState::Active
    }

    /// Asks for maintenance interrupts of this processor besides those of ended interrupts: when no
    /// list register holds a pending one (`room`), and when one ended that is in none (`ends`)
    /// (GICH_HCR.NPIE and LRENPIE, IHI 0048B, 5.3.1; ICH_HCR_EL2, IHI 0069H, 12.4.5).
    pub fn attend(&mut self, room: bool, ends: bool) {
        // With GICv3 each GICC_DIR traps while it may be about one that is in no list register: the
        // count does not say which (ICH_HCR_EL2.TDIR).
        let bits = 1 | if ends { ENDS } else { 0 } | u32::from(room) << 3;
        match self {
            Self::V2 { lists, .. } => {
                let counted = counted(field!(*lists, hcr).read());
                field!(*lists, hcr).write(bits | counted);
            }
            Self::V3 { .. } => {
                let hcr = low(read_ich_hcr_el2().bits());
                let counted = u64::from(counted(hcr));
                let traps = u64::from(ends) << 14;
                let hcr = IchHcrEl2::from_bits_retain(u64::from(bits) | traps | counted);
                // SAFETY: the virtual interface stays on, for EL1 alone.
                unsafe { write_ich_hcr_el2(hcr) };
            }
        }
    }

    /// How many interrupts this processor's guest has ended that no list register holds, since the
    /// last call. None counts while the guest ends them in two steps: the first ends nothing.
    pub fn take_ended_aside(&mut self) -> u8 {
        let (count, two_steps) = match self {
            Self::V2 { lists, .. } => {
                let hcr = field!(*lists, hcr).read();
                field!(*lists, hcr).write(hcr & !EOI_COUNT);
                (hcr & EOI_COUNT, field!(*lists, vmcr).read() >> 9 & 1 == 1)
            }
            Self::V3 { .. } => {
                let hcr = read_ich_hcr_el2();
                let none = IchHcrEl2::from_bits_retain(hcr.bits() & !u64::from(EOI_COUNT));
                // SAFETY: the virtual interface stays on, for EL1 alone.
                unsafe { write_ich_hcr_el2(none) };
                let two_steps = read_ich_vmcr_el2().bits() >> 9 & 1 == 1;
                (low(hcr.bits()) & EOI_COUNT, two_steps)
            }
        };
        if two_steps { 0 } else { (count >> EOI_COUNT.trailing_zeros()).to_le_bytes()[0] }
    }

    /// Whether a level-sensitive device interrupt, disabled here, is high (GICD_ISPENDR follows the
    /// line: IHI 0048B, 4.3.7).
    pub fn line_level(&mut self, intid: u32) -> bool {
        let (Self::V2 { gicd, .. } | Self::V3 { gicd, .. }) = self;
        let at = gicd.wrapping_add(0x200).wrapping_add((intid as usize / 32).wrapping_mul(4));
        // SAFETY: reading GICD_ISPENDR changes nothing.
        let word = unsafe { read_volatile(with_exposed_provenance_mut::<u32>(at)) };
        word >> (intid % 32) & 1 == 1
    }

    /// Empties the first list register whose interrupt the guest has ended, and says which it was.
    pub fn take_ended(&mut self) -> Option<u8> {
        let ended = match self {
            Self::V2 { lists, .. } => u64::from(field_shared!(*lists, eisr0).read()),
            Self::V3 { .. } => read_ich_eisr_el2(),
        };
        let slot = ended.trailing_zeros().to_le_bytes()[0];
        (slot < self.list_register_count()).then(|| {
            self.write_list(slot, None);
            slot
        })
    }
}
