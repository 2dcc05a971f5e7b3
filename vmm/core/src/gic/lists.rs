// SPDX-License-Identifier: BSD-2-Clause
//! List registers: what goes into them, what comes back.
//!
//! Few hold what the distributor has for a vCPU, and a guest is not to see how few. A host that can
//! read them ([`crate::host::Interrupts::list_state`]) lets the core take back what is still pending: for something
//! better, or because the guest has disabled it, cleared it or sent it elsewhere. Under a kernel
//! that cannot, a list register is taken from the injection until the maintenance exit that the end
//! of the interrupt causes, and the last free one is kept for a strictly higher priority.

use super::state::{Candidate, Gic, Held, ListRegister, MAX_LIST_REGISTERS};
use super::words::{set_intids, word_and_bit};
use crate::host::{Host, Injection, ListState};
use crate::ids::{GicVersion, Intid, Vcpu};

/// What the end of an interrupt was the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The interrupt.
    pub intid: Intid,
    /// It came by a line of the board, which is sampled now.
    pub level: bool,
}

/// An interrupt, and the list register that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub vcpu: Vcpu,
    pub slot: u8,
    pub held: Held,
}

/// What has to leave its list register first, if something must.
#[derive(Clone, Copy)]
struct Worst {
    state: ListState,
    slot: u8,
    held: Held,
}

impl Worst {
    /// What is pending goes before what is active, then the lowest priority, then the highest INTID.
    fn rank(self) -> (bool, u8, Intid) {
        (self.state == ListState::Pending, self.held.priority, self.held.intid)
    }
}

impl Gic {
    /// What a list register holds, as far as the core knows.
    #[must_use]
    pub fn list(&self, vcpu: Vcpu, slot: u8) -> ListRegister {
        let list = self.lists.get(vcpu.index()).and_then(|l| l.get(usize::from(slot)));
        // Nothing is in one that there is not.
        list.copied().unwrap_or_default()
    }

    fn set_list(&mut self, vcpu: Vcpu, slot: u8, to: ListRegister) {
        let list = self.lists.get_mut(vcpu.index()).and_then(|l| l.get_mut(usize::from(slot)));
        if let Some(list) = list {
            *list = to;
        }
    }

