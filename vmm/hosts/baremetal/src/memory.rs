// SPDX-License-Identifier: BSD-2-Clause
//! Physical memory: who owns what, the pristine images, and what makes them visible to a guest
//! that starts with its caches off.

use core::arch::asm;
use core::ops::Range;
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

use arm_sysregs::el0::accessors::read_ctr_el0;
use vmm_core::addr::{Ipa, IpaRange, Pa};
use vmm_core::arm::cache::{self, CacheType};
use vmm_core::host::{Image, MemoryOp};
use vmm_core::plan::{MemoryKind, PlanBlock, RegionFacts, RegionName, RegionOwner};

use crate::board::{DEVICES_END, MEMORY, MONITOR, PLAN};
use crate::{SetupError, refused};

/// Whether the guest can reach a region.
pub fn guest_owns(region: &RegionFacts) -> bool {
    region.owner != RegionOwner::Monitor
}

/// The memory of a plan, checked.
pub struct Memory<'a> {
    plan: PlanBlock<'a>,
    ram: &'a RegionFacts,
}

/// Physical addresses of a region.
fn physical(region: &RegionFacts) -> Range<u64> {
    region.pa..region.pa.saturating_add(region.window.size)
}

impl<'a> Memory<'a> {
    /// Checks the plan's regions against this program's own map, and the guest's against the
    /// monitor's.
    ///
    /// # Errors
    /// [`SetupError::Region`] names the region that does not fit.
    pub fn new(plan: PlanBlock<'a>) -> Result<Self, SetupError> {
        for region in plan.regions() {
            let here = physical(region);
            let overlaps = |there: &Range<u64>| there.start < here.end && here.start < there.end;
            let shared = |other| guest_owns(other) && overlaps(&physical(other));
            let normal = region.kind == MemoryKind::Normal;
            let mapped = if normal {
                MEMORY.start <= here.start && here.end <= MEMORY.end
            } else {
                here.end <= DEVICES_END && !overlaps(&MEMORY)
            };
            let what = if !mapped && normal {
                "is not all in the board's memory (board.toml, baremetal.memory)"
            } else if !mapped {
                "is not below 4 GiB and apart from the board's memory (board.toml, baremetal.memory)"
            } else if overlaps(&MONITOR) || guest_owns(region) && overlaps(&PLAN) {
                "is where this program and its plan are (board.toml, baremetal.monitor)"
            } else if !guest_owns(region) && plan.regions().any(shared) {
                "is the monitor's, but the guest's as well"
            } else {
                continue;
            };
            return Err(refused(region, what));
        }
        let window = plan.facts().ram.range();
        let holds = |region: &&RegionFacts| {
            let normal = region.kind == MemoryKind::Normal;
            guest_owns(region) && normal && region.window.range().encloses(window)
        };
        let ram = plan.regions().find(holds).ok_or(SetupError::Missing("all of its RAM"))?;
        Ok(Self { plan, ram })
    }

