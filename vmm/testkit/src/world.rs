// SPDX-License-Identifier: BSD-2-Clause
//! A random guest, its devices and its kernel, with a book of what the guest is owed. The book
//! knows nothing of the controller's state: only what was caused and what the guest took.

use std::collections::{BTreeMap, BTreeSet};

use crate::fake::Life;
use proptest::prelude::*;
use vmm_core::host::Exit;
use vmm_core::ids::{Intid, Vcpu};

use crate::machine::CPU0;
use crate::spec::{EDGES, GICD, LEVELS};
use crate::{Machine, Spec};

/// SGIs, a PPI, the timer, device lines, and an SPI of no device.
const PRIVATE: [u16; 5] = [0, 1, 15, 20, 27];
const SHARED: [u16; 6] = [33, 40, 47, 50, 60, 63];

#[derive(Clone, Copy, Debug)]
pub enum Op {
    Enable(u16),
    Disable(u16),
    Pend(u16),
    Unpend(u16),
    Priority(u16, u8),
    Target(u16, u8),
    Group(u16, u8),
    Groups(u8),
    Send(u8, u16),
    Raise(u16),
    Lower(u16),
    /// The virtual timer, so many ticks from now.
    Timer(u64),
    TimerOff,
    Pass(u64),
    /// Take an interrupt; whether the handler quiets its device.
    Acknowledge(bool),
    /// End the n-th of those that are being handled.
    End(usize),
    Wfi,
    /// A host may let a parked vCPU run on.
    Spurious,
    /// PSCI SYSTEM_RESET; the guest boots again and sets its interrupt controller up.
    Reset,
    /// The machine gets round to one of its exits.
    Step,
    Settle,
}

fn intid() -> impl Strategy<Value = u16> {
    prop_oneof![prop::sample::select(PRIVATE.to_vec()), prop::sample::select(SHARED.to_vec())]
}

pub fn op() -> impl Strategy<Value = Op> {
    let wire = || prop::sample::select([LEVELS, EDGES].concat());
    prop_oneof![
        4 => intid().prop_map(Op::Enable),
        2 => intid().prop_map(Op::Disable),
        2 => intid().prop_map(Op::Pend),
        1 => intid().prop_map(Op::Unpend),
        2 => (intid(), any::<u8>()).prop_map(|(intid, priority)| Op::Priority(intid, priority)),
        1 => (prop::sample::select(SHARED.to_vec()), 0_u8..4).prop_map(|(intid, v)| Op::Target(intid, v)),
        1 => (intid(), 0_u8..2).prop_map(|(intid, group)| Op::Group(intid, group)),
        1 => (0_u8..4).prop_map(Op::Groups),
        2 => (0_u8..16, prop::sample::select(vec![0_u16, 1, 15])).prop_map(|(to, intid)| Op::Send(to, intid)),
        5 => wire().prop_map(Op::Raise),
        1 => wire().prop_map(Op::Lower),
        2 => (0_u64..200).prop_map(Op::Timer),
        1 => Just(Op::TimerOff),
        1 => (0_u64..400).prop_map(Op::Pass),
        6 => any::<bool>().prop_map(Op::Acknowledge),
        6 => (0_usize..4).prop_map(Op::End),
        2 => Just(Op::Wfi),
        1 => Just(Op::Spurious),
        4 => Just(Op::Step),
        3 => Just(Op::Settle),
    ]
}

/// Whose an interrupt is: a vCPU's own, or everyone's.
pub type Key = (Option<u8>, u16);

pub struct World {
    pub m: Machine,
    /// What the guest must still be given.
    pub owed: BTreeSet<Key>,
    /// How often an interrupt was caused, as far as the monitor can know.
    causes: BTreeMap<Key, u64>,
    pub taken: BTreeMap<Key, u64>,
    /// Injections into earlier guests.
    earlier: u64,
    /// What each vCPU is handling.
    active: [Vec<u16>; 4],
}

pub fn key(vcpu: Vcpu, intid: u16) -> Key {
    ((intid < 32).then_some(vcpu.0), intid)
}

impl World {
    /// `reads`: the host can read list registers.
    pub fn new(version: u32, vcpus: u32, (slots, reads): (u8, bool)) -> Self {
        let mut w = Self::of_one_group(version, vcpus, (slots, reads));
        // The guest's CPU interfaces take both groups: whatever is injected is seen.
        w.m.fake.groups = 0b11;
        w
    }

    /// A guest that uses one group alone, as Linux does.
    pub fn of_one_group(version: u32, vcpus: u32, (slots, reads): (u8, bool)) -> Self {
        let mut spec = Spec::new(version, vcpus);
        (spec.slots, spec.reads) = (slots, reads);
        Self::of(Machine::boot_all(&spec))
    }

