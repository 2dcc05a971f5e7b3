// SPDX-License-Identifier: BSD-2-Clause
//! Where Microkit 2.3.0 puts a protection domain's capabilities
//! (`tool/microkit/src/capdl/builder.rs`, the constants `PD_*_CAP_IDX` and `PD_BASE_*_CAP`).
//!
//! `sel4-microkit` knows channels and child protection domains; virtual machines and firmware
//! calls it does not, so their slots are here.

use vmm_core::ids::Vcpu;

/// The right to make firmware calls; present with `smc="true"` on the protection domain.
pub const SMC: u64 = 7;

/// First of 64 slots with the threads of virtual CPUs. (202 is the first of the 64 with child
/// protection domains.)
const VM_TCB_BASE: u64 = 266;

/// First of 64 slots with the virtual CPUs themselves.
const VCPU_BASE: u64 = 330;

/// Slot of the thread that runs `vcpu`.
#[must_use]
pub const fn vm_tcb(vcpu: Vcpu) -> u64 {
    VM_TCB_BASE.wrapping_add(vcpu.0 as u64)
}

/// Slot of the virtual CPU: its interrupts, timer and system registers.
#[must_use]
pub const fn vcpu(vcpu: Vcpu) -> u64 {
    VCPU_BASE.wrapping_add(vcpu.0 as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_virtual_cpu() {
        assert_eq!(vm_tcb(Vcpu(0)), 266);
        assert_eq!(vcpu(Vcpu(0)), 330);
    }

    #[test]
    fn each_virtual_cpu_has_its_own_slots() {
        assert_eq!(vm_tcb(Vcpu(3)), 269);
        assert_eq!(vcpu(Vcpu(3)), 333);
    }

    #[test]
    fn sixty_four_threads_fit_below_the_virtual_cpus() {
        assert_eq!(vm_tcb(Vcpu(63)).checked_add(1), Some(vcpu(Vcpu(0))));
    }

    #[test]
    fn the_bases_follow_from_the_first_channel_slot() {
        // Notifications 10, endpoints, interrupts, child threads: 64 slots each.
        assert_eq!(vm_tcb(Vcpu(0)), 10 + 4 * 64);
    }
}
