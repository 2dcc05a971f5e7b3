// SPDX-License-Identifier: BSD-2-Clause
//! The monitor. A host calls [`Vm::handle`] for each exit and does what the [`Action`] says; that
//! is the whole loop.

mod bus;
mod event;
mod exception;
mod firmware;
mod storm;

use arrayvec::ArrayVec;

use crate::addr::Ipa;
use crate::arm::smccc;
use crate::arm::syndrome::{Access, Class, RegisterAccess, Syndrome, SystemRegister, Timeout};
use crate::boot::{self, BootError};
use crate::devices::{Devices, Effect, Emulated, MmioAccess};
use crate::entropy::Generator;
use crate::fault::{CodeLocation, Fault, FaultReport};
use crate::gic::{self, Gic, Source};
use crate::host::{Action, Entry, Exit, Host, HostStats, StoppedVcpu};
use crate::ids::{GicVersion, Gpr, Intid, MAX_VCPUS, Vcpu};
use crate::plan::{GicFacts, IdleKind, Interrupt, PlanBlock, SeedKind};
use crate::report::counters::Counters;
use crate::report::latency::Latency;
use crate::report::trace::{Traced, trace_action, trace_exit, trace_plan};
use crate::report::{self, ReportEvent};

pub use self::bus::BusError;
use self::bus::{Bus, Target};
pub use self::storm::STORM;
use self::storm::Storm;

/// A vCPU that waits for an interrupt while its list registers hold some is looked at again after
/// this part of a second: the core cannot know whether the guest has masked them.
const LOOK_AGAIN: u64 = 1000;

/// Firmware calls that a note has named.
const NOTED_CALLS: usize = 16;

/// Why a monitor cannot be made from a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmError {
    /// Emulated devices collide.
    #[error("the plan's emulated devices: {0}")]
    Bus(#[from] BusError),
}

/// What a vCPU is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum VcpuState {
    /// Never started, or turned off.
    #[default]
    Off,
    Running,
    /// Waits for an interrupt, until the counter reaches this at the latest.
    Parked(Option<u64>),
}

/// What found nobody at its address.
#[derive(Clone, Copy)]
enum Aborted {
    Fetch,
    Data { write: bool },
}

/// One guest and all that the monitor knows of it.
#[derive(Clone, Debug)]
pub struct Vm<'p> {
    plan: PlanBlock<'p>,
    bus: Bus,
    gic: Gic,
    devices: Devices,
    states: [VcpuState; MAX_VCPUS],
    /// vCPUs that a WFE has parked, a bit each.
    yielded: u8,
    /// Whether a vCPU that waits for an interrupt is parked.
    parks: bool,
    entry: Entry,
    /// Starts of the guest so far.
    boots: u32,
    counters: Counters,
    /// What the host had asked of its kernel at the last exit, if that was at an emulated register.
    mmio: Option<HostStats>,
    latency: Latency,
    storm: Storm,
    noted: ArrayVec<u32, NOTED_CALLS>,
    /// Random numbers for the guest; `None` where nothing seeds them.
    generator: Option<Generator>,
    /// What it was stopped for.
    fault: Option<FaultReport>,
}