    /// The guest of this machine, all of whose vCPUs run.
    pub fn of(mut m: Machine) -> Self {
        m.set_up_gic();
        Self {
            m,
            owed: BTreeSet::new(),
            causes: BTreeMap::new(),
            taken: BTreeMap::new(),
            earlier: 0,
            active: Default::default(),
        }
    }

    fn cause(&mut self, key: Key) {
        *self.causes.entry(key).or_default() += 1;
    }

    /// Handles one thing that happened.
    fn step(&mut self) -> bool {
        // Everything turns into exits first, so that the next one is known.
        let all: Vec<_> = core::iter::from_fn(|| self.m.fake.next_exit()).collect();
        self.m.fake.exits = all.into();
        let due = self.m.deadline.is_some_and(|deadline| deadline <= self.m.fake.now);
        match self.m.fake.exits.front() {
            _ if due => {}
            Some((_, Exit::DeviceInterrupt(intid))) => self.cause((None, intid.number())),
            Some((vcpu, Exit::Timer)) => self.cause(key(*vcpu, 27)),
            _ => {}
        }
        self.m.step()
    }

    pub fn settle(&mut self) {
        for _ in 0..300 {
            if !self.step() {
                return self.rest();
            }
        }
        panic!("the machine never comes to rest");
    }

    /// A vCPU executes nothing before its own exits are handled; lines of devices may wait.
    fn runs(&mut self, vcpu: Vcpu) -> bool {
        let timers = |m: &Machine| m.vm.counters().timer;
        let before = timers(&self.m);
        self.m.settle_cpu(vcpu);
        for _ in before..timers(&self.m) {
            self.cause(key(vcpu, 27));
        }
        self.m.runs(vcpu)
    }

    pub fn apply(&mut self, vcpu: Vcpu, op: Op) {
        match op {
            Op::Raise(wire) => {
                self.m.fake.raise(wire);
                if EDGES.contains(&wire) {
                    self.owed.insert((None, wire));
                }
                return;
            }
            Op::Lower(wire) if LEVELS.contains(&wire) => return self.m.fake.lower(wire),
            Op::Lower(_) => return,
            Op::Pass(ticks) => return self.m.fake.pass(ticks),
            Op::Step => {
                self.step();
                return;
            }
            Op::Settle => return self.settle(),
            Op::Spurious => {
                if self.m.parked(vcpu) {
                    self.m.fake.cpus[vcpu.index()].life = Life::Running;
                }
                return;
            }
            _ => {}
        }
        if !self.runs(vcpu) {
            return;
        }
        let m = &mut self.m;
        match op {
            Op::Enable(intid) => m.enable(vcpu, intid),
            Op::Disable(intid) => m.disable(vcpu, intid),
            Op::Pend(intid) => {
                m.store_bit(vcpu, 0x200, intid);
                if m.version == 3 || intid > 15 {
                    self.owed.insert(key(vcpu, intid));
                    self.cause(key(vcpu, intid));
                }
            }
            Op::Unpend(intid) => {
                m.store_bit(vcpu, 0x280, intid);
                if m.version == 3 || intid > 15 {
                    self.owed.remove(&key(vcpu, intid));
                }
            }
            Op::Priority(intid, priority) => m.set_priority(vcpu, intid, priority),
            Op::Target(intid, target) => m.set_target(vcpu, intid, target % m.vcpus),
            Op::Group(intid, group) => m.set_group(vcpu, intid, group),
            Op::Groups(groups) => m.store(vcpu, GICD, 4, groups.into()),
            Op::Send(targets, intid) => {
                m.send(vcpu, targets, intid);
                for v in (0..m.vcpus).filter(|v| targets >> v & 1 == 1) {
                    self.owed.insert((Some(v), intid));
                    self.cause((Some(v), intid));
                }
            }
            Op::Timer(ticks) => {
                let cval = m.fake.now + ticks;
                let timer = &mut m.fake.cpus[vcpu.index()].timer;
                (timer.ctl, timer.cval) = (1, cval);
            }
            Op::TimerOff => m.fake.cpus[vcpu.index()].timer.ctl = 0,
            Op::Acknowledge(quiet) => {
                self.acknowledge(vcpu, quiet);
            }
            Op::End(n) => {
                let active = &mut self.active[vcpu.index()];
                if !active.is_empty() {
                    let at = n % active.len();
                    // What is in no list register ends when it is its turn, as it does in a guest.
                    if m.fake.end(vcpu, Intid::new(active[at]).unwrap()) {
                        active.remove(at);
                    } else {
                        assert!(m.fake.reads);
                    }
                }
            }
            Op::Wfi => {
                // A timer that is due is delivered at once, before it has fired.
                let timer = m.fake.cpus[vcpu.index()].timer;
                let due = timer.ctl == 1 && timer.cval <= m.fake.now;
                m.wfi(vcpu);
                if due {
                    self.cause(key(vcpu, 27));
                }
            }
            Op::Reset => self.reset(vcpu),
            _ => {}
        }
    }

