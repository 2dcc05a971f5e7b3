// SPDX-License-Identifier: BSD-2-Clause
//! The list-register allocator, proven by trying everything: for every pair of interrupts of
//! different kinds and one or two list registers, every state that any sequence of events leads
//! to is visited, and each is checked and then drained.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use vmm_core::addr::IpaRange;
use vmm_core::arm::syndrome::SystemRegister;
use vmm_core::gic::{Gic, Held, InterruptState, ListRegister, Source, Window};
use vmm_core::host::{Exit, StoppedVcpu};
use vmm_core::ids::{GicVersion, Intid, Trigger, Vcpu, VcpuCount};
use vmm_testkit::fake::{Fake, Life, List};

use crate::access;

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
    version: GicVersion,
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
        let mut state = Self { gic, fake, version, kinds, handles: BTreeSet::new() };
        state.set_targets();
        state
    }

    /// The guest sends its lines to the first vCPU, and uses the group that Linux does.
    fn set_targets(&mut self) {
        if self.version == GicVersion::V3 {
            self.write(CPU, Window::Redistributor(CPU), (0x1_0080, 4), 0xffff_ffff);
            self.write(CPU, Window::Distributor, (0x84, 4), 0xffff_ffff);
        }
        for intid in self.kinds.into_iter().filter(|intid| *intid >= 32) {
            let (offset, size, value) = match self.version {
                GicVersion::V3 => (0x6000 + 8 * u64::from(intid), 8, 0),
                GicVersion::V2 => (0x800 + u64::from(intid), 1, 1),
            };
            self.write(CPU, Window::Distributor, (offset, size), value);
        }
    }

    fn write(&mut self, by: Vcpu, window: Window, place: (u64, u8), value: u64) {
        let by = StoppedVcpu::at_exit(by);
        assert!(self.gic.write(&mut self.fake, window, access(&by, place), value));
    }

    /// Sets one interrupt's bit in a block.
    fn store(&mut self, block: u64, intid: u16) {
        let private = intid < 32 && self.version == GicVersion::V3;
        let (window, frame) =
            if private { (Window::Redistributor(CPU), 0x1_0000) } else { (Window::Distributor, 0) };
        let (word, bit) = (u64::from(intid / 32) * 4, 1_u64 << (intid % 32));
        self.write(CPU, window, (frame + block + word, 4), bit);
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
                self.send(Vcpu(by), u64::from(intid));
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
            Event::Groups(groups) => self.write(CPU, Window::Distributor, (0, 4), groups),
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

    /// An SGI to vCPU 0.
    fn send(&mut self, by: Vcpu, intid: u64) {
        match self.version {
            GicVersion::V2 => self.write(by, Window::Distributor, (0xf00, 4), 1 << 16 | intid),
            GicVersion::V3 => {
                let (register, value) = (SystemRegister::ICC_SGI1R, intid << 24 | 1);
                assert!(self.gic.send_by_register(&mut self.fake, by, register, value));
            }
        }
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
                Exit::DeviceInterrupt(intid) => assert!(self.gic.fire(&mut self.fake, intid)),
                Exit::Timer => self.gic.timer(vcpu),
                Exit::Maintenance(Some(slot)) => {
                    assert_ne!(self.gic.list(CPU, slot), ListRegister::Free);
                    self.gic.maintenance(&mut self.fake, vcpu, slot);
                }
                other => panic!("{other:?}"),
            }
            self.gic.flush(&mut self.fake, CPU);
        }
        panic!("it never comes to rest");
    }

    fn interrupt(&self, intid: u16) -> InterruptState {
        self.gic.interrupt(CPU, Intid::new(intid).unwrap()).unwrap()
    }

    fn masked(&self, intid: u16) -> bool {
        match intid {
            27 => self.fake.cpus[0].timer_masked,
            _ => self.fake.wires.get(&intid).is_some_and(|wire| wire.masked),
        }
    }

    /// Everything that decides what can happen next, as a hash: of thousands of states two have the same
    /// one with a probability of less than one in a thousand million.
    fn key(&self) -> u64 {
        let cpu = &self.fake.cpus[0];
        let mut hasher = DefaultHasher::new();
        (self.gic.groups(), cpu.timer.ctl, &self.handles).hash(&mut hasher);
        self.kinds.map(|intid| self.interrupt(intid)).hash(&mut hasher);
        for (slot, list) in (0..self.fake.slots).zip(&cpu.lists) {
            let list = match list {
                List::Empty => (0, None),
                List::Pending(irq) => (1, Some(irq.intid)),
                List::Active(irq) => (2, Some(irq.intid)),
            };
            (self.gic.list(CPU, slot), list).hash(&mut hasher);
            cpu.shadow_active[usize::from(slot)].hash(&mut hasher);
        }
        self.fake.wires.values().for_each(|wire| wire.high.hash(&mut hasher));
        hasher.finish()
    }

    /// What the core takes the list registers to hold.
    fn lists(&self) -> Vec<ListRegister> {
        (0..self.fake.slots).map(|slot| self.gic.list(CPU, slot)).collect()
    }

    fn check(&self) {
        assert_eq!(self.fake.overwritten, [], "a list register was overwritten");
        let lists = self.lists();
        let mut seen = BTreeSet::new();
        let free = lists.iter().filter(|list| **list == ListRegister::Free).count();
        for (known, list) in lists.iter().zip(&self.fake.cpus[0].lists) {
            match (*known, *list) {
                (ListRegister::Free, list) if list == List::Empty || is_quiet(list) => {
                    let more = free > 1 || lists.len() == 1;
                    assert!(!more || !self.gic.waiting(CPU), "one waits: a slot is free");
                }
                // What the last guest left active, until this one has ended it.
                (ListRegister::Stuck(_), List::Active(_)) => {}
                (
                    ListRegister::Held(Held { intid, group, .. }),
                    List::Pending(irq) | List::Active(irq),
                ) => {
                    assert_eq!((intid, group), (irq.intid, irq.group));
                    assert!(seen.insert(intid.number()), "{intid} is in two list registers");
                }
                other => panic!("the core and the kernel disagree: {other:?}"),
            }
        }
        for intid in self.kinds {
            assert_eq!(self.interrupt(intid).held, seen.contains(&intid), "{intid}");
            let irq = self.interrupt(intid);
            assert_eq!(irq.by_line || irq.owed, self.masked(intid), "{intid}");
        }
    }

    /// The guest turns everything on and handles all that comes: nothing is lost, nothing stays.
    fn drain(mut self) {
        let slots = usize::from(self.fake.slots);
        if self.lists().iter().all(|list| matches!(list, ListRegister::Stuck(_))) {
            return; // the known limit: nothing is left to deliver with
        }
        let owed: Vec<u16> = self
            .kinds
            .into_iter()
            .filter(|intid| {
                // One that is held fires again once the guest has ended it.
                let irq = self.interrupt(*intid);
                irq.latched || irq.by_line && irq.enabled && !irq.held
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
    let mut events = vec![
        Event::Acknowledge,
        Event::Shadow,
        Event::Groups(0),
        Event::Groups(0b11),
        Event::Reset,
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
    let mut todo = vec![first];
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
    println!("{states} states");
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
