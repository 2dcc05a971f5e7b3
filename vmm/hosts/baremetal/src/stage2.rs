// SPDX-License-Identifier: BSD-2-Clause
//! Stage 2: what the guest calls physical memory.

use core::arch::asm;
use core::ptr::NonNull;
use core::slice::IterMut;

use aarch64_paging::descriptor::{PhysicalAddress, Stage2Attributes};
use aarch64_paging::paging::{
    Constraints, MemoryRegion, PageTable, RootTable, Stage2, Translation,
};
use arm_sysregs::el1::accessors::read_id_aa64mmfr0_el1;
use arm_sysregs::el2::accessors::{write_vtcr_el2, write_vttbr_el2};
use arm_sysregs::el2::registers::{VtcrEl2, VttbrEl2};
use vmm_core::addr::Pa;
use vmm_core::plan::{Plan, RegionFacts};

use crate::SetupError;
use crate::memory::{address, guest_owns};

type Table = PageTable<Stage2Attributes>;

/// Tables that a plan can need: see [`tables_for`].
const TABLES: usize = 96;

/// Room for the tables.
pub struct Tables([Table; TABLES]);

/// 39 bits of address: one table at level 1 is the root.
const ADDRESS_BITS: u64 = 39;
const PAGE: u64 = 0x1000;
const BLOCK: u64 = 0x20_0000;
const GIB: u64 = 0x4000_0000;

/// Hands out each table once; tables are never given back.
struct Pool<'a>(IterMut<'a, Table>);

impl Translation<Stage2Attributes> for Pool<'_> {
    #[expect(clippy::expect_used, reason = "`tables_for` has counted before anything is mapped")]
    fn allocate_table(&mut self) -> (NonNull<Table>, PhysicalAddress) {
        let table = NonNull::from(self.0.next().expect("tables were counted"));
        (table, PhysicalAddress(table.expose_provenance().get()))
    }

    unsafe fn deallocate_table(&mut self, _table: NonNull<Table>) {}

    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<Table> {
        // Only addresses of tables from the pool come here; EL2 maps them at their own place.
        NonNull::new(core::ptr::with_exposed_provenance_mut(pa.0)).unwrap_or(NonNull::dangling())
    }
}

/// The most tables that mapping a region takes, or `None` where the region cannot be mapped: not
/// whole pages, outside the address space, or large and not in step with 2 MiB blocks.
fn tables_for(region: &RegionFacts) -> Option<u64> {
    let window = region.window.range();
    let whole = [window.base().0, window.size(), region.pa].iter().all(|n| n.is_multiple_of(PAGE));
    let inside = window.end().0 <= 1 << ADDRESS_BITS;
    let in_step = window.size() < BLOCK || (window.base().0 ^ region.pa).is_multiple_of(BLOCK);
    // A table of level 2 for each GiB touched, a table of level 3 for each end.
    let touched = (window.size() / GIB).wrapping_add(2);
    (whole && inside && in_step).then_some(touched.wrapping_add(2))
}

impl Tables {
    /// Empty tables.
    pub const fn new() -> Self {
        Self([const { Table::EMPTY }; TABLES])
    }
}

/// Fills the tables from the guest's regions and points the processor at them, for as long as a
/// guest runs (HCR_EL2.VM).
///
/// # Errors
/// [`SetupError::Region`] for a region that cannot be mapped, [`SetupError::Tables`] where there
/// are more than the tables hold.
pub fn build(plan: Plan, tables: &mut Tables) -> Result<(), SetupError> {
    let regions = || plan.regions().filter(|region| guest_owns(region));
    let mut needed = 1u64;
    for region in regions() {
        let count = tables_for(region).ok_or_else(|| SetupError::region(
            region,
            "is not in whole 4 KiB pages below 2^39, or guest and physical address differ by a part of 2 MiB",
        ))?;
        needed = needed.saturating_add(count);
    }
    if needed > TABLES as u64 {
        return Err(SetupError::Tables);
    }
    let mut root = RootTable::new(Pool(tables.0.iter_mut()), 1, Stage2);
    for region in regions() {
        let attributes = Stage2Attributes::VALID
            | Stage2Attributes::ACCESS_FLAG
            | Stage2Attributes::S2AP_ACCESS_RW
            | if region.device == 0 {
                Stage2Attributes::MEMATTR_NORMAL_INNER_WB
                    | Stage2Attributes::MEMATTR_NORMAL_OUTER_WB
                    | Stage2Attributes::SH_INNER
            } else {
                Stage2Attributes::MEMATTR_DEVICE_nGnRE | Stage2Attributes::XN
            };
        let window = region.window.range();
        root.map_range(
            &MemoryRegion::new(address(Pa(window.base().0)), address(Pa(window.end().0))),
            PhysicalAddress(address(Pa(region.pa))),
            attributes,
            Constraints::NO_CONTIGUOUS_HINT,
        )
        .map_err(|_| SetupError::region(region, "is outside the address space"))?;
    }
    activate(root.to_physical().0 as u64);
    // Dropping the root would tear the tables down.
    core::mem::forget(root);
    Ok(())
}

/// Points the processor at the root table.
fn activate(root: u64) {
    // Arm DDI 0487, D24.2.191: T0SZ, SL0 = level 1, walks inner-shareable and write-back, 4 KiB
    // granule, output size as the processor has it, bit 31 RES1.
    let size = read_id_aa64mmfr0_el1().bits() & 0x7;
    let vtcr = (64u64.wrapping_sub(ADDRESS_BITS))
        | (1 << 6)
        | (1 << 8)
        | (1 << 10)
        | (3 << 12)
        | (size << 16)
        | (1 << 31);
    // SAFETY: no guest has run yet, and stage 2 does not apply to EL2.
    unsafe { write_vtcr_el2(VtcrEl2::from_bits_retain(vtcr)) };
    // SAFETY: the address is that of a root table, which `run` keeps while a guest runs; VMID 0.
    unsafe { write_vttbr_el2(VttbrEl2::from_bits_retain(root)) };
    // SAFETY: barriers and the removal of stale translations have no other effect.
    unsafe { asm!("dsb ishst", "isb", "tlbi alle1", "dsb nsh", "isb", options(nostack)) };
}
