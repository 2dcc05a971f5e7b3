// SPDX-License-Identifier: BSD-2-Clause
//! A guest on the fake host, driven by hand: what a real host's loop does, and what a guest's
//! instructions cause.

use std::collections::VecDeque;

use crate::fake::{Fake, Life, List};
use vmm_core::addr::Ipa;
use vmm_core::arm::pstate::Pstate;
use vmm_core::host::{
    Action, Clock, Console, El1, Entry, Exit, Firmware, GuestMemory, GuestRegisters, Host,
    HostStats, Image, InjectRefused, Injection, Interrupts, ListState, MemoryOp, MemoryRefused,
    StoppedVcpu, Vcpus, VirtualTimer,
};
use vmm_core::ids::{Gpr, Intid, Vcpu};
use vmm_core::vm::Vm;

use super::esr;
use super::spec::{GICD, GICR, Spec};

/// The fake, with the rules of the seam checked: registers only of the vCPU whose exit is being
/// handled, `wake` of another one that is on, `start` of one that is off.
struct Checked<'f> {
    fake: &'f mut Fake,
    /// `None` while the machine's own exits are handled.
    exiting: Option<Vcpu>,
}

impl Checked<'_> {
    fn may_touch(&self, vcpu: &StoppedVcpu) {
        assert_eq!(self.exiting, Some(vcpu.id()), "registers of a vCPU that is not being handled");
    }

    fn life(&self, vcpu: Vcpu) -> Life {
        self.fake.cpus[vcpu.index()].life
    }
}

impl GuestRegisters for Checked<'_> {
    fn reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr) -> u64 {
        self.may_touch(vcpu);
        self.fake.reg(vcpu, reg)
    }
    fn set_reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr, value: u64) {
        self.may_touch(vcpu);
        self.fake.set_reg(vcpu, reg, value);
    }
    fn pc(&mut self, vcpu: &StoppedVcpu) -> u64 {
        self.may_touch(vcpu);
        self.fake.pc(vcpu)
    }
    fn set_pc(&mut self, vcpu: &StoppedVcpu, pc: u64) {
        self.may_touch(vcpu);
        self.fake.set_pc(vcpu, pc);
    }
    fn pstate(&mut self, vcpu: &StoppedVcpu) -> Pstate {
        self.may_touch(vcpu);
        self.fake.pstate(vcpu)
    }
    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate> {
        self.may_touch(vcpu);
        self.fake.pstate_at_hand(vcpu)
    }
    fn writes_aarch32(&self) -> bool {
        self.fake.writes_aarch32()
    }
    fn set_pstate(&mut self, vcpu: &StoppedVcpu, pstate: Pstate) {
        self.may_touch(vcpu);
        self.fake.set_pstate(vcpu, pstate);
    }
    fn sctlr(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        self.may_touch(vcpu);
        self.fake.sctlr(vcpu)
    }
    fn el1(&mut self, vcpu: &StoppedVcpu, register: El1) -> Option<u64> {
        self.may_touch(vcpu);
        self.fake.el1(vcpu, register)
    }
    fn set_el1(&mut self, vcpu: &StoppedVcpu, register: El1, value: u64) {
        self.may_touch(vcpu);
        self.fake.set_el1(vcpu, register, value);
    }
    fn fault_address(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        self.may_touch(vcpu);
        self.fake.fault_address(vcpu)
    }
    fn virtual_timer(&mut self, vcpu: &StoppedVcpu) -> VirtualTimer {
        self.may_touch(vcpu);
        self.fake.virtual_timer(vcpu)
    }
}

impl Vcpus for Checked<'_> {
    fn last_pc(&mut self, vcpu: Vcpu) -> Option<u64> {
        self.fake.last_pc(vcpu)
    }
    fn start(&mut self, vcpu: Vcpu, entry: Entry) {
        let off = self.life(vcpu) == Life::Off || self.exiting == Some(vcpu);
        assert!(off || self.life(vcpu) == Life::Parked, "{vcpu} runs already");
        self.fake.start(vcpu, entry);
    }
    fn stop(&mut self, vcpu: Vcpu) {
        assert!(self.life(vcpu) != Life::Off && self.exiting != Some(vcpu), "{vcpu} needs no stop");
        self.fake.stop(vcpu);
    }
    fn wake(&mut self, vcpu: Vcpu) {
        assert_ne!(self.life(vcpu), Life::Off, "{vcpu} is off");
        assert_ne!(self.exiting, Some(vcpu), "{vcpu} is awake: its own exit is being handled");
        self.fake.wake(vcpu);
    }
}

