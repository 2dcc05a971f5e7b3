// SPDX-License-Identifier: BSD-2-Clause
//! WFE, where virtual CPUs take turns on a core.
//!
//! A guest waits with it for a lock that another vCPU holds (Linux, `arch_spin_lock` and its
//! queue). The event that ends the wait comes from anywhere, and nobody would tell, so a vCPU can
//! only be parked for a while; but to resume it at once wastes all that is left of its turn, while
//! the one that holds the lock waits for its own.

use super::{VcpuState, Vm};
use crate::host::{Action, Host};
use crate::ids::Vcpu;
use crate::report::counters::Counters;

/// A WFE parks for this part of a second at the most, 100 us: with 1 ms a load of two vCPUs took
/// twice as long under an emulator that traps WFE.
const YIELD: u64 = 10_000;

impl Vm<'_> {
    /// The guest waits for an event: lets another vCPU have the core.
    ///
    /// Those that wait already are woken only when nobody else runs: the kernel puts a vCPU that
    /// is woken before the one that was running, so two that wait would keep the core from the one
    /// that they wait for.
    pub(super) fn wait_for_event(&mut self, host: &mut dyn Host, vcpu: Vcpu) -> Action {
        if !self.plan.shares_cores() || !self.parks {
            return Action::Resume;
        }
        if !self.another_runs(vcpu) {
            self.wake_yielded(host);
        }
        if !self.another_runs(vcpu) || self.gic.waiting(vcpu) {
            return Action::Resume;
        }
        let until = host.now().saturating_add(host.frequency() / YIELD);
        self.set_state(vcpu, VcpuState::Parked(Some(until)));
        self.yielded |= vcpu.bit();
        Counters::count(&mut self.counters.yields);
        Action::Park { until: self.earliest() }
    }

    fn another_runs(&self, vcpu: Vcpu) -> bool {
        self.vcpus().any(|v| v != vcpu && self.state(v) == VcpuState::Running)
    }

    fn wake_yielded(&mut self, host: &mut dyn Host) {
        for vcpu in self.vcpus() {
            if self.yielded & vcpu.bit() != 0 {
                self.set_state(vcpu, VcpuState::Running);
                host.wake(vcpu);
            }
        }
    }
}
