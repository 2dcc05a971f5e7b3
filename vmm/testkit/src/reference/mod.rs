// SPDX-License-Identifier: BSD-2-Clause
//! A reference distributor, written from the architecture (IHI 0048B, 3.2 and 4.3; IHI 0069H, 4.8
//! and 12.9): one record for each interrupt of each CPU, with the four states that the book gives
//! it, registers as bytes, and a search over all interrupts. It has no list registers: a CPU takes
//! the best interrupt that there is. Slow and plain, and nothing in it is shared with the controller
//! that it is compared with.
//!
//! One thing is the monitor's and not the book's: levels are sampled, not tracked. A line that fired
//! counts as high until the guest has ended the interrupt, enables it, or reads whether it is
//! pending. The line of an emulated device is tracked, as the book has it.

mod registers;

use std::collections::BTreeSet;

/// One of the controller's register windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// GICD.
    Distributor,
    /// GICR of one CPU (GICv3 only).
    Redistributor(u8),
}

#[cfg(feature = "monitor")]
impl From<vmm_core::gic::Window> for Window {
    fn from(window: vmm_core::gic::Window) -> Self {
        match window {
            vmm_core::gic::Window::Distributor => Self::Distributor,
            vmm_core::gic::Window::Redistributor(owner) => Self::Redistributor(owner.0),
        }
    }
}

/// One interrupt, of one CPU or shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Irq {
    /// Pending by an edge or a register; GICv2's SGIs have [`Irq::sources`] instead.
    latched: bool,
    /// The line fired and stays masked, or it is an emulated one and high.
    pub line: bool,
    pub active: bool,
    group: bool,
    edge: bool,
    priority: u8,
    route: u64,
    /// Which of several targets the controller has chosen, see [`Model::offer`].
    offered: Option<u8>,
    sources: u8,
}

/// What the model needs to know of the machine around it.
pub trait Around {
    /// Whether a device's line is high now, or the timer of a CPU, where it may be asked.
    fn high(&self, v: u8, intid: u16) -> bool;
}

/// The controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Model {
    version: u8,
    vcpus: u8,
    lines: u16,
    ctlr: u8,
    asleep: Vec<bool>,
    pub on: Vec<bool>,
    private: Vec<[Irq; 32]>,
    shared: Vec<Irq>,
    /// The enabled interrupts: each CPU's private ones, then the shared ones. No others can be taken.
    enabled: Vec<BTreeSet<u16>>,
    /// Device lines; whether each is an edge.
    devices: Vec<(u16, bool)>,
    /// Lines of emulated devices.
    emulated: Vec<u16>,
}

impl Model {
    /// A controller after reset, with CPU 0 on.
    pub fn new(version: u32, vcpus: u8, lines: u16, devices: Vec<(u16, bool)>) -> Self {
        let mut model = Self {
            version: version as u8,
            vcpus,
            lines,
            ctlr: 0,
            asleep: Vec::new(),
            on: Vec::new(),
            private: Vec::new(),
            shared: Vec::new(),
            enabled: Vec::new(),
            devices,
            emulated: Vec::new(),
        };
        model.reset();
        model
    }

    /// Gives an emulated device its line.
    pub fn add_emulated(&mut self, intid: u16) {
        self.emulated.push(intid);
    }

    /// Everything is reset.
    pub fn reset(&mut self) {
        let mut private = [Irq::default(); 32];
        private[..16].iter_mut().for_each(|sgi| sgi.edge = true);
        self.ctlr = 0;
        self.asleep = vec![true; self.vcpus.into()];
        self.on = (0..self.vcpus).map(|v| v == 0).collect();
        self.private = vec![private; self.vcpus.into()];
        self.shared = vec![Irq::default(); usize::from(self.lines - 32)];
        self.enabled = vec![BTreeSet::new(); usize::from(self.vcpus) + 1];
    }

    /// The set that holds a private or shared interrupt while it is enabled.
    fn enabled_set(&self, v: u8, intid: u16) -> usize {
        if intid < 32 { v.into() } else { self.vcpus.into() }
    }

    fn is_enabled(&self, v: u8, intid: u16) -> bool {
        self.enabled[self.enabled_set(v, intid)].contains(&intid)
    }

    /// The record of an interrupt that exists.
    pub fn irq(&mut self, v: u8, intid: u16) -> Option<&mut Irq> {
        match intid.checked_sub(32) {
            None => self.private[usize::from(v)].get_mut(usize::from(intid)),
            Some(n) => self.shared.get_mut(usize::from(n)),
        }
    }