impl Interrupts for Checked<'_> {
    fn list_register_count(&self) -> u8 {
        self.fake.list_register_count()
    }
    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        assert!(irq.priority < 32 && irq.group < 2, "{irq:?}");
        assert!(slot < self.fake.slots, "list register {slot} does not exist");
        self.fake.inject(vcpu, slot, irq)
    }
    fn reads_lists(&self) -> bool {
        self.fake.reads_lists()
    }
    fn list_state(&mut self, vcpu: Vcpu, slot: u8) -> Option<ListState> {
        assert!(slot < self.fake.slots, "list register {slot} does not exist");
        self.fake.list_state(vcpu, slot)
    }
    fn clear_list(&mut self, vcpu: Vcpu, slot: u8, quiet: Injection) -> Result<(), InjectRefused> {
        assert!(quiet.priority == 31 && quiet.group < 2, "{quiet:?}");
        self.fake.clear_list(vcpu, slot, quiet)
    }
    fn attend(&mut self, vcpu: Vcpu, room: bool, ends: bool) {
        self.fake.attend(vcpu, room, ends);
    }
    fn line_level(&mut self, intid: Intid) -> Option<bool> {
        self.fake.line_level(intid)
    }
    fn ack_timer(&mut self, vcpu: Vcpu) {
        self.fake.ack_timer(vcpu);
    }
    fn ack_line(&mut self, intid: Intid) {
        self.fake.ack_line(intid);
    }
}

impl GuestMemory for Checked<'_> {
    fn image(&self, image: Image) -> &[u8] {
        self.fake.image(image)
    }
    fn seed(&self) -> &[u8] {
        self.fake.seed()
    }
    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        self.fake.memory(op)
    }
}

impl Clock for Checked<'_> {
    fn frequency(&self) -> u64 {
        self.fake.frequency()
    }
    fn wall_clock(&mut self) -> u32 {
        self.fake.wall_clock()
    }
    fn now(&mut self) -> u64 {
        self.fake.now()
    }
}

impl Console for Checked<'_> {
    fn print(&mut self, text: &str) {
        self.fake.print(text);
    }
}

impl Firmware for Checked<'_> {
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        self.fake.smc(args)
    }
}

impl Host for Checked<'_> {
    fn stats(&self) -> HostStats {
        self.fake.stats
    }
}

/// A guest and its monitor on the fake host.
#[derive(Clone)]
pub struct Machine {
    pub vm: Vm<'static>,
    pub fake: Fake,
    /// When [`Exit::WakeUp`] is due.
    pub deadline: Option<u64>,
    /// The answer that ended the guest.
    pub ended: Option<Action>,
    pub version: u32,
    pub vcpus: u8,
    /// vCPUs that were turned off by themselves: the host only sees that they are parked.
    pub off: [bool; 4],
}

pub const CPU0: Vcpu = Vcpu(0);

impl Machine {
    /// A monitor that was not started yet.
    pub fn new(spec: &Spec) -> Self {
        let facts = &spec.facts;
        let mut fake = spec.fake();
        fake.stats = HostStats { calls: 12, registers: 34 };
        Self {
            vm: Vm::new(spec.plan(), fake.slots).unwrap(),
            fake,
            deadline: None,
            ended: None,
            version: facts.gic.version as u32,
            vcpus: facts.vcpus.get(),
            off: [true; 4],
        }
    }

    /// Starts vCPU 0.
    pub fn start(&mut self) -> Action {
        let mut host = Checked { fake: &mut self.fake, exiting: None };
        let action = self.vm.start(&mut host);
        self.off = [true; 4];
        self.off[0] = action != Action::Resume;
        action
    }

    /// A guest whose vCPU 0 runs.
    pub fn boot(spec: &Spec) -> Self {
        let mut machine = Self::new(spec);
        assert_eq!(machine.start(), Action::Resume);
        machine
    }

