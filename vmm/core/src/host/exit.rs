// SPDX-License-Identifier: BSD-2-Clause
//! Why the monitor is asked, and what it answers.

use vmm_report::FaultKind;

use crate::addr::Ipa;
use crate::ids::Intid;

/// Why a vCPU, or the machine under it, wants the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest trapped to EL2 with this syndrome: stage-2 abort, SMC, WFI/WFE, system register.
    /// The program counter still points at the instruction.
    Trap {
        /// ESR_EL2 (Arm DDI 0487, D24.2.46).
        esr: u64,
        /// Faulting address of a stage-2 abort; zero for every other class.
        ipa: Ipa,
    },
    /// The guest made a hypervisor call. The program counter is already past it.
    Hypercall,
    /// The virtual timer's interrupt fired. It is masked until [`super::Interrupts::ack_timer`].
    Timer,
    /// A list register that asked for it became empty ([`Some`] slot), or the interrupt
    /// controller wants attention without naming one.
    Maintenance(Option<u8>),
    /// The guest ended this many interrupts that no list register holds ([`super::Interrupts::attend`]).
    EndedAside(u8),
    /// A device's physical interrupt fired. The line is masked until [`super::Interrupts::ack_line`].
    /// Comes on behalf of the machine: the answer [`Action::Resume`] changes nothing.
    DeviceInterrupt(Intid),
    /// A deadline given with [`Action::Park`] may have passed. Comes on behalf of the machine, as
    /// [`Exit::DeviceInterrupt`] does.
    WakeUp,
    /// The host's kernel reported something that this list has no word for.
    Other {
        /// The kernel's own name for it.
        name: &'static str,
        /// The kernel's number for it.
        code: u64,
    },
}

/// What the host does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let the vCPU run on (for [`Exit::DeviceInterrupt`] and [`Exit::WakeUp`]: leave everything as it is).
    Resume,
    /// Do not run the vCPU until [`super::Vcpus::wake`], [`super::Vcpus::start`] or [`super::Vcpus::stop`] names it. If
    /// `until` is given, send [`Exit::WakeUp`] once the counter reaches it. As the answer to
    /// [`Exit::WakeUp`] it names the next deadline. One that cannot keep deadlines says so before
    /// ([`crate::vm::Vm::never_park`]): a vCPU that turned itself off is parked, too.
    Park {
        /// Deadline in ticks of the generic timer's counter ([`super::Clock::now`]).
        until: Option<u64>,
    },
    /// The guest powered the machine off; the last report is out. Ask the firmware for it.
    PowerOff,
    /// The guest did what it may not do; the report is out ([`crate::vm::Vm::fault`]).
    /// Never run it again; power off.
    Stop(FaultKind),
}
