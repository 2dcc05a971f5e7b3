// SPDX-License-Identifier: BSD-2-Clause
//! Virtual CPUs: their registers while they are stopped, and whether they run.

use super::{El1, Entry, VirtualTimer};
use crate::arm::pstate::Pstate;
use crate::ids::{Gpr, Vcpu};

/// Registers of a vCPU that has left its guest: asked for only between its exit and the answer to it.
pub trait StoppedVcpu {
    /// Reads a general-purpose register of a stopped vCPU.
    fn reg(&mut self, vcpu: Vcpu, reg: Gpr) -> u64;

    /// Writes a general-purpose register of a stopped vCPU.
    fn set_reg(&mut self, vcpu: Vcpu, reg: Gpr, value: u64);

    /// Program counter of a stopped vCPU.
    fn pc(&mut self, vcpu: Vcpu) -> u64;

    /// Sets the program counter of a stopped vCPU.
    fn set_pc(&mut self, vcpu: Vcpu, pc: u64);

    /// Processor state of a stopped vCPU.
    fn pstate(&mut self, vcpu: Vcpu) -> Pstate;

    /// The same, if it is at hand; `None` where looking would cost a call, and a single step or an
    /// IT block does not outlive the exit anyway.
    fn pstate_at_hand(&mut self, vcpu: Vcpu) -> Option<Pstate>;

    /// Whether anything but the program counter of a vCPU in AArch32 state can be changed. A program
    /// of EL0 can be in it; a kernel that cannot write such a state back would go on in another.
    fn writes_aarch32(&self) -> bool {
        true
    }

    /// Sets the processor state of a stopped vCPU.
    fn set_pstate(&mut self, vcpu: Vcpu, pstate: Pstate);

    /// SCTLR_EL1 of the vCPU whose exit is being handled, which decides about the byte order of
    /// its accesses; `None` where looking at it would cost a call for every exit.
    fn sctlr(&mut self, vcpu: Vcpu) -> Option<u64>;

    /// A register of EL1 of the vCPU whose exit is being handled; `None` where the kernel cannot
    /// reach it, because the vCPU's registers are in another core.
    fn el1(&mut self, vcpu: Vcpu, register: El1) -> Option<u64>;

    /// Writes a register of EL1, where [`Self::el1`] reads one.
    fn set_el1(&mut self, vcpu: Vcpu, register: El1, value: u64);

    /// The virtual address of the abort that is being handled (FAR_EL2), where the kernel hands it
    /// on.
    fn fault_address(&mut self, vcpu: Vcpu) -> Option<u64>;

    /// The virtual timer of a stopped vCPU.
    fn virtual_timer(&mut self, vcpu: Vcpu) -> VirtualTimer;
}

/// Which vCPUs run.
pub trait Vcpus {
    /// Program counter of a vCPU that may be running: where it is, or where it was when it last
    /// entered the kernel. `None` where that is not known.
    fn last_pc(&mut self, _vcpu: Vcpu) -> Option<u64> {
        None
    }

    /// Resets a vCPU (ENTRY_SPSR, ENTRY_SCTLR_EL1, timer off, registers zero) and lets it run
    /// from `entry`. For the vCPU whose exit is being handled, [`super::Action::Resume`] follows.
    fn start(&mut self, vcpu: Vcpu, entry: Entry);

    /// Stops a vCPU; its registers are lost.
    fn stop(&mut self, vcpu: Vcpu);

    /// Lets a parked vCPU run on.
    fn wake(&mut self, vcpu: Vcpu);
}
