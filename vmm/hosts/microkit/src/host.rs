// SPDX-License-Identifier: BSD-2-Clause
//! The seam's seL4 body.

use core::ptr::NonNull;

use sel4::VCpuReg;
use sel4_microkit::{Channel, DeferredAction, MessageInfo};
use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::arm::pstate::Pstate;
use vmm_core::host::{
    Clock, Console, ENTRY_SCTLR_EL1, El1, Entry, Firmware, GuestMemory, GuestRegisters, Host,
    HostStats, Image, InjectRefused, Injection, Interrupts, MemoryOp, MemoryRefused, StoppedVcpu,
    Vcpus, VirtualTimer,
};
use vmm_core::ids::{Gpr, Intid, MAX_VCPUS, Vcpu, VcpuCount};
use vmm_core::plan::{Interrupt, MAX_INTERRUPTS, PlanBlock, RegionName};
use vmm_microkit_abi::fault::{Carried, Fault};
use vmm_microkit_abi::registers::{RegisterFile, SYSCALL_REPLY, ThreadRegister};

use crate::idle::IdleTimer;
use crate::kernel::{self, Kernel};
use crate::memory::Ram;
use crate::{counter, symbols, uart};

/// What a virtual CPU's thread does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Thread {
    /// Never started, or stopped for good: its registers mean nothing.
    #[default]
    Stopped,
    /// Runs.
    Running,
    /// Waits for the answer to a fault.
    Faulted,
    /// The same, and the answer's words are written to X0 to X7 and the program counter.
    Calling,
    /// Suspended until it is woken.
    Parked,
}

impl Thread {
    /// Whether a fault of it waits for the answer. At most one does at a time.
    const fn waits(self) -> bool {
        matches!(self, Self::Faulted | Self::Calling)
    }
}

/// A virtual CPU.
#[derive(Clone, Default)]
struct Cpu {
    thread: Thread,
    registers: RegisterFile,
}

/// A device line and its channel.
type Line = (Intid, Channel);

/// seL4 under the core.
pub struct Sel4 {
    kernel: Kernel,
    cpus: [Cpu; MAX_VCPUS],
    memory: Ram,
    lines: [Option<Line>; MAX_INTERRUPTS],
    /// One for all virtual CPUs: the core names the earliest deadline.
    idle: Option<(IdleTimer, Channel)>,
    /// When the idle timer is due.
    due: Option<u64>,
    /// Goes with the next receive.
    deferred: Option<DeferredAction>,
    list_register_count: u8,
    /// Bytes of the plan's region `seed`.
    seed_size: usize,
}

/// Channels that Microkit has (`sel4_microkit::Channel` stops the program beyond that).
const CHANNELS: u32 = 62;

fn channel(number: u32) -> Option<Channel> {
    usize::try_from(number).ok().filter(|_| number < CHANNELS).map(Channel::new)
}

/// What the system file does not give, in words.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Missing {
    /// The plan has a virtual CPU that the system file does not.
    #[error("the system file gives protection domain vmm no virtual CPU with id {0}")]
    Vcpu(u8),
    /// Guest RAM is not mapped.
    #[error(
        "the system file does not map guest RAM into protection domain vmm (ram_vaddr is zero)"
    )]
    Ram,
    /// The plan names a channel that Microkit does not have.
    #[error("the plan names channel {0}; Microkit has 0 to 61")]
    Channel(u32),
}

impl Sel4 {
    /// Opens what the plan and the system file give.
    ///
    /// # Errors
    /// [`Missing`] says what they do not.
    pub fn open(plan: &PlanBlock<'_>) -> Result<Self, Missing> {
        let facts = plan.facts();
        let mut lines = [None; MAX_INTERRUPTS];
        for (to, interrupt) in lines.iter_mut().zip(plan.interrupts()) {
            let Interrupt { intid, channel: number, .. } = interrupt;
            *to = Some((intid, channel(number).ok_or(Missing::Channel(number))?));
        }
        let timer = facts.idle_timer;
        let registers = NonNull::new(symbols::idle_vaddr() as *mut u32);
        let idle = match IdleTimer::open(timer.kind, registers) {
            Some(open) => {
                Some((open, channel(timer.channel).ok_or(Missing::Channel(timer.channel))?))
            }
            None => None,
        };
        let base = NonNull::new(symbols::ram_vaddr() as *mut u8).ok_or(Missing::Ram)?;
        // SAFETY: the Microkit tool patched the address from the mapping of the region that the
        // plan calls guest RAM; system file and plan come from one run of guestplan.
        let memory = unsafe { Ram::new(facts.ram.range(), base.as_ptr()) };
        let mut kernel = Kernel::default();
        let list_register_count = kernel.list_register_count().ok_or(Missing::Vcpu(0))?;
        if facts.vcpus != VcpuCount::One {
            for vcpu in facts.vcpus.each() {
                if !kernel.number(vcpu) {
                    return Err(Missing::Vcpu(vcpu.0));
                }
            }
        }
        let seed = plan.regions().find(|region| region.is(RegionName::Seed));
        // No region: no bytes.
        let seed_size =
            seed.and_then(|region| usize::try_from(region.window.size).ok()).unwrap_or(0);
        Ok(Self {
            kernel,
            cpus: Default::default(),
            memory,
            lines,
            idle,
            due: None,
            deferred: None,
            list_register_count,
            seed_size,
        })
    }

