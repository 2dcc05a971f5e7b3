// SPDX-License-Identifier: BSD-2-Clause
//! A device's level line that the guest ends without quieting fires again at once, for ever, and
//! keeps the monitor busy, which runs above the guest. A guest that quiets its device does not,
//! however fast the device is: so what counts is a line that is still high at its own end, again
//! and again, since the guest last did anything else.
//!
//! A device that asks again inside its own handler, each time, for half a second in which the guest
//! comes to nothing else, looks the same: nobody tells the monitor of a line that was low meanwhile.
//! It is stopped, too, and the report says both (guest/conformance/README.md, 'Declared differences').
//!
//! A host that can tell the level of a line is asked at each end. Under one that cannot, the line
//! must fire before anything else happens, and now and then the guest's program counter is looked
//! at: a guest that has executed even one instruction since the end may have raised the line anew.

use crate::fault::Fault;
use crate::gic::Ended;
use crate::host::{Host, StoppedVcpu};
use crate::ids::{Intid, Vcpu};

/// So often at least a line must have been high at its own end.
pub const STORM: u32 = 1 << 10;

/// Part of a second for which it must have gone on: half of one.
const PART: u64 = 2;

/// The clock and the program counter are looked at once in so many ends.
const LOOK: u32 = 1 << 6;

/// What is known of the line that was high at its own end last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Storm {
    intid: Option<Intid>,
    /// Who ended it.
    vcpu: Vcpu,
    count: u32,
    /// When the count began, and how long it has gone on, in ticks.
    since: u64,
    ticks: u64,
    /// Its end was the last thing that happened; the program counter then, if it was looked at.
    ended: Option<Option<u64>>,
}

impl Storm {
    /// The guest ended an interrupt. Asked before the line is listened to again.
    pub(super) fn ended(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        ended: Ended,
        high: Option<bool>,
    ) {
        let ours = self.intid.is_none_or(|intid| intid == ended.intid);
        if !ended.level || ended.intid.is_private() || !ours {
            return;
        }
        if self.intid.is_none() {
            *self = Self { intid: Some(ended.intid), ..Self::default() };
        }
        self.vcpu = vcpu.id();
        match high {
            Some(true) => self.again(host),
            Some(false) => *self = Self::default(),
            None => {
                let look = self.count % LOOK == LOOK.wrapping_sub(1);
                self.ended = Some(look.then(|| host.pc(vcpu)));
            }
        }
    }

    /// A line fired.
    pub(super) fn fired(&mut self, host: &mut dyn Host, intid: Intid) {
        if self.intid != Some(intid) {
            return;
        }
        match self.ended.take() {
            // The guest has executed something since.
            Some(Some(pc)) if host.last_pc(self.vcpu).is_some_and(|now| now != pc) => {
                *self = Self::default();
            }
            Some(_) => self.again(host),
            None => {}
        }
    }

    fn again(&mut self, host: &mut dyn Host) {
        self.count = self.count.saturating_add(1);
        if self.count == LOOK {
            self.since = host.now();
        } else if self.count.is_multiple_of(LOOK) {
            self.ticks = host.now().saturating_sub(self.since);
        }
    }

    /// A vCPU did something else, which is progress.
    pub(super) fn progress(&mut self, vcpu: Vcpu) {
        if vcpu == self.vcpu {
            *self = Self::default();
        }
    }

    /// Something else happened between the end of the interrupt and what comes next.
    pub(super) const fn interrupted(&mut self) {
        self.ended = None;
    }

    /// What the guest is stopped for, if it has gone on for long enough.
    pub(super) fn verdict(&self, hertz: u64) -> Option<Fault> {
        let over = self.count >= STORM && self.ticks >= hertz / PART;
        // A counter without a frequency tells no time.
        let milliseconds = self.ticks.saturating_mul(1000).checked_div(hertz).unwrap_or(0);
        self.intid.filter(|_| over).map(|intid| Fault::InterruptStorm {
            intid,
            count: self.count,
            milliseconds,
        })
    }
}
