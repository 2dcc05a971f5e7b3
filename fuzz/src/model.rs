// SPDX-License-Identifier: BSD-2-Clause
//! A reference model of the interrupt controller, written from the architecture: one record for
//! each interrupt of each vCPU, registers as bytes, and a search over all interrupts. Slow and
//! plain, and nothing in it is shared with the controller that it is compared with.

mod registers;

use vmm_core::fake::List;
use vmm_core::gic::Version;
use vmm_core::host::{Injection, Intid};

/// One interrupt, of one vCPU or shared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Irq {
    enabled: bool,
    /// Pending by an edge or a register; GICv2's SGIs have [`Irq::sources`] instead.
    latched: bool,
    /// The line fired and stays masked.
    pub line: bool,
    held: bool,
    group: bool,
    edge: bool,
    priority: u8,
    route: u64,
    sources: u8,
}

/// What a list register holds, for the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Held {
        intid: u16,
        group: bool,
    },
    /// The kernel refuses it; what it holds, if that is known.
    Stuck(Option<u16>),
}

/// The controller.
pub struct Model {
    version: Version,
    vcpus: u8,
    lines: u16,
    ctlr: u8,
    asleep: Vec<bool>,
    private: Vec<[Irq; 32]>,
    shared: Vec<Irq>,
    slots: Vec<Vec<Slot>>,
    /// Device lines; whether each is an edge.
    devices: Vec<(u16, bool)>,
    /// Injections so far.
    pub injected: u64,
}

impl Model {
    /// A controller after reset.
    pub fn new(
        version: Version,
        vcpus: u8,
        lines: u16,
        slots: u8,
        devices: Vec<(u16, bool)>,
    ) -> Self {
        let slots = vec![vec![Slot::Free; slots.into()]; vcpus.into()];
        let mut model = Self {
            version,
            vcpus,
            lines,
            ctlr: 0,
            asleep: Vec::new(),
            private: Vec::new(),
            shared: Vec::new(),
            slots,
            devices,
            injected: 0,
        };
        model.reset_registers();
        model
    }

    fn reset_registers(&mut self) {
        let mut private = [Irq::default(); 32];
        private[..16].iter_mut().for_each(|sgi| sgi.edge = true);
        self.ctlr = 0;
        self.asleep = vec![true; self.vcpus.into()];
        self.private = vec![private; self.vcpus.into()];
        self.shared = vec![Irq::default(); usize::from(self.lines - 32)];
    }

    /// Everything is reset. `refused` says which list registers the kernel will not overwrite.
    pub fn reset(&mut self, refused: impl Fn(u8, usize) -> bool) {
        self.reset_registers();
        for (v, slots) in (0..).zip(&mut self.slots) {
            for (n, slot) in slots.iter_mut().enumerate() {
                let left = match *slot {
                    Slot::Free => continue,
                    Slot::Held { intid, .. } => Some(intid),
                    Slot::Stuck(left) => left,
                };
                *slot = if refused(v, n) { Slot::Stuck(left) } else { Slot::Free };
            }
        }
    }

    /// The record of an interrupt that exists.
    pub fn irq(&mut self, v: u8, intid: u16) -> Option<&mut Irq> {
        match intid.checked_sub(32) {
            None => self.private[usize::from(v)].get_mut(usize::from(intid)),
            Some(n) => self.shared.get_mut(usize::from(n)),
        }
    }

    fn sourced(&self, intid: u16) -> bool {
        self.version == Version::V2 && intid < 16
    }

    /// A device's line fired. Says whether there is one.
    pub fn fire(&mut self, intid: u16) -> bool {
        let Some((_, edge)) = self.devices.iter().copied().find(|(known, _)| *known == intid)
        else {
            return false;
        };
        if let Some(irq) = self.irq(0, intid) {
            if edge { irq.latched = true } else { irq.line = true }
        }
        true
    }

    /// A vCPU's timer fired.
    pub fn timer(&mut self, v: u8) {
        self.private[usize::from(v)][27].line = true;
    }

