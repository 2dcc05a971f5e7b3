// SPDX-License-Identifier: BSD-2-Clause
//! The guest's interrupt controller: one state machine, of which GICv2 ([`v2`]) and GICv3
//! ([`v3`]) are two views.
//!
//! An interrupt waits here until it is enabled, pending, inactive, its group is on and a list
//! register is to be had (`lists`); then it is injected.
//!
//! The board's levels are sampled, not tracked. A physical line that fired stays masked until the
//! guest has ended the interrupt, then it is unmasked: if the device still asserts it, it fires again.
//! The same happens when the guest enables an interrupt whose line fired while it was disabled. An edge
//! that comes while one waits stays masked until the guest is given that. The level of an emulated
//! device's line is known at any time ([`Source`]).

pub mod blocks;
#[cfg(test)]
mod exhaustive;
mod lists;
#[cfg(test)]
mod oracle;
mod registers;
mod sources;
pub mod v2;
pub mod v3;

use self::blocks::Block;
use self::lists::{Aside, Slot};
use self::registers::gicd;
use self::sources::Lines;
use crate::devices::{Effect, Emulated, MmioAccess, Stored};
use crate::host::Host;
use crate::ids::{GicVersion, Intid, MAX_VCPUS, Trigger, Vcpu, VcpuCount};

pub use self::lists::Ended;
pub use self::sources::Source;

/// Words of 32 interrupts: INTID 0 to 991.
const WORDS: usize = 31;

/// Most list registers that the architecture has (IHI 0069H, ICH_VTR_EL2.ListRegs).
pub const MAX_SLOTS: usize = 16;

/// 32 interrupts. Bit or element n is INTID `32 * word + n`.
#[derive(Clone, Copy, Debug, Default)]
struct Bank {
    enabled: u32,
    /// Pending because an edge or a register write said so.
    latched: u32,
    /// Pending because the line fired and has not been sampled again since, or because it is
    /// emulated and has risen.
    line: u32,
    /// An edge fired while one waited, and the line is masked until the guest is given that.
    owed: u32,
    /// In a list register.
    held: u32,
    /// Active, and in no list register.
    active: u32,
    group: u32,
    edge: u32,
    priority: [u8; 32],
    /// GICv2: CPU targets in the low byte. GICv3: GICD_IROUTER.
    route: [u64; 32],
}

impl Bank {
    /// Pending for either reason.
    const fn pending(&self) -> u32 {
        self.latched | self.line
    }
}

/// The distributor, the redistributors and the list registers of all vCPUs.
#[derive(Clone, Debug)]
pub struct Gic {
    version: GicVersion,
    words: usize,
    vcpus: VcpuCount,
    slots: u8,
    ctlr: u32,
    private: [Bank; MAX_VCPUS],
    shared: [Bank; WORDS - 1],
    /// GICv2: which vCPUs have made an SGI pending, a bit each.
    sources: [[u8; 16]; MAX_VCPUS],
    /// GICR_WAKER.ProcessorSleep.
    asleep: [bool; MAX_VCPUS],
    /// vCPUs that are on.
    on: [bool; MAX_VCPUS],
    lists: [[Slot; MAX_SLOTS]; MAX_VCPUS],
    aside: Aside,
    /// What each vCPU's host was last told to report ([`crate::host::Interrupts::attend`]).
    told: [(bool, bool); MAX_VCPUS],
    lines: Lines,
    injected: u64,
}

/// Index of the word and mask of the bit of an interrupt.
const fn word_and_bit(intid: Intid) -> (usize, u32) {
    let number = intid.number();
    (number as usize / 32, 1_u32 << (number % 32))
}

/// The interrupts of a word whose bits are set, as INTIDs. Nothing set costs next to nothing: at
/// every exit all words are asked.
fn each(word: usize, mut bits: u32) -> impl Iterator<Item = Intid> {
    let next = move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits.wrapping_sub(1);
        Some(bit)
    };
    core::iter::from_fn(next).filter_map(move |bit| {
        let base = u16::try_from(word).ok()?.checked_mul(32)?;
        Intid::new(base.checked_add(u16::try_from(bit).ok()?)?)
    })
}

impl Gic {
    /// A controller after reset, with vCPU 0 on. `intid_count` is a multiple of 32 from 64 to 992,
    /// `slots` the number of list registers that the host has; both are clamped.
    #[must_use]
    pub fn new(version: GicVersion, vcpus: VcpuCount, intid_count: u32, slots: u8) -> Self {
        let words = (intid_count as usize / 32).clamp(2, WORDS);
        let mut gic = Self {
            version,
            words,
            vcpus,
            slots: slots.clamp(1, 16),
            ctlr: 0,
            private: [Bank::default(); MAX_VCPUS],
            shared: [Bank::default(); WORDS - 1],
            sources: [[0; 16]; MAX_VCPUS],
            asleep: [true; MAX_VCPUS],
            on: [true, false, false, false],
            lists: [[Slot::Free; MAX_SLOTS]; MAX_VCPUS],
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
            each(word, bits).for_each(|intid| host.ack_line(intid));
        }
    }