    /// The bytes of a pristine image: empty if the plan has none, or less than it says.
    pub fn image(&self, image: Image) -> &'a [u8] {
        let facts = self.plan.facts();
        let (name, size) = match image {
            Image::Kernel => (RegionName::Kernel, facts.kernel.size),
            Image::DeviceTree => (RegionName::DeviceTree, facts.device_tree.size),
            Image::Initrd => (RegionName::Initrd, facts.initrd.size),
        };
        let region = self
            .plan
            .regions()
            .find(|region| !guest_owns(region) && region.is(name) && size <= region.window.size);
        let Some(region) = region else { return &[] };
        bytes(region, size)
    }

    /// The bytes of the region `seed`: empty if the plan has none.
    pub fn seed(&self) -> &'a [u8] {
        let own = |region: &&RegionFacts| !guest_owns(region) && region.is(RegionName::Seed);
        let Some(region) = self.plan.regions().find(own) else { return &[] };
        bytes(region, region.window.size)
    }

    /// Seconds of the board's real-time clock; zero if the plan has no region `rtc`.
    pub fn wall_clock(&self) -> u32 {
        let Some(clock) = registers(self.plan, RegionName::Clock) else { return 0 };
        // SAFETY: the region is a PL031's page (board.toml, `clock`), which EL2 maps as device memory;
        // its first word is RTCDR, and reading it changes nothing (Arm DDI 0224C, 3.3.1).
        unsafe { with_exposed_provenance::<u32>(clock).read_volatile() }
    }

    /// Does one step; `None` if it leaves guest RAM.
    pub fn step(&mut self, op: MemoryOp) -> Option<()> {
        match op {
            // What is clean may be dropped as well.
            MemoryOp::CleanInvalidate(range) | MemoryOp::Clean(range) => {
                let (start, end) = self.ram(range)?;
                clean(start, end);
            }
            MemoryOp::InvalidateInstructions(_) => {
                // By address would miss aliases of the guest's own: a VIPT cache looks up by the
                // virtual address (Arm DDI 0487, D7.5.9). So drop all of it.
                // SAFETY: instructions are fetched again; nothing else changes.
                unsafe { asm!("ic ialluis", "dsb ish", "isb", options(nostack)) };
            }
            MemoryOp::Copy(image, to) => self.copy(self.image(image), to)?,
            MemoryOp::Store(to, bytes) => self.copy(&bytes, to)?,
        }
        Some(())
    }

    /// Copies bytes that are not guest RAM's to a place in it.
    fn copy(&self, bytes: &[u8], to: Ipa) -> Option<()> {
        let (start, _) = self.ram(IpaRange::new(to, bytes.len() as u64)?)?;
        let to = with_exposed_provenance_mut::<u8>(start);
        // SAFETY: `ram` has checked that all of it is guest RAM, which no reference of this program
        // points to, and the guest does not run; neither an image nor the stack overlaps it.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Some(())
    }

    /// First address and first one past the end of a piece of guest RAM.
    fn ram(&self, range: IpaRange) -> Option<(usize, usize)> {
        let window = self.ram.window.range();
        let offset = window.encloses(range).then(|| range.base().offset_from(window.base()))??;
        let start = Pa(self.ram.pa).checked_add(offset)?;
        Some((address(start), address(start.checked_add(range.size())?)))
    }
}

/// The first `size` bytes of a region of the monitor's own. [`Memory::new`] has checked it.
fn bytes(region: &RegionFacts, size: u64) -> &'static [u8] {
    let base = with_exposed_provenance(address(Pa(region.pa)));
    // SAFETY: the region is mapped memory apart from this program, the plan block and all that the
    // guest can write; nobody else writes to it once this program runs.
    unsafe { core::slice::from_raw_parts(base, address(Pa(size))) }
}

/// The physical address of device registers: those that the monitor alone has, by name.
pub fn registers(plan: PlanBlock, name: RegionName) -> Option<usize> {
    let own = |region: &&RegionFacts| !guest_owns(region) && region.is(name);
    device(plan.regions().find(own)?)
}

/// The physical address of device registers: those that the guest sees.
pub fn guest_registers(plan: PlanBlock, at: IpaRange) -> Option<usize> {
    let seen = |region: &&RegionFacts| guest_owns(region) && region.window.range().encloses(at);
    let region = plan.regions().find(seen)?;
    let offset = at.base().offset_from(region.window.range().base())?;
    device(region)?.checked_add(address(Pa(offset)))
}

/// The physical address of a region, if it is all device memory.
fn device(region: &RegionFacts) -> Option<usize> {
    let here = physical(region);
    let mapped = here.end <= DEVICES_END;
    (region.kind == MemoryKind::Device && mapped).then_some(address(Pa(here.start)))
}

/// EL2's address of a physical one: the same.
#[expect(clippy::cast_possible_truncation, reason = "both have 64 bits")]
pub fn address(pa: Pa) -> usize {
    pa.0 as usize
}

/// Writes dirty data-cache lines from `start` to `end` back, drops them, and waits for the effect.
fn clean(start: usize, end: usize) {
    let line = CacheType(read_ctr_el0().bits()).data_line();
    cache::each_line(line, start..end, |at| {
        // SAFETY: the lines are mapped memory; what they hold stays.
        unsafe { asm!("dc civac, {}", in(reg) at, options(nostack)) };
    });
    // SAFETY: a barrier.
    unsafe { asm!("dsb sy", options(nostack)) };
}