    /// A guest all of whose vCPUs run, started with CPU_ON as Linux does.
    pub fn boot_all(spec: &Spec) -> Self {
        let mut machine = Self::boot(spec);
        machine.turn_on_others(CPU0);
        machine
    }

    /// CPU_ON of every vCPU that is off.
    pub fn turn_on_others(&mut self, by: Vcpu) {
        for v in 0..self.vcpus {
            if self.off[usize::from(v)] {
                let entry = super::spec::KERNEL + 0x40;
                assert_eq!(self.call(by, &[0xc400_0003, v.into(), entry, 0]), 0);
                self.off[usize::from(v)] = false;
            }
        }
    }

    /// Hands an exit to the monitor and does what the answer says.
    pub fn handle(&mut self, vcpu: Vcpu, exit: Exit) -> Action {
        let machines_own = matches!(exit, Exit::DeviceInterrupt(_) | Exit::WakeUp);
        let exiting = (!machines_own).then_some(vcpu);
        let mut host = Checked { fake: &mut self.fake, exiting };
        let action = self.vm.handle(&mut host, vcpu, exit);
        match action {
            Action::Resume => {}
            Action::Park { until } => {
                self.deadline = until;
                if !machines_own {
                    self.fake.cpus[vcpu.index()].life = Life::Parked;
                }
            }
            Action::PowerOff | Action::Stop(_) => {
                self.ended = Some(action);
                self.fake.cpus[vcpu.index()].life = Life::Off;
            }
        }
        action
    }

    pub fn runs(&self, vcpu: Vcpu) -> bool {
        self.fake.cpus[vcpu.index()].life == Life::Running
    }

    pub fn parked(&self, vcpu: Vcpu) -> bool {
        self.fake.cpus[vcpu.index()].life == Life::Parked
    }

    /// Handles one thing that happened: a deadline that passed, else the oldest exit.
    pub fn step(&mut self) -> bool {
        if self.deadline.is_some_and(|deadline| deadline <= self.fake.now) {
            self.deadline = None;
            self.handle(CPU0, Exit::WakeUp);
            return true;
        }
        let Some((vcpu, exit)) = self.fake.next_exit() else { return false };
        self.handle(vcpu, exit);
        true
    }