    fn sourced(&self, intid: u16) -> bool {
        self.version == 2 && intid < 16
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

    /// An emulated device drives its line high or low.
    pub fn set_level(&mut self, intid: u16, high: bool) {
        assert!(self.emulated.contains(&intid));
        if let Some(irq) = self.irq(0, intid) {
            irq.line = high;
        }
    }

    /// A CPU's timer fired.
    pub fn timer(&mut self, v: u8) {
        self.private[usize::from(v)][27].line = true;
    }

    /// A CPU is turned on: its timer is off, so the line is low, whatever its last life has left
    /// active (DDI 0487: CNTV_CTL_EL0.ENABLE resets to 0; IHI 0048B, 3.2.4).
    pub fn turn_on(&mut self, v: u8) {
        self.on[usize::from(v)] = true;
        self.private[usize::from(v)][27].line = false;
    }

    /// A CPU turns itself off. What it has not acknowledged is pending still, what it has is active.
    pub fn turn_off(&mut self, v: u8) {
        self.on[usize::from(v)] = false;
    }

    /// SGI `intid` from one CPU to another.
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
        // One of those that are named and on; nobody, if nobody is.
        let first = |named: &dyn Fn(u8) -> bool| {
            let takes = |v: &u8| self.on[usize::from(*v)] && named(*v);
            irq.offered.filter(takes).or_else(|| (0..self.vcpus).find(takes)) == Some(v)
        };
        match self.version {
            2 => first(&|v| irq.route >> v & 1 == 1),
            _ if irq.route >> 31 & 1 == 1 => first(&|_| true),
            _ => irq.route == u64::from(v),
        }
    }

    /// Shared interrupts, and the CPU that was offered each. Which of several targets that are on it
    /// is, the book leaves open (IHI 0048B, the 1-N model; IHI 0069H, GICD_IROUTER), and none has to
    /// give way to one that is turned on later. Without an offer it is the lowest.
    pub fn offer(&mut self, offers: &[(u16, u8)]) {
        self.shared.iter_mut().for_each(|irq| irq.offered = None);
        for (intid, v) in offers {
            let shared = intid.checked_sub(32).and_then(|n| self.shared.get_mut(usize::from(n)));
            shared.into_iter().for_each(|irq| irq.offered = Some(*v));
        }
    }

    /// The interrupts that a CPU may take now: INTID, sender and group of those with the highest
    /// priority. Which of several it takes, and the SGI of which sender, the book leaves open.
    pub fn candidates(&self, v: u8) -> Vec<(u16, u8, bool)> {
        let enabled = [usize::from(v), self.vcpus.into()].map(|set| &self.enabled[set]);
        let ready: Vec<_> = enabled
            .into_iter()
            .flatten()
            .map(|intid| match intid.checked_sub(32) {
                None => (*intid, &self.private[usize::from(v)][usize::from(*intid)]),
                Some(n) => (*intid, &self.shared[usize::from(n)]),
            })
            .filter(|(intid, irq)| {
                self.pending(irq, *intid)
                    && !irq.active
                    && self.ctlr >> u8::from(irq.group) & 1 == 1
                    && self.goes_to(v, *intid, irq)
            })
            .collect();
        let best = ready.iter().map(|(_, irq)| irq.priority).min();
        let ready = ready.into_iter().filter(|(_, irq)| Some(irq.priority) == best);
        ready
            .flat_map(|(intid, irq)| {
                let sources = if self.sourced(intid) { irq.sources } else { 1 };
                let from = (0..8).filter(move |from| sources >> from & 1 == 1);
                from.map(move |from| (intid, from, irq.group))
            })
            .collect()
    }

    /// A CPU acknowledges one of the candidates.
    pub fn acknowledge(&mut self, v: u8, taken: Option<(u16, u8, bool)>) {
        let candidates = self.candidates(v);
        let Some(taken) = taken else { return assert_eq!(candidates, []) };
        assert!(candidates.contains(&taken), "{taken:?} came, {candidates:?} were due");
        if let Some(irq) = self.irq(v, taken.0) {
            irq.active = true;
            irq.latched = false;
            irq.sources &= !(1 << taken.1);
        }
    }

    /// An interrupt is active no more, by its end or by a register: its line is sampled.
    pub fn deactivate(&mut self, v: u8, intid: u16) {
        let tracked = self.emulated.contains(&intid);
        if let Some(irq) = self.irq(v, intid).filter(|irq| irq.active) {
            (irq.active, irq.line) = (false, irq.line && tracked);
        }
    }

    /// Lines that are low by now are pending no more once they are looked at.
    fn look(&mut self, v: u8, intid: u16, high: bool) {
        if let Some(irq) = self.irq(v, intid) {
            irq.line &= high || irq.active;
        }
    }
}
