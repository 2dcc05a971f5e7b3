// SPDX-License-Identifier: BSD-2-Clause
//! How interrupts reach the guest, and how a physical one is heard again.

use crate::ids::{Intid, Vcpu};

/// What goes into a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Virtual interrupt.
    pub intid: Intid,
    /// The upper five bits of the priority, 0 (highest) to 31 (IHI 0048B, GICH_LRn.Priority).
    pub priority: u8,
    /// Interrupt group, 0 or 1.
    pub group: u8,
    /// The vCPU that sent it, for an SGI of GICv2 (IHI 0048B, GICH_LRn.CPUID); vCPU 0 for all else.
    /// seL4 16 has no argument for it.
    pub source: Vcpu,
}

/// What a list register holds of an interrupt that was injected into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListState {
    /// The guest has ended it; [`super::Exit::Maintenance`] is on its way.
    Empty,
    /// It waits for the guest.
    Pending,
    /// The guest handles it.
    Active,
}

/// The kernel refused an injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel refused list register {slot}")]
pub struct InjectRefused {
    /// The list register.
    pub slot: u8,
}

/// List registers, and the lines behind them.
pub trait Interrupts {
    /// Number of list registers that can be injected into, 1 to 16.
    fn list_register_count(&self) -> u8;

    /// Puts a pending interrupt into list register `slot`, with end-of-interrupt maintenance
    /// asked for. Whatever was there is overwritten: the core knows what is free.
    ///
    /// # Errors
    /// The kernel says that the slot holds an active interrupt, or does not exist.
    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused>;

    /// Whether the host can read list registers: [`Self::list_state`] then has an answer for each
    /// that was injected into, and [`Self::clear_list`] empties it.
    fn reads_lists(&self) -> bool {
        false
    }

    /// What a list register that was injected into holds now, of any vCPU that is on or has just
    /// turned itself off. `None` where the kernel does not say.
    fn list_state(&mut self, _vcpu: Vcpu, _slot: u8) -> Option<ListState> {
        None
    }

    /// Takes whatever it holds out of a list register. A kernel that cannot empty one overwrites
    /// it with `quiet`, which the guest does not see.
    ///
    /// # Errors
    /// The kernel says that the slot holds an active interrupt.
    fn clear_list(&mut self, vcpu: Vcpu, slot: u8, quiet: Injection) -> Result<(), InjectRefused> {
        self.inject(vcpu, slot, quiet)
    }

    /// From now on a host that can read list registers reports [`super::Exit::Maintenance`] with no slot
    /// as soon as none of the vCPU's list registers holds a pending interrupt (`room`), and
    /// [`super::Exit::EndedAside`] (`ends`); or no longer.
    fn attend(&mut self, _vcpu: Vcpu, _room: bool, _ends: bool) {}

    /// Whether a device's level line, masked since it fired, is high now. `None` where the kernel
    /// does not say.
    fn line_level(&mut self, _intid: Intid) -> Option<bool> {
        None
    }

    /// Unmasks the virtual timer's interrupt after [`super::Exit::Timer`]; if its condition still holds,
    /// it fires again.
    fn ack_timer(&mut self, vcpu: Vcpu);

    /// Unmasks a device's line after [`super::Exit::DeviceInterrupt`]; if a level line is still high, it fires
    /// again.
    fn ack_line(&mut self, intid: Intid);
}
