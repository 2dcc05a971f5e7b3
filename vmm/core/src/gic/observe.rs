// SPDX-License-Identifier: BSD-2-Clause
//! What can be seen of the controller from outside. Nothing of it decides anything: it is for tests that
//! try out every state, and for whoever has to find out why an interrupt does not come.

use arrayvec::ArrayVec;

use super::state::Gic;
use super::words::word_and_bit;
use crate::ids::{Intid, Vcpu};

/// All that the controller knows of an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterruptState {
    /// The guest has enabled it.
    pub enabled: bool,
    /// Pending because an edge or a register write said so.
    pub latched: bool,
    /// Pending because of its line, which is masked until it is sampled again, or emulated.
    pub by_line: bool,
    /// An edge fired while one waited, and the line is masked.
    pub owed: bool,
    /// In a list register.
    pub held: bool,
    /// Active, and in no list register.
    pub active: bool,
    /// Its group, 0 or 1.
    pub group: u8,
    /// Its priority, of which five bits count.
    pub priority: u8,
    /// GICv2: CPU targets. GICv3: GICD_IROUTER.
    pub route: u64,
    /// The vCPUs that have made an SGI of GICv2 pending, a bit each.
    pub sources: u8,
    /// The level of an emulated line.
    pub level: Option<bool>,
}

impl Gic {
    /// What is known of an interrupt, of this vCPU if it is a private one. `None` for one that does
    /// not exist.
    #[must_use]
    pub fn interrupt(&self, vcpu: Vcpu, intid: Intid) -> Option<InterruptState> {
        let (word, bit) = word_and_bit(intid);
        let (bank, index) = (self.bank(vcpu, word)?, usize::from(intid.number()) % 32);
        let sources = self.sources.get(vcpu.index())?.get(usize::from(intid.number()));
        Some(InterruptState {
            enabled: bank.enabled & bit != 0,
            latched: bank.latched & bit != 0,
            by_line: bank.by_line & bit != 0,
            owed: bank.owed & bit != 0,
            held: bank.held & bit != 0,
            active: bank.active & bit != 0,
            group: u8::from(bank.group & bit != 0),
            priority: *bank.priority.get(index)?,
            route: *bank.route.get(index)?,
            // What is no SGI has no sender.
            sources: sources.copied().unwrap_or(0),
            level: self.lines.level(intid),
        })
    }

    /// The groups that are on, a bit each (GICD_CTLR.EnableGrp0 and EnableGrp1).
    #[must_use]
    pub const fn groups(&self) -> u32 {
        self.ctlr
    }

    /// Interrupts of a vCPU that are active and had to leave their list registers, by priority and
    /// INTID.
    #[must_use]
    pub fn put_aside(&self, vcpu: Vcpu) -> &[(u8, Intid)] {
        // A vCPU that there is not has none.
        self.aside.get(vcpu.index()).map(ArrayVec::as_slice).unwrap_or_default()
    }
}
