// SPDX-License-Identifier: BSD-2-Clause
//! A host for tests: registers, list registers, lines, timers and caches that behave as the real
//! ones do, their odd sides included.
//!
//! - A list register is overwritten without a word, whether it is pending or active; only one
//!   that the kernel's shadow knows to be active is refused ([`Fake::refresh_shadow`]).
//! - With [`Fake::reads`] it is a host that reads and empties list registers, takes an interrupt's
//!   end for one that is in none of them, and knows the level of a line.
//! - A line and the virtual timer are masked when they fire, until they are acknowledged; what
//!   still holds then fires again.
//! - Guest RAM has caches: what was copied is seen by a guest with its caches off only after it
//!   was cleaned, and a dirty line can be written back at any time ([`Ram::evict`]).

use std::collections::{BTreeMap, VecDeque};
use std::string::String;
use std::vec::Vec;

use vmm_core::addr::IpaRange;
use vmm_core::arm::pstate::Pstate;
use vmm_core::host::{
    Clock, Console, ENTRY_SCTLR_EL1, ENTRY_SPSR, El1, Entry, Exit, Firmware, GuestMemory,
    GuestRegisters, Host, HostStats, Image, InjectRefused, Injection, Interrupts, ListState,
    MemoryOp, MemoryRefused, StoppedVcpu, Vcpus, VirtualTimer,
};
use vmm_core::ids::{Gpr, Intid, Vcpu};

pub mod ram;

use ram::Ram;

/// A list register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// Nothing there.
    #[default]
    Empty,
    /// Waits for the guest.
    Pending(Injection),
    /// The guest is handling it.
    Active(Injection),
}

/// What a vCPU of the fake is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Never started, or stopped.
    #[default]
    Off,
    /// Runs.
    Running,
    /// Parked by the test, as a host does after [`vmm_core::host::Action::Park`].
    Parked,
}

/// A vCPU.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// X0 to X30.
    pub regs: [u64; 31],
    /// Program counter.
    pub pc: u64,
    /// Processor state.
    pub pstate: u64,
    /// Registers of EL1, by [`El1`].
    pub el1: [u64; 6],
    /// FAR_EL2.
    pub far: u64,
    /// Its virtual timer.
    pub timer: VirtualTimer,
    /// Whether the timer's interrupt is masked until it is acknowledged.
    pub timer_masked: bool,
    /// List registers.
    pub lists: [List; 16],
    /// What was active when its list register was emptied.
    pub aside: Vec<Injection>,
    /// What the core has asked for with [`vmm_core::host::Interrupts::attend`].
    pub attends: (bool, bool),
    /// Slots that the kernel's shadow knows to be active.
    pub shadow_active: [bool; 16],
    /// What it is doing.
    pub life: Life,
}

/// A physical interrupt line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire {
    /// Level of the line, or an edge that nobody has seen yet.
    pub high: bool,
    /// Whether it is an edge.
    pub edge: bool,
    /// Masked until it is acknowledged.
    pub masked: bool,
}

/// A list register that was overwritten although it held something that the guest could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// The vCPU.
    pub vcpu: Vcpu,
    /// The slot.
    pub slot: u8,
    /// What was lost.
    pub old: List,
    /// What came.
    pub new: Injection,
}