impl<'p> Vm<'p> {
    /// A monitor for the guest of this plan on a host with this many list registers.
    ///
    /// # Errors
    /// The plan's emulated devices overlap.
    pub fn new(plan: PlanBlock<'p>, list_register_count: u8) -> Result<Self, VmError> {
        let facts = plan.facts();
        let mut bus = Bus::default();
        bus.add(facts.gic.distributor.range(), Target::Gic(gic::Window::Distributor))?;
        if facts.gic.version == GicVersion::V3 {
            let base = facts.gic.redistributors.ipa;
            for vcpu in facts.vcpus.each() {
                let offset = u64::from(vcpu.0).wrapping_mul(gic::v3::REDISTRIBUTOR_SIZE);
                let ipa = base.wrapping_add(offset);
                let window = crate::plan::Window { ipa, size: gic::v3::REDISTRIBUTOR_SIZE };
                bus.add(window.range(), Target::Gic(gic::Window::Redistributor(vcpu)))?;
            }
        }
        for (index, device) in plan.devices().enumerate() {
            bus.add(device.window.range(), Target::Device(index, device.kind))?;
        }
        let GicFacts { version, intid_count, .. } = facts.gic;
        let mut gic = Gic::new(version, facts.vcpus, intid_count, list_register_count);
        for Interrupt { intid, trigger, .. } in plan.interrupts() {
            gic.add_line(intid, Source::Physical(trigger));
        }
        Ok(Self {
            plan,
            bus,
            gic,
            devices: Devices::of_plan(&plan),
            states: [VcpuState::Off; MAX_VCPUS],
            yielded: 0,
            parks: facts.idle_timer.kind != IdleKind::None,
            entry: Entry { pc: Ipa(0), x0: 0 },
            boots: 0,
            counters: Counters::default(),
            mmio: None,
            latency: Latency::default(),
            storm: Storm::default(),
            noted: ArrayVec::new(),
            generator: None,
            fault: None,
        })
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The plan that the monitor was made from.
    #[must_use]
    pub const fn plan(&self) -> &PlanBlock<'p> {
        &self.plan
    }

    /// What the guest was stopped for, if it was.
    #[must_use]
    pub const fn fault(&self) -> Option<&FaultReport> {
        self.fault.as_ref()
    }

    /// From now on a WFI is over at once: the host has found that it cannot keep a deadline.
    pub const fn never_park(&mut self) {
        self.parks = false;
    }

    /// Checks and places the images and starts vCPU 0.
    pub fn start(&mut self, host: &mut dyn Host) -> Action {
        match self.try_start(host) {
            Ok(()) => Action::Resume,
            Err(error) => {
                let fault = Fault::BadImage(error);
                self.report(host, FaultReport { fault, vcpu: Vcpu(0), at: None, esr: None })
            }
        }
    }

    fn try_start(&mut self, host: &mut dyn Host) -> Result<(), BootError> {
        // All images are judged before the first byte is placed: a refusal leaves RAM as it was.
        self.entry = boot::check(&self.plan, host)?;
        self.generator = Generator::of_plan(&self.plan, host.seed());
        if self.generator.is_none() && self.plan.facts().seed != SeedKind::None {
            log::warn!("no-entropy: there is no seed where the plan says: no random numbers");
        }
        boot::place(&self.plan, host, self.generator.as_mut())?;
        self.print(host, ReportEvent::Start(self.generator.is_some()));
        if self.plan.traces() {
            trace_plan(host, &self.plan);
        }
        self.launch(host);
        Ok(())
    }

    fn launch(&mut self, host: &mut dyn Host) {
        self.boots = self.boots.wrapping_add(1);
        self.states = [VcpuState::Off; MAX_VCPUS];
        self.set_state(Vcpu(0), VcpuState::Running);
        host.start(Vcpu(0), self.entry);
    }

    /// Decides what an exit means.
    pub fn handle(&mut self, host: &mut dyn Host, vcpu: Vcpu, exit: Exit) -> Action {
        if !self.plan.traces() {
            let from = host.now();
            let action = self.answer(host, vcpu, exit);
            self.latency.add(host.now().saturating_sub(from));
            return action;
        }
        // Not timed: what the trace prints would be most of it.
        trace_exit(host, vcpu, exit);
        let action = self.answer(&mut Traced(host), vcpu, exit);
        trace_action(host, action);
        action
    }

