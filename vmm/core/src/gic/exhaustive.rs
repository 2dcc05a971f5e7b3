// SPDX-License-Identifier: BSD-2-Clause
//! The list-register allocator, proven by trying everything: for every pair of interrupts of
//! different kinds and one or two list registers, every state that any sequence of events leads
//! to is visited, and each is checked and then drained.

use std::collections::{BTreeSet, HashSet};
use std::vec::Vec;

use super::lists::Held;
use super::*;
use crate::addr::IpaRange;
use crate::fake::{Fake, Life, List};
use crate::host::Exit;

/// An SGI that two vCPUs send, the virtual timer, a level line and an edge line.
const KINDS: [u16; 4] = [1, 27, 33, 47];
const CPU: Vcpu = Vcpu(0);

fn trigger(intid: u16) -> Trigger {
    if intid == 47 { Trigger::Edge } else { Trigger::Level }
}

/// What can happen at any time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Enable(u16),
    Disable(u16),
    Pend(u16),
    Unpend(u16),
    /// Its cause appears: the line rises, the timer expires, a vCPU sends it.
    Rise(u16, u8),
    Fall(u16),
    Acknowledge,
    /// The guest ends what is in this list register.
    End(usize),
    Groups(u64),
    /// The kernel looks at the list registers, and from then on refuses active ones.
    Shadow,
    /// The guest is reset, with what it had not ended still in the list registers.
    Reset,
}

#[derive(Clone)]
struct State {
    gic: Gic,
    fake: Fake,
    kinds: [u16; 2],
    /// What the guest handles: acknowledged and not yet ended, since its reset.
    handles: BTreeSet<u16>,
}

impl State {
    fn new(version: GicVersion, slots: u8, kinds: [u16; 2]) -> Self {
        let mut gic = Gic::new(version, VcpuCount::Two, 64, slots);
        let mut fake = Fake::new(2, IpaRange::default());
        // The guest uses the group that its interrupts are in.
        (fake.slots, fake.groups) = (slots, if version == GicVersion::V3 { 0b10 } else { 0b01 });
        fake.cpus.iter_mut().for_each(|cpu| cpu.life = Life::Running);
        for intid in kinds.into_iter().filter(|intid| *intid >= 32) {
            gic.add_line(Intid::new(intid).unwrap(), Source::Physical(trigger(intid)));
            fake.add_wire(intid, intid == 47);
        }
        let mut state = Self { gic, fake, kinds, handles: BTreeSet::new() };
        state.set_targets();
        state
    }

    /// The guest sends its lines to the first vCPU, and uses the group that Linux does.
    fn set_targets(&mut self) {
        if self.gic.version == GicVersion::V3 {
            self.kinds.into_iter().for_each(|intid| self.set_group(intid));
        }
        for intid in self.kinds.into_iter().filter(|intid| *intid >= 32) {
            let (offset, size, value) = match self.gic.version {
                GicVersion::V3 => (0x6000 + 8 * u64::from(intid), 8, 0),
                GicVersion::V2 => (0x800 + u64::from(intid), 1, 1),
            };
            let place = (offset, size);
            assert!(self.gic.write(&mut self.fake, CPU, Window::Distributor, place, value));
        }
    }

    fn set_group(&mut self, intid: u16) {
        let bank = self.gic.bank_mut(CPU, usize::from(intid / 32)).unwrap();
        bank.group |= 1 << (intid % 32);
    }

