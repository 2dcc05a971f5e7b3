// SPDX-License-Identifier: BSD-2-Clause
//! Properties of the interrupt controllers: random guests, devices and kernels, the same suite
//! over both views, one to four vCPUs, one to sixteen list registers.
//!
//! The test keeps its own book of what the guest is owed. It knows nothing of the controller's
//! state: only what was caused and what the guest took.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vmm_core::fake::Life;
use vmm_core::host::{Exit, Intid, Vcpu};

use crate::common::machine::CPU0;
use crate::common::spec::{EDGES, GICD, LEVELS};
use crate::common::{Machine, Spec};

/// SGIs, a PPI, the timer, device lines, and an SPI of no device.
const PRIVATE: [u16; 5] = [0, 1, 15, 20, 27];
const SHARED: [u16; 6] = [33, 40, 47, 50, 60, 63];

#[derive(Clone, Copy, Debug)]
enum Op {
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

fn op() -> impl Strategy<Value = Op> {
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
type Key = (Option<u8>, u16);

struct World {
    m: Machine,
    /// What the guest must still be given.
    owed: BTreeSet<Key>,
    /// How often an interrupt was caused, as far as the monitor can know.
    causes: BTreeMap<Key, u64>,
    taken: BTreeMap<Key, u64>,
    /// Injections into earlier guests.
    earlier: u64,
    /// What each vCPU is handling.
    active: [Vec<u16>; 4],
}

fn key(vcpu: Vcpu, intid: u16) -> Key {
    ((intid < 32).then_some(vcpu.0), intid)
}

impl World {
    fn new(version: u32, vcpus: u32, slots: u8) -> Self {
        let mut w = Self::of_one_group(version, vcpus, slots);
        // The guest's CPU interfaces take both groups: whatever is injected is seen.
        w.m.fake.groups = 0b11;
        w
    }

    /// A guest that uses one group alone, as Linux does.
    fn of_one_group(version: u32, vcpus: u32, slots: u8) -> Self {
        let mut spec = Spec::new(version, vcpus);
        spec.slots = slots;
        let mut m = Machine::boot_all(&spec);
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
            Some((_, Exit::Line(intid))) => self.cause((None, intid.number())),
            Some((vcpu, Exit::Timer)) => self.cause(key(*vcpu, 27)),
            _ => {}
        }
        self.m.step()
    }

    fn settle(&mut self) {
        for _ in 0..1000 {
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

    fn apply(&mut self, vcpu: Vcpu, op: Op) {
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
                    let intid = active.remove(n % active.len());
                    assert!(m.fake.end(vcpu, Intid::new(intid).unwrap()));
                }
            }
            Op::Wfi => {
                m.wfi(vcpu);
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

    fn each_vcpu(&self) -> impl Iterator<Item = Vcpu> + use<> {
        (0..self.m.vcpus).map(Vcpu)
    }

    /// What holds after each step.
    fn check(&self) {
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
        for vcpu in self.each_vcpu() {
            let ready = self.ready(vcpu);
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
            let free = self.m.visible(vcpu).len() < usize::from(self.m.fake.slots);
            assert!(
                !free || ready.is_empty(),
                "{ready:?} wait although a list register of {vcpu} is free"
            );
        }
    }

    /// What the registers call enabled and pending, for this vCPU, of a group that is on, and not
    /// in a list register.
    fn ready(&mut self, vcpu: Vcpu) -> Vec<u16> {
        let on = self.m.load(vcpu, GICD, 4) & 0b11;
        let held: Vec<u16> = self.each_vcpu().flat_map(|v| self.m.visible(v)).collect();
        let own = self.m.visible(vcpu);
        let mut ready = Vec::new();
        for (first, all) in [(0_u16, &PRIVATE[..]), (32, &SHARED[..])] {
            let [enabled, pending, group] = [0x100, 0x200, 0x080]
                .map(|block| self.m.load(vcpu, self.m.word(vcpu, block, first), 4));
            for intid in all.iter().copied() {
                let bit = 1 << (intid % 32);
                let group_on = on >> u32::from(group & bit != 0) & 1 == 1;
                let held = if intid < 32 { own.contains(&intid) } else { held.contains(&intid) };
                let here = intid < 32 || self.m.vcpus == 1 || self.target(intid) == vcpu.0;
                if enabled & pending & bit != 0 && group_on && !held && here {
                    ready.push(intid);
                }
            }
        }
        ready
    }

    fn target(&mut self, intid: u16) -> u8 {
        let intid = u64::from(intid);
        if self.m.version == 3 {
            self.m.load(CPU0, GICD + 0x6000 + 8 * intid, 8) as u8
        } else {
            self.m.load(CPU0, GICD + 0x800 + intid, 1).trailing_zeros() as u8
        }
    }

    /// The guest comes to its senses: everything on, every handler quiets its device, all that
    /// comes is taken and ended. Nothing may be left.
    fn drain(&mut self) {
        for vcpu in self.each_vcpu() {
            self.apply(vcpu, Op::Spurious);
            for intid in core::mem::take(&mut self.active[vcpu.index()]) {
                assert!(self.m.fake.end(vcpu, Intid::new(intid).unwrap()));
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
        for _ in 0..1000 {
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
    fn done(&mut self) {
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
        assert_eq!(self.m.vm.counters().injected - self.earlier, taken);
    }
}

fn shape() -> impl Strategy<Value = (u32, u32, u8)> {
    let slots = prop_oneof![Just(4_u8), 1_u8..4, Just(16)];
    (2_u32..4, 1_u32..5, slots)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The whole of it: nothing lost, nothing invented, nothing twice, nothing overwritten,
    /// nobody sleeps through.
    #[test]
    fn no_interrupt_is_lost(
        (version, vcpus, slots) in shape(),
        ops in prop::collection::vec((0_u8..4, op()), 1..80),
    ) {
        let mut w = World::new(version, vcpus, slots);
        for (v, op) in ops {
            let vcpu = Vcpu(v % w.m.vcpus);
            w.apply(vcpu, op);
            w.check();
        }
        w.drain();
        w.done();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// All pending before the first is taken: they come by priority, then by number, however few
    /// list registers there are.
    #[test]
    fn interrupts_come_by_priority(
        (version, vcpus, slots) in shape(),
        v in 0_u8..4,
        all in prop::collection::btree_map(16_u16..64, any::<u8>(), 1..24),
    ) {
        let mut w = World::new(version, vcpus, slots);
        let vcpu = Vcpu(v % w.m.vcpus);
        w.m.store(vcpu, GICD, 4, 0);
        for (intid, priority) in &all {
            w.m.set_priority(vcpu, *intid, *priority);
            if *intid >= 32 {
                w.m.set_target(vcpu, *intid, vcpu.0);
            }
            w.m.enable(vcpu, *intid);
            w.m.store_bit(vcpu, 0x200, *intid);
        }
        w.m.store(vcpu, GICD, 4, 0b11);
        let mut expected: Vec<(u8, u16)> = all.iter().map(|(intid, priority)| (priority & 0xf8, *intid)).collect();
        expected.sort_unstable();
        let expected: Vec<u16> = expected.into_iter().map(|(_, intid)| intid).collect();
        let first = w.m.visible(vcpu);
        prop_assert_eq!(&first[..], &expected[..first.len()], "the best are in list registers, in order");
        prop_assert_eq!(w.m.take_all(vcpu), expected);
    }

    /// Whatever waits behind full list registers comes by priority among its like.
    #[test]
    fn those_that_wait_come_by_priority(
        (version, vcpus, _) in shape(),
        slots in 1_u8..5,
        all in prop::collection::btree_map(32_u16..64, any::<u8>(), 6..24),
    ) {
        let mut w = World::new(version, vcpus, slots);
        let order: Vec<u16> = all.keys().copied().collect();
        for (intid, priority) in &all {
            w.m.set_priority(CPU0, *intid, *priority);
            w.m.enable(CPU0, *intid);
            w.m.store_bit(CPU0, 0x200, *intid); // injected at once while there is room
        }
        prop_assert_eq!(&w.m.visible(CPU0), &order[..slots.into()]);
        let mut waiting: Vec<(u8, u16)> =
            order[slots.into()..].iter().map(|intid| (all[intid] & 0xf8, *intid)).collect();
        waiting.sort_unstable();
        // Each one taken makes room for the best of those that wait.
        for (_, next) in waiting {
            prop_assert!(!w.m.visible(CPU0).contains(&next));
            w.m.take(CPU0).unwrap();
            prop_assert!(w.m.visible(CPU0).contains(&next));
        }
    }

    /// An SGI comes once for each of its senders with GICv2, once in all with GICv3.
    #[test]
    fn sgis_come_once_for_each_sender(
        version in 2_u32..4,
        slots in 1_u8..6,
        sends in prop::collection::vec((0_u8..4, 0_u8..16, 0_u16..16), 1..40),
    ) {
        let mut w = World::new(version, 4, slots);
        let mut senders: BTreeMap<(u8, u16), BTreeSet<u8>> = BTreeMap::new();
        for (from, to, intid) in sends {
            w.m.send(Vcpu(from), to, intid);
            for v in (0..4).filter(|v| to >> v & 1 == 1) {
                senders.entry((v, intid)).or_default().insert(from);
            }
        }
        for v in 0..4 {
            for intid in 0..16 {
                w.m.enable(Vcpu(v), intid);
            }
        }
        for v in 0..4 {
            let mut taken: BTreeMap<u16, usize> = BTreeMap::new();
            for intid in w.m.take_all(Vcpu(v)) {
                *taken.entry(intid).or_default() += 1;
            }
            let expected: BTreeMap<u16, usize> = senders
                .iter()
                .filter(|((to, _), _)| *to == v)
                .map(|((_, intid), from)| (*intid, if version == 2 { from.len() } else { 1 }))
                .collect();
            prop_assert_eq!(taken, expected, "vcpu{}", v);
        }
    }

    /// A kernel that now and then knows of an active interrupt refuses to overwrite it: nothing
    /// is lost, and the slot is used again once the interrupt has ended.
    #[test]
    fn a_refusing_kernel_loses_nothing(
        version in 2_u32..4,
        slots in 2_u8..5,
        ops in prop::collection::vec((op(), any::<bool>()), 1..60),
    ) {
        let mut w = World::new(version, 1, slots);
        for (op, refresh) in ops {
            if refresh {
                w.m.fake.refresh_shadow(CPU0);
            }
            w.apply(CPU0, op);
            w.check();
        }
        w.drain();
        w.done();
    }

    /// A write of any register, of any width, anywhere: reads afterwards are what the registers'
    /// fields allow, and nothing is overwritten or doubled.
    #[test]
    fn any_register_may_be_written(
        (version, vcpus, slots) in shape(),
        writes in prop::collection::vec((0_u8..4, 0_u64..0x1_0000, 0_u32..4, any::<u64>(), any::<bool>()), 1..60),
    ) {
        let mut w = World::new(version, vcpus, slots);
        for (v, offset, size, value, private) in writes {
            let vcpu = Vcpu(v % w.m.vcpus);
            let base = if private { w.m.frame(vcpu, 0) } else { GICD };
            // Three of four land where the blocks are.
            let offset = if size == 0 { offset } else { offset % 0x1000 };
            let offset = offset & !((1 << size) - 1);
            w.m.store(vcpu, base + offset, 1 << size, value);
            w.m.load(vcpu, base + offset, 1 << size);
            w.m.fake.raise(LEVELS[0]);
            w.m.settle();
            for vcpu in w.each_vcpu() {
                let mut seen = w.m.visible(vcpu);
                let count = seen.len();
                seen.sort_unstable();
                seen.dedup();
                prop_assert_eq!(seen.len(), count);
            }
        }
        prop_assert!(w.m.fake.overwritten.is_empty());
        for vcpu in w.each_vcpu() {
            // Whatever is there can be taken; a line that stays high comes for ever.
            w.m.fake.lower(LEVELS[0]);
            w.m.take_all(vcpu);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Resets at any time, from any vCPU, with whatever is pending, active, masked or asleep: the
    /// next guest starts clean, and hears of every line again.
    #[test]
    fn a_reset_leaves_nothing_and_loses_nothing(
        (version, vcpus, slots) in shape(),
        ops in prop::collection::vec((0_u8..4, prop_oneof![12 => op(), 1 => Just(Op::Reset)]), 1..80),
    ) {
        let mut w = World::of_one_group(version, vcpus, slots);
        for (v, op) in ops {
            let vcpu = Vcpu(v % w.m.vcpus);
            let op = if let Op::Group(intid, _) = op { Op::Enable(intid) } else { op };
            w.apply(vcpu, op);
            w.check();
        }
        w.apply(CPU0, Op::Reset);
        w.drain();
        w.done();
    }

    /// Deadlines: the host is always told the earliest of all vCPUs that sleep.
    #[test]
    fn the_host_keeps_the_earliest_deadline(
        version in 2_u32..4,
        ops in prop::collection::vec((0_u8..4, 1_u64..500, 0_u8..4), 1..60),
    ) {
        let mut m = Machine::boot_all(&Spec::new(version, 4));
        m.set_up_gic();
        for v in 0..4 {
            m.enable(Vcpu(v), 27);
        }
        for (v, ticks, what) in ops {
            let vcpu = Vcpu(v);
            for v in 0..4 {
                if m.acknowledge(Vcpu(v)).is_some() {
                    m.fake.cpus[usize::from(v)].timer.ctl = 0;
                    m.end(Vcpu(v), 27);
                }
            }
            m.settle();
            match what {
                0 | 1 if m.runs(vcpu) => {
                    let timer = &mut m.fake.cpus[vcpu.index()].timer;
                    // Without a mask it is a deadline; with one it is none.
                    (timer.ctl, timer.cval) = (if what == 0 { 0b01 } else { 0b11 }, m.fake.now + ticks);
                    m.wfi(vcpu);
                }
                2 => m.fake.pass(ticks),
                _ => {
                    m.handle(CPU0, Exit::WakeUp); // a host's timer may be early
                }
            }
            m.settle();
            let asleep = (0..4).map(|v| &m.fake.cpus[v]).filter(|cpu| cpu.life == Life::Parked);
            let earliest = asleep.filter(|cpu| cpu.timer.ctl == 1).map(|cpu| cpu.timer.cval).min();
            prop_assert_eq!(m.deadline, earliest);
            prop_assert!(earliest.is_none_or(|deadline| deadline > m.fake.now));
        }
    }
}