    fn answer(&mut self, host: &mut dyn Host, vcpu: Vcpu, exit: Exit) -> Action {
        // Of the machine's own exits nobody is handed it: no vCPU has stopped for them.
        let stopped = &StoppedVcpu::at_exit(vcpu);
        let machines_own = matches!(exit, Exit::DeviceInterrupt(_) | Exit::WakeUp);
        if let Some(before) = self.mmio.take() {
            self.counters.mmio_cost(before, host.stats()); // its answer is over only now
        }
        if !machines_own && matches!(self.state(vcpu), VcpuState::Parked(_)) {
            self.set_state(vcpu, VcpuState::Running); // its host has let it run on
        }
        let answer = match exit {
            Exit::Trap { esr, ipa } => self.trap(host, stopped, esr, ipa),
            Exit::Hypercall => {
                Counters::count(&mut self.counters.hvc);
                // Firmware is called by SMC; this is nobody's call.
                host.set_reg(stopped, Gpr::X0, smccc::NOT_SUPPORTED);
                Ok(Action::Resume)
            }
            Exit::Timer => {
                Counters::count(&mut self.counters.timer);
                self.gic.timer(vcpu);
                self.deliver(host);
                Ok(Action::Resume)
            }
            Exit::Maintenance(slot) => self.maintenance(host, stopped, slot),
            Exit::EndedAside(count) => {
                Counters::count(&mut self.counters.maintenance);
                self.gic.ended_aside(host, vcpu, count);
                self.deliver(host);
                Ok(Action::Resume)
            }
            Exit::DeviceInterrupt(intid) => {
                self.device_interrupt(host, intid);
                Ok(Action::Resume)
            }
            Exit::WakeUp => Ok(self.wake_up(host)),
            Exit::Other { name, code } => {
                Counters::count(&mut self.counters.other);
                Err(Fault::UnknownExit { name, code })
            }
        };
        match exit {
            Exit::DeviceInterrupt(_) | Exit::Maintenance(Some(_)) => {}
            Exit::WakeUp | Exit::Maintenance(None) | Exit::EndedAside(_) => {
                self.storm.interrupted()
            }
            Exit::Trap { .. } | Exit::Hypercall | Exit::Timer | Exit::Other { .. } => {
                self.storm.interrupted();
                self.storm.progress(vcpu);
            }
        }
        answer.unwrap_or_else(|fault| {
            let esr = if let Exit::Trap { esr, .. } = exit { Some(esr) } else { None };
            self.stop(host, stopped, fault, esr)
        })
    }

    fn trap(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        esr: u64,
        ipa: Ipa,
    ) -> Result<Action, Fault> {
        let Syndrome { class, length } = Syndrome::decode(esr);
        match class {
            Class::Data(abort, _) if abort.walk => Err(Fault::UnreadableAddress { ipa }),
            // Only what is not mapped is a device's; the rest is memory that said no.
            Class::Data(abort, _) if !abort.is_translation() => {
                Err(Fault::DeniedAccess { ipa, status: abort.status })
            }
            // Nothing is cached of a place that is not there.
            Class::Data(abort, _) if abort.maintenance => {
                Counters::count(&mut self.counters.unimplemented);
                Ok(self.skip(host, vcpu, length))
            }
            Class::Data(abort, access) => match self.access(host, vcpu, ipa, access) {
                Ok(()) => Ok(self.skip(host, vcpu, length)),
                Err(fault) => {
                    self.or_abort(host, vcpu, fault, Aborted::Data { write: abort.write })
                }
            },
            Class::Fetch(abort) if abort.walk => Err(Fault::UnreadableAddress { ipa }),
            Class::Fetch(_) => {
                self.or_abort(host, vcpu, Fault::FetchOutsideRam { ipa }, Aborted::Fetch)
            }
            Class::Firmware => Ok(self.firmware(host, vcpu, length)),
            Class::Wait { event: true, .. } => {
                Counters::count(&mut self.counters.wfe);
                self.skip(host, vcpu, length);
                Ok(self.wait_for_event(host, vcpu.id()))
            }
            Class::Wait { event: false, timeout } => {
                Counters::count(&mut self.counters.wfi);
                let timeout = match timeout {
                    Timeout::Never => None,
                    // The zero register is a time that has passed.
                    Timeout::Register(reg) => Some(reg.map_or(0, |reg| host.reg(vcpu, reg))),
                    Timeout::Untold => Some(0), // a wait may be over at any time
                };
                self.skip(host, vcpu, length);
                Ok(self.wait(host, vcpu, timeout))
            }
            Class::Register(access) => {
                Counters::count(&mut self.counters.sysreg);
                if access.register.is_physical_timer() {
                    // Nobody keeps this timer for the guest: as on a processor without it.
                    return self.undefined(host, vcpu, Fault::UnknownRegister(access));
                }
                self.register(host, vcpu, access)?;
                Ok(self.skip(host, vcpu, length))
            }
            Class::Coprocessor => {
                // What EL2 traps of CP15 is the physical timer: see above.
                Counters::count(&mut self.counters.sysreg);
                let name = "an access to CP15 in AArch32 state";
                self.undefined(host, vcpu, Fault::UnknownExit { name, code: esr })
            }
            Class::Hypercall | Class::Other(_) => {
                Counters::count(&mut self.counters.other);
                Err(Fault::UnknownExit { name: "a trap of another class", code: esr })
            }
        }
    }

