// SPDX-License-Identifier: BSD-2-Clause
//! The seam's seL4 body.

use core::ptr::NonNull;

use sel4::VCpuReg;
use sel4_microkit::{Channel, DeferredAction, MessageInfo};
use vmm_core::addr::{Ipa, IpaRange};
use vmm_core::host::{
    ENTRY_SCTLR_EL1, Entry, Gpr, Host, HostStats, Image, InjectRefused, Injection, Intid, MemoryOp,
    MemoryRefused, Vcpu, VirtualTimer,
};
use vmm_core::plan::{MAX_LINES, Plan};
use vmm_microkit_abi::fault::{Carried, Fault};
use vmm_microkit_abi::registers::{Place, RegisterFile, SYSCALL_REPLY};

use crate::idle::IdleTimer;
use crate::kernel::Kernel;
use crate::memory::GuestMemory;
use crate::{counter, symbols, uart};

/// What the virtual CPU's thread does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// Never started, or stopped for good: its registers mean nothing.
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

/// A device line and its channel.
type Line = (Intid, Channel);

/// seL4 under the core.
pub struct Sel4 {
    kernel: Kernel,
    thread: Thread,
    registers: RegisterFile,
    memory: GuestMemory,
    lines: [Option<Line>; MAX_LINES],
    idle: Option<(IdleTimer, Channel)>,
    /// Goes with the next receive.
    deferred: Option<DeferredAction>,
    slots: u8,
}

/// Channels that Microkit has (`sel4_microkit::Channel` stops the program beyond that).
const CHANNELS: u32 = 62;

fn channel(number: u32) -> Option<Channel> {
    usize::try_from(number).ok().filter(|_| number < CHANNELS).map(Channel::new)
}

/// What the system file does not give, in words.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Missing {
    /// No virtual CPU.
    #[error("the system file gives protection domain vmm no virtual CPU with id 0")]
    Vcpu,
    /// Guest RAM is not mapped.
    #[error(
        "the system file does not map guest RAM into protection domain vmm (ram_vaddr is zero)"
    )]
    Ram,
    /// The plan names a channel that Microkit does not have.
    #[error("the plan names channel {0}; Microkit has 0 to 61")]
    Channel(u32),
    /// More than one virtual CPU.
    #[error("the plan asks for {0} virtual CPUs; on seL4 there is one")]
    OneVcpu(u32),
}