/// The fake.
#[derive(Clone, Debug)]
pub struct Fake {
    /// Number of list registers.
    pub slots: u8,
    /// Whether it can read list registers.
    pub reads: bool,
    /// Counter frequency in hertz.
    pub frequency: u64,
    /// The counter.
    pub now: u64,
    /// vCPUs.
    pub cpus: Vec<Cpu>,
    /// Physical lines by INTID.
    pub wires: BTreeMap<u16, Wire>,
    /// The guest's EL1 registers and fault addresses are out of reach, as in another core of seL4.
    pub is_far: bool,
    /// A vCPU in AArch32 state can only be moved on, as on seL4.
    pub forgets_aarch32: bool,
    /// The kernel hands no virtual address of an abort on.
    pub hides_addresses: bool,
    /// Groups that the guest's CPU interface has enabled, a bit each.
    pub groups: u8,
    /// Everything printed.
    pub printed: String,
    /// Exits that happened and were not fetched yet.
    pub exits: VecDeque<(Vcpu, Exit)>,
    /// Every overwritten list register.
    pub overwritten: Vec<Overwritten>,
    /// Memory steps so far.
    pub memory_log: Vec<MemoryOp>,
    /// What [`vmm_core::host::Clock::wall_clock`] says.
    pub wall_clock: u32,
    /// Firmware calls so far.
    pub smc_log: Vec<[u64; 8]>,
    /// What the firmware answers.
    pub smc_answer: [u64; 4],
    /// What [`vmm_core::host::Host::stats`] says; the fake has no kernel that counts.
    pub stats: HostStats,
    /// Guest RAM with its caches.
    pub ram: Ram,
    /// What is in the region `seed`.
    pub seed: Vec<u8>,
    images: [Vec<u8>; 3],
}

const fn image_index(image: Image) -> usize {
    match image {
        Image::Kernel => 0,
        Image::DeviceTree => 1,
        Image::Initrd => 2,
    }
}

impl Fake {
    /// A host with `vcpus` vCPUs that are off, four list registers, a 1 MHz counter and guest RAM
    /// of `ram` (rounded down to cache lines).
    #[must_use]
    pub fn new(vcpus: u8, ram: IpaRange) -> Self {
        Self {
            slots: 4,
            reads: false,
            frequency: 1_000_000,
            now: 1_000,
            cpus: (0..vcpus).map(|_| Cpu::default()).collect(),
            wires: BTreeMap::new(),
            is_far: false,
            forgets_aarch32: false,
            hides_addresses: false,
            groups: 0b01,
            printed: String::new(),
            exits: VecDeque::new(),
            overwritten: Vec::new(),
            memory_log: Vec::new(),
            wall_clock: 0,
            smc_log: Vec::new(),
            smc_answer: [0; 4],
            stats: HostStats::default(),
            ram: Ram::new(ram),
            seed: Vec::new(),
            images: [Vec::new(), Vec::new(), Vec::new()],
        }
    }

    /// Gives the host a pristine image.
    pub fn set_image(&mut self, image: Image, bytes: &[u8]) {
        if let Some(place) = self.images.get_mut(image_index(image)) {
            *place = bytes.to_vec();
        }
    }

    /// Adds a device's line.
    pub fn add_wire(&mut self, intid: u16, edge: bool) {
        self.wires.insert(intid, Wire { edge, ..Wire::default() });
    }

    /// The device raises its line (a level stays, an edge passes).
    pub fn raise(&mut self, intid: u16) {
        if let Some(wire) = self.wires.get_mut(&intid) {
            wire.high = true;
        }
        self.poll();
    }

    /// The device lowers its level line.
    pub fn lower(&mut self, intid: u16) {
        if let Some(wire) = self.wires.get_mut(&intid) {
            wire.high = false;
        }
    }

    /// Lets time pass, in ticks.
    pub fn pass(&mut self, ticks: u64) {
        self.now = self.now.saturating_add(ticks);
        self.poll();
    }

    /// Turns conditions that hold into exits: unmasked high lines, and expired timers of vCPUs
    /// that run.
    fn poll(&mut self) {
        for (intid, wire) in &mut self.wires {
            if wire.high && !wire.masked {
                wire.masked = true;
                if wire.edge {
                    wire.high = false;
                }
                if let Some(intid) = Intid::new(*intid) {
                    self.exits.push_back((Vcpu(0), Exit::DeviceInterrupt(intid)));
                }
            }
        }
        for (v, cpu) in (0..).zip(&mut self.cpus) {
            let expired = cpu.timer.ctl & 0b11 == 0b01 && cpu.timer.cval <= self.now;
            if cpu.life == Life::Running && expired && !cpu.timer_masked {
                cpu.timer_masked = true;
                self.exits.push_back((Vcpu(v), Exit::Timer));
            }
        }
    }