    /// The list registers of a vCPU that hold something that it has not ended.
    fn taken(&self, vcpu: Vcpu) -> impl Iterator<Item = (u8, Held)> + use<'_> {
        let lists =
            self.lists.get(vcpu.index()).map(<[ListRegister; MAX_LIST_REGISTERS]>::as_slice);
        // A vCPU that there is not has none.
        (0..self.list_register_count).zip(lists.unwrap_or_default()).filter_map(|(slot, list)| {
            match list {
                ListRegister::Held(held) => Some((slot, *held)),
                ListRegister::Free | ListRegister::Stuck(_) => None,
            }
        })
    }

    /// The list register that holds an interrupt: a private one is its owner's.
    pub(super) fn find(&self, owner: Vcpu, intid: Intid) -> Option<Listed> {
        self.vcpus
            .each()
            .filter(|vcpu| !intid.is_private() || *vcpu == owner)
            .flat_map(|vcpu| self.taken(vcpu).map(move |(slot, held)| Listed { vcpu, slot, held }))
            .find(|listed| listed.held.intid == intid)
    }

    /// What a list register is overwritten with where it cannot be emptied: an interrupt that
    /// nobody can see, with an INTID beyond the distributor's, lowest priority, of the group that
    /// the guest does not use.
    fn quiet(slot: u8, group: u8) -> Option<Injection> {
        let intid = Intid::new(1019_u16.wrapping_sub(u16::from(slot)))?;
        Some(Injection { intid, priority: 31, group, source: Vcpu(0) })
    }

    /// Takes whatever it holds out of a list register. `false` if the kernel refuses: it is active.
    fn clear(host: &mut dyn Host, vcpu: Vcpu, slot: u8, group: u8) -> bool {
        Self::quiet(slot, group).is_some_and(|quiet| host.clear_list(vcpu, slot, quiet).is_ok())
    }

    /// What is left in list registers is made harmless, with the guest stopped.
    pub(super) fn reset_lists(&mut self, host: &mut dyn Host) {
        for vcpu in self.vcpus.each() {
            for slot in 0..self.list_register_count {
                let unused = u8::from(self.version == GicVersion::V2);
                let (left, group) = match self.list(vcpu, slot) {
                    ListRegister::Free => continue,
                    ListRegister::Held(Held { intid, group, .. }) => (Some(intid), group ^ 1),
                    ListRegister::Stuck(left) => (left, unused),
                };
                let cleared = Self::clear(host, vcpu, slot, group);
                self.set_list(
                    vcpu,
                    slot,
                    if cleared { ListRegister::Free } else { ListRegister::Stuck(left) },
                );
            }
            host.ack_timer(vcpu);
        }
        for aside in &mut self.aside {
            aside.clear();
        }
        self.vcpus.each().for_each(|vcpu| self.attend(host, vcpu, false));
    }

    /// Whether a list register of this vCPU holds an interrupt that the guest has not ended.
    #[must_use]
    pub fn holding(&self, vcpu: Vcpu) -> bool {
        self.taken(vcpu).next().is_some()
    }

    /// The board's device whose level line brought the interrupt in a list register.
    #[must_use]
    pub fn line_in(&self, vcpu: Vcpu, slot: u8) -> Option<Intid> {
        let ListRegister::Held(Held { intid, .. }) = self.list(vcpu, slot) else { return None };
        let (word, bit) = word_and_bit(intid);
        let level = self.bank(vcpu, word).is_some_and(|bank| bank.by_line & bit != 0);
        Some(intid).filter(|_| level && self.lines.trigger(intid).is_some())
    }

    /// The guest ended the interrupt in a list register. `None` if the core knew of none there.
    pub fn maintenance(&mut self, host: &mut dyn Host, vcpu: Vcpu, slot: u8) -> Option<Ended> {
        let was = self.list(vcpu, slot);
        self.set_list(vcpu, slot, ListRegister::Free);
        let intid = match was {
            ListRegister::Free => return None,
            ListRegister::Held(held) => held.intid,
            ListRegister::Stuck(left) => {
                // If the interrupt was in two list registers, the guest has ended it once. It meant
                // the new one, and the hardware took the old one: the other is the stuck one now.
                let again = |(_, held): &(u8, Held)| Some(held.intid) == left;
                let (other, held) = self.taken(vcpu).find(again)?;
                self.set_list(vcpu, other, ListRegister::Stuck(left));
                held.intid
            }
        };
        Some(self.ended(host, vcpu, intid))
    }

    /// The guest ended this many interrupts that no list register holds: of those that were put
    /// aside, the ones of highest priority. (Ends come in the order of priorities; those of
    /// GICC_DIR need not.)
    pub fn ended_aside(&mut self, host: &mut dyn Host, vcpu: Vcpu, count: u8) {
        for _ in 0..count {
            let Some(&(_, next)) = self.put_aside(vcpu).iter().min() else { return };
            self.deactivate(host, vcpu, next);
        }
    }

    /// An interrupt is active no more: its line is listened to again.
    fn ended(&mut self, host: &mut dyn Host, vcpu: Vcpu, intid: Intid) -> Ended {
        let (mut level, mut owed) = (false, false);
        self.update(vcpu, intid, |bank, bit| {
            bank.held &= !bit;
            bank.active &= !bit;
            level = bank.by_line & bit != 0;
            bank.by_line &= !bit;
            // An edge that came while the one before it waited: they were one.
            owed = bank.owed & !bank.latched & bit != 0;
            bank.owed &= !(if owed { bit } else { 0 });
        });
        if level || owed {
            self.sample(host, vcpu, intid);
        }
        Ended { intid, level: level && self.lines.level(intid).is_none() }
    }

    /// An interrupt leaves its list register for the distributor, where it is pending as it was.
    fn give_back(&mut self, vcpu: Vcpu, slot: u8, held: Held) {
        self.set_list(vcpu, slot, ListRegister::Free);
        if held.latched
            && let Some(sources) = self.sources_mut(vcpu, held.intid)
        {
            *sources |= 1_u8.wrapping_shl(u32::from(held.source.0));
        }
        self.update(vcpu, held.intid, |bank, bit| {
            bank.held &= !bit;
            bank.latched |= if held.latched { bit } else { 0 };
        });
    }

    /// Takes a pending interrupt back from its list register, if the host can tell that it is.
    pub(super) fn recall(&mut self, host: &mut dyn Host, owner: Vcpu, intid: Intid) {
        if let Some(Listed { vcpu, slot, held }) = self.find(owner, intid)
            && host.list_state(vcpu, slot) == Some(ListState::Pending)
            && Self::clear(host, vcpu, slot, held.group ^ 1)
        {
            self.give_back(vcpu, slot, held);
        }
    }

    /// The same for those of a word.
    pub(super) fn recall_all(&mut self, host: &mut dyn Host, owner: Vcpu, word: usize, bits: u32) {
        let held = self.bank(owner, word).map_or(0, |bank| bank.held);
        set_intids(word, bits & held).for_each(|intid| self.recall(host, owner, intid));
    }

    /// The same for those of a group.
    pub(super) fn recall_group(&mut self, host: &mut dyn Host, group: u8) {
        for vcpu in self.vcpus.each() {
            for slot in 0..self.list_register_count {
                if let ListRegister::Held(held) = self.list(vcpu, slot)
                    && held.group == group
                {
                    self.recall(host, vcpu, held.intid);
                }
            }
        }
    }

    /// Whether an interrupt waits in a list register for the guest, as far as the host can tell:
    /// what makes it pending once more changes nothing.
    pub(super) fn waits_in_list(
        &self,
        host: &mut dyn Host,
        owner: Vcpu,
        intid: Intid,
    ) -> Option<Listed> {
        self.find(owner, intid)
            .filter(|listed| host.list_state(listed.vcpu, listed.slot) == Some(ListState::Pending))
    }

    /// An edge or a register write makes an interrupt pending. `false`: it is already, in a list
    /// register.
    pub(super) fn latch(&mut self, host: &mut dyn Host, owner: Vcpu, intid: Intid) -> bool {
        if let Some(Listed { vcpu, slot, held }) = self.waits_in_list(host, owner, intid) {
            self.set_list(vcpu, slot, ListRegister::Held(Held { latched: true, ..held }));
            return false;
        }
        self.update(owner, intid, |bank, bit| bank.latched |= bit);
        true
    }

    /// A sender makes an SGI of GICv2 pending.
    pub(super) fn latch_source(&mut self, host: &mut dyn Host, to: Vcpu, intid: Intid, from: Vcpu) {
        let waits = self.waits_in_list(host, to, intid);
        if waits.is_some_and(|listed| listed.held.source == from) {
            return;
        }
        if let Some(sources) = self.sources_mut(to, intid) {
            *sources |= 1_u8.wrapping_shl(u32::from(from.0));
            self.update(to, intid, |bank, bit| bank.latched |= bit);
        }
    }

    /// A register write takes an interrupt back. A line that is high keeps it pending.
    pub(super) fn unlatch(&mut self, host: &mut dyn Host, owner: Vcpu, intid: Intid) {
        let (mut line, mut owed) = (false, false);
        if let Some(Listed { vcpu, slot, held }) = self.waits_in_list(host, owner, intid) {
            let (word, bit) = word_and_bit(intid);
            line = self.bank(owner, word).is_some_and(|bank| bank.by_line & bit != 0);
            if line {
                self.set_list(vcpu, slot, ListRegister::Held(Held { latched: false, ..held }));
            } else if Self::clear(host, vcpu, slot, held.group ^ 1) {
                self.give_back(vcpu, slot, held);
            }
        }
        self.update(owner, intid, |bank, bit| {
            owed = bank.owed & !bank.held & bit != 0;
            bank.owed &= !(if owed { bit } else { 0 });
            bank.latched &= !bit;
        });
        if owed && !line {
            host.ack_line(intid);
        }
    }

    /// The same for one sender of an SGI of GICv2.
    pub(super) fn unlatch_source(
        &mut self,
        host: &mut dyn Host,
        to: Vcpu,
        intid: Intid,
        from: Vcpu,
    ) {
        if let Some(Listed { vcpu, slot, held }) = self.waits_in_list(host, to, intid)
            && held.source == from
            && Self::clear(host, vcpu, slot, held.group ^ 1)
        {
            self.give_back(vcpu, slot, held);
        }
        let Some(sources) = self.sources_mut(to, intid) else { return };
        *sources &= !1_u8.wrapping_shl(u32::from(from.0));
        if *sources == 0 {
            self.update(to, intid, |bank, bit| bank.latched &= !bit);
        }
    }

    /// What a distributor without list registers would have pending and active of a word.
    pub(super) fn states(&self, host: &mut dyn Host, owner: Vcpu, word: usize) -> (u32, u32) {
        let Some(bank) = self.bank(owner, word) else { return (0, 0) };
        let taken = bank.held | bank.active;
        let (mut pending, mut active) = (bank.latched | (bank.by_line & !taken), bank.active);
        for intid in set_intids(word, bank.by_line & bank.active) {
            if self.level(host, intid) == Some(true) {
                pending |= word_and_bit(intid).1;
            }
        }
        for intid in set_intids(word, bank.held) {
            let Some(Listed { vcpu, slot, .. }) = self.find(owner, intid) else { continue };
            let (_, bit) = word_and_bit(intid);
            match host.list_state(vcpu, slot) {
                // The kernel cannot tell: it counts as pending.
                None | Some(ListState::Pending) => pending |= bit,
                Some(state) => {
                    // Pending again already, if its line is still high.
                    if bank.by_line & bit != 0 && self.level(host, intid) == Some(true) {
                        pending |= bit;
                    }
                    active |= if state == ListState::Active { bit } else { 0 };
                }
            }
        }
        (pending, active)
    }

    /// GICD_ICACTIVER, or the end of one that was put aside: an interrupt is active no more,
    /// whoever handles it. Where the kernel cannot tell whether it is, the guest is believed.
    pub(super) fn deactivate(&mut self, host: &mut dyn Host, owner: Vcpu, intid: Intid) {
        let (word, bit) = word_and_bit(intid);
        if let Some(Listed { vcpu, slot, held }) = self.find(owner, intid) {
            let state = host.list_state(vcpu, slot);
            if matches!(state, None | Some(ListState::Active)) {
                let cleared = Self::clear(host, vcpu, slot, held.group ^ 1);
                let to =
                    if cleared { ListRegister::Free } else { ListRegister::Stuck(Some(intid)) };
                self.set_list(vcpu, slot, to);
                self.ended(host, vcpu, intid);
            }
        } else if self.bank(owner, word).is_some_and(|bank| bank.active & bit != 0) {
            for (v, aside) in (0..).zip(&mut self.aside) {
                // Another vCPU's private interrupt of this number is another interrupt.
                let same = !intid.is_private() || v == owner.0;
                aside.retain(|(_, other)| !same || *other != intid);
            }
            self.ended(host, owner, intid);
        }
    }

    /// A write of ICC_DIR_EL1 that the processor did not carry out.
    pub fn deactivated_by(&mut self, host: &mut dyn Host, vcpu: Vcpu, value: u64) {
        if let Some(intid) = u16::try_from(value & 0xff_ffff).ok().and_then(Intid::new) {
            self.deactivate(host, vcpu, intid);
        }
    }

    /// GICD_ISACTIVER. Such an interrupt is in no list register, so GICD_ICACTIVER alone ends it.
    pub(super) fn activate(&mut self, host: &mut dyn Host, owner: Vcpu, intid: Intid) {
        self.recall(host, owner, intid);
        self.update(owner, intid, |bank, bit| bank.active |= bit & !bank.held);
    }

    /// A vCPU is on from now on; its timer is off, so whatever it said before is over.
    pub fn turn_on(&mut self, host: &mut dyn Host, vcpu: Vcpu) {
        self.set_on(vcpu, true);
        let mut fired = false;
        self.update(vcpu, Intid::VIRTUAL_TIMER, |bank, bit| {
            fired = bank.by_line & bit != 0;
            bank.by_line &= !bit;
        });
        if fired {
            host.ack_timer(vcpu);
        }
    }

    /// A vCPU turns itself off. What it has not acknowledged goes back to the distributor and
    /// follows the routing; what it was handling stays active there, as it does in a real one,
    /// until GICD_ICACTIVER. Where the kernel cannot tell the two apart, it comes once more.
    pub fn turn_off(&mut self, host: &mut dyn Host, vcpu: Vcpu) {
        self.set_on(vcpu, false);
        for slot in 0..self.list_register_count {
            let ListRegister::Held(held) = self.list(vcpu, slot) else { continue };
            let state = host.list_state(vcpu, slot);
            let cleared = Self::clear(host, vcpu, slot, held.group ^ 1);
            if state == Some(ListState::Empty) {
                self.set_list(vcpu, slot, ListRegister::Free);
                self.ended(host, vcpu, held.intid);
            } else if state == Some(ListState::Active) || !cleared {
                let to = if cleared {
                    ListRegister::Free
                } else {
                    ListRegister::Stuck(Some(held.intid))
                };
                self.set_list(vcpu, slot, to);
                self.update(vcpu, held.intid, |bank, bit| {
                    bank.held &= !bit;
                    bank.active |= bit;
                });
            } else {
                self.give_back(vcpu, slot, held);
                let mut level = false;
                self.update(vcpu, held.intid, |bank, bit| {
                    // If it was active after all, its device may be quiet.
                    level = state.is_none() && bank.by_line & bit != 0;
                    bank.by_line &= !(if level { bit } else { 0 });
                });
                if level {
                    self.sample(host, vcpu, held.intid);
                }
            }
        }
        if let Some(aside) = self.aside.get_mut(vcpu.index()) {
            aside.clear(); // active still, and nobody will end them
        }
        self.attend(host, vcpu, false);
    }

    /// Fills the list registers of a vCPU. Says whether anything was injected.
    pub fn flush(&mut self, host: &mut dyn Host, vcpu: Vcpu) -> bool {
        let (mut any, mut waits) = (false, false);
        while let Some(Candidate { intid, priority, group }) = self.best(vcpu) {
            let Some(slot) = self.room(host, vcpu, priority) else {
                waits = true;
                break;
            };
            let source = self.next_source(vcpu, intid);
            let injection = Injection { intid, priority: priority >> 3, group, source };
            let to = match host.inject(vcpu, slot, injection) {
                Ok(()) => {
                    let latched = self.take(host, vcpu, intid);
                    self.injected = self.injected.wrapping_add(1);
                    any = true;
                    ListRegister::Held(Held { intid, group, priority, source, latched })
                }
                Err(_) => ListRegister::Stuck(None),
            };
            self.set_list(vcpu, slot, to);
        }
        self.attend(host, vcpu, waits);
        any
    }

    /// A list register for an interrupt of this priority.
    fn room(&mut self, host: &mut dyn Host, vcpu: Vcpu, priority: u8) -> Option<u8> {
        let free = |gic: &Self| {
            (0..gic.list_register_count)
                .filter(|s| gic.list(vcpu, *s) == ListRegister::Free)
                .count()
        };
        let first =
            (0..self.list_register_count).find(|slot| self.list(vcpu, *slot) == ListRegister::Free);
        if !host.reads_lists() {
            // The last one is for what may interrupt all the others.
            let better = self.taken(vcpu).all(|(_, held)| priority < held.priority);
            return first.filter(|_| self.list_register_count == 1 || better || free(self) > 1);
        }
        if first.is_some() {
            return first;
        }
        let mut worst: Option<Worst> = None;
        for (slot, held) in self.taken(vcpu) {
            let state = host.list_state(vcpu, slot)?;
            if state == ListState::Empty {
                return None; // its end is on its way
            }
            let next = Worst { state, slot, held };
            if worst.is_none_or(|worst| next.rank() > worst.rank()) {
                worst = Some(next);
            }
        }
        let Worst { state, slot, held } = worst?;
        if state == ListState::Pending {
            let swap = held.priority > priority && Self::clear(host, vcpu, slot, held.group ^ 1);
            return swap.then(|| {
                self.give_back(vcpu, slot, held);
                slot
            });
        }
        // All are active: the one that ends last makes room.
        let aside = self.aside.get_mut(vcpu.index())?;
        if aside.is_full() || !Self::clear(host, vcpu, slot, held.group ^ 1) {
            return None;
        }
        aside.push((held.priority, held.intid));
        self.set_list(vcpu, slot, ListRegister::Free);
        self.update(vcpu, held.intid, |bank, bit| {
            bank.held &= !bit;
            bank.active |= bit;
        });
        Some(slot)
    }

    /// An interrupt moves to a list register; whether it was latched. With GICv2 an SGI from
    /// several vCPUs is one interrupt for each of them (IHI 0048B, 2.2.1): one source is taken, the
    /// rest stay pending. A device's line that was masked for its edges is listened to again.
    fn take(&mut self, host: &mut dyn Host, vcpu: Vcpu, intid: Intid) -> bool {
        let mut more = false;
        if let Some(sources) = self.sources_mut(vcpu, intid) {
            *sources &= sources.wrapping_sub(1);
            more = *sources != 0;
        }
        let (mut latched, mut owed) = (false, false);
        self.update(vcpu, intid, |bank, bit| {
            latched = bank.latched & bit != 0;
            owed = bank.owed & bit != 0;
            bank.held |= bit;
            bank.owed &= !bit;
            if !more {
                bank.latched &= !bit;
            }
        });
        if owed {
            host.ack_line(intid);
        }
        latched
    }

    /// Tells the host of what it is to report, where that has changed: whether something waits for a
    /// list register, and whether there are interrupts that were put aside.
    fn attend(&mut self, host: &mut dyn Host, vcpu: Vcpu, waits: bool) {
        let Some(aside) = self.aside.get(vcpu.index()) else { return };
        let ends = !aside.is_empty();
        // A vCPU that is off takes nothing: its processor would find room for ever.
        let on = self.on.get(vcpu.index()) == Some(&true);
        let room = on && waits && host.reads_lists() && !aside.is_full();
        let told = self.told.get_mut(vcpu.index());
        if let Some(told) = told.filter(|told| **told != (room, ends)) {
            *told = (room, ends);
            host.attend(vcpu, room, ends);
        }
    }
}
