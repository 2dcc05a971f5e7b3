// SPDX-License-Identifier: BSD-2-Clause
//! All that the controller keeps, and how an interrupt becomes pending and is chosen.

use arrayvec::ArrayVec;

use super::registers::gicd;
use super::sources::{Lines, Source};
use super::words::{WORDS, set_intids, word_and_bit};
use crate::host::Host;
use crate::ids::{GicVersion, Intid, MAX_VCPUS, Trigger, Vcpu, VcpuCount};

/// Most list registers that the architecture has (IHI 0069H, ICH_VTR_EL2.ListRegs).
pub const MAX_LIST_REGISTERS: usize = 16;

/// 32 interrupts. Bit or element n is INTID `32 * word + n`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bank {
    pub(super) enabled: u32,
    /// Pending because an edge or a register write said so.
    pub(super) latched: u32,
    /// Pending because the line fired and has not been sampled again since, or because it is
    /// emulated and has risen.
    pub(super) by_line: u32,
    /// An edge fired while one waited, and the line is masked until the guest is given that.
    pub(super) owed: u32,
    /// In a list register.
    pub(super) held: u32,
    /// Active, and in no list register.
    pub(super) active: u32,
    pub(super) group: u32,
    pub(super) edge: u32,
    pub(super) priority: [u8; 32],
    /// GICv2: CPU targets in the low byte. GICv3: GICD_IROUTER.
    pub(super) route: [u64; 32],
}

impl Bank {
    /// Pending for either reason.
    pub(super) const fn pending(&self) -> u32 {
        self.latched | self.by_line
    }
}

/// The distributor, the redistributors and the list registers of all vCPUs.
#[derive(Clone, Debug)]
pub struct Gic {
    pub(super) version: GicVersion,
    pub(super) words: usize,
    pub(super) vcpus: VcpuCount,
    pub(super) list_register_count: u8,
    pub(super) ctlr: u32,
    pub(super) private: [Bank; MAX_VCPUS],
    pub(super) shared: [Bank; WORDS - 1],
    /// GICv2: which vCPUs have made an SGI pending, a bit each.
    pub(super) sources: [[u8; 16]; MAX_VCPUS],
    /// GICR_WAKER.ProcessorSleep.
    pub(super) asleep: [bool; MAX_VCPUS],
    /// vCPUs that are on.
    pub(super) on: [bool; MAX_VCPUS],
    pub(super) lists: [[ListRegister; MAX_LIST_REGISTERS]; MAX_VCPUS],
    pub(super) aside: Aside,
    /// What each vCPU's host was last told to report ([`crate::host::Interrupts::attend`]).
    pub(super) told: [(bool, bool); MAX_VCPUS],
    pub(super) lines: Lines,
    pub(super) injected: u64,
}

/// Interrupts of a vCPU that are active and had to leave their list registers: as many as a virtual
/// CPU interface has priorities to nest (IHI 0048B, 3.2.1: five bits).
pub(super) const MAX_ASIDE: usize = 32;

/// What a list register holds, as far as the core knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListRegister {
    /// Nothing that the guest could see.
    #[default]
    Free,
    /// An interrupt that the guest has not ended.
    Held(Held),
    /// The kernel refused it: it holds an active interrupt, which the guest did not end before a
    /// reset, or has deactivated in the distributor. `None` where the core has forgotten which.
    Stuck(Option<Intid>),
}

/// An interrupt in a list register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The interrupt.
    pub intid: Intid,
    /// Its group, 0 or 1.
    pub group: u8,
    /// Its priority in the distributor, of which five bits count.
    pub priority: u8,
    /// Who sent it, for an SGI of GICv2.
    pub source: Vcpu,
    /// An edge or a register write made it pending, whatever its line does.
    pub latched: bool,
}

/// Interrupts that were put aside, by priority and INTID.
pub(super) type Aside = [ArrayVec<(u8, Intid), MAX_ASIDE>; MAX_VCPUS];

/// An interrupt that can be given to a vCPU now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub intid: Intid,
    pub priority: u8,
    pub group: u8,
}

impl Gic {
    /// A controller after reset, with vCPU 0 on. `intid_count` is a multiple of 32 from 64 to 992,
    /// `list_register_count` what the host has; both are clamped.
    #[must_use]
    pub fn new(
        version: GicVersion,
        vcpus: VcpuCount,
        intid_count: u32,
        list_register_count: u8,
    ) -> Self {
        let words = (intid_count as usize / 32).clamp(2, WORDS);
        let mut gic = Self {
            version,
            words,
            vcpus,
            list_register_count: list_register_count.clamp(1, 16),
            ctlr: 0,
            private: [Bank::default(); MAX_VCPUS],
            shared: [Bank::default(); WORDS - 1],
            sources: [[0; 16]; MAX_VCPUS],
            asleep: [true; MAX_VCPUS],
            on: [true, false, false, false],
            lists: [[ListRegister::Free; MAX_LIST_REGISTERS]; MAX_VCPUS],
            aside: Aside::default(),
            told: [(false, false); MAX_VCPUS],
            lines: Lines::default(),
            injected: 0,
        };
        gic.reset_registers();
        gic
    }

