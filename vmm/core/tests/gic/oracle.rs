// SPDX-License-Identifier: BSD-2-Clause
//! The controller beside a distributor that has no list registers (`vmm_testkit::reference`), under a host
//! that can read them, in every state that any sequence of events leads to: whatever the number of
//! list registers, one fewer than interrupts too, what the guest takes next, and what it reads as
//! pending and active, is the same.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use vmm_core::addr::IpaRange;
use vmm_core::arm::syndrome::SystemRegister;
use vmm_core::gic::{Gic, Source, Window};
use vmm_core::host::{Exit, Injection, StoppedVcpu};
use vmm_core::ids::{GicVersion as Version, Intid, Trigger, Vcpu, VcpuCount};
use vmm_testkit::fake::{Fake, Life, List};
use vmm_testkit::reference::{self, Around, Model};

use crate::access;

/// An SGI that two vCPUs send, the virtual timer, a level line and an edge line.
const KINDS: [u16; 4] = [1, 27, 33, 47];
/// The level line of an emulated device.
const EMULATED: u16 = 60;
const CPU: Vcpu = Vcpu(0);
const OTHER: Vcpu = Vcpu(1);

fn trigger(intid: u16) -> Trigger {
    if intid == 47 { Trigger::Edge } else { Trigger::Level }
}

/// What can happen at any time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The guest sets one interrupt's bit in a block of the distributor.
    Store(u64, u16),
    Priority(u16, u64),
    /// Its cause appears: the line rises, the timer expires, a vCPU sends it.
    Rise(u16, u8),
    Fall(u16),
    Acknowledge,
    End(u16),
    Groups(u64),
    /// A line goes to the other vCPU, or back.
    Route(u16, u64),
    /// vCPU 0 turns itself off, or the other one turns it on.
    Power,
}

#[derive(Clone)]
struct State {
    gic: Gic,
    fake: Fake,
    model: Model,
    version: Version,
    kinds: [u16; 2],
}

struct Wires<'f>(&'f Fake);

impl Around for Wires<'_> {
    fn high(&self, v: u8, intid: u16) -> bool {
        let timer = self.0.cpus[usize::from(v)].timer;
        match intid {
            27 => timer.ctl & 3 == 1 && timer.cval <= self.0.now,
            _ => self.0.wires.get(&intid).is_some_and(|wire| wire.high),
        }
    }
}

impl State {
    fn new(version: Version, slots: u8, kinds: [u16; 2]) -> Self {
        let mut gic = Gic::new(version, VcpuCount::Two, 64, slots);
        let mut fake = Fake::new(2, IpaRange::default());
        (fake.slots, fake.groups, fake.reads) = (slots, 0b11, true);
        fake.cpus.iter_mut().for_each(|cpu| cpu.life = Life::Running);
        let lines: Vec<_> = kinds.into_iter().filter(|intid| *intid >= 32).collect();
        let physical: Vec<_> = lines.iter().copied().filter(|intid| *intid != EMULATED).collect();
        for intid in &physical {
            gic.add_line(Intid::new(*intid).unwrap(), Source::Physical(trigger(*intid)));
            fake.add_wire(*intid, *intid == 47);
        }
        let devices = physical.into_iter().map(|intid| (intid, intid == 47)).collect();
        let mut model = Model::new(version as u32, 2, 64, devices);
        if lines.contains(&EMULATED) {
            gic.add_line(Intid::new(EMULATED).unwrap(), Source::Emulated);
            model.add_emulated(EMULATED);
        }
        gic.turn_on(&mut fake, OTHER);
        model.turn_on(OTHER.0);
        let mut state = Self { gic, fake, model, version, kinds };
        lines.into_iter().for_each(|intid| state.route(intid, 0));
        state
    }

    fn write(&mut self, window: Window, place: (u64, u8), value: u64) {
        let by = StoppedVcpu::at_exit(if self.model.on[0] { CPU } else { OTHER });
        let access = access(&by, place);
        // Where a store is ignored, nobody looks at its value.
        let given = if self.gic.ignores(window, access) { 0 } else { value };
        assert!(self.gic.write(&mut self.fake, window, access, given));
        assert!(self.model.write(by.id().0, window.into(), place, value));
    }