    /// Steps over the instruction that trapped: what the processor does behind one that it has
    /// executed itself.
    fn skip(&self, host: &mut dyn Host, vcpu: &StoppedVcpu, length: u64) -> Action {
        let pc = host.pc(vcpu);
        host.set_pc(vcpu, pc.wrapping_add(length));
        if let Some(pstate) = host.pstate_at_hand(vcpu)
            && pstate.stepped_over() != pstate
            && (host.writes_aarch32() || !pstate.is_aarch32())
        {
            host.set_pstate(vcpu, pstate.stepped_over());
        }
        Action::Resume
    }

    /// A load or store that no memory answered.
    fn access(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        ipa: Ipa,
        access: Option<Access>,
    ) -> Result<(), Fault> {
        // Whose the address is comes first, for which one byte is enough: at nobody's address that is the
        // fault to report, not that the syndrome says little.
        let size = access.map_or(1, |access| access.size);
        let Some((target, offset)) = self.bus.find(ipa, size) else {
            return Err(Fault::UnownedAddress { ipa, access });
        };
        let access = access.ok_or(Fault::NoSyndrome { ipa })?;
        self.mmio = Some(host.stats());
        let swaps = host.sctlr(vcpu).is_some_and(|sctlr| host.pstate(vcpu).is_big_endian(sctlr));
        let order = |value| if swaps { access.swapped(value) } else { value };
        let at = MmioAccess { vcpu, offset, size: access.size };
        let mut registers;
        let device: &mut dyn Emulated = match target {
            Target::Gic(window) => {
                registers = gic::Registers { gic: &mut self.gic, window };
                &mut registers
            }
            Target::Device(index, _) => match self.devices.get(index) {
                Some(device) => device,
                None => return Err(Fault::UnownedAddress { ipa, access: Some(access) }),
            },
        };
        let known = if access.write {
            Counters::count(&mut self.counters.mmio_write);
            let source = access.reg.filter(|_| !device.ignores(at));
            // The zero register, or a value that nobody asks for.
            let value = access.stored(source.map_or(0, |reg| host.reg(vcpu, reg)));
            let stored = device.store(host, at, order(value));
            match stored.effect {
                Effect::None => {}
                Effect::Deliver => self.deliver(host),
                Effect::Mark(value) => self.print(host, ReportEvent::Mark(value)),
            }
            stored.known
        } else {
            Counters::count(&mut self.counters.mmio_read);
            let value = device.load(host, at);
            if let Some(reg) = access.reg {
                // What is not there reads as zero.
                host.set_reg(vcpu, reg, access.loaded(order(value.unwrap_or(0))));
            }
            value.is_some()
        };
        if !known {
            Counters::count(&mut self.counters.unimplemented);
        }
        let loads = !access.write && access.reg.is_some();
        let lost = host.pstate_at_hand(vcpu).is_some_and(|pstate| {
            pstate.is_aarch32() && (loads || pstate.is_in_it_block()) && !host.writes_aarch32()
        });
        if lost { Err(Fault::Aarch32Program { ipa }) } else { Ok(()) }
    }