    /// Gives a shared interrupt its line. One without a line is pending only if a register says so.
    pub fn add_line(&mut self, intid: Intid, source: Source) {
        self.lines.add(intid, source);
    }

    /// Injections so far.
    #[must_use]
    pub const fn injected(&self) -> u64 {
        self.injected
    }

    fn reset_registers(&mut self) {
        self.ctlr = 0;
        self.private = [Bank::default(); MAX_VCPUS];
        self.shared = [Bank::default(); WORDS - 1];
        self.sources = [[0; 16]; MAX_VCPUS];
        self.asleep = [true; MAX_VCPUS];
        for bank in &mut self.private {
            bank.edge = 0xffff; // SGIs are edges (IHI 0048B, 4.3.13)
        }
    }

    /// Resets everything, with the guest stopped: masked lines are sampled again, emulated ones are
    /// low, and what is left in list registers is made harmless. vCPU 0 alone is on afterwards.
    pub fn reset(&mut self, host: &mut dyn Host) {
        self.reset_registers();
        self.on = [true, false, false, false];
        self.reset_lists(host);
        self.lines.reset();
        for (word, bits) in self.lines.physical().into_iter().enumerate() {
            set_intids(word, bits).for_each(|intid| host.ack_line(intid));
        }
    }

    pub(super) fn set_on(&mut self, vcpu: Vcpu, on: bool) {
        if let Some(is) = self.on.get_mut(vcpu.index()) {
            *is = on;
        }
    }

    pub(super) fn bank(&self, vcpu: Vcpu, word: usize) -> Option<&Bank> {
        match word.checked_sub(1) {
            None => self.private.get(vcpu.index()),
            Some(shared) => self.shared.get(shared),
        }
    }

    /// Words beyond the distributor's last cannot be changed, and so read as zero.
    pub(super) fn bank_mut(&mut self, vcpu: Vcpu, word: usize) -> Option<&mut Bank> {
        match word.checked_sub(1) {
            None => self.private.get_mut(vcpu.index()),
            Some(shared) => self.shared.get_mut(shared).filter(|_| word < self.words),
        }
    }

    pub(super) fn update(&mut self, vcpu: Vcpu, intid: Intid, change: impl FnOnce(&mut Bank, u32)) {
        let (word, bit) = word_and_bit(intid);
        if let Some(bank) = self.bank_mut(vcpu, word) {
            change(bank, bit);
        }
    }

    /// A device's line fired; it is masked until it is sampled again. Says whether there is such
    /// a device.
    pub fn fire(&mut self, host: &mut dyn Host, intid: Intid) -> bool {
        let Some(trigger) = self.lines.trigger(intid) else { return false };
        if trigger == Trigger::Edge {
            // The next one is heard at once; whatever comes while that waits is one with it, and
            // the line stays masked until the guest is given it: it decides how often it comes.
            let (word, bit) = word_and_bit(intid);
            let before = self.bank(Vcpu(0), word).is_some_and(|bank| bank.latched & bit != 0);
            if self.latch(host, Vcpu(0), intid) && !before {
                host.ack_line(intid);
            } else {
                self.update(Vcpu(0), intid, |bank, bit| bank.owed |= bit);
            }
        } else {
            self.update(Vcpu(0), intid, |bank, bit| bank.by_line |= bit);
        }
        true
    }

    /// An emulated device drives its line: from now on it is high, or low. Says whether there is such
    /// a line.
    ///
    /// A line that falls takes back what it alone has made pending (IHI 0048B, 4.3.7: the input
    /// signal of a level-sensitive interrupt), but for what a list register holds under a host that
    /// cannot tell whether the guest has taken it.
    pub fn set_level(&mut self, host: &mut dyn Host, intid: Intid, high: bool) -> bool {
        if self.lines.level(intid).is_none() {
            return false;
        }
        self.lines.set_level(intid, high);
        if high {
            self.update(Vcpu(0), intid, |bank, bit| bank.by_line |= bit);
        } else {
            self.recall(host, Vcpu(0), intid);
            self.update(Vcpu(0), intid, |bank, bit| {
                bank.by_line &= !(bit & !bank.held & !bank.active);
            });
        }
        true
    }

    /// Whether a line is high now. `None` where the kernel does not say.
    pub(super) fn level(&self, host: &mut dyn Host, intid: Intid) -> Option<bool> {
        self.lines.level(intid).or_else(|| host.line_level(intid))
    }