    /// Nothing of the last guest is seen by the next one.
    fn reset(&mut self, vcpu: Vcpu) {
        self.check();
        self.m.reset(vcpu);
        for vcpu in self.each_vcpu() {
            assert_eq!(self.m.visible(vcpu), [0; 0], "{vcpu} sees the last guest's interrupts");
        }
        // Overwriting is what a reset does: the guest is stopped.
        self.m.fake.overwritten.clear();
        self.owed.clear();
        self.causes.clear();
        self.taken.clear();
        self.earlier = self.m.vm.counters().injected;
        self.active = Default::default();
        self.m.turn_on_others(CPU0);
        for vcpu in self.each_vcpu() {
            for first in [0, 32] {
                let words = [0x080, 0x100, 0x200].map(|block| {
                    let at = self.m.word(vcpu, block, first);
                    self.m.load(vcpu, at, 4)
                });
                // A line that is high may have fired again already.
                let lines =
                    LEVELS.iter().chain(&EDGES).fold(0, |bits, line| bits | 1 << (line - 32));
                let pending = if first == 32 { words[2] & !lines } else { words[2] & !(1 << 27) };
                assert_eq!([words[0], words[1], pending], [0; 3], "{vcpu} finds registers set");
            }
        }
        self.m.set_up_gic();
    }

    fn acknowledge(&mut self, vcpu: Vcpu, quiet: bool) -> Option<u16> {
        let intid = self.m.acknowledge(vcpu)?;
        self.owed.remove(&key(vcpu, intid));
        *self.taken.entry(key(vcpu, intid)).or_default() += 1;
        self.active[vcpu.index()].push(intid);
        if quiet && LEVELS.contains(&intid) {
            self.m.fake.lower(intid);
        }
        if quiet && intid == 27 {
            self.m.fake.cpus[vcpu.index()].timer.ctl = 0;
        }
        Some(intid)
    }

    pub fn each_vcpu(&self) -> impl Iterator<Item = Vcpu> + use<> {
        (0..self.m.vcpus).map(Vcpu)
    }

    /// What holds after each step.
    pub fn check(&self) {
        let mut shared = BTreeSet::new();
        for vcpu in self.each_vcpu() {
            let mut seen = BTreeSet::new();
            for irq in self.m.fake.visible(vcpu) {
                let intid = irq.intid.number();
                assert!(seen.insert(intid), "{intid} is in two list registers of {vcpu}");
                assert!(intid < 32 || shared.insert(intid), "{intid} is on two vCPUs");
            }
        }
        assert_eq!(self.m.fake.overwritten, [], "a list register was overwritten");
        for (key, taken) in &self.taken {
            let causes = self.causes.get(key).copied().unwrap_or_default();
            assert!(*taken <= causes, "{key:?} came {taken} times, was caused {causes} times");
        }
    }

    /// What holds once the monitor has handled everything that happened.
    fn rest(&mut self) {
        let soon = self.m.fake.now + self.m.fake.frequency / 1000;
        // A vCPU that sleeps reads no registers: a twin does.
        let mut twin = self.m.clone();
        for vcpu in self.each_vcpu() {
            let ready = self.ready(&mut twin, vcpu);
            if self.m.parked(vcpu) {
                assert!(ready.is_empty(), "{vcpu} sleeps although {ready:?} wait");
                let pending = self.m.pending(vcpu);
                let looked_at = self.m.deadline.is_some_and(|deadline| deadline <= soon);
                assert!(pending.is_empty() || looked_at, "{vcpu} sleeps on {pending:?}");
                let timer = self.m.fake.cpus[vcpu.index()].timer;
                if timer.ctl == 1 && !self.m.fake.cpus[vcpu.index()].timer_masked {
                    let kept = self.m.deadline.is_some_and(|deadline| deadline <= timer.cval);
                    assert!(kept, "{vcpu} sleeps over its timer");
                }
            }
            // A kernel that cannot tell what they hold keeps one for a higher priority.
            let kept = usize::from(!self.m.fake.reads && self.m.fake.slots > 1);
            let free = self.m.visible(vcpu).len() + kept < usize::from(self.m.fake.slots);
            assert!(
                !free || ready.is_empty(),
                "{ready:?} wait although a list register of {vcpu} is free"
            );
        }
    }