    fn register(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        access: RegisterAccess,
    ) -> Result<(), Fault> {
        if self.plan.facts().gic.version != GicVersion::V3 {
            return Err(Fault::UnknownRegister(access));
        }
        if access.register == SystemRegister::ICC_SRE {
            // System registers are on and cannot be turned off (IHI 0069H, 12.2.23).
            if let (true, Some(reg)) = (access.read, access.reg) {
                host.set_reg(vcpu, reg, 0b111);
            }
            return Ok(());
        }
        // A read asks for no value: on seL4 a register costs a system call.
        let value = access.reg.map_or(0, |reg| if access.read { 0 } else { host.reg(vcpu, reg) });
        if access.register == SystemRegister::ICC_DIR && !access.read {
            // Trapped while an interrupt of this vCPU is active in no list register.
            self.gic.deactivated_by(host, vcpu.id(), value);
        } else if access.read || !self.gic.send_by_register(host, vcpu.id(), access.register, value)
        {
            return Err(Fault::UnknownRegister(access));
        }
        self.deliver(host);
        Ok(())
    }

    /// The guest waits for an interrupt, or until the counter reaches `timeout`.
    fn wait(&mut self, host: &mut dyn Host, vcpu: &StoppedVcpu, timeout: Option<u64>) -> Action {
        if self.gic.waiting(vcpu.id()) || !self.parks {
            return Action::Resume;
        }
        let now = host.now();
        let timer = host.virtual_timer(vcpu);
        // CNTV_CTL_EL0: ENABLE without IMASK; and it fires only once until it is sampled again.
        let armed = timer.ctl & 0b11 == 0b01 && !self.gic.timer_waits(vcpu.id());
        let deadline = armed.then_some(timer.cval);
        if deadline.is_some_and(|deadline| deadline <= now) {
            // The line is high already: say so now, or the guest would come back to its WFI until
            // the physical interrupt has found its way.
            self.gic.timer(vcpu.id());
            self.deliver(host);
            return Action::Resume;
        }
        if timeout.is_some_and(|timeout| timeout <= now) {
            return Action::Resume;
        }
        let look =
            self.gic.holding(vcpu.id()).then(|| now.saturating_add(host.frequency() / LOOK_AGAIN));
        let until = [deadline, timeout, look].into_iter().flatten().min();
        self.set_state(vcpu.id(), VcpuState::Parked(until));
        Counters::count(&mut self.counters.parks);
        Action::Park { until: self.earliest() }
    }

    /// The earliest deadline of all parked vCPUs: a host may have one timer for them all.
    fn earliest(&self) -> Option<u64> {
        self.states
            .iter()
            .filter_map(|run| if let VcpuState::Parked(until) = run { *until } else { None })
            .min()
    }

    fn wake_up(&mut self, host: &mut dyn Host) -> Action {
        Counters::count(&mut self.counters.wakeup);
        let now = host.now();
        for vcpu in self.vcpus() {
            if let VcpuState::Parked(Some(until)) = self.state(vcpu)
                && until <= now
            {
                self.set_state(vcpu, VcpuState::Running);
                host.wake(vcpu);
            }
        }
        match self.earliest() {
            None => Action::Resume,
            until => Action::Park { until },
        }
    }

    /// All that the guest has, on or off.
    fn vcpus(&self) -> impl Iterator<Item = Vcpu> + use<> {
        self.plan.facts().vcpus.each()
    }

