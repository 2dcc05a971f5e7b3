// SPDX-License-Identifier: BSD-2-Clause
//! Register accesses, lines, timers, SGIs, CPUs that come and go, and resets of the interrupt
//! controller under a host that can read list registers, with any number of those: what a guest
//! reads and acknowledges is what a distributor without list registers gives it.

use vmm_core::addr::IpaRange;
use vmm_core::arm::syndrome::SystemRegister;
use vmm_core::devices::MmioAccess;
use vmm_core::gic::{Gic, Source, Window};
use vmm_core::host::{Exit, StoppedVcpu};
use vmm_core::ids::{GicVersion as Version, Intid, Trigger, Vcpu, VcpuCount};
use vmm_testkit::fake::{Fake, Life, List};

use crate::input::Input;
use crate::machine::Shape;
use crate::model::{Around, Model};

/// As many interrupts nest on a CPU as it has priorities, of which five bits know 32 (IHI 0048B,
/// 3.3.1).
const NESTED: usize = 32;

/// Device lines: two levels, two edges.
const DEVICES: [(u16, bool); 4] = [(33, false), (40, false), (47, true), (60, true)];

/// Lines of emulated devices.
const EMULATED: [u16; 2] = [34, 62];

struct Pair {
    gic: Gic,
    model: Model,
    fake: Fake,
    vcpus: u8,
    version: Version,
}

impl Pair {
    fn new(shape: Shape, lines: u16) -> Self {
        let version = Version::new(shape.version).unwrap();
        let count = VcpuCount::new(shape.vcpus).unwrap();
        let vcpus = count.get();
        let mut gic = Gic::new(version, count, lines.into(), shape.slots);
        let mut fake = Fake::new(vcpus, IpaRange::default());
        (fake.slots, fake.groups, fake.reads) = (shape.slots, 0b11, true);
        fake.cpus.iter_mut().for_each(|cpu| cpu.life = Life::Running);
        for (intid, edge) in DEVICES {
            let trigger = if edge { Trigger::Edge } else { Trigger::Level };
            gic.add_line(Intid::new(intid).unwrap(), Source::Physical(trigger));
            fake.add_wire(intid, edge);
        }
        // A wire of no device: its line must not get through.
        fake.add_wire(50, false);
        let mut model = Model::new(shape.version, vcpus, lines, DEVICES.to_vec());
        for intid in EMULATED {
            gic.add_line(Intid::new(intid).unwrap(), Source::Emulated);
            model.add_emulated(intid);
        }
        for v in 1..vcpus {
            gic.turn_on(&mut fake, Vcpu(v));
            model.turn_on(v);
        }
        Self { gic, model, fake, vcpus, version }
    }

    /// Everything that happened goes to both, then what each vCPU would take is compared.
    fn settle(&mut self) {
        for _ in 0..64 {
            let Some((vcpu, exit)) = self.fake.next_exit() else { return self.compare() };
            match exit {
                Exit::DeviceInterrupt(intid) => {
                    let known = self.gic.fire(&mut self.fake, intid);
                    assert_eq!(known, self.model.fire(intid.number()));
                }
                Exit::Timer => {
                    self.gic.timer(vcpu);
                    self.model.timer(vcpu.0);
                }
                Exit::Maintenance(Some(slot)) => {
                    self.gic.maintenance(&mut self.fake, vcpu, slot);
                }
                Exit::Maintenance(None) => {}
                Exit::EndedAside(count) => self.gic.ended_aside(&mut self.fake, vcpu, count),
                other => panic!("{other:?}"),
            }
            self.flush();
        }
        panic!("it never comes to rest");
    }

    fn flush(&mut self) {
        for v in (0..self.vcpus).filter(|v| self.model.on[usize::from(*v)]) {
            self.gic.flush(&mut self.fake, Vcpu(v));
        }
    }