    /// One message was received.
    pub const fn received(&mut self) {
        self.kernel.count();
    }

    fn cpu(&mut self, vcpu: Vcpu) -> Option<&mut Cpu> {
        self.cpus.get_mut(vcpu.index())
    }

    /// A virtual CPU waits for the answer to this fault.
    pub fn faulted(&mut self, vcpu: Vcpu, fault: &Fault) {
        let Some(cpu) = self.cpu(vcpu) else { return };
        cpu.thread = Thread::Faulted;
        let chunk = fault.chunk();
        match fault.carried {
            Carried::Nothing => cpu.registers.begin(&[], chunk),
            Carried::Pc(pc) => cpu.registers.begin(&[pc], chunk),
            Carried::NextPc(pc) => {
                cpu.registers.begin(&[], chunk);
                cpu.registers.set(ThreadRegister::PC, pc);
            }
            Carried::ToX7(words) => {
                cpu.registers.begin(&words, chunk);
                cpu.thread = Thread::Calling;
            }
        }
    }

    /// Writes what changed and makes the answer that lets the virtual CPU run on. `None` where it
    /// runs already, or is to stay where it is.
    pub fn answer(&mut self, vcpu: Vcpu) -> Option<MessageInfo> {
        let cpu = self.cpu(vcpu)?;
        let thread = cpu.thread;
        if !thread.waits() {
            return None;
        }
        cpu.thread = Thread::Running;
        if thread == Thread::Calling
            && let Some(words) = cpu.registers.syscall_reply()
        {
            for (at, word) in words.into_iter().enumerate() {
                sel4_microkit::set_mr(at, word);
            }
            return Some(MessageInfo::new(0, SYSCALL_REPLY));
        }
        self.write_back(vcpu, false);
        Some(MessageInfo::new(0, 0))
    }

    /// Whether a deadline can be kept.
    pub const fn keeps_time(&self) -> bool {
        self.idle.is_some()
    }

    /// Makes the idle timer fire at the deadline, if there is one.
    pub fn arm(&mut self, until: Option<u64>) {
        self.due = until;
        self.hold_deadline();
    }

    /// Sets the idle timer once more where a guest can reach it: a virtual CPU that runs may have
    /// taken the wake-up of one that is parked.
    pub fn hold_deadline_again(&mut self) {
        if matches!(self.idle, Some((IdleTimer::Cntp, _))) {
            self.hold_deadline();
        }
    }

    fn hold_deadline(&mut self) {
        if let (Some(deadline), Some((timer, _))) = (self.due, &mut self.idle) {
            timer.arm(deadline);
        }
    }

    /// Keeps a virtual CPU from running.
    pub fn park(&mut self, vcpu: Vcpu) {
        let Some(cpu) = self.cpus.get_mut(vcpu.index()) else { return };
        if !matches!(cpu.thread, Thread::Stopped | Thread::Parked) {
            cpu.thread = Thread::Parked;
            self.kernel.suspend(vcpu);
        }
    }

    /// Writes changed registers; whether there were any.
    fn write_back(&mut self, vcpu: Vcpu, resume: bool) -> bool {
        let Some(cpu) = self.cpus.get_mut(vcpu.index()) else { return false };
        let dirty = cpu.registers.dirty();
        if dirty.is_empty() {
            return false;
        }
        self.kernel.write_registers(vcpu, dirty, resume);
        cpu.registers.written();
        true
    }

    /// The device line behind a channel.
    pub fn line(&self, from: Channel) -> Option<Intid> {
        self.lines.iter().flatten().find(|(_, channel)| *channel == from).map(|(intid, _)| *intid)
    }

    /// Whether the idle timer is behind a channel; if so, it is turned off and its line unmasked.
    pub fn idle_fired(&mut self, from: Channel) -> bool {
        let Some((timer, channel)) = &mut self.idle else { return false };
        if *channel != from {
            return false;
        }
        timer.disarm();
        self.due = None; // the core names the next one
        self.unmask(from);
        true
    }

