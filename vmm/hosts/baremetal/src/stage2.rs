// SPDX-License-Identifier: BSD-2-Clause
//! Stage 2: what the guest calls physical memory.

use core::arch::asm;
use core::ptr::NonNull;
use core::slice::IterMut;

use aarch64_paging::descriptor::{PhysicalAddress, Stage2Attributes as Attributes};
use aarch64_paging::paging as tables;
use aarch64_paging::paging::{Constraints, MemoryRegion, RootTable, Stage2, Translation};
use arm_sysregs::el1::accessors::read_id_aa64mmfr0_el1;
use arm_sysregs::el2::accessors::{write_vtcr_el2, write_vttbr_el2};
use arm_sysregs::el2::registers::{VtcrEl2, VttbrEl2};
use spin::mutex::spin::{SpinMutex, SpinMutexGuard};
use vmm_core::addr::{LARGE_PAGE, PAGE, Pa};
use vmm_core::plan::{MAX_REGIONS, MemoryKind, PlanBlock, RegionFacts};

use crate::memory::{address, guest_owns};
use crate::{SetupError, refused};

type Table = tables::PageTable<Attributes>;

/// Where the guest's addresses end.
const END: u64 = 1 << 32;

/// Tables that a plan can need: the root, one of level 2 for each GiB below [`END`], and one of
/// level 3 for each end of a region.
const TABLES: usize = 1 + 4 + 2 * MAX_REGIONS;

/// Room for the tables.
static POOL: SpinMutex<[Table; TABLES]> = SpinMutex::new([const { Table::EMPTY }; TABLES]);

/// 39 bits of address: one table at level 1 is the root.
const ADDRESS_BITS: u64 = 39;

const REFUSED: &str = "is not in whole 4 KiB pages below 4 GiB, or guest and physical address \
    differ by a part of 2 MiB";

/// Hands out each table once; tables are never given back.
struct Pool<'a>(IterMut<'a, Table>);

impl Translation<Attributes> for Pool<'_> {
    #[expect(clippy::expect_used, reason = "`TABLES` are all that a plan can need")]
    fn allocate_table(&mut self) -> (NonNull<Table>, PhysicalAddress) {
        let table = NonNull::from(self.0.next().expect("there are enough"));
        (table, PhysicalAddress(table.expose_provenance().get()))
    }

    unsafe fn deallocate_table(&mut self, _table: NonNull<Table>) {}

    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<Table> {
        // Only addresses of tables from the pool come here; EL2 maps them at their own place.
        NonNull::new(core::ptr::with_exposed_provenance_mut(pa.0)).unwrap_or(NonNull::dangling())
    }
}

/// Whether a region can be mapped: whole pages, where there are tables for it and, if large, in step
/// with 2 MiB blocks.
fn mappable(region: &RegionFacts) -> bool {
    let window = region.window.range();
    let whole = [window.base().0, window.size(), region.pa].iter().all(|n| n.is_multiple_of(PAGE));
    let in_step =
        window.size() < LARGE_PAGE || (window.base().0 ^ region.pa).is_multiple_of(LARGE_PAGE);
    whole && in_step && window.end().0 <= END
}

/// Fills the tables from the guest's regions, once; the result is for [`activate`].
///
/// # Errors
/// [`SetupError::Region`] for a region that cannot be mapped.
pub fn build(plan: PlanBlock) -> Result<u64, SetupError> {
    let mut root = RootTable::new(Pool(SpinMutexGuard::leak(POOL.lock()).iter_mut()), 1, Stage2);
    for region in plan.regions().filter(|region| guest_owns(region)) {
        let error = Err(refused(region, REFUSED));
        if !mappable(region) {
            return error;
        }
        let kind = match region.kind {
            MemoryKind::Normal => {
                Attributes::MEMATTR_NORMAL_INNER_WB | Attributes::MEMATTR_NORMAL_OUTER_WB
            }
            MemoryKind::Device => Attributes::MEMATTR_DEVICE_nGnRE | Attributes::XN,
        };
        let valid = Attributes::VALID | Attributes::ACCESS_FLAG | Attributes::S2AP_ACCESS_RW;
        let window = region.window.range();
        let range = MemoryRegion::new(address(Pa(window.base().0)), address(Pa(window.end().0)));
        let to = PhysicalAddress(address(Pa(region.pa)));
        // Shareability says nothing of device memory, which is shared by all.
        let attributes = valid | kind | Attributes::SH_INNER;
        if root.map_range(&range, to, attributes, Constraints::NO_CONTIGUOUS_HINT).is_err() {
            return error;
        }
    }
    let at = root.to_physical().0 as u64;
    // Dropping the root would tear the tables down.
    core::mem::forget(root);
    Ok(at)
}

/// Points this processor at the root table, for as long as a guest runs (HCR_EL2.VM).
pub fn activate(root: u64) {
    // Arm DDI 0487, D24.2.224: T0SZ, SL0 = level 1, walks inner-shareable and write-back, 4 KiB
    // granule, output size as the processor has it, bit 31 RES1.
    let size = read_id_aa64mmfr0_el1().bits() & 0x7;
    let vtcr = 64_u64.wrapping_sub(ADDRESS_BITS);
    let vtcr = vtcr | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | size << 16 | 1 << 31;
    // SAFETY: no guest has run yet, and stage 2 does not apply to EL2.
    unsafe { write_vtcr_el2(VtcrEl2::from_bits_retain(vtcr)) };
    // SAFETY: the address is that of a root table, which stays; VMID 0.
    unsafe { write_vttbr_el2(VttbrEl2::from_bits_retain(root)) };
    // SAFETY: barriers and the removal of stale translations have no other effect.
    unsafe { asm!("dsb ishst", "isb", "tlbi alle1", "dsb nsh", "isb", options(nostack)) };
}
