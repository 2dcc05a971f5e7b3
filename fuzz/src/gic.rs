// SPDX-License-Identifier: BSD-2-Clause
//! Register accesses, lines, timers, SGIs, list registers and resets of the interrupt controller,
//! each compared with the reference model: what is read, what is injected where, which lines stay
//! masked.

use vmm_core::addr::IpaRange;
use vmm_core::fake::{Fake, Life, List};
use vmm_core::gic::{Gic, Version, Window};
use vmm_core::host::{Exit, Intid, Vcpu};
use vmm_core::syndrome::SystemRegister;

use crate::input::Input;
use crate::machine::Shape;
use crate::model::Model;

/// Device lines: two levels, two edges.
const DEVICES: [(u16, bool); 4] = [(33, false), (40, false), (47, true), (60, true)];

struct Pair {
    gic: Gic,
    model: Model,
    fake: Fake,
    vcpus: u8,
    version: Version,
}

impl Pair {
    fn new(shape: Shape, lines: u16) -> Self {
        let version = if shape.version == 3 { Version::V3 } else { Version::V2 };
        let vcpus = shape.vcpus as u8;
        let mut gic = Gic::new(version, vcpus, lines.into(), shape.slots);
        let mut fake = Fake::new(vcpus, IpaRange::default());
        (fake.slots, fake.groups) = (shape.slots, 0b11);
        fake.cpus.iter_mut().for_each(|cpu| cpu.life = Life::Running);
        for (intid, edge) in DEVICES {
            gic.add_device(Intid::new(intid).unwrap(), edge);
            fake.add_wire(intid, edge);
        }
        // A wire of no device: its line must not get through.
        fake.add_wire(50, false);
        let model = Model::new(version, vcpus, lines, shape.slots, DEVICES.to_vec());
        Self { gic, model, fake, vcpus, version }
    }

    /// Everything that happened goes to both, then list registers are filled and compared.
    fn settle(&mut self) {
        for _ in 0..64 {
            let Some((vcpu, exit)) = self.fake.next_exit() else { return self.compare() };
            match exit {
                Exit::Line(intid) => {
                    let known = self.gic.line(&mut self.fake, intid);
                    assert_eq!(known, self.model.fire(intid.number()));
                }
                Exit::Timer => {
                    self.gic.timer(vcpu);
                    self.model.timer(vcpu.0);
                }
                Exit::Maintenance(Some(slot)) => {
                    assert!(self.gic.maintenance(&mut self.fake, vcpu, slot));
                    self.model.maintenance(vcpu.0, slot);
                }
                other => panic!("{other:?}"),
            }
            self.flush();
        }
        panic!("it never comes to rest");
    }

    fn flush(&mut self) {
        for v in 0..self.vcpus {
            let cpu = self.fake.cpus[usize::from(v)].clone();
            let mut lists = cpu.lists;
            let before = self.model.injected;
            self.model.flush(v, &mut lists, |slot| cpu.shadow_active[slot]);
            let any = self.gic.flush(&mut self.fake, Vcpu(v));
            assert_eq!(any, self.model.injected > before);
            assert_eq!(self.fake.cpus[usize::from(v)].lists, lists, "list registers of vcpu{v}");
        }
    }

    fn compare(&mut self) {
        self.flush();
        assert_eq!(self.gic.injected(), self.model.injected);
        assert_eq!(self.fake.overwritten, []);
        for v in 0..self.vcpus {
            let vcpu = Vcpu(v);
            assert_eq!(self.gic.waiting(vcpu), self.model.waiting(v));
            assert_eq!(self.gic.holding(vcpu), self.model.holding(v));
            let timer = self.model.irq(v, 27).is_some_and(|irq| irq.line);
            assert_eq!(self.gic.timer_waits(vcpu), timer);
            assert_eq!(self.fake.cpus[usize::from(v)].timer_masked, timer, "timer of vcpu{v}");
        }
        for (intid, edge) in DEVICES {
            let line = self.model.irq(0, intid).is_some_and(|irq| irq.line);
            assert!(!(edge && line));
            assert_eq!(self.fake.wires[&intid].masked, line, "line {intid}");
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
        let ignored = self.gic.ignores(vcpu, window, (offset, size));
        let given = if ignored { 0 } else { value };
        let known = self.gic.write(&mut self.fake, vcpu, window, (offset, size), given);
        assert_eq!(
            known,
            self.model.write(vcpu.0, window, offset, size, value),
            "{window:?} {offset:#x}"
        );
        self.flush();
        let read = self.gic.read(vcpu, window, offset, size);
        assert_eq!(
            read,
            self.model.read(vcpu.0, window, offset, size),
            "{window:?} {offset:#x} {size}"
        );
        Some(())
    }

    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let kind = input.byte()?;
        let vcpu = Vcpu((kind >> 4) % self.vcpus);
        let cpu = &mut self.fake.cpus[vcpu.index()];
        let wires = [33, 40, 47, 60, 50];
        match kind & 15 {
            0 => self.fake.raise(input.one_of(&wires)?),
            1 => self.fake.lower(input.one_of(&[33, 40])?),
            2 => {
                self.fake.acknowledge(vcpu);
            }
            3 | 4 => {
                let n = usize::from(input.byte()?);
                let active =
                    |list: &List| if let List::Active(irq) = list { Some(irq.intid) } else { None };
                let all: Vec<_> = cpu.lists.iter().filter_map(active).collect();
                if let Some(intid) = all.get(n % all.len().max(1)) {
                    self.fake.end(vcpu, *intid);
                }
            }
            5 => (cpu.timer.ctl, cpu.timer.cval) = (1, self.fake.now),
            6 => cpu.timer.ctl = 0,
            7 => self.fake.refresh_shadow(vcpu),
            8 if self.version == Version::V3 => {
                use SystemRegister as R;
                let register =
                    input.one_of(&[R::ICC_SGI1R, R::ICC_ASGI1R, R::ICC_SGI0R, R::ICC_SRE])?;
                let value = u64::from(input.word()?)
                    | u64::from(input.one_of(&[0_u32, 1 << 8, 1, 1 << 12, 1 << 16])?) << 32;
                let sent = self.gic.send_by_register(vcpu, register, value);
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
            assert!(self.gic.write(&mut self.fake, vcpu, window, (offset, size), value));
            assert!(self.model.write(vcpu.0, window, offset, size, value));
        }
    }

    /// A reset with the guest stopped: what it left in list registers is overwritten, on purpose.
    fn reset(&mut self) {
        self.settle();
        let shadows: Vec<_> = self.fake.cpus.iter().map(|cpu| cpu.shadow_active).collect();
        self.fake.groups = if self.version == Version::V3 { 0b10 } else { 0b01 };
        self.gic.reset(&mut self.fake);
        self.model.reset(|v, slot| shadows[usize::from(v)][slot]);
        self.fake.groups = 0b11;
        self.fake.overwritten.clear();
        for cpu in &mut self.fake.cpus {
            // What is left is of nobody's group; the next guest's list registers are its own.
            for (list, refused) in cpu.lists.iter_mut().zip(cpu.shadow_active) {
                if !refused {
                    *list = List::Empty;
                }
            }
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