impl Sel4 {
    /// Opens what the plan and the system file give.
    ///
    /// # Errors
    /// [`Missing`] says what they do not.
    pub fn open(plan: &Plan<'_>) -> Result<Self, Missing> {
        let facts = plan.facts();
        if facts.vcpus != 1 {
            return Err(Missing::OneVcpu(facts.vcpus));
        }
        let mut lines = [None; MAX_LINES];
        for ((to, line), intid) in lines.iter_mut().zip(plan.lines()).zip(plan.intids()) {
            let channel = channel(line.channel).ok_or(Missing::Channel(line.channel))?;
            *to = Some((intid, channel));
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
        let memory = unsafe { GuestMemory::new(facts.ram.range(), base.as_ptr()) };
        let mut kernel = Kernel::default();
        let slots = kernel.slots().ok_or(Missing::Vcpu)?;
        Ok(Self {
            kernel,
            thread: Thread::Stopped,
            registers: RegisterFile::default(),
            memory,
            lines,
            idle,
            deferred: None,
            slots,
        })
    }

    /// One message was received.
    pub const fn received(&mut self) {
        self.kernel.count();
    }

    /// The virtual CPU waits for the answer to this fault.
    pub fn faulted(&mut self, fault: &Fault) {
        self.thread = Thread::Faulted;
        let chunk = fault.chunk();
        match fault.carried {
            Carried::Nothing => self.registers.begin(&[], chunk),
            Carried::Pc(pc) => self.registers.begin(&[pc], chunk),
            Carried::NextPc(pc) => {
                self.registers.begin(&[], chunk);
                self.registers.set(Place::PC, pc);
            }
            Carried::ToX7(words) => {
                self.registers.begin(&words, chunk);
                self.thread = Thread::Calling;
            }
        }
    }

    /// Writes what changed and makes the answer that lets the virtual CPU run on. `None` where it
    /// runs already, or is to stay where it is.
    pub fn answer(&mut self) -> Option<MessageInfo> {
        let thread = self.thread;
        if !matches!(thread, Thread::Faulted | Thread::Calling) {
            return None;
        }
        self.thread = Thread::Running;
        if thread == Thread::Calling
            && let Some(words) = self.registers.syscall_reply()
        {
            for (at, word) in words.into_iter().enumerate() {
                sel4_microkit::set_mr(at, word);
            }
            return Some(MessageInfo::new(0, SYSCALL_REPLY));
        }
        self.write_back(false);
        Some(MessageInfo::new(0, 0))
    }

    /// Keeps the virtual CPU from running, until the deadline if there is one. Where nothing
    /// would end the wait, it runs on instead: its own timer ends it then.
    pub fn park(&mut self, until: Option<u64>) -> Option<MessageInfo> {
        match (until, &mut self.idle) {
            (Some(deadline), Some((timer, _))) => timer.arm(deadline),
            (Some(_), None) => return self.answer(),
            (None, _) => {}
        }
        if !matches!(self.thread, Thread::Stopped | Thread::Parked) {
            self.kernel.suspend();
            self.thread = Thread::Parked;
        }
        None
    }

    /// Writes changed registers; whether there were any.
    fn write_back(&mut self, resume: bool) -> bool {
        let dirty = self.registers.dirty();
        if dirty.is_empty() {
            return false;
        }
        self.kernel.write_registers(dirty, resume);
        self.registers.written();
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
        self.unmask(from);
        true
    }

    /// Unmasks a physical interrupt: with the next receive, which costs nothing, or at once where
    /// that one is taken or has a fault to answer.
    fn unmask(&mut self, channel: Channel) {
        let action = DeferredAction::new_irq_ack(channel);
        if self.deferred.is_none() && !matches!(self.thread, Thread::Faulted | Thread::Calling) {
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

    /// Makes sure that `place` can be read.
    fn know(&mut self, missing: Option<usize>) {
        if let Some(count) = missing {
            self.kernel.read_registers(count, |words| self.registers.fill(words));
        }
    }

    fn get(&mut self, place: Place) -> u64 {
        self.know(self.registers.missing_to_read(place));
        self.registers.get(place)
    }

    fn set(&mut self, place: Place, value: u64) {
        self.know(self.registers.missing_to_write(place));
        self.registers.set(place, value);
    }
}

impl Host for Sel4 {
    fn slots(&self) -> u8 {
        self.slots
    }

    fn frequency(&self) -> u64 {
        counter::frequency()
    }

    fn reg(&mut self, _vcpu: Vcpu, reg: Gpr) -> u64 {
        self.get(Place::of(reg))
    }

    fn set_reg(&mut self, _vcpu: Vcpu, reg: Gpr, value: u64) {
        self.set(Place::of(reg), value);
    }

    fn pc(&mut self, _vcpu: Vcpu) -> u64 {
        self.get(Place::PC)
    }

    fn set_pc(&mut self, _vcpu: Vcpu, pc: u64) {
        self.set(Place::PC, pc);
    }

    fn virtual_timer(&mut self, _vcpu: Vcpu) -> VirtualTimer {
        let ctl = self.kernel.read(VCpuReg::CNTV_CTL);
        VirtualTimer { ctl, cval: self.kernel.read(VCpuReg::CNTV_CVAL) }
    }

    fn inject(&mut self, _vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        self.kernel.inject(slot, irq).map_err(|_| InjectRefused { slot })
    }

    fn ack_timer(&mut self, _vcpu: Vcpu) {
        self.kernel.ack_timer();
    }

    fn ack_line(&mut self, intid: Intid) {
        let line = self.lines.iter().flatten().find(|(line, _)| *line == intid);
        if let Some(&(_, channel)) = line {
            self.unmask(channel);
        }
    }

    fn start(&mut self, _vcpu: Vcpu, entry: Entry) {
        self.registers.reset(entry);
        self.kernel.write(VCpuReg::SCTLR, ENTRY_SCTLR_EL1);
        self.kernel.write(VCpuReg::CNTV_CTL, 0);
        if !matches!(self.thread, Thread::Faulted | Thread::Calling) {
            self.write_back(true);
            self.thread = Thread::Running;
        }
    }

    fn stop(&mut self, _vcpu: Vcpu) {
        if self.thread != Thread::Stopped {
            self.kernel.suspend();
            self.thread = Thread::Stopped;
        }
    }

    fn wake(&mut self, _vcpu: Vcpu) {
        if self.thread != Thread::Parked {
            return;
        }
        if let Some((timer, _)) = &mut self.idle {
            timer.disarm();
        }
        if !self.write_back(true) {
            self.kernel.resume();
        }
        self.thread = Thread::Running;
    }

    fn image(&self, image: Image) -> &[u8] {
        match image {
            Image::Kernel => symbols::kernel(),
            Image::DeviceTree => symbols::device_tree(),
            Image::Initrd => symbols::initrd(),
        }
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
        }
        Ok(())
    }

    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        self.kernel.smc(args)
    }

    fn now(&mut self) -> u64 {
        counter::now()
    }

    fn print(&mut self, text: &str) {
        uart::print(text);
    }

    fn stats(&self) -> HostStats {
        self.kernel.stats()
    }
}

fn range_at(base: Ipa, size: usize) -> Option<IpaRange> {
    IpaRange::new(base, u64::try_from(size).ok()?)
}