    /// What the registers call enabled, pending and not active (IHI 0048B, 3.2.3: what is active and
    /// pending waits for its own end), for this vCPU, of a group that is on, and not in a list
    /// register.
    fn ready(&self, twin: &mut Machine, vcpu: Vcpu) -> Vec<u16> {
        let on = twin.load(vcpu, GICD, 4) & 0b11;
        let held: Vec<u16> = self.each_vcpu().flat_map(|v| self.m.visible(v)).collect();
        let own = self.m.visible(vcpu);
        let mut ready = Vec::new();
        for (first, all) in [(0_u16, &PRIVATE[..]), (32, &SHARED[..])] {
            let [enabled, pending, active, group] = [0x100, 0x200, 0x300, 0x080]
                .map(|block| twin.load(vcpu, self.m.word(vcpu, block, first), 4));
            for intid in all.iter().copied() {
                let bit = 1 << (intid % 32);
                let group_on = on >> u32::from(group & bit != 0) & 1 == 1;
                let held = if intid < 32 { own.contains(&intid) } else { held.contains(&intid) };
                let here = intid < 32 || self.m.vcpus == 1 || target(twin, intid) == vcpu.0;
                if enabled & pending & !active & bit != 0 && group_on && !held && here {
                    ready.push(intid);
                }
            }
        }
        ready
    }

    /// The guest comes to its senses: everything on, every handler quiets its device, all that
    /// comes is taken and ended. Nothing may be left.
    pub fn drain(&mut self) {
        for vcpu in self.each_vcpu() {
            self.apply(vcpu, Op::Spurious);
            while !self.active[vcpu.index()].is_empty() {
                let fake = &mut self.m.fake;
                let active = &mut self.active[vcpu.index()];
                let before = active.len();
                active.retain(|intid| !fake.end(vcpu, Intid::new(*intid).unwrap()));
                assert!(active.len() < before, "{active:?} cannot be ended");
                self.settle();
            }
            self.settle();
        }
        self.m.fake.pass(10_000);
        self.settle();
        for vcpu in self.each_vcpu() {
            self.apply(vcpu, Op::Spurious);
            assert!(self.runs(vcpu));
            self.apply(vcpu, Op::Groups(0b11));
            for intid in PRIVATE.into_iter().chain(SHARED) {
                self.apply(vcpu, Op::Enable(intid));
            }
        }
        for _ in 0..300 {
            self.settle();
            self.check();
            let mut idle = true;
            for vcpu in self.each_vcpu() {
                if let Some(intid) = self.acknowledge(vcpu, true) {
                    idle = false;
                    self.active[vcpu.index()].clear();
                    assert!(self.m.fake.end(vcpu, Intid::new(intid).unwrap()));
                }
            }
            if idle {
                return;
            }
        }
        panic!("interrupts without end");
    }

    /// What holds once there is nothing left to do.
    pub fn done(&mut self) {
        assert!(self.owed.is_empty(), "lost: {:?}", self.owed);
        for (intid, wire) in &self.m.fake.wires {
            assert!(!wire.high, "{intid} is high and nobody comes");
            assert!(!wire.masked, "{intid} stays masked: nobody will hear of it again");
        }
        for (v, cpu) in self.m.fake.cpus.iter().enumerate() {
            assert!(!cpu.timer_masked, "the timer of vcpu{v} stays masked");
            assert!(
                cpu.timer.ctl == 0 || cpu.timer.cval > self.m.fake.now,
                "vcpu{v} misses its timer"
            );
            assert_eq!(self.m.visible(Vcpu(v as u8)), [0; 0]);
        }
        for vcpu in self.each_vcpu() {
            let pending =
                [0, 32].map(|first| self.m.load(vcpu, self.m.word(vcpu, 0x200, first), 4));
            assert_eq!(pending, [0, 0], "{vcpu} has something pending");
        }
        let taken: u64 = self.taken.values().sum();
        // What can be taken back may be injected again.
        let injected = self.m.vm.counters().injected - self.earlier;
        assert!(injected == taken || self.m.fake.reads && injected > taken, "{injected} {taken}");
    }
}

/// The vCPU that a shared interrupt goes to.
fn target(m: &mut Machine, intid: u16) -> u8 {
    let intid = u64::from(intid);
    if m.version == 3 {
        m.load(CPU0, GICD + 0x6000 + 8 * intid, 8) as u8
    } else {
        m.load(CPU0, GICD + 0x800 + intid, 1).trailing_zeros() as u8
    }
}