    /// The next thing that happened.
    pub fn next_exit(&mut self) -> Option<(Vcpu, Exit)> {
        self.poll();
        self.exits.pop_front()
    }

    /// What a vCPU still had to report is lost when it is stopped; lines are the machine's.
    fn forget_exits(&mut self, vcpu: Vcpu) {
        self.exits.retain(|(v, exit)| *v != vcpu || matches!(exit, Exit::DeviceInterrupt(_)));
    }

    fn cpu(&mut self, vcpu: Vcpu) -> Option<&mut Cpu> {
        self.cpus.get_mut(vcpu.index())
    }

    /// The guest reads its interrupt acknowledge register: the pending interrupt of highest
    /// priority becomes active.
    pub fn acknowledge(&mut self, vcpu: Vcpu) -> Option<Injection> {
        let groups = self.groups;
        let list = self
            .cpu(vcpu)?
            .lists
            .iter_mut()
            .filter_map(|list| match *list {
                List::Pending(irq) if groups >> irq.group & 1 == 1 => Some((irq, list)),
                _ => None,
            })
            .min_by_key(|(irq, _)| (irq.priority, irq.intid));
        let (irq, list) = list?;
        *list = List::Active(irq);
        let cpu = self.cpu(vcpu)?;
        let pending = cpu.lists.iter().any(|list| matches!(list, List::Pending(_)));
        if cpu.attends.0 && !pending {
            self.exits.push_back((vcpu, Exit::Maintenance(None)));
        }
        Some(irq)
    }

    /// The guest ends an active interrupt: its list register empties and asks for maintenance. One
    /// that is in no list register is counted, if it is the one whose turn it is. Says whether it
    /// was ended.
    pub fn end(&mut self, vcpu: Vcpu, intid: Intid) -> bool {
        let Some(cpu) = self.cpu(vcpu) else { return false };
        for (slot, list) in (0..).zip(&mut cpu.lists) {
            if matches!(list, List::Active(irq) if irq.intid == intid) {
                *list = List::Empty;
                if let Some(shadow) = cpu.shadow_active.get_mut(usize::from(slot)) {
                    *shadow = false;
                }
                self.exits.push_back((vcpu, Exit::Maintenance(Some(slot))));
                return true;
            }
        }
        let best = cpu.aside.iter().map(|irq| (irq.priority, irq.intid)).min();
        let ends = cpu.attends.1 && best.is_some_and(|(_, best)| best == intid);
        if ends {
            cpu.aside.retain(|irq| irq.intid != intid);
            self.exits.push_back((vcpu, Exit::EndedAside(1)));
        }
        ends
    }

    /// The kernel looks at the list registers of a vCPU, as it does when another vCPU takes the
    /// core: from now on it refuses those that are active.
    pub fn refresh_shadow(&mut self, vcpu: Vcpu) {
        if let Some(cpu) = self.cpu(vcpu) {
            for (shadow, list) in cpu.shadow_active.iter_mut().zip(&cpu.lists) {
                *shadow = matches!(list, List::Active(_));
            }
        }
    }

    /// Everything that is visible to the guest in its list registers.
    #[must_use]
    pub fn visible(&self, vcpu: Vcpu) -> Vec<Injection> {
        let lists = self.cpus.get(vcpu.index()).map(|cpu| cpu.lists.as_slice()).unwrap_or_default();
        lists
            .iter()
            .filter_map(|list| match *list {
                List::Empty => None,
                List::Pending(irq) | List::Active(irq) => {
                    (self.groups >> irq.group & 1 == 1).then_some(irq)
                }
            })
            .collect()
    }
}