    fn compare(&mut self) {
        self.flush();
        assert_eq!(self.fake.overwritten, []);
        let mut offers = Vec::new();
        for (v, cpu) in (0..).zip(&self.fake.cpus) {
            for list in &cpu.lists {
                if let List::Pending(irq) = list {
                    offers.push((irq.intid.number(), v));
                }
            }
        }
        self.model.offer(&offers);
        for v in 0..self.vcpus {
            let (cpu, on) = (&self.fake.cpus[usize::from(v)], self.model.on[usize::from(v)]);
            let pending = cpu.lists.iter().filter_map(|list| match list {
                List::Pending(irq) => Some(*irq),
                List::Empty | List::Active(_) => None,
            });
            let best = pending.min_by_key(|irq| (irq.priority, irq.intid));
            let best = best.map(|irq| (irq.intid.number(), irq.source.0, irq.group == 1));
            let due = if on { self.model.candidates(v) } else { Vec::new() };
            assert_eq!(best.is_none(), due.is_empty(), "vcpu{v} takes {best:?}, {due:?} are due");
            assert!(best.is_none_or(|best| due.contains(&best)), "{best:?} comes, {due:?} are due");
            assert!(on || cpu.attends == (false, false), "vcpu{v} is off, and is to report");
            let timer = self.model.irq(v, 27).is_some_and(|irq| irq.line);
            assert_eq!(self.fake.cpus[usize::from(v)].timer_masked, timer, "timer of vcpu{v}");
        }
        for (intid, edge) in DEVICES {
            let line = self.model.irq(0, intid).is_some_and(|irq| irq.line);
            assert!(!(edge && line));
            assert!(edge || self.fake.wires[&intid].masked == line, "line {intid}");
        }
        // What the guest has deactivated it does not end any more.
        for (v, cpu) in (0..).zip(&mut self.fake.cpus) {
            let model = &mut self.model;
            cpu.aside.retain(|irq| model.irq(v, irq.intid.number()).is_some_and(|irq| irq.active));
        }
    }

    fn access(&mut self, vcpu: Vcpu, input: &mut Input<'_>) -> Option<()> {
        let kind = input.byte()?;
        let owner = Vcpu((kind >> 1 & 3) % self.vcpus);
        let redistributor = self.version == Version::V3 && kind & 1 == 1;
        let window = if redistributor { Window::Redistributor(owner) } else { Window::Distributor };
        let size = 1 << (kind >> 3 & 3);
        let offset = match kind >> 5 {
            // Anything, aligned or not.
            0 => u64::from(input.half()?) << 1 | u64::from(input.byte()? & 1),
            1 => 0x6000 + u64::from(input.byte()?) * 4,
            2 => 0xf00 + u64::from(input.byte()?),
            3 => u64::from(input.byte()?),
            // A block, at one of its first interrupts.
            _ => u64::from(input.byte()? % 26) * 0x80 + u64::from(input.byte()? % 16),
        };
        let offset = if redistributor && kind >> 5 > 3 { offset + 0x1_0000 } else { offset };
        let offset = if input.byte()? == 0xff { offset } else { offset & !(u64::from(size) - 1) };
        let value = input.number(&[])?;
        // What is ignored is not asked for: the model still gets it.
        let stopped = StoppedVcpu::at_exit(vcpu);
        let access = MmioAccess { vcpu: &stopped, offset, size };
        let given = if self.gic.ignores(window, access) { 0 } else { value };
        let known = self.gic.write(&mut self.fake, window, access, given);
        assert_eq!(
            known,
            self.model.write(vcpu.0, window.into(), (offset, size), value),
            "{window:?} {offset:#x}"
        );
        self.settle();
        let place = (offset, size);
        let due = self.model.read(&Wires(&self.fake), vcpu.0, window.into(), place);
        let read = self.gic.read(&mut self.fake, window, access);
        assert_eq!(read, due, "{window:?} {offset:#x} {size}");
        Some(())
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let kind = input.byte()?;
        let vcpu = Vcpu((kind >> 4) % self.vcpus);
        if kind & 15 == 11 {
            self.power(vcpu);
            self.settle();
            return Some(());
        }
        if !self.model.on[vcpu.index()] {
            return Some(());
        }
        let cpu = &mut self.fake.cpus[vcpu.index()];
        let wires = [33, 40, 47, 60, 50];
        match kind & 15 {
            0 => self.fake.raise(input.one_of(&wires)?),
            1 => self.fake.lower(input.one_of(&[33, 40])?),
            2 => {
                let active = cpu.lists.iter().filter(|list| matches!(list, List::Active(_)));
                if active.count() + cpu.aside.len() >= NESTED {
                    return Some(());
                }
                let taken = self.fake.acknowledge(vcpu);
                let taken = taken.map(|irq| (irq.intid.number(), irq.source.0, irq.group == 1));
                self.model.acknowledge(vcpu.0, taken);
            }
            3 | 4 => {
                let n = usize::from(input.byte()?);
                let active =
                    |list: &List| if let List::Active(irq) = list { Some(irq.intid) } else { None };
                let mut all: Vec<_> = cpu.lists.iter().filter_map(active).collect();
                all.extend(cpu.aside.iter().map(|irq| irq.intid));
                if let Some(intid) = all.get(n % all.len().max(1))
                    && self.fake.end(vcpu, *intid)
                {
                    self.model.deactivate(vcpu.0, intid.number());
                }
            }
            5 => (cpu.timer.ctl, cpu.timer.cval) = (1, self.fake.now),
            6 => cpu.timer.ctl = 0,
            7 => {
                let (intid, high) = (input.one_of(&EMULATED)?, input.byte()? & 1 == 1);
                assert!(self.gic.set_level(&mut self.fake, Intid::new(intid).unwrap(), high));
                self.model.set_level(intid, high);
            }
            8 if self.version == Version::V3 => {
                use SystemRegister as R;
                let register =
                    input.one_of(&[R::ICC_SGI1R, R::ICC_ASGI1R, R::ICC_SGI0R, R::ICC_SRE])?;
                let value = u64::from(input.word()?)
                    | u64::from(input.one_of(&[0_u32, 1 << 8, 1, 1 << 12, 1 << 16])?) << 32;
                let sent = self.gic.send_by_register(&mut self.fake, vcpu, register, value);
                assert_eq!(sent, register != R::ICC_SRE);
                if sent {
                    self.model.send_by_register(vcpu.0, register == R::ICC_SGI1R, value);
                }
            }
            9 if input.byte()? < 32 => self.reset(),
            10 => self.enable_all(vcpu),
            _ => self.access(vcpu, input)?,
        }
        self.settle();
        Some(())
    }

