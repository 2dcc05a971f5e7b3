// SPDX-License-Identifier: BSD-2-Clause
//! Exceptions that the monitor has the guest take (Arm DDI 0487, D1.4.2): external aborts where
//! nobody owns an address, if the plan asks for them, and undefined instructions.

use super::{Aborted, Vm};
use crate::fault::Fault;
use crate::host::{Action, El1, Host, StoppedVcpu};
use crate::report::counters::Counters;

/// ESR_ELx.IL: set for every abort without a valid syndrome, and for every A64 instruction.
const IL: u64 = 1 << 25;
/// Fault status code of a synchronous external abort that was not on a table walk.
const EXTERNAL: u64 = 0x10;
/// ISS.WnR of a data abort: a store.
const WRITE: u64 = 1 << 6;
/// ISS.FnV: FAR_ELx holds no address.
const NO_ADDRESS: u64 = 1 << 10;
/// Exception classes of aborts from EL0; those from EL1 are one more (DDI 0487, D24.2.45).
const FETCH: u64 = 0x20;
const DATA: u64 = 0x24;

impl Vm<'_> {
    /// Where nobody owns the address of a fault: an external abort, if the plan says so and the
    /// host can; else the fault itself.
    pub(super) fn or_abort(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        fault: Fault,
        aborted: Aborted,
    ) -> Result<Action, Fault> {
        let unowned = matches!(fault, Fault::UnownedAddress { .. } | Fault::FetchOutsideRam { .. });
        if !unowned || !self.plan.aborts() {
            return Err(fault);
        }
        let (class, write, address) = match aborted {
            // An A64 instruction is fetched from where the program counter points.
            Aborted::Fetch => (FETCH, 0, Some(host.pc(vcpu))),
            Aborted::Data { write } => {
                (DATA, if write { WRITE } else { 0 }, host.fault_address(vcpu))
            }
        };
        let from_el1 = u64::from(!host.pstate(vcpu).is_el0());
        let no_address = if address.is_none() { NO_ADDRESS } else { 0 };
        let esr = (class | from_el1) << 26 | IL | no_address | write | EXTERNAL;
        if self.except(host, vcpu, esr, address) { Ok(Action::Resume) } else { Err(fault) }
    }

    /// The access to a system register is an undefined instruction (exception class 0); `fault` is
    /// what it is where the host does not reach the guest's registers.
    pub(super) fn undefined(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        fault: Fault,
    ) -> Result<Action, Fault> {
        if self.except(host, vcpu, IL, None) { Ok(Action::Resume) } else { Err(fault) }
    }

    /// Has the guest take an exception at the instruction that trapped; `false` where the host
    /// does not reach its registers.
    fn except(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        esr: u64,
        far: Option<u64>,
    ) -> bool {
        let (Some(sctlr), Some(vbar)) = (host.el1(vcpu, El1::Sctlr), host.el1(vcpu, El1::Vbar))
        else {
            return false;
        };
        let (pstate, pc) = (host.pstate(vcpu), host.pc(vcpu));
        host.set_el1(vcpu, El1::Spsr, pstate.0);
        host.set_el1(vcpu, El1::Elr, pc);
        host.set_el1(vcpu, El1::Esr, esr);
        if let Some(address) = far {
            host.set_el1(vcpu, El1::Far, address);
        }
        host.set_pstate(vcpu, pstate.in_exception(sctlr));
        host.set_pc(vcpu, vbar.wrapping_add(pstate.synchronous_vector()));
        Counters::count(&mut self.counters.exceptions);
        true
    }
}