    /// Unmasks a physical interrupt: with the next receive, which costs nothing, or at once where
    /// that one is taken or has a fault to answer.
    fn unmask(&mut self, channel: Channel) {
        let action = DeferredAction::new_irq_ack(channel);
        if self.deferred.is_none() && !self.cpus.iter().any(|cpu| cpu.thread.waits()) {
            self.deferred = Some(action);
            return;
        }
        self.kernel.count();
        if let Err(error) = action.execute_now() {
            log::error!("seL4 refused to unmask channel {}: {error}", channel.index());
        }
    }

    /// The call to make with the next receive.
    pub const fn take_deferred(&mut self) -> Option<DeferredAction> {
        self.deferred.take()
    }

    fn get(&mut self, vcpu: Vcpu, register: ThreadRegister) -> u64 {
        let Some(Cpu { registers, .. }) = self.cpus.get_mut(vcpu.index()) else { return 0 };
        if let Some(count) = registers.missing_to_read(register) {
            self.kernel.read_registers(vcpu, count, |words| registers.fill(words));
        }
        registers.get(register)
    }

    fn set(&mut self, vcpu: Vcpu, register: ThreadRegister, value: u64) {
        let Some(Cpu { registers, .. }) = self.cpus.get_mut(vcpu.index()) else { return };
        if let Some(count) = registers.missing_to_write(register) {
            self.kernel.read_registers(vcpu, count, |words| registers.fill(words));
        }
        registers.set(register, value);
    }
}

impl GuestRegisters for Sel4 {
    fn reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr) -> u64 {
        self.get(vcpu.id(), ThreadRegister::of(reg))
    }

    fn set_reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr, value: u64) {
        self.set(vcpu.id(), ThreadRegister::of(reg), value);
    }

    fn pc(&mut self, vcpu: &StoppedVcpu) -> u64 {
        self.get(vcpu.id(), ThreadRegister::PC)
    }

    fn set_pc(&mut self, vcpu: &StoppedVcpu, pc: u64) {
        self.set(vcpu.id(), ThreadRegister::PC, pc);
    }

    fn pstate(&mut self, vcpu: &StoppedVcpu) -> Pstate {
        Pstate(self.get(vcpu.id(), ThreadRegister::SPSR))
    }

    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate> {
        // A kernel with HardwareDebugAPI ends a guest's single step whenever it goes back to it (seL4
        // `aarch64_restore_user_debug_context`), and one without survives none: that is not worth a
        // call. AArch32 state is, and can be where the program counter has 32 bits.
        let registers = &self.cpus.get(vcpu.id().index())?.registers;
        let may_be_aarch32 = u32::try_from(registers.get(ThreadRegister::PC)).is_ok();
        let known = registers.missing_to_read(ThreadRegister::SPSR).is_none();
        (known || may_be_aarch32).then(|| self.pstate(vcpu))
    }

    fn writes_aarch32(&self) -> bool {
        false // seL4 `sanitiseRegister` makes SPSR's AArch32 modes AArch64's EL0
    }

    fn set_pstate(&mut self, vcpu: &StoppedVcpu, pstate: Pstate) {
        self.set(vcpu.id(), ThreadRegister::SPSR, pstate.0);
    }

    fn sctlr(&mut self, _vcpu: &StoppedVcpu) -> Option<u64> {
        None // a call for every exit
    }

    fn el1(&mut self, vcpu: &StoppedVcpu, register: El1) -> Option<u64> {
        kernel::REACHES_EL1.then(|| self.kernel.read(vcpu.id(), el1(register)))
    }

    fn set_el1(&mut self, vcpu: &StoppedVcpu, register: El1, value: u64) {
        self.kernel.write(vcpu.id(), el1(register), value);
    }

    fn fault_address(&mut self, _vcpu: &StoppedVcpu) -> Option<u64> {
        None // the kernel puts the IPA in its place (`handleVMFault`)
    }

    fn virtual_timer(&mut self, vcpu: &StoppedVcpu) -> VirtualTimer {
        let ctl = self.kernel.read(vcpu.id(), VCpuReg::CNTV_CTL);
        VirtualTimer { ctl, cval: self.kernel.read(vcpu.id(), VCpuReg::CNTV_CVAL) }
    }
}

impl Vcpus for Sel4 {
    fn last_pc(&mut self, vcpu: Vcpu) -> Option<u64> {
        let mut pc = None;
        self.kernel.read_registers(vcpu, 1, |words| pc = words.first().copied());
        pc
    }