    /// What a guest does first, so that interrupts flow.
    fn enable_all(&mut self, vcpu: Vcpu) {
        let private = match self.version {
            Version::V2 => Window::Distributor,
            Version::V3 => Window::Redistributor(vcpu),
        };
        let frame = if self.version == Version::V3 { 0x1_0000 } else { 0 };
        let target = if self.version == Version::V3 {
            (0x6108, 8, vcpu.0.into())
        } else {
            (0x820, 8, (1_u64 << vcpu.0) * 0x0101_0101_0101_0101)
        };
        let writes = [
            (private, frame + 0x100, 4, u64::MAX),
            (Window::Distributor, 0x104, 4, u64::MAX),
            (Window::Distributor, 0, 4, 3),
            (Window::Distributor, target.0, target.1, target.2),
        ];
        for (window, offset, size, value) in writes {
            let stopped = StoppedVcpu::at_exit(vcpu);
            let access = MmioAccess { vcpu: &stopped, offset, size };
            assert!(self.gic.write(&mut self.fake, window, access, value));
            assert!(self.model.write(vcpu.0, window.into(), (offset, size), value));
        }
    }

    /// A vCPU turns itself off, or another one turns it on.
    fn power(&mut self, vcpu: Vcpu) {
        let v = vcpu.0;
        let cpu = &mut self.fake.cpus[vcpu.index()];
        if self.model.on[usize::from(v)] {
            cpu.life = Life::Off;
            self.gic.turn_off(&mut self.fake, vcpu);
            self.model.turn_off(v);
            assert!(self.fake.cpus[vcpu.index()].lists.iter().all(|list| *list == List::Empty));
        } else {
            (cpu.life, cpu.timer.ctl) = (Life::Running, 0);
            self.gic.turn_on(&mut self.fake, vcpu);
            self.model.turn_on(v);
        }
        self.fake.cpus[vcpu.index()].aside.clear();
    }

    /// A reset with the guest stopped.
    fn reset(&mut self) {
        self.settle();
        self.gic.reset(&mut self.fake);
        self.model.reset();
        for v in 0..self.vcpus {
            let cpu = &mut self.fake.cpus[usize::from(v)];
            assert!(cpu.lists.iter().all(|list| *list == List::Empty));
            cpu.life = if v == 0 { Life::Running } else { Life::Off };
            cpu.aside.clear();
            cpu.timer.ctl = 0;
            if v > 0 {
                self.power(Vcpu(v));
            }
        }
    }
}

/// The machine around the model.
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

/// The target.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(shape) = Shape::read(&mut input) else { return };
    let Some(lines) = input.one_of(&[64, 96, 992]) else { return };
    let mut pair = Pair::new(shape, lines);
    while pair.step(&mut input).is_some() {}
}