    /// Handles everything that happened. A monitor that never gets there is a failure.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            if !self.step() {
                return;
            }
        }
        panic!("the machine never comes to rest");
    }

    /// Handles the exits of one vCPU: it executes nothing before that. Lines may wait.
    pub fn settle_cpu(&mut self, vcpu: Vcpu) {
        for _ in 0..100 {
            // Timers and lines turn into exits here.
            let all: VecDeque<_> = core::iter::from_fn(|| self.fake.next_exit()).collect();
            self.fake.exits = all;
            let own =
                |(v, exit): &(Vcpu, Exit)| *v == vcpu && !matches!(exit, Exit::DeviceInterrupt(_));
            let Some(at) = self.fake.exits.iter().position(own) else { return };
            let Some((vcpu, exit)) = self.fake.exits.remove(at) else { return };
            self.handle(vcpu, exit);
        }
        panic!("{vcpu} never comes to rest");
    }

    pub fn set_reg(&mut self, vcpu: Vcpu, reg: u8, value: u64) {
        self.fake.cpus[vcpu.index()].regs[usize::from(reg)] = value;
    }

    pub fn reg(&self, vcpu: Vcpu, reg: u8) -> u64 {
        self.fake.cpus[vcpu.index()].regs[usize::from(reg)]
    }

    pub fn pc(&self, vcpu: Vcpu) -> u64 {
        self.fake.cpus[vcpu.index()].pc
    }

    /// A trap.
    pub fn trap(&mut self, vcpu: Vcpu, esr: u64, ipa: u64) -> Action {
        self.handle(vcpu, Exit::Trap { esr, ipa: Ipa(ipa) })
    }

    /// A store of `size` bytes. The guest must be able to go on behind it.
    pub fn store(&mut self, vcpu: Vcpu, ipa: u64, size: u8, value: u64) {
        self.set_reg(vcpu, 3, value);
        let pc = self.pc(vcpu);
        assert_eq!(self.trap(vcpu, esr::store(size, 3), ipa), Action::Resume);
        assert_eq!(self.pc(vcpu), pc + 4);
    }

    /// A load of `size` bytes.
    pub fn load(&mut self, vcpu: Vcpu, ipa: u64, size: u8) -> u64 {
        self.set_reg(vcpu, 4, 0xdead_beef_dead_beef);
        let pc = self.pc(vcpu);
        assert_eq!(self.trap(vcpu, esr::load(size, 4), ipa), Action::Resume);
        assert_eq!(self.pc(vcpu), pc + 4);
        self.reg(vcpu, 4)
    }

    /// A firmware call; the answer is the monitor's.
    pub fn smc(&mut self, vcpu: Vcpu, args: &[u64]) -> Action {
        for (reg, arg) in (0..).zip(args) {
            self.set_reg(vcpu, reg, *arg);
        }
        self.trap(vcpu, esr::SMC, 0)
    }

    /// A firmware call that comes back: X0.
    pub fn call(&mut self, vcpu: Vcpu, args: &[u64]) -> u64 {
        let pc = self.pc(vcpu);
        assert_eq!(self.smc(vcpu, args), Action::Resume);
        assert_eq!(self.pc(vcpu), pc + 4);
        self.reg(vcpu, 0)
    }

    /// PSCI SYSTEM_RESET. vCPU 0 starts again, the others are off.
    pub fn reset(&mut self, vcpu: Vcpu) {
        let expected = if vcpu == CPU0 { Action::Resume } else { Action::Park { until: None } };
        assert_eq!(self.smc(vcpu, &[0x8400_0009]), expected);
        self.off = [false, true, true, true];
        assert!(self.runs(CPU0));
    }

    /// PSCI CPU_OFF.
    pub fn turn_off(&mut self, vcpu: Vcpu) {
        let action = self.smc(vcpu, &[0x8400_0002]);
        assert!(matches!(action, Action::Park { .. }), "{action:?}");
        self.off[vcpu.index()] = true;
    }

    pub fn wfi(&mut self, vcpu: Vcpu) -> Action {
        self.trap(vcpu, esr::WFI, 0)
    }

    /// Where the registers of `intid` are: private ones of GICv3 in the redistributor of their
    /// owner, those of GICv2 are banked.
    pub fn frame(&self, owner: Vcpu, intid: u16) -> u64 {
        if self.version == 3 && intid < 32 {
            GICR + u64::from(owner.0) * 0x2_0000 + 0x1_0000
        } else {
            GICD
        }
    }

    /// Address of the word with the bit of `intid` in the block at offset `block`.
    pub fn word(&self, owner: Vcpu, block: u64, intid: u16) -> u64 {
        self.frame(owner, intid) + block + u64::from(intid) / 32 * 4
    }

    /// Writes one interrupt's bit of a set or clear register.
    pub fn store_bit(&mut self, vcpu: Vcpu, block: u64, intid: u16) {
        let at = self.word(vcpu, block, intid);
        self.store(vcpu, at, 4, 1 << (intid % 32));
    }

    /// Reads one interrupt's bit.
    pub fn load_bit(&mut self, vcpu: Vcpu, block: u64, intid: u16) -> bool {
        let at = self.word(vcpu, block, intid);
        self.load(vcpu, at, 4) >> (intid % 32) & 1 == 1
    }

    pub fn enable(&mut self, vcpu: Vcpu, intid: u16) {
        self.store_bit(vcpu, 0x100, intid);
    }

    pub fn disable(&mut self, vcpu: Vcpu, intid: u16) {
        self.store_bit(vcpu, 0x180, intid);
    }

    pub fn set_priority(&mut self, vcpu: Vcpu, intid: u16, priority: u8) {
        let at = self.frame(vcpu, intid) + 0x400 + u64::from(intid);
        self.store(vcpu, at, 1, priority.into());
    }

    pub fn set_group(&mut self, vcpu: Vcpu, intid: u16, group: u8) {
        let at = self.word(vcpu, 0x080, intid);
        let old = self.load(vcpu, at, 4);
        let bit = 1 << (intid % 32);
        self.store(vcpu, at, 4, if group == 1 { old | bit } else { old & !bit });
    }

    /// Sends a shared interrupt to one vCPU.
    pub fn set_target(&mut self, vcpu: Vcpu, intid: u16, target: u8) {
        if self.version == 3 {
            self.store(vcpu, GICD + 0x6000 + 8 * u64::from(intid), 8, target.into());
        } else {
            self.store(vcpu, GICD + 0x800 + u64::from(intid), 1, 1 << target);
        }
    }

    /// Makes SGI `intid` pending for the vCPUs of the mask.
    pub fn send(&mut self, vcpu: Vcpu, targets: u8, intid: u16) {
        if self.version == 3 {
            self.set_reg(vcpu, 5, u64::from(intid) << 24 | u64::from(targets));
            assert_eq!(self.trap(vcpu, esr::register(false, esr::ICC_SGI1R, 5), 0), Action::Resume);
        } else {
            self.store(vcpu, GICD + 0xf00, 4, u64::from(targets) << 16 | u64::from(intid));
        }
    }

    /// The group that this guest uses, as Linux does: 0 with GICv2, 1 with GICv3.
    pub fn group(&self) -> u8 {
        u8::from(self.version == 3)
    }

    /// What a kernel does first: every interrupt in the guest's group, groups on.
    pub fn set_up_gic(&mut self) {
        for v in 0..self.vcpus {
            if self.runs(Vcpu(v)) {
                self.set_up_private(Vcpu(v));
            }
        }
        let ones = if self.group() == 1 { u64::from(u32::MAX) } else { 0 };
        self.store(CPU0, GICD + 0x084, 4, ones);
        for intid in 32..64 {
            self.set_target(CPU0, intid, 0);
        }
        self.store(CPU0, GICD, 4, 0b11);
    }

    /// The private part of [`Self::set_up_gic`].
    pub fn set_up_private(&mut self, vcpu: Vcpu) {
        let ones = if self.group() == 1 { u64::from(u32::MAX) } else { 0 };
        let at = self.word(vcpu, 0x080, 0);
        self.store(vcpu, at, 4, ones);
    }

    /// The guest takes the interrupt of highest priority that it sees.
    pub fn acknowledge(&mut self, vcpu: Vcpu) -> Option<u16> {
        self.fake.acknowledge(vcpu).map(|irq| irq.intid.number())
    }

    /// The guest ends an interrupt; the monitor hears of it.
    pub fn end(&mut self, vcpu: Vcpu, intid: u16) {
        assert!(self.fake.end(vcpu, Intid::new(intid).unwrap()), "{intid} is not active");
        self.settle_cpu(vcpu);
    }

    /// Takes and ends one interrupt.
    pub fn take(&mut self, vcpu: Vcpu) -> Option<u16> {
        let intid = self.acknowledge(vcpu)?;
        self.end(vcpu, intid);
        self.settle();
        Some(intid)
    }

    /// Takes a level line's interrupt, quiets its device and ends it.
    pub fn take_quietly(&mut self) -> Option<u16> {
        let intid = self.acknowledge(CPU0)?;
        self.fake.lower(intid);
        self.end(CPU0, intid);
        self.settle();
        Some(intid)
    }

    /// Takes and ends all there is.
    pub fn take_all(&mut self, vcpu: Vcpu) -> Vec<u16> {
        let mut taken = Vec::new();
        while let Some(intid) = self.take(vcpu) {
            taken.push(intid);
            assert!(taken.len() < 1000, "no end of interrupts: {taken:?}");
        }
        taken
    }

    /// INTIDs that the guest sees in its list registers.
    pub fn visible(&self, vcpu: Vcpu) -> Vec<u16> {
        self.fake.visible(vcpu).iter().map(|irq| irq.intid.number()).collect()
    }

    /// INTIDs that wait in list registers for the guest to take them.
    pub fn pending(&self, vcpu: Vcpu) -> Vec<u16> {
        let on = |irq: &Injection| self.fake.groups >> irq.group & 1 == 1;
        let lists = self.fake.cpus[vcpu.index()].lists.iter();
        lists
            .filter_map(|list| if let List::Pending(irq) = list { Some(irq) } else { None })
            .filter(|irq| on(irq))
            .map(|irq| irq.intid.number())
            .collect()
    }

    /// The JSON lines printed so far.
    pub fn events(&self) -> Vec<serde_json::Value> {
        let lines = self.fake.printed.split("\r\n").filter_map(|line| line.strip_prefix('@'));
        lines
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