    fn route(&mut self, intid: u16, target: u64) {
        let (offset, size, value) = match self.version {
            Version::V3 => (0x6000 + 8 * u64::from(intid), 8, target),
            Version::V2 => (0x800 + u64::from(intid), 1, 1 << target),
        };
        self.write(Window::Distributor, (offset, size), value);
    }

    /// Where vCPU 0's registers of an interrupt are.
    fn frame(&self, intid: u16) -> (Window, u64) {
        if intid < 32 && self.version == Version::V3 {
            (Window::Redistributor(CPU), 0x1_0000)
        } else {
            (Window::Distributor, 0)
        }
    }

    /// Whether the event can happen now.
    fn apply(&mut self, event: Event) -> bool {
        let on = self.model.on[0];
        match event {
            // GICv2's private registers are banked: nobody else reaches them.
            Event::Store(_, intid) | Event::Priority(intid, _)
                if !on && intid < 32 && self.version == Version::V2 =>
            {
                return false;
            }
            Event::Store(block, intid) => {
                let (window, frame) = self.frame(intid);
                let word = u64::from(intid / 32) * 4;
                self.write(window, (frame + block + word, 4), 1 << (intid % 32));
            }
            Event::Priority(intid, priority) => {
                let (window, frame) = self.frame(intid);
                self.write(window, (frame + 0x400 + u64::from(intid), 1), priority);
            }
            Event::Rise(27, _) if !on => return false,
            Event::Rise(27, _) => self.fake.cpus[0].timer.ctl = 1,
            Event::Fall(27) => self.fake.cpus[0].timer.ctl = 0,
            Event::Rise(intid, by) if intid < 16 => {
                if !self.model.on[usize::from(by)] {
                    return false;
                }
                let word = u64::from(intid);
                match self.version {
                    Version::V2 => {
                        let place = (0xf00, 4);
                        let value = 1 << 16 | word;
                        let sender = StoppedVcpu::at_exit(Vcpu(by));
                        let access = access(&sender, place);
                        assert!(self.gic.write(&mut self.fake, Window::Distributor, access, value));
                        assert!(self.model.write(by, reference::Window::Distributor, place, value));
                    }
                    Version::V3 => {
                        let register = SystemRegister::ICC_SGI1R;
                        let value = word << 24 | 1;
                        assert!(self.gic.send_by_register(
                            &mut self.fake,
                            Vcpu(by),
                            register,
                            value
                        ));
                        self.model.send_by_register(by, true, value);
                    }
                }
            }
            Event::Rise(EMULATED, _) => self.drive(true),
            Event::Fall(EMULATED) => self.drive(false),
            Event::Rise(intid, _) => self.fake.raise(intid),
            Event::Fall(intid) => self.fake.lower(intid),
            Event::Acknowledge => {
                let taken = self.fake.acknowledge(CPU);
                let taken = taken.map(|irq| (irq.intid.number(), irq.source.0, irq.group == 1));
                match on {
                    true => self.model.acknowledge(0, taken),
                    false => assert_eq!(taken, None),
                }
            }
            Event::End(intid) => {
                if !on || !self.fake.end(CPU, Intid::new(intid).unwrap()) {
                    return false;
                }
                self.model.deactivate(0, intid);
            }
            Event::Groups(groups) => self.write(Window::Distributor, (0, 4), groups),
            Event::Route(intid, to) => self.route(intid, to),
            Event::Power if on => {
                self.fake.cpus[0].life = Life::Off;
                self.gic.turn_off(&mut self.fake, CPU);
                self.model.turn_off(0);
                self.fake.cpus[0].aside.clear();
            }
            Event::Power => {
                (self.fake.cpus[0].life, self.fake.cpus[0].timer.ctl) = (Life::Running, 0);
                self.gic.turn_on(&mut self.fake, CPU);
                self.model.turn_on(0);
            }
        }
        self.settle();
        true
    }