    fn set_on(&mut self, vcpu: Vcpu, on: bool) {
        if let Some(is) = self.on.get_mut(vcpu.index()) {
            *is = on;
        }
    }

    fn bank(&self, vcpu: Vcpu, word: usize) -> Option<&Bank> {
        match word.checked_sub(1) {
            None => self.private.get(vcpu.index()),
            Some(shared) => self.shared.get(shared),
        }
    }

    /// Words beyond the distributor's last cannot be changed, and so read as zero.
    fn bank_mut(&mut self, vcpu: Vcpu, word: usize) -> Option<&mut Bank> {
        match word.checked_sub(1) {
            None => self.private.get_mut(vcpu.index()),
            Some(shared) => self.shared.get_mut(shared).filter(|_| word < self.words),
        }
    }

    fn update(&mut self, vcpu: Vcpu, intid: Intid, change: impl FnOnce(&mut Bank, u32)) {
        let (word, bit) = word_and_bit(intid);
        if let Some(bank) = self.bank_mut(vcpu, word) {
            change(bank, bit);
        }
    }

    /// A device's line fired; it is masked until it is sampled again. Says whether there is such
    /// a device.
    pub fn line(&mut self, host: &mut dyn Host, intid: Intid) -> bool {
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
            self.update(Vcpu(0), intid, |bank, bit| bank.line |= bit);
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
            self.update(Vcpu(0), intid, |bank, bit| bank.line |= bit);
        } else {
            self.recall(host, Vcpu(0), intid);
            self.update(Vcpu(0), intid, |bank, bit| {
                bank.line &= !(bit & !bank.held & !bank.active);
            });
        }
        true
    }

    /// Whether a line is high now. `None` where the kernel does not say.
    fn level(&self, host: &mut dyn Host, intid: Intid) -> Option<bool> {
        self.lines.level(intid).or_else(|| host.line_level(intid))
    }

    /// The virtual timer of a vCPU fired; it is masked until it is sampled again.
    pub fn timer(&mut self, vcpu: Vcpu) {
        self.update(vcpu, Intid::VIRTUAL_TIMER, |bank, bit| bank.line |= bit);
    }

    /// Whether the virtual timer's interrupt has fired and waits for the guest, so that the timer
    /// cannot fire again.
    #[must_use]
    pub fn timer_waits(&self, vcpu: Vcpu) -> bool {
        let (word, bit) = word_and_bit(Intid::VIRTUAL_TIMER);
        self.bank(vcpu, word).is_some_and(|bank| bank.line & bit != 0)
    }

    /// Listens to a line again: if it is high, it fires again.
    fn sample(&mut self, host: &mut dyn Host, vcpu: Vcpu, intid: Intid) {
        if intid == Intid::VIRTUAL_TIMER {
            host.ack_timer(vcpu);
            return;
        }
        match self.lines.level(intid) {
            None => host.ack_line(intid),
            Some(true) => self.update(vcpu, intid, |bank, bit| bank.line |= bit),
            Some(false) => {}
        }
    }

    /// Makes an SGI pending for a vCPU that there is.
    fn send(&mut self, host: &mut dyn Host, source: Vcpu, target: Vcpu, intid: Intid) {
        match self.version {
            GicVersion::V2 => self.latch_source(host, target, intid, source),
            GicVersion::V3 => _ = self.latch(host, target, intid),
        }
    }

    /// The senders of an SGI of GICv2 that is pending for a vCPU, a bit each.
    fn sources_mut(&mut self, vcpu: Vcpu, intid: Intid) -> Option<&mut u8> {
        let sources =
            self.sources.get_mut(vcpu.index()).filter(|_| self.version == GicVersion::V2)?;
        sources.get_mut(usize::from(intid.number()))
    }

    /// Who sent the SGI that comes next; vCPU 0 for everything else.
    fn next_source(&mut self, vcpu: Vcpu, intid: Intid) -> Vcpu {
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
    fn best(&self, vcpu: Vcpu) -> Option<(Intid, u8, u8)> {
        let group_on = |number: u32| if self.ctlr & (1_u32 << number) != 0 { u32::MAX } else { 0 };
        let mut best: Option<(u8, Intid, u8)> = None;
        for word in 0..self.words {
            let Some(bank) = self.bank(vcpu, word) else { continue };
            let on = (bank.group & group_on(1)) | (!bank.group & group_on(0));
            let ready = bank.enabled & bank.pending() & !bank.held & !bank.active & on;
            for intid in each(word, ready) {
                let index = usize::from(intid.number()) % 32;
                let route = bank.route.get(index).copied().unwrap_or_default();
                if word != 0 && !self.goes_to(vcpu, route) {
                    continue;
                }
                let priority = bank.priority.get(index).copied().unwrap_or_default();
                let group = u8::from(bank.group & word_and_bit(intid).1 != 0);
                if best.is_none_or(|(p, i, _)| (priority, intid) < (p, i)) {
                    best = Some((priority, intid, group));
                }
            }
        }
        best.map(|(priority, intid, group)| (intid, priority, group))
    }

    /// Whether an interrupt waits for a list register of this vCPU.
    #[must_use]
    pub fn waiting(&self, vcpu: Vcpu) -> bool {
        self.best(vcpu).is_some()
    }
}