    fn start(&mut self, vcpu: Vcpu, entry: Entry) {
        let Some(cpu) = self.cpu(vcpu) else { return };
        cpu.registers.reset(entry);
        let waits = cpu.thread.waits();
        if !waits {
            cpu.thread = Thread::Running;
        }
        // SCTLR, CPACR and the timers are in the kernel's memory while the virtual CPU does not run,
        // whichever core it belongs to (seL4 `vcpu_reg_saved_when_disabled`). Where that is another
        // core than this, the rest keeps an earlier life's values: docs/registers.md.
        self.kernel.write(vcpu, VCpuReg::SCTLR, ENTRY_SCTLR_EL1);
        self.kernel.clear(vcpu);
        if !waits {
            self.write_back(vcpu, true);
        }
    }

    fn stop(&mut self, vcpu: Vcpu) {
        let Some(cpu) = self.cpus.get_mut(vcpu.index()) else { return };
        if cpu.thread != Thread::Stopped {
            cpu.thread = Thread::Stopped;
            self.kernel.suspend(vcpu);
        }
    }

    fn wake(&mut self, vcpu: Vcpu) {
        let Some(cpu) = self.cpu(vcpu) else { return };
        if cpu.thread != Thread::Parked {
            return;
        }
        cpu.thread = Thread::Running;
        // The idle timer stays on: at worst it fires for nobody, or too early, and the core names
        // the next deadline.
        if !self.write_back(vcpu, true) {
            self.kernel.resume(vcpu);
        }
    }
}

impl Interrupts for Sel4 {
    fn list_register_count(&self) -> u8 {
        self.list_register_count
    }

    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        self.kernel.inject(vcpu, slot, irq).map_err(|_| InjectRefused { slot })
    }

    fn ack_timer(&mut self, vcpu: Vcpu) {
        self.kernel.ack_timer(vcpu);
    }

    fn ack_line(&mut self, intid: Intid) {
        let line = self.lines.iter().flatten().find(|(line, _)| *line == intid);
        if let Some(&(_, channel)) = line {
            self.unmask(channel);
        }
    }
}

impl GuestMemory for Sel4 {
    fn image(&self, image: Image) -> &[u8] {
        match image {
            Image::Kernel => symbols::kernel(),
            Image::DeviceTree => symbols::device_tree(),
            Image::Initrd => symbols::initrd(),
        }
    }

    fn seed(&self) -> &[u8] {
        symbols::seed(self.seed_size)
    }

    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        let part = |range: Option<IpaRange>| {
            range.and_then(|range| self.memory.part(range)).ok_or(MemoryRefused(op))
        };
        match op {
            MemoryOp::CleanInvalidate(range) => part(Some(range))?.clean_invalidate(),
            MemoryOp::Clean(range) => part(Some(range))?.clean(),
            MemoryOp::InvalidateInstructions(range) => part(Some(range))?.invalidate_instructions(),
            MemoryOp::Copy(image, to) => {
                let bytes = self.image(image);
                part(range_at(to, bytes.len()))?.copy(bytes);
            }
            MemoryOp::Store(to, bytes) => part(range_at(to, bytes.len()))?.copy(&bytes),
        }
        Ok(())
    }
}

impl Clock for Sel4 {
    fn frequency(&self) -> u64 {
        counter::frequency()
    }

    fn wall_clock(&mut self) -> u32 {
        let data = symbols::rtc_vaddr() as *const u32;
        if data.is_null() {
            return 0;
        }
        // SAFETY: the Microkit tool patched the address from the mapping of the region `rtc`, which
        // is a PL031's page (board.toml, `clock`); its first word is RTCDR, and reading it changes
        // nothing (Arm DDI 0224C, 3.3.1).
        unsafe { data.read_volatile() }
    }

    fn now(&mut self) -> u64 {
        counter::now()
    }
}

impl Console for Sel4 {
    fn print(&mut self, text: &str) {
        uart::print(text);
    }
}

impl Firmware for Sel4 {
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        self.kernel.smc(args)
    }
}

impl Host for Sel4 {
    fn stats(&self) -> HostStats {
        self.kernel.stats()
    }
}

/// A register of EL1 by the kernel's name.
const fn el1(register: El1) -> VCpuReg {
    match register {
        El1::Sctlr => VCpuReg::SCTLR,
        El1::Vbar => VCpuReg::VBAR,
        El1::Elr => VCpuReg::ELR_EL1,
        El1::Spsr => VCpuReg::SPSR_EL1,
        El1::Esr => VCpuReg::ESR,
        El1::Far => VCpuReg::FAR,
    }
}

fn range_at(base: Ipa, size: usize) -> Option<IpaRange> {
    IpaRange::new(base, u64::try_from(size).ok()?)
}