    /// Sets one interrupt's bit in a block.
    fn store(&mut self, block: u64, intid: u16) {
        let private = intid < 32 && self.gic.version == GicVersion::V3;
        let (window, frame) =
            if private { (Window::Redistributor(CPU), 0x1_0000) } else { (Window::Distributor, 0) };
        let (word, bit) = (u64::from(intid / 32) * 4, 1_u64 << (intid % 32));
        assert!(self.gic.write(&mut self.fake, CPU, window, (frame + block + word, 4), bit));
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Enable(intid) => self.store(0x100, intid),
            Event::Disable(intid) => self.store(0x180, intid),
            Event::Pend(intid) => self.store(0x200, intid),
            Event::Unpend(intid) => self.store(0x280, intid),
            Event::Rise(27, _) => self.fake.cpus[0].timer.ctl = 1,
            Event::Fall(27) => self.fake.cpus[0].timer.ctl = 0,
            Event::Rise(intid, by) if intid < 16 => {
                self.gic.send(&mut self.fake, Vcpu(by), CPU, Intid::new(intid).unwrap());
            }
            Event::Rise(intid, _) => self.fake.raise(intid),
            Event::Fall(intid) => self.fake.lower(intid),
            Event::Acknowledge => {
                self.acknowledge();
            }
            Event::End(slot) => {
                // What another guest has left active is not this one's to end.
                if let List::Active(irq) = self.fake.cpus[0].lists[slot]
                    && self.handles.remove(&irq.intid.number())
                {
                    assert!(self.fake.end(CPU, irq.intid));
                }
            }
            Event::Groups(groups) => {
                assert!(self.gic.write(&mut self.fake, CPU, Window::Distributor, (0, 4), groups));
            }
            Event::Shadow => self.fake.refresh_shadow(CPU),
            Event::Reset => {
                self.gic.reset(&mut self.fake);
                // It overwrites on purpose.
                self.fake.overwritten.clear();
                self.handles.clear();
                self.set_targets();
            }
        }
        self.settle();
    }

    fn acknowledge(&mut self) -> Option<u16> {
        let intid = self.fake.acknowledge(CPU)?.intid.number();
        self.handles.insert(intid);
        Some(intid)
    }

    /// What happened reaches the controller, and free list registers are filled.
    fn settle(&mut self) {
        self.gic.flush(&mut self.fake, CPU);
        for _ in 0..16 {
            let Some((vcpu, exit)) = self.fake.next_exit() else { return };
            match exit {
                Exit::DeviceInterrupt(intid) => assert!(self.gic.line(&mut self.fake, intid)),
                Exit::Timer => self.gic.timer(vcpu),
                Exit::Maintenance(Some(slot)) => {
                    assert_ne!(self.gic.lists[0][usize::from(slot)], Slot::Free);
                    self.gic.maintenance(&mut self.fake, vcpu, slot);
                }
                other => panic!("{other:?}"),
            }
            self.gic.flush(&mut self.fake, CPU);
        }
        panic!("it never comes to rest");
    }

    fn banks(&self) -> [Bank; 2] {
        [self.gic.private[0], self.gic.shared[0]]
    }

    fn bit(&self, intid: u16, what: fn(&Bank) -> u32) -> bool {
        what(&self.banks()[usize::from(intid / 32)]) >> (intid % 32) & 1 == 1
    }

    fn masked(&self, intid: u16) -> bool {
        match intid {
            27 => self.fake.cpus[0].timer_masked,
            _ => self.fake.wires.get(&intid).is_some_and(|wire| wire.masked),
        }
    }

    /// Everything that decides what can happen next.
    fn key(&self) -> Vec<u32> {
        let cpu = &self.fake.cpus[0];
        let mut key = std::vec![self.gic.ctlr, self.gic.sources[0][1].into(), cpu.timer.ctl as u32];
        for bank in self.banks() {
            key.extend([bank.enabled, bank.latched, bank.line, bank.held]);
        }
        for slot in 0..usize::from(self.gic.slots) {
            key.push(match self.gic.lists[0][slot] {
                Slot::Free => 0,
                Slot::Held(held) => {
                    1 + u32::from(held.intid.number()) + (u32::from(held.latched) << 16)
                }
                Slot::Stuck(None) => u32::MAX,
                Slot::Stuck(Some(intid)) => 0x8000 + u32::from(intid.number()),
            });
            key.push(match cpu.lists[slot] {
                List::Empty => 0,
                List::Pending(irq) => 2 * u32::from(irq.intid.number()),
                List::Active(irq) => 2 * u32::from(irq.intid.number()) + 1,
            });
            key.push(cpu.shadow_active[slot].into());
        }
        key.extend(self.handles.iter().map(|intid| u32::from(*intid)));
        key.push(0);
        key.extend(self.fake.wires.values().map(|wire| u32::from(wire.high)));
        key
    }

    fn check(&self) {
        assert_eq!(self.fake.overwritten, [], "a list register was overwritten");
        let slots = usize::from(self.gic.slots);
        let mut seen = BTreeSet::new();
        let free = self.gic.lists[0].iter().take(slots).filter(|slot| **slot == Slot::Free).count();
        for (slot, list) in self.gic.lists[0].iter().zip(&self.fake.cpus[0].lists).take(slots) {
            match (*slot, *list) {
                (Slot::Free, list) if list == List::Empty || is_quiet(list) => {
                    let more = free > 1 || slots == 1;
                    assert!(!more || self.gic.best(CPU).is_none(), "one waits: a slot is free");
                }
                // What the last guest left active, until this one has ended it.
                (Slot::Stuck(_), List::Active(_)) => {}
                (Slot::Held(Held { intid, group, .. }), List::Pending(irq) | List::Active(irq)) => {
                    assert_eq!((intid, group), (irq.intid, irq.group));
                    assert!(seen.insert(intid.number()), "{intid} is in two list registers");
                }
                other => panic!("the core and the kernel disagree: {other:?}"),
            }
        }
        for intid in self.kinds {
            assert_eq!(self.bit(intid, |bank| bank.held), seen.contains(&intid), "{intid}");
            assert_eq!(self.bit(intid, |bank| bank.line), self.masked(intid), "{intid}");
        }
    }

    /// The guest turns everything on and handles all that comes: nothing is lost, nothing stays.
    fn drain(mut self) {
        let slots = usize::from(self.gic.slots);
        if self.gic.lists[0].iter().take(slots).all(|slot| matches!(slot, Slot::Stuck(_))) {
            return; // the known limit: nothing is left to deliver with
        }
        let owed: Vec<u16> = self
            .kinds
            .into_iter()
            .filter(|intid| {
                // One that is held fires again once the guest has ended it.
                let listens = self.bit(*intid, |bank| bank.line & bank.enabled & !bank.held);
                self.bit(*intid, |bank| bank.latched) || listens
            })
            .collect();
        let mut taken = BTreeSet::new();
        self.apply(Event::Groups(0b11));
        for intid in self.kinds {
            self.apply(Event::Enable(intid));
            self.apply(Event::Fall(intid));
        }
        for _ in 0..8 {
            taken.extend(self.acknowledge());
            for slot in 0..slots {
                self.apply(Event::End(slot));
            }
            self.check();
        }
        assert!(owed.iter().all(|intid| taken.contains(intid)), "{owed:?} came as {taken:?}");
        assert!(!self.gic.holding(CPU) && !self.gic.waiting(CPU));
        assert!(self.kinds.into_iter().all(|intid| !self.masked(intid)));
    }
}

