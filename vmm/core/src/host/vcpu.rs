// SPDX-License-Identifier: BSD-2-Clause
//! Virtual CPUs: their registers while they are stopped, and whether they run.

use crate::addr::Ipa;
use crate::arm::pstate::Pstate;
use crate::ids::{Gpr, Vcpu};

/// Where and how a vCPU starts: the arm64 boot protocol and PSCI CPU_ON both give an address and
/// one argument (Linux Documentation/arch/arm64/booting.rst; DEN0022F, 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Program counter, with the MMU off.
    pub pc: Ipa,
    /// Value of X0; X1 to X30 are zero.
    pub x0: u64,
}

/// Processor state at [`Entry`]: EL1h with debug, SError, IRQ and FIQ masked (booting.rst).
pub const ENTRY_SPSR: u64 = 0x3c5;

/// SCTLR_EL1 at [`Entry`]: the RES1 bits of an Armv8.0 processor; MMU and caches off
/// (Arm DDI 0487, D24.2.175).
pub const ENTRY_SCTLR_EL1: u64 = 0x30d0_0800;

/// A register of the guest's EL1 that the monitor uses to make the guest take an exception (Arm
/// DDI 0487, D1.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum El1 {
    /// SCTLR_EL1.
    Sctlr,
    /// VBAR_EL1: where its vectors are.
    Vbar,
    /// ELR_EL1: where the exception returns to.
    Elr,
    /// SPSR_EL1: the state that it returns to.
    Spsr,
    /// ESR_EL1: what it was.
    Esr,
    /// FAR_EL1: the address that it was about.
    Far,
}

/// The guest's virtual timer as its registers are (Arm DDI 0487, D24.10.25 and D24.10.26).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtualTimer {
    /// CNTV_CTL_EL0: bit 0 ENABLE, bit 1 IMASK.
    pub ctl: u64,
    /// CNTV_CVAL_EL0, in ticks of the virtual counter, which equals the physical one.
    pub cval: u64,
}

/// A vCPU that has left its guest, between its exit and the answer to it. Who asks for registers has
/// one: there are none of a vCPU that runs, or of one whose exit is not the one at hand.
///
/// [`crate::vm::Vm::handle`] makes it, and it is gone with the answer; it is no copy of anything, so
/// nothing can keep it.
#[derive(Debug, PartialEq, Eq)]
pub struct StoppedVcpu(Vcpu);

impl StoppedVcpu {
    /// The one whose exit is handled from now on.
    #[must_use]
    pub const fn at_exit(vcpu: Vcpu) -> Self {
        Self(vcpu)
    }

    /// Which one it is.
    #[must_use]
    pub const fn id(&self) -> Vcpu {
        self.0
    }
}

/// Registers of a vCPU that has left its guest.
pub trait GuestRegisters {
    /// Reads a general-purpose register of a stopped vCPU.
    fn reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr) -> u64;

    /// Writes a general-purpose register of a stopped vCPU.
    fn set_reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr, value: u64);

    /// Program counter of a stopped vCPU.
    fn pc(&mut self, vcpu: &StoppedVcpu) -> u64;

    /// Sets the program counter of a stopped vCPU.
    fn set_pc(&mut self, vcpu: &StoppedVcpu, pc: u64);

    /// Processor state of a stopped vCPU.
    fn pstate(&mut self, vcpu: &StoppedVcpu) -> Pstate;

    /// The same, if it is at hand; `None` where looking would cost a call, and a single step or an
    /// IT block does not outlive the exit anyway.
    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate>;

    /// Whether anything but the program counter of a vCPU in AArch32 state can be changed. A program
    /// of EL0 can be in it; a kernel that cannot write such a state back would go on in another.
    fn writes_aarch32(&self) -> bool {
        true
    }

    /// Sets the processor state of a stopped vCPU.
    fn set_pstate(&mut self, vcpu: &StoppedVcpu, pstate: Pstate);

    /// SCTLR_EL1 of the vCPU whose exit is being handled, which decides about the byte order of
    /// its accesses; `None` where looking at it would cost a call for every exit.
    fn sctlr(&mut self, vcpu: &StoppedVcpu) -> Option<u64>;

    /// A register of EL1 of the vCPU whose exit is being handled; `None` where the kernel cannot
    /// reach it, because the vCPU's registers are in another core.
    fn el1(&mut self, vcpu: &StoppedVcpu, register: El1) -> Option<u64>;

    /// Writes a register of EL1, where [`Self::el1`] reads one.
    fn set_el1(&mut self, vcpu: &StoppedVcpu, register: El1, value: u64);

    /// The virtual address of the abort that is being handled (FAR_EL2), where the kernel hands it
    /// on.
    fn fault_address(&mut self, vcpu: &StoppedVcpu) -> Option<u64>;

    /// The virtual timer of a stopped vCPU.
    fn virtual_timer(&mut self, vcpu: &StoppedVcpu) -> VirtualTimer;
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