    /// The virtual timer of a vCPU fired; it is masked until it is sampled again.
    pub fn timer(&mut self, vcpu: Vcpu) {
        self.update(vcpu, Intid::VIRTUAL_TIMER, |bank, bit| bank.by_line |= bit);
    }

    /// Whether the virtual timer's interrupt has fired and waits for the guest, so that the timer
    /// cannot fire again.
    #[must_use]
    pub fn timer_waits(&self, vcpu: Vcpu) -> bool {
        let (word, bit) = word_and_bit(Intid::VIRTUAL_TIMER);
        self.bank(vcpu, word).is_some_and(|bank| bank.by_line & bit != 0)
    }

    /// Listens to a line again: if it is high, it fires again.
    pub(super) fn sample(&mut self, host: &mut dyn Host, vcpu: Vcpu, intid: Intid) {
        if intid == Intid::VIRTUAL_TIMER {
            host.ack_timer(vcpu);
            return;
        }
        match self.lines.level(intid) {
            None => host.ack_line(intid),
            Some(true) => self.update(vcpu, intid, |bank, bit| bank.by_line |= bit),
            Some(false) => {}
        }
    }

    /// Makes an SGI pending for a vCPU that there is.
    pub(super) fn send(&mut self, host: &mut dyn Host, source: Vcpu, target: Vcpu, intid: Intid) {
        match self.version {
            GicVersion::V2 => self.latch_source(host, target, intid, source),
            GicVersion::V3 => _ = self.latch(host, target, intid),
        }
    }

    /// The senders of an SGI of GICv2 that is pending for a vCPU, a bit each.
    pub(super) fn sources_mut(&mut self, vcpu: Vcpu, intid: Intid) -> Option<&mut u8> {
        let sources =
            self.sources.get_mut(vcpu.index()).filter(|_| self.version == GicVersion::V2)?;
        sources.get_mut(usize::from(intid.number()))
    }

    /// Who sent the SGI that comes next; vCPU 0 for everything else.
    pub(super) fn next_source(&mut self, vcpu: Vcpu, intid: Intid) -> Vcpu {
        let sources = self.sources_mut(vcpu, intid).map_or(0, |sources| *sources);
        Vcpu(sources.trailing_zeros().to_le_bytes()[0] % 8)
    }

    /// Whether a shared interrupt goes to this vCPU. Of several targets the lowest that is on is
    /// taken: one is enough (IHI 0048B, 3.2.3, the 1-N model).
    fn goes_to(&self, vcpu: Vcpu, route: u64) -> bool {
        if self.vcpus == VcpuCount::One {
            return true; // ITARGETSR is RAZ/WI on a uniprocessor (IHI 0048B, 4.3.12)
        }
        let first = |wanted: u64| {
            let mut all = self.vcpus.each().zip(self.on);
            all.find(|(vcpu, on)| *on && wanted.wrapping_shr(u32::from(vcpu.0)) & 1 == 1)
        };
        match self.version {
            GicVersion::V2 => first(route).is_some_and(|(first, _)| first == vcpu),
            GicVersion::V3 if route & gicd::IROUTER_ANY != 0 => {
                first(u64::MAX).is_some_and(|(first, _)| first == vcpu)
            }
            GicVersion::V3 => route & gicd::IROUTER_AFFINITY == u64::from(vcpu.0),
        }
    }

    /// The interrupt that comes next for a vCPU: of those that are enabled, pending, not active,
    /// not in a list register and of a group that is on, the one of highest priority, then lowest INTID.
    pub(super) fn best(&self, vcpu: Vcpu) -> Option<Candidate> {
        let group_on = |number: u32| if self.ctlr & (1_u32 << number) != 0 { u32::MAX } else { 0 };
        let mut best: Option<Candidate> = None;
        for word in 0..self.words {
            let Some(bank) = self.bank(vcpu, word) else { continue };
            let on = (bank.group & group_on(1)) | (!bank.group & group_on(0));
            let ready = bank.enabled & bank.pending() & !bank.held & !bank.active & on;
            for intid in set_intids(word, ready) {
                let index = usize::from(intid.number()) % 32;
                let (Some(&route), Some(&priority)) =
                    (bank.route.get(index), bank.priority.get(index))
                else {
                    continue; // a bank has 32 of each
                };
                if word != 0 && !self.goes_to(vcpu, route) {
                    continue;
                }
                let group = u8::from(bank.group & word_and_bit(intid).1 != 0);
                if best.is_none_or(|best| (priority, intid) < (best.priority, best.intid)) {
                    best = Some(Candidate { intid, priority, group });
                }
            }
        }
        best
    }

    /// Whether an interrupt waits for a list register of this vCPU.
    #[must_use]
    pub fn waiting(&self, vcpu: Vcpu) -> bool {
        self.best(vcpu).is_some()
    }
}