/// Whether a list register holds what a reset put there for nobody to see.
fn is_quiet(list: List) -> bool {
    matches!(list, List::Pending(irq) if irq.intid.number() > 1000 && irq.priority == 31)
}

/// How many states there are.
fn explore(version: GicVersion, slots: u8, kinds: [u16; 2]) -> usize {
    let mut events = std::vec![
        Event::Acknowledge,
        Event::Shadow,
        Event::Groups(0),
        Event::Groups(0b11),
        Event::Reset
    ];
    events.extend((0..usize::from(slots)).map(Event::End));
    for intid in kinds {
        events.extend([Event::Enable(intid), Event::Disable(intid), Event::Pend(intid)]);
        events.extend([Event::Unpend(intid), Event::Rise(intid, 0), Event::Fall(intid)]);
        if intid < 16 {
            events.push(Event::Rise(intid, 1));
        }
    }
    let first = State::new(version, slots, kinds);
    let mut seen = HashSet::from([first.key()]);
    let mut todo = std::vec![first];
    while let Some(state) = todo.pop() {
        state.check();
        for event in &events {
            let mut next = state.clone();
            next.apply(*event);
            if seen.insert(next.key()) {
                todo.push(next);
            }
        }
        state.drain();
    }
    seen.len()
}

fn explore_all(version: GicVersion) {
    let mut states = 0;
    for slots in [1, 2] {
        for (n, a) in KINDS.into_iter().enumerate() {
            for b in KINDS.into_iter().skip(n + 1) {
                states += explore(version, slots, [a, b]);
            }
        }
    }
    std::println!("{states} states");
    // Far fewer would mean that the events reach nothing.
    assert!(states > 20_000, "only {states} states");
}

#[test]
fn every_state_of_two_interrupts_and_two_list_registers_of_gicv2() {
    explore_all(GicVersion::V2);
}

#[test]
fn every_state_of_two_interrupts_and_two_list_registers_of_gicv3() {
    explore_all(GicVersion::V3);
}
