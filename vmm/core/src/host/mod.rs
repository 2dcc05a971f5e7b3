// SPDX-License-Identifier: BSD-2-Clause
//! The seam: everything that the core asks of the kernel it runs on.
//!
//! Three bodies stand behind [`Host`]: seL4 (`vmm/hosts/microkit`), bare metal
//! (`vmm/hosts/baremetal`) and [`crate::fake`] for tests. A host turns what its kernel reports
//! into an [`Exit`], calls [`crate::vm::Vm::handle`] and carries out the [`Action`]; it decides
//! nothing.

pub use vmm_report::FaultKind;

mod clock;
mod console;
mod firmware;
mod interrupts;
mod memory;
mod vcpu;

pub use self::clock::Clock;
pub use self::console::Console;
pub use self::firmware::Firmware;
pub use self::interrupts::Interrupts;
pub use self::memory::GuestMemory;
pub use self::vcpu::{StoppedVcpu, Vcpus};
use crate::addr::{Ipa, IpaRange};
use crate::ids::{Intid, Vcpu};

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
    /// The virtual timer's interrupt fired. It is masked until [`Interrupts::ack_timer`].
    Timer,
    /// A list register that asked for it became empty ([`Some`] slot), or the interrupt
    /// controller wants attention without naming one.
    Maintenance(Option<u8>),
    /// The guest ended this many interrupts that no list register holds ([`Interrupts::attend`]).
    EndedAside(u8),
    /// A device's physical interrupt fired. The line is masked until [`Interrupts::ack_line`].
    /// Comes on behalf of the machine: the answer [`Action::Resume`] changes nothing.
    DeviceInterrupt(Intid),
    /// A deadline given with [`Action::Park`] may have passed. Comes on behalf of the machine, as
    /// [`Exit::DeviceInterrupt`] does.
    WakeUp,
    /// The host's kernel reported something that this list has no word for.
    Other {
        /// The kernel's own name for it.
        what: &'static str,
        /// The kernel's number for it.
        code: u64,
    },
}

/// What the host does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let the vCPU run on (for [`Exit::DeviceInterrupt`] and [`Exit::WakeUp`]: leave everything as it is).
    Resume,
    /// Do not run the vCPU until [`Vcpus::wake`], [`Vcpus::start`] or [`Vcpus::stop`] names it. If
    /// `until` is given, send [`Exit::WakeUp`] once the counter reaches it. As the answer to
    /// [`Exit::WakeUp`] it names the next deadline. One that cannot keep deadlines says so before
    /// ([`crate::vm::Vm::never_park`]): a vCPU that turned itself off is parked, too.
    Park {
        /// Deadline in ticks of the generic timer's counter ([`Clock::now`]).
        until: Option<u64>,
    },
    /// The guest powered the machine off; the last report is out. Ask the firmware for it.
    PowerOff,
    /// The guest did what it may not do; the report is out ([`crate::vm::Vm::fault`]).
    /// Never run it again; power off.
    Stop(FaultKind),
}

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
    /// The guest has ended it; [`Exit::Maintenance`] is on its way.
    Empty,
    /// It waits for the guest.
    Pending,
    /// The guest handles it.
    Active,
}

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

/// One of the pristine images that every start of the guest is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// arm64 Linux `Image`, or any program that starts with the same header.
    Kernel,
    /// Flattened device tree.
    DeviceTree,
    /// Initial RAM file system.
    Initrd,
}

/// One step in the placing of images. The order is the core's ([`crate::boot::place`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOp {
    /// Write dirty lines of this guest RAM back and drop them (`dc civac`).
    CleanInvalidate(IpaRange),
    /// Copy a pristine image to this place in guest RAM.
    Copy(Image, Ipa),
    /// Store these four bytes at this place in guest RAM.
    Store(Ipa, [u8; 4]),
    /// Write dirty lines of this guest RAM back to the point of coherency (`dc cvac`), so that a
    /// guest with its caches off sees them.
    Clean(IpaRange),
    /// Drop instruction-cache lines of this guest RAM (`ic ivau`).
    InvalidateInstructions(IpaRange),
}

/// What the host's kernel was asked for so far, where it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostStats {
    /// Calls into the kernel.
    pub calls: u64,
    /// Guest registers moved by those calls.
    pub registers: u64,
}

/// The kernel refused an injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel refused list register {slot}")]
pub struct InjectRefused {
    /// The list register.
    pub slot: u8,
}

/// A memory step could not be done: the range is not guest RAM, or the image does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest RAM does not hold {0:?}")]
pub struct MemoryRefused(pub MemoryOp);

/// All that the core asks of the kernel under it. What needs only a part of it takes that part.
pub trait Host:
    StoppedVcpu + Vcpus + Interrupts + GuestMemory + Clock + Console + Firmware
{
    /// What the kernel was asked for so far; zero where nobody counts.
    fn stats(&self) -> HostStats {
        HostStats::default()
    }
}