/// One of the controller's register windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// GICD.
    Distributor,
    /// GICR of one vCPU (GICv3 only).
    Redistributor(Vcpu),
}

impl Gic {
    /// A guest's load of `size` bytes (1, 2, 4 or 8) from a register window. `None`: there is no
    /// such register, or the access crosses one; the load gives zero.
    pub fn read(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        window: Window,
        (offset, size): (u64, u8),
    ) -> Option<u64> {
        let mut word = |offset| match (window, self.version) {
            (Window::Distributor, GicVersion::V2) => self.v2_read(host, vcpu, offset),
            (Window::Distributor, GicVersion::V3) => self.v3_read(host, vcpu, offset),
            (Window::Redistributor(owner), _) => {
                self.redistributor_read(host, (owner, vcpu), offset)
            }
        };
        let (first, shift, mask) = lanes(offset, size)?;
        let low = u64::from(word(first)?).wrapping_shr(shift) & u64::from(mask);
        if size < 8 {
            return Some(low);
        }
        let high = u64::from(word(first.checked_add(4)?)?);
        Some(low | high << 32)
    }

    /// A guest's store. `false`: there is no such register, or the access crosses one; nothing
    /// changed.
    pub fn write(
        &mut self,
        host: &mut dyn Host,
        vcpu: Vcpu,
        window: Window,
        (offset, size): (u64, u8),
        value: u64,
    ) -> bool {
        let Some((first, shift, mask)) = lanes(offset, size) else { return false };
        let [low, high] = halves(value);
        let mut word = |offset, value, mask| match (window, self.version) {
            (Window::Distributor, GicVersion::V2) => self.v2_write(host, vcpu, offset, value, mask),
            (Window::Distributor, GicVersion::V3) => self.v3_write(host, vcpu, offset, value, mask),
            (Window::Redistributor(owner), _) => {
                self.redistributor_write(host, owner, offset, value, mask)
            }
        };
        let mut known = word(first, low.wrapping_shl(shift), mask.wrapping_shl(shift));
        if size == 8 {
            known &= word(first.wrapping_add(4), high, u32::MAX);
        }
        known
    }

    /// Whether a guest's store changes nothing as things are, whatever its value: then nobody has
    /// to ask the kernel under the monitor for the register that holds it. Drivers clear what is
    /// clear already, for every interrupt that there is.
    #[must_use]
    pub fn ignores(&self, vcpu: Vcpu, window: Window, (offset, size): (u64, u8)) -> bool {
        let Some((first, _, _)) = lanes(offset, size).filter(|_| size < 8) else { return false };
        let (at, owner) = match window {
            Window::Distributor => (Some(first), vcpu),
            Window::Redistributor(owner) => (first.checked_sub(v3::SGI_FRAME), owner),
        };
        let Some((block, word)) = at.and_then(Block::at) else { return false };
        let elsewhere = self.version == GicVersion::V3 && !v3::is_in(window, block, word);
        elsewhere || self.block_ignores(owner, block, word)
    }
}

/// A register window as a device.
#[derive(Debug)]
pub struct Registers<'g> {
    /// The controller.
    pub gic: &'g mut Gic,
    /// Which of its windows.
    pub window: Window,
}

impl Emulated for Registers<'_> {
    fn load(&mut self, host: &mut dyn Host, access: MmioAccess) -> Option<u64> {
        self.gic.read(host, access.vcpu, self.window, (access.offset, access.size))
    }

    fn store(&mut self, host: &mut dyn Host, access: MmioAccess, value: u64) -> Stored {
        let place = (access.offset, access.size);
        let known = self.gic.write(host, access.vcpu, self.window, place, value);
        // Of a store of eight bytes one half may have done something.
        Stored { known, effect: Effect::Deliver }
    }

    fn ignores(&self, access: MmioAccess) -> bool {
        self.gic.ignores(access.vcpu, self.window, (access.offset, access.size))
    }
}

/// The lower and the upper half of a register of 64 bits.
const fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// The aligned word behind an access, the shift of its lowest byte in it and the mask of its
/// bytes before that shift. `None` if the access is not aligned to its size.
fn lanes(offset: u64, size: u8) -> Option<(u64, u32, u32)> {
    let mask = match size {
        1 => 0xff,
        2 => 0xffff,
        4 | 8 => u32::MAX,
        _ => return None,
    };
    if !offset.is_multiple_of(u64::from(size)) {
        return None;
    }
    let shift = u32::try_from(offset & 3).ok()?.wrapping_mul(8);
    Some((offset & !3, shift, mask))
}