    /// The emulated device drives its line. The host knows nothing of it.
    fn drive(&mut self, high: bool) {
        assert!(self.gic.set_level(&mut self.fake, Intid::new(EMULATED).unwrap(), high));
        self.model.set_level(EMULATED, high);
    }

    /// What happened reaches both.
    fn settle(&mut self) {
        for _ in 0..16 {
            for vcpu in [CPU, OTHER] {
                if self.model.on[vcpu.index()] {
                    self.gic.flush(&mut self.fake, vcpu);
                }
            }
            let Some((vcpu, exit)) = self.fake.next_exit() else { break };
            match exit {
                Exit::DeviceInterrupt(intid) => {
                    assert!(self.gic.fire(&mut self.fake, intid));
                    assert!(self.model.fire(intid.number()));
                }
                Exit::Timer => {
                    self.gic.timer(vcpu);
                    self.model.timer(vcpu.0);
                }
                Exit::Maintenance(Some(slot)) => {
                    assert!(self.gic.maintenance(&mut self.fake, vcpu, slot).is_some());
                }
                Exit::Maintenance(None) => {}
                Exit::EndedAside(count) => self.gic.ended_aside(&mut self.fake, vcpu, count),
                other => panic!("{other:?}"),
            }
        }
        assert!(self.fake.next_exit().is_none(), "it never comes to rest");
        // What the guest has deactivated by a register it does not end any more.
        let model = &mut self.model;
        self.fake.cpus[0]
            .aside
            .retain(|irq| model.irq(0, irq.intid.number()).is_some_and(|irq| irq.active));
    }

    fn check(&self) {
        let mut twin = self.clone();
        for vcpu in [CPU, OTHER] {
            let pending = self.fake.cpus[vcpu.index()].lists.iter().filter_map(|list| match list {
                List::Pending(irq) => Some(*irq),
                List::Empty | List::Active(_) => None,
            });
            let best = pending.min_by_key(|irq| (irq.priority, irq.intid));
            let best = best.map(|irq| (irq.intid.number(), irq.source.0, irq.group == 1));
            let on = self.model.on[vcpu.index()];
            let due = if on { self.model.candidates(vcpu.0) } else { Vec::new() };
            assert_eq!(best.is_none(), due.is_empty(), "{vcpu} takes {best:?}, {due:?} are due");
            assert!(best.is_none_or(|best| due.contains(&best)), "{best:?} comes, {due:?} are due");
            let attends = self.fake.cpus[vcpu.index()].attends;
            assert!(on || attends == (false, false), "{vcpu} is off, and is to report {attends:?}");
        }
        assert_eq!(self.fake.overwritten, []);
        for intid in self.kinds.into_iter().filter(|intid| *intid == 27 || *intid == 33) {
            let masked = match intid {
                27 => self.fake.cpus[0].timer_masked,
                _ => self.fake.wires[&intid].masked,
            };
            assert_eq!(masked, twin.model.irq(0, intid).unwrap().line, "mask of {intid}");
        }
        if !self.model.on[0] {
            return;
        }
        // A look at a line may change what is pending: on a copy.
        for intid in self.kinds {
            let (window, frame) = self.frame(intid);
            for block in [0x300, 0x200] {
                let place = (frame + block + u64::from(intid / 32) * 4, 4);
                let due = twin.model.read(&Wires(&twin.fake), 0, window.into(), place);
                let reader = StoppedVcpu::at_exit(CPU);
                let read = twin.gic.read(&mut twin.fake, window, access(&reader, place));
                assert_eq!(read, due, "{window:?} {block:#x} of {intid}");
                twin.settle();
            }
        }
    }