    /// The guest has ended what is in a list register. If that was left there by the guest before a
    /// reset and this guest has the same interrupt in another, the two change places.
    pub fn maintenance(&mut self, v: u8, slot: u8) {
        let slots = &mut self.slots[usize::from(v)];
        let was = std::mem::replace(&mut slots[usize::from(slot)], Slot::Free);
        let ended = match was {
            Slot::Held { intid, .. } => Some(intid),
            Slot::Stuck(Some(left)) => {
                let same =
                    |slot: &&mut Slot| matches!(slot, Slot::Held { intid, .. } if *intid == left);
                slots.iter_mut().find(same).map(|other| {
                    *other = Slot::Stuck(Some(left));
                    left
                })
            }
            Slot::Stuck(None) | Slot::Free => None,
        };
        if let Some(intid) = ended
            && let Some(irq) = self.irq(v, intid)
        {
            (irq.held, irq.line) = (false, false);
        }
    }

    /// SGI `intid` from one vCPU to another.
    fn send(&mut self, from: u8, to: u8, intid: u16) {
        let sourced = self.sourced(intid);
        let irq = &mut self.private[usize::from(to)][usize::from(intid)];
        if sourced { irq.sources |= 1 << from } else { irq.latched = true }
    }

    /// A write of ICC_SGI1R_EL1 (`any_group`), ICC_ASGI1R_EL1 or ICC_SGI0R_EL1.
    pub fn send_by_register(&mut self, from: u8, any_group: bool, value: u64) {
        let bits = |low: u32, count: u32| value >> low & ((1 << count) - 1);
        let intid = bits(24, 4) as u16;
        let (affinity, range) = ([bits(16, 8), bits(32, 8), bits(48, 8)], bits(44, 4));
        for to in 0..self.vcpus {
            let listed = affinity == [0; 3] && range == 0 && bits(to.into(), 1) == 1;
            let named = if bits(40, 1) == 1 { to != from } else { listed };
            let group = self.private[usize::from(to)][usize::from(intid)].group;
            if named && (any_group || !group) {
                self.send(from, to, intid);
            }
        }
    }

    fn pending(&self, irq: &Irq, intid: u16) -> bool {
        irq.line || if self.sourced(intid) { irq.sources != 0 } else { irq.latched }
    }

    fn goes_to(&self, v: u8, intid: u16, irq: &Irq) -> bool {
        if intid < 32 || self.vcpus == 1 {
            return true;
        }
        match self.version {
            // The lowest of those that are named; nobody, if nobody is.
            Version::V2 => (0..8).find(|bit| irq.route >> bit & 1 == 1) == Some(u32::from(v)),
            Version::V3 if irq.route >> 31 & 1 == 1 => v == 0,
            Version::V3 => irq.route == u64::from(v),
        }
    }

    fn best(&self, v: u8) -> Option<(u8, u16, bool)> {
        let all = self.private[usize::from(v)].iter().chain(&self.shared);
        let ready = (0_u16..).zip(all).filter(|(intid, irq)| {
            let on = self.ctlr >> u8::from(irq.group) & 1 == 1;
            irq.enabled
                && on
                && !irq.held
                && self.pending(irq, *intid)
                && self.goes_to(v, *intid, irq)
        });
        ready.map(|(intid, irq)| (irq.priority, intid, irq.group)).min()
    }

    /// Whether an interrupt waits for a list register.
    pub fn waiting(&self, v: u8) -> bool {
        self.best(v).is_some()
    }

    /// Whether a list register holds an interrupt.
    pub fn holding(&self, v: u8) -> bool {
        self.slots[usize::from(v)].iter().any(|slot| matches!(slot, Slot::Held { .. }))
    }

    /// Fills the free list registers of a vCPU; `lists` is what the guest sees of them.
    pub fn flush(&mut self, v: u8, lists: &mut [List], refused: impl Fn(usize) -> bool) {
        let slots = self.slots[usize::from(v)].len();
        for (n, list) in lists.iter_mut().enumerate().take(slots) {
            if self.slots[usize::from(v)][n] != Slot::Free {
                continue;
            }
            let Some((priority, intid, group)) = self.best(v) else { return };
            if refused(n) {
                self.slots[usize::from(v)][n] = Slot::Stuck(None);
                continue;
            }
            self.slots[usize::from(v)][n] = Slot::Held { intid, group };
            let id = Intid::new(intid).unwrap();
            *list =
                List::Pending(Injection { intid: id, priority: priority / 8, group: group.into() });
            self.injected += 1;
            if let Some(irq) = self.irq(v, intid) {
                irq.held = true;
                irq.latched = false;
                // One interrupt for each sender, the lowest first.
                irq.sources &= irq.sources.wrapping_sub(1);
            }
        }
    }
}