    fn state(&self, vcpu: Vcpu) -> VcpuState {
        // One that there is not is off.
        self.states.get(vcpu.index()).copied().unwrap_or_default()
    }

    fn set_state(&mut self, vcpu: Vcpu, to: VcpuState) {
        self.yielded &= !vcpu.bit();
        if let Some(run) = self.states.get_mut(vcpu.index()) {
            *run = to;
        }
    }

    /// Fills the list registers of every vCPU that is on, and wakes those that have something to
    /// do.
    fn deliver(&mut self, host: &mut dyn Host) {
        for vcpu in self.vcpus() {
            let run = self.state(vcpu);
            if run == VcpuState::Off {
                continue;
            }
            let injected = self.gic.flush(host, vcpu);
            if matches!(run, VcpuState::Parked(_)) && (injected || self.gic.waiting(vcpu)) {
                self.set_state(vcpu, VcpuState::Running);
                host.wake(vcpu);
            }
        }
        self.counters.injected = self.gic.injected();
    }

    fn maintenance(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        slot: Option<u8>,
    ) -> Result<Action, Fault> {
        Counters::count(&mut self.counters.maintenance);
        self.storm.interrupted();
        if let Some(slot) = slot {
            let line = self.gic.line_in(vcpu.id(), slot);
            let high = line.and_then(|intid| host.line_level(intid));
            if let Some(ended) = self.gic.maintenance(host, vcpu.id(), slot) {
                self.storm.ended(host, vcpu, ended, high);
            }
        }
        self.deliver(host);
        self.storm.verdict(host.frequency()).map_or(Ok(Action::Resume), Err)
    }

    fn device_interrupt(&mut self, host: &mut dyn Host, intid: Intid) {
        Counters::count(&mut self.counters.device_interrupt);
        self.storm.fired(host, intid);
        self.storm.interrupted();
        if !self.gic.fire(host, intid) {
            Counters::count(&mut self.counters.notes);
            log::warn!("{intid} fired, but the plan gives it to nobody");
            return;
        }
        self.deliver(host);
    }

    /// Stops every vCPU but the one whose exit is being handled.
    fn halt(&mut self, host: &mut dyn Host, vcpu: Vcpu) {
        for other in self.vcpus() {
            if other != vcpu && self.state(other) != VcpuState::Off {
                host.stop(other);
            }
            self.set_state(other, VcpuState::Off);
        }
    }

    fn reset(&mut self, host: &mut dyn Host, vcpu: &StoppedVcpu) -> Action {
        self.halt(host, vcpu.id());
        self.gic.reset(host);
        self.storm = Storm::default();
        self.devices.reset();
        if let Err(error) = boot::place(&self.plan, host, self.generator.as_mut()) {
            return self.stop(host, vcpu, Fault::BadImage(error), None);
        }
        self.print(host, ReportEvent::Reset(self.boots.wrapping_add(1)));
        self.launch(host);
        // Another vCPU than the first stays where it is: off.
        if vcpu.id() == Vcpu(0) { Action::Resume } else { Action::Park { until: None } }
    }

    fn stop(
        &mut self,
        host: &mut dyn Host,
        vcpu: &StoppedVcpu,
        fault: Fault,
        esr: Option<u64>,
    ) -> Action {
        let at = Some(CodeLocation { pc: host.pc(vcpu), lr: host.reg(vcpu, Gpr::X30) });
        self.halt(host, vcpu.id());
        self.report(host, FaultReport { fault, vcpu: vcpu.id(), at, esr })
    }

    fn report(&mut self, host: &mut dyn Host, report: FaultReport) -> Action {
        let kind = report.fault.kind();
        self.print(host, ReportEvent::Stop(&report));
        self.fault = Some(report);
        Action::Stop(kind)
    }

    fn print(&self, host: &mut dyn Host, event: ReportEvent<'_>) {
        report::print(host, &self.plan, (&self.counters, &self.latency), event);
    }
}