impl GuestRegisters for Fake {
    fn reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr) -> u64 {
        self.cpu(vcpu.id())
            .and_then(|cpu| cpu.regs.get(usize::from(reg.number())).copied())
            .unwrap_or(0)
    }

    fn set_reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr, value: u64) {
        if let Some(to) =
            self.cpu(vcpu.id()).and_then(|cpu| cpu.regs.get_mut(usize::from(reg.number())))
        {
            *to = value;
        }
    }

    fn pc(&mut self, vcpu: &StoppedVcpu) -> u64 {
        self.cpu(vcpu.id()).map_or(0, |cpu| cpu.pc)
    }

    fn set_pc(&mut self, vcpu: &StoppedVcpu, pc: u64) {
        if let Some(cpu) = self.cpu(vcpu.id()) {
            cpu.pc = pc;
        }
    }

    fn pstate(&mut self, vcpu: &StoppedVcpu) -> Pstate {
        Pstate(self.cpu(vcpu.id()).map_or(0, |cpu| cpu.pstate))
    }

    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate> {
        (!self.is_far).then(|| self.pstate(vcpu))
    }

    fn writes_aarch32(&self) -> bool {
        !self.forgets_aarch32
    }

    fn set_pstate(&mut self, vcpu: &StoppedVcpu, pstate: Pstate) {
        if let Some(cpu) = self.cpu(vcpu.id()) {
            cpu.pstate = pstate.0;
        }
    }

    fn sctlr(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        if self.is_far { None } else { self.el1(vcpu, El1::Sctlr) }
    }

    fn el1(&mut self, vcpu: &StoppedVcpu, register: El1) -> Option<u64> {
        if self.is_far {
            return None;
        }
        self.cpu(vcpu.id()).and_then(|cpu| cpu.el1.get(register as usize).copied())
    }

    fn set_el1(&mut self, vcpu: &StoppedVcpu, register: El1, value: u64) {
        if let Some(to) = self.cpu(vcpu.id()).and_then(|cpu| cpu.el1.get_mut(register as usize)) {
            *to = value;
        }
    }

    fn fault_address(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        if self.hides_addresses { None } else { self.cpu(vcpu.id()).map(|cpu| cpu.far) }
    }

    fn virtual_timer(&mut self, vcpu: &StoppedVcpu) -> VirtualTimer {
        self.cpu(vcpu.id()).map(|cpu| cpu.timer).unwrap_or_default()
    }
}

impl Vcpus for Fake {
    fn last_pc(&mut self, vcpu: Vcpu) -> Option<u64> {
        let reads = self.reads;
        self.cpu(vcpu).filter(|_| !reads).map(|cpu| cpu.pc)
    }

    fn start(&mut self, vcpu: Vcpu, entry: Entry) {
        self.forget_exits(vcpu);
        if let Some(cpu) = self.cpu(vcpu) {
            cpu.regs = [0; 31];
            if let Some(x0) = cpu.regs.first_mut() {
                *x0 = entry.x0;
            }
            cpu.pc = entry.pc.0;
            cpu.pstate = ENTRY_SPSR;
            cpu.el1 = [ENTRY_SCTLR_EL1, 0, 0, 0, 0, 0];
            cpu.timer = VirtualTimer::default();
            cpu.aside.clear();
            cpu.life = Life::Running;
        }
    }

    fn stop(&mut self, vcpu: Vcpu) {
        self.forget_exits(vcpu);
        if let Some(cpu) = self.cpu(vcpu) {
            cpu.life = Life::Off;
        }
    }

    fn wake(&mut self, vcpu: Vcpu) {
        if let Some(cpu) = self.cpu(vcpu) {
            cpu.life = Life::Running;
        }
    }
}