    /// Everything that decides what can happen next, as a hash: of millions of states two have the same
    /// one with a probability of less than one in a million.
    fn key(&self) -> u64 {
        let Fake { cpus, wires, .. } = &self.fake;
        let injected =
            |irq: &Injection| (irq.intid.number(), irq.priority, irq.group, irq.source.0);
        let mut hasher = DefaultHasher::new();
        (self.gic.groups(), &self.model.on).hash(&mut hasher);
        for intid in self.kinds {
            self.gic.interrupt(CPU, Intid::new(intid).unwrap()).hash(&mut hasher);
        }
        for vcpu in [CPU, OTHER] {
            let cpu = &cpus[vcpu.index()];
            cpu.attends.hash(&mut hasher); // what the controller was last told, too
            for (slot, list) in (0..self.fake.slots).zip(&cpu.lists) {
                let list = match list {
                    List::Empty => (0, None),
                    List::Pending(irq) => (1, Some(injected(irq))),
                    List::Active(irq) => (2, Some(injected(irq))),
                };
                (self.gic.list(vcpu, slot), list).hash(&mut hasher);
            }
            self.gic.put_aside(vcpu).hash(&mut hasher);
            cpu.aside.iter().for_each(|irq| injected(irq).hash(&mut hasher));
            0_u8.hash(&mut hasher);
        }
        wires.values().for_each(|wire| (wire.high, wire.masked).hash(&mut hasher));
        (cpus[0].timer.ctl, cpus[0].timer_masked).hash(&mut hasher);
        hasher.finish()
    }
}

/// How many states there are.
fn explore(version: Version, slots: u8, kinds: [u16; 2]) -> usize {
    let mut events = vec![Event::Acknowledge, Event::Groups(0), Event::Groups(0b11), Event::Power];
    for intid in kinds {
        // Enable, disable; set and clear pending and active.
        events.extend([0x100, 0x180, 0x200, 0x280, 0x300, 0x380].map(|at| Event::Store(at, intid)));
        events.extend([Event::Rise(intid, 0), Event::Fall(intid), Event::End(intid)]);
        if intid < 16 {
            events.push(Event::Rise(intid, 1));
        }
        if intid >= 32 {
            events.extend([Event::Route(intid, 0), Event::Route(intid, 1)]);
        }
    }
    // One of the two may become better than the other.
    events.extend([Event::Priority(kinds[0], 0x80), Event::Priority(kinds[0], 0)]);
    let first = State::new(version, slots, kinds);
    let mut seen = HashSet::from([first.key()]);
    let mut todo = vec![first];
    while let Some(state) = todo.pop() {
        state.check();
        for event in &events {
            let mut next = state.clone();
            if next.apply(*event) && seen.insert(next.key()) {
                todo.push(next);
            }
        }
    }
    seen.len()
}

/// Every pair of `kinds`, of which there are at least so many states: far fewer would mean that the
/// events reach nothing.
fn explore_all(version: Version, slots: u8, kinds: &[u16], least: usize) {
    let mut states = 0;
    for (n, a) in kinds.iter().copied().enumerate() {
        for b in kinds.iter().copied().skip(n + 1) {
            let count = explore(version, slots, [a, b]);
            println!("{version:?}, {slots} list registers, INTIDs {a} and {b}: {count} states");
            states += count;
        }
    }
    println!("{states} states");
    assert!(states > least, "only {states} states");
}

#[test]
fn one_list_register_too_few_is_invisible_with_gicv2() {
    explore_all(Version::V2, 1, &KINDS, 100_000);
}

#[test]
fn one_list_register_too_few_is_invisible_with_gicv3() {
    explore_all(Version::V3, 1, &KINDS, 100_000);
}

// The level of an emulated line is the controller's own: in all states again, beside one other kind.

#[test]
fn an_emulated_line_is_a_level_with_gicv2() {
    explore_all(Version::V2, 1, &[47, EMULATED], 5_000);
}

#[test]
fn an_emulated_line_is_a_level_with_gicv3() {
    explore_all(Version::V3, 1, &[1, EMULATED], 5_000);
}

// With two nothing has to be put aside or taken back for want of room, so one pair is enough of each
// version: what differs between the other pairs is what one list register shows.

#[test]
fn as_many_list_registers_are_invisible_with_gicv2() {
    explore_all(Version::V2, 2, &[1, 33], 20_000);
}

#[test]
fn as_many_list_registers_are_invisible_with_gicv3() {
    explore_all(Version::V3, 2, &[27, 47], 20_000);
}
