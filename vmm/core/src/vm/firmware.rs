// SPDX-License-Identifier: BSD-2-Clause
//! Firmware calls that change something: power, processors, the board's own firmware. What they
//! mean is looked up in [`crate::arm::smccc`].

use super::{VcpuState, Vm};
use crate::addr::Ipa;
use crate::arm::smccc::{self, Call};
use crate::arm::{services, trng};
use crate::fault::Fault;
use crate::host::{Action, Entry, Host, StoppedVcpu};
use crate::ids::{Gpr, Vcpu};
use crate::report::ReportEvent;
use crate::report::counters::Counters;

impl Vm<'_> {
    /// An SMC: answers it, or does what it asks for.
    pub(super) fn firmware(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        length: u64,
    ) -> Action {
        Counters::count(&mut self.counters.smc);
        // The last argument first: a host that reads a run of registers reads them all at once.
        let mut args = [0; 4];
        for (arg, reg) in args.iter_mut().zip(Gpr::ARGUMENTS).rev() {
            *arg = host.reg(vcpu, reg);
        }
        // Past the SMC before it is answered: what parks or resets does not come back here.
        self.skip(host, vcpu, length);
        let answer = match smccc::look_up(&self.plan, args) {
            Call::Answer(value) => value,
            Call::Unknown => {
                self.note_call(args[0]);
                smccc::NOT_SUPPORTED
            }
            Call::Random { function, argument } => {
                let answer = trng::answer(function, argument, self.generator.as_mut());
                let Some(words) = answer else {
                    host.set_reg(vcpu, Gpr::X0, smccc::NOT_SUPPORTED);
                    return Action::Resume;
                };
                for (word, reg) in words.into_iter().zip(Gpr::ARGUMENTS) {
                    host.set_reg(vcpu, reg, word);
                }
                return Action::Resume;
            }
            Call::Forward => return self.forward(host, vcpu),
            Call::Suspend => {
                // Standby, whatever depth was asked for: allowed (DEN0022F, 5.4.5).
                host.set_reg(vcpu, Gpr::X0, smccc::SUCCESS);
                return self.wait(host, vcpu, None);
            }
            Call::CpuOff => {
                self.set_state(vcpu.id(), VcpuState::Off);
                if self.states.iter().all(|state| *state == VcpuState::Off) {
                    return self.stop(host, vcpu, Fault::AllCpusOff, None);
                }
                self.gic.turn_off(host, vcpu.id());
                self.deliver(host);
                return Action::Park { until: self.earliest() };
            }
            Call::CpuOn { target, entry, context } => self.cpu_on(host, target, entry, context),
            Call::AffinityInfo { target, level } => self.affinity_info(target, level),
            Call::SystemOff => {
                self.halt(host, vcpu.id());
                self.print(host, ReportEvent::Off);
                return Action::PowerOff;
            }
            Call::SystemReset => return self.reset(host, vcpu),
        };
        host.set_reg(vcpu, Gpr::X0, answer);
        Action::Resume
    }

    /// Counts a call that nobody knows, and names each once.
    fn note_call(&mut self, x0: u64) {
        Counters::count(&mut self.counters.unknown_smc);
        let Ok(function) = u32::try_from(x0 & 0xffff_ffff) else { return };
        if !self.noted.contains(&function) && self.noted.try_push(function).is_ok() {
            Counters::count(&mut self.counters.notes);
            let range = services::name(function);
            log::warn!("firmware call {function:#010x} ({range}): answered NOT_SUPPORTED");
        }
    }

    fn forward(&self, host: &mut dyn Host, vcpu: &StoppedVcpu) -> Action {
        // All eight: which of them a call of the chip's firmware reads is not the monitor's to know.
        let mut args = [0; 8];
        for (arg, reg) in args.iter_mut().zip(Gpr::ARGUMENTS).rev() {
            *arg = host.reg(vcpu, reg);
        }
        for (value, reg) in host.smc(args).into_iter().zip(Gpr::ARGUMENTS) {
            host.set_reg(vcpu, reg, value);
        }
        Action::Resume
    }

    /// The vCPU with this MPIDR: affinity 0.0.0.n, other fields zero (DEN0022F, 5.1.4).
    fn by_affinity(&self, mpidr: u64) -> Option<Vcpu> {
        self.vcpus().find(|vcpu| u64::from(vcpu.0) == mpidr)
    }

    fn cpu_on(&mut self, host: &mut dyn Host, target: u64, entry: u64, context: u64) -> u64 {
        let Some(target) = self.by_affinity(target) else { return smccc::INVALID_PARAMETERS };
        if self.state(target) != VcpuState::Off {
            return smccc::ALREADY_ON;
        }
        let pc = Ipa(entry);
        if !self.plan.facts().ram.range().contains(pc) || !pc.is_aligned(4) {
            return smccc::INVALID_ADDRESS;
        }
        self.set_state(target, VcpuState::Running);
        self.gic.turn_on(host, target);
        host.start(target, Entry { pc, x0: context });
        self.deliver(host);
        smccc::SUCCESS
    }

    /// 0 on, 1 off (DEN0022F, 5.7.1).
    fn affinity_info(&self, target: u64, level: u64) -> u64 {
        match self.by_affinity(target) {
            Some(vcpu) if level == 0 => u64::from(self.state(vcpu) == VcpuState::Off),
            _ => smccc::INVALID_PARAMETERS,
        }
    }
}