impl Interrupts for Fake {
    fn list_register_count(&self) -> u8 {
        self.slots
    }

    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        let (slots, groups) = (self.slots, self.groups);
        let Some(cpu) = self.cpu(vcpu) else { return Err(InjectRefused { slot }) };
        let index = usize::from(slot);
        let refused = slot >= slots || cpu.shadow_active.get(index).copied().unwrap_or(true);
        let Some(list) = cpu.lists.get_mut(index).filter(|_| !refused) else {
            return Err(InjectRefused { slot });
        };
        let old = *list;
        *list = List::Pending(irq);
        let visible = match old {
            List::Empty => false,
            List::Pending(irq) => groups >> irq.group & 1 == 1,
            List::Active(_) => true,
        };
        if visible {
            self.overwritten.push(Overwritten { vcpu, slot, old, new: irq });
        }
        Ok(())
    }

    fn reads_lists(&self) -> bool {
        self.reads
    }

    fn list_state(&mut self, vcpu: Vcpu, slot: u8) -> Option<ListState> {
        let reads = self.reads;
        let list = self.cpu(vcpu)?.lists.get(usize::from(slot)).filter(|_| reads)?;
        Some(match list {
            List::Empty => ListState::Empty,
            List::Pending(_) => ListState::Pending,
            List::Active(_) => ListState::Active,
        })
    }

    fn clear_list(&mut self, vcpu: Vcpu, slot: u8, quiet: Injection) -> Result<(), InjectRefused> {
        let before = self.overwritten.len();
        if self.reads {
            let cpu = self.cpu(vcpu).ok_or(InjectRefused { slot })?;
            let list = cpu.lists.get_mut(usize::from(slot)).ok_or(InjectRefused { slot })?;
            if let List::Active(irq) = core::mem::take(list) {
                cpu.aside.push(irq);
            }
            // An end that was not reported yet is not any more.
            self.exits.retain(|(v, exit)| *v != vcpu || *exit != Exit::Maintenance(Some(slot)));
            return Ok(());
        }
        let cleared = self.inject(vcpu, slot, quiet);
        // That is no injection, but done on purpose.
        self.overwritten.truncate(before);
        cleared
    }

    fn attend(&mut self, vcpu: Vcpu, room: bool, ends: bool) {
        if let Some(cpu) = self.cpu(vcpu) {
            cpu.attends = (room, ends);
        }
    }

    fn line_level(&mut self, intid: Intid) -> Option<bool> {
        let wire = self.wires.get(&intid.number()).filter(|_| self.reads)?;
        Some(wire.high)
    }

    fn ack_timer(&mut self, vcpu: Vcpu) {
        if let Some(cpu) = self.cpu(vcpu) {
            cpu.timer_masked = false;
        }
    }

    fn ack_line(&mut self, intid: Intid) {
        if let Some(wire) = self.wires.get_mut(&intid.number()) {
            wire.masked = false;
        }
    }
}

impl GuestMemory for Fake {
    fn image(&self, image: Image) -> &[u8] {
        self.images.get(image_index(image)).map(Vec::as_slice).unwrap_or_default()
    }

    fn seed(&self) -> &[u8] {
        &self.seed
    }

    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        let range = match op {
            MemoryOp::CleanInvalidate(range)
            | MemoryOp::Clean(range)
            | MemoryOp::InvalidateInstructions(range) => Some(range),
            MemoryOp::Copy(image, to) => IpaRange::new(to, self.image(image).len() as u64),
            MemoryOp::Store(to, bytes) => IpaRange::new(to, bytes.len() as u64),
        };
        let range =
            range.filter(|range| self.ram.range().encloses(*range)).ok_or(MemoryRefused(op))?;
        self.memory_log.push(op);
        match op {
            MemoryOp::CleanInvalidate(_) | MemoryOp::Clean(_) => self.ram.clean(range),
            MemoryOp::InvalidateInstructions(_) => self.ram.invalidate_instructions(range),
            MemoryOp::Copy(image, to) => {
                let bytes = self.image(image).to_vec();
                self.ram.store_cached(to, &bytes);
            }
            MemoryOp::Store(to, bytes) => self.ram.store_cached(to, &bytes),
        }
        Ok(())
    }
}

impl Clock for Fake {
    fn frequency(&self) -> u64 {
        self.frequency
    }

    fn wall_clock(&mut self) -> u32 {
        self.wall_clock
    }

    fn now(&mut self) -> u64 {
        self.now
    }
}

impl Console for Fake {
    fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }
}

impl Firmware for Fake {
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        self.smc_log.push(args);
        self.smc_answer
    }
}

impl Host for Fake {
    fn stats(&self) -> HostStats {
        self.stats
    }
}
