// SPDX-License-Identifier: BSD-2-Clause
//! The seam: everything that the core asks of the kernel it runs on.
//!
//! Three bodies stand behind [`Host`]: seL4 (`vmm/hosts/microkit`), bare metal
//! (`vmm/hosts/baremetal`) and [`crate::fake`] for tests. A host turns what its kernel reports
//! into an [`Exit`], calls [`crate::vm::Vm::handle`] and carries out the [`Action`]; it decides
//! nothing.

pub use vmm_report::FaultKind;

use crate::addr::{Ipa, IpaRange};
use crate::arm::pstate::Pstate;
use crate::ids::{Gpr, Intid, Vcpu};

/// Why a vCPU, or the machine under it, wants the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest trapped to EL2 with this syndrome: stage-2 abort, SMC, WFI/WFE, system register.
    /// The program counter still points at the instruction.
    Trap {
        /// ESR_EL2 (Arm DDI 0487, D24.2.40).
        esr: u64,
        /// Faulting address of a stage-2 abort; zero for every other class.
        ipa: Ipa,
    },
    /// The guest made a hypervisor call. The program counter is already past it.
    Hypercall,
    /// The virtual timer's interrupt fired. It is masked until [`Host::ack_timer`].
    Timer,
    /// A list register that asked for it became empty ([`Some`] slot), or the interrupt
    /// controller wants attention without naming one.
    Maintenance(Option<u8>),
    /// The guest ended this many interrupts that no list register holds ([`Host::attend`]).
    EndedAside(u8),
    /// A device's physical interrupt fired. The line is masked until [`Host::ack_line`].
    /// Comes on behalf of the machine: the answer [`Action::Resume`] changes nothing.
    Line(Intid),
    /// A deadline given with [`Action::Park`] may have passed. Comes on behalf of the machine, as
    /// [`Exit::Line`] does.
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
    /// Let the vCPU run on (for [`Exit::Line`] and [`Exit::WakeUp`]: leave everything as it is).
    Resume,
    /// Do not run the vCPU until [`Host::wake`], [`Host::start`] or [`Host::stop`] names it. If
    /// `until` is given, send [`Exit::WakeUp`] once the counter reaches it. As the answer to
    /// [`Exit::WakeUp`] it names the next deadline. One that cannot keep deadlines says so before
    /// ([`crate::vm::Vm::never_park`]): a vCPU that turned itself off is parked, too.
    Park {
        /// Deadline in ticks of the generic timer's counter ([`Host::now`]).
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
/// DDI 0487, D1.3.1).
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

/// The guest's virtual timer as its registers are (Arm DDI 0487, D24.10.32 and D24.10.33).
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

/// What the core asks of the kernel under it. Registers may be asked for only between the exit of
/// a vCPU and the answer to it.
pub trait Host {
    /// Number of list registers that can be injected into, 1 to 16.
    fn slots(&self) -> u8;

    /// Frequency of the generic timer's counter, in hertz.
    fn frequency(&self) -> u64;

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

    /// Writes a register of EL1, where [`Host::el1`] reads one.
    fn set_el1(&mut self, vcpu: Vcpu, register: El1, value: u64);

    /// The virtual address of the abort that is being handled (FAR_EL2), where the kernel hands it
    /// on.
    fn fault_address(&mut self, vcpu: Vcpu) -> Option<u64>;

    /// The virtual timer of a stopped vCPU.
    fn virtual_timer(&mut self, vcpu: Vcpu) -> VirtualTimer;

    /// Puts a pending interrupt into list register `slot`, with end-of-interrupt maintenance
    /// asked for. Whatever was there is overwritten: the core knows what is free.
    ///
    /// # Errors
    /// The kernel says that the slot holds an active interrupt, or does not exist.
    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused>;

    /// Whether the host can read list registers: [`Host::list_state`] then has an answer for each
    /// that was injected into, and [`Host::clear_list`] empties it.
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

    /// From now on a host that can read list registers reports [`Exit::Maintenance`] with no slot
    /// as soon as none of the vCPU's list registers holds a pending interrupt (`room`), and
    /// [`Exit::EndedAside`] (`ends`); or no longer.
    fn attend(&mut self, _vcpu: Vcpu, _room: bool, _ends: bool) {}

    /// Whether a device's level line, masked since it fired, is high now. `None` where the kernel
    /// does not say.
    fn line_level(&mut self, _intid: Intid) -> Option<bool> {
        None
    }

    /// Program counter of a vCPU that may be running: where it is, or where it was when it last
    /// entered the kernel. `None` where that is not known.
    fn last_pc(&mut self, _vcpu: Vcpu) -> Option<u64> {
        None
    }

    /// Unmasks the virtual timer's interrupt after [`Exit::Timer`]; if its condition still holds,
    /// it fires again.
    fn ack_timer(&mut self, vcpu: Vcpu);

    /// Unmasks a device's line after [`Exit::Line`]; if a level line is still high, it fires
    /// again.
    fn ack_line(&mut self, intid: Intid);

    /// Resets a vCPU (ENTRY_SPSR, ENTRY_SCTLR_EL1, timer off, registers zero) and lets it run
    /// from `entry`. For the vCPU whose exit is being handled, [`Action::Resume`] follows.
    fn start(&mut self, vcpu: Vcpu, entry: Entry);

    /// Stops a vCPU; its registers are lost.
    fn stop(&mut self, vcpu: Vcpu);

    /// Lets a parked vCPU run on.
    fn wake(&mut self, vcpu: Vcpu);

    /// The bytes of a pristine image; empty where the guest has none.
    fn image(&self, image: Image) -> &[u8];

    /// What the boot loader or the emulator left in the plan's region `seed`; empty where the plan
    /// has none.
    fn seed(&self) -> &[u8];

    /// Does one step in the placing of images.
    ///
    /// # Errors
    /// The range leaves guest RAM.
    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused>;

    /// Makes a firmware call on the monitor's behalf (DEN0028F): X0 to X7 in, X0 to X3 out.
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4];

    /// Seconds since 1970 of the clock that the plan names (its region `rtc`); zero where it has none.
    fn wall_clock(&mut self) -> u32;

    /// The generic timer's counter (CNTPCT_EL0), in ticks.
    fn now(&mut self) -> u64;

    /// Writes text to the UART by polling. Called only while the guest is stopped.
    fn print(&mut self, text: &str);

    /// What the kernel was asked for so far; zero where nobody counts.
    fn stats(&self) -> HostStats {
        HostStats::default()
    }
}
