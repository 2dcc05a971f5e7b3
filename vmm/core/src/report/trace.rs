// SPDX-License-Identifier: BSD-2-Clause
//! Traces: every exit, every host call with its result, every answer, one line each. Recorded on
//! a real kernel they replay on the development machine (`tests/replay.rs`).
//!
//! The first line is what a replay makes its monitor from: the facts of the plan that decide
//! anything, and the host's list registers and counter frequency.
//!
//! ```text
//! @t plan gic=2 lines=64 vcpus=1 slots=4 hz=62500000 dist=0x8000000+0x10000 ... line=33:level
//! @t exit 0 trap 0x93800007 0x8000004
//! @t set 0 x2 0x3
//! @t pc 0 0xffff800008001000
//! @t setpc 0 0xffff800008001004
//! @t resume
//! ```

use core::fmt::{self, Write};

use vmm_report::{BEGIN, TRACE};

use super::Out;
use crate::addr::Ipa;
use crate::arm::pstate::Pstate;
use crate::host::{
    Action, Clock, Console, El1, Entry, Exit, Firmware, GuestMemory, GuestRegisters, Host,
    HostStats, Image, InjectRefused, Injection, Interrupts, ListState, MemoryOp, MemoryRefused,
    StoppedVcpu, Vcpus, VirtualTimer,
};
use crate::ids::{Gpr, Intid, Vcpu};
use crate::plan::{DeviceFacts, Interrupt, PlanBlock, Window};

/// A host that prints what is asked of another.
pub struct Traced<'h>(pub &'h mut dyn Host);

fn record(host: &mut dyn Console, text: fmt::Arguments<'_>) {
    // The host's UART takes everything: there is no error to handle.
    let _ = write!(Out(host), "{BEGIN}{TRACE}{text}\r\n");
}

/// Prints the head of a trace.
pub fn trace_plan(host: &mut dyn Host, plan: &PlanBlock<'_>) {
    let (list_register_count, hz) = (host.list_register_count(), host.frequency());
    record(host, format_args!("plan {}", Head { plan, list_register_count, hz }));
}

struct Head<'h> {
    plan: &'h PlanBlock<'h>,
    list_register_count: u8,
    hz: u64,
}

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.plan.facts();
        let gic = facts.gic;
        write!(f, "gic={} lines={} vcpus={}", gic.version, gic.intid_count, facts.vcpus.get())?;
        write!(
            f,
            " slots={} hz={} idle={}",
            self.list_register_count, self.hz, facts.idle_timer.kind as u32
        )?;
        for (name, Window { ipa, size }) in
            [("dist", facts.gic.distributor), ("redist", facts.gic.redistributors)]
        {
            write!(f, " {name}={ipa:#x}+{size:#x}")?;
        }
        for DeviceFacts { kind, window, .. } in self.plan.devices() {
            write!(f, " {kind}={:#x}+{:#x}", window.ipa, window.size)?;
        }
        write!(f, " ram={:#x}+{:#x}", facts.ram.ipa, facts.ram.size)?;
        write!(f, " kernel={:#x} dtb={:#x}", facts.kernel.ipa, facts.device_tree.ipa)?;
        for Interrupt { intid, trigger, .. } in self.plan.interrupts() {
            write!(f, " line={}:{trigger}", intid.number())?;
        }
        for rule in self.plan.rules() {
            write!(f, " rule={:#x}:{}:{:#x}", rule.function, rule.action as u32, rule.value)?;
        }
        Ok(())
    }
}

/// Prints an exit.
pub fn trace_exit(host: &mut dyn Console, vcpu: Vcpu, exit: Exit) {
    let v = vcpu.0;
    match exit {
        Exit::Trap { esr, ipa: Ipa(ipa) } => {
            record(host, format_args!("exit {v} trap {esr:#x} {ipa:#x}"))
        }
        Exit::Hypercall => record(host, format_args!("exit {v} hypercall")),
        Exit::Timer => record(host, format_args!("exit {v} timer")),
        Exit::Maintenance(Some(slot)) => record(host, format_args!("exit {v} maintenance {slot}")),
        Exit::Maintenance(None) => record(host, format_args!("exit {v} maintenance none")),
        Exit::EndedAside(count) => record(host, format_args!("exit {v} endedaside {count}")),
        Exit::DeviceInterrupt(intid) => {
            record(host, format_args!("exit {v} line {}", intid.number()))
        }
        Exit::WakeUp => record(host, format_args!("exit {v} wakeup")),
        Exit::Other { name: _, code } => record(host, format_args!("exit {v} other {code:#x}")),
    }
}

/// Prints an answer.
pub fn trace_action(host: &mut dyn Console, action: Action) {
    match action {
        Action::Resume => record(host, format_args!("resume")),
        Action::Park { until: Some(until) } => record(host, format_args!("park {until:#x}")),
        Action::Park { until: None } => record(host, format_args!("park none")),
        Action::PowerOff => record(host, format_args!("poweroff")),
        Action::Stop(kind) => record(host, format_args!("stop {}", kind.name())),
    }
}

impl GuestRegisters for Traced<'_> {
    fn reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr) -> u64 {
        let value = self.0.reg(vcpu, reg);
        record(self.0, format_args!("reg {} x{} {value:#x}", vcpu.id().0, reg.number()));
        value
    }

    fn set_reg(&mut self, vcpu: &StoppedVcpu, reg: Gpr, value: u64) {
        record(self.0, format_args!("set {} x{} {value:#x}", vcpu.id().0, reg.number()));
        self.0.set_reg(vcpu, reg, value);
    }

    fn pc(&mut self, vcpu: &StoppedVcpu) -> u64 {
        let value = self.0.pc(vcpu);
        record(self.0, format_args!("pc {} {value:#x}", vcpu.id().0));
        value
    }

    fn set_pc(&mut self, vcpu: &StoppedVcpu, pc: u64) {
        record(self.0, format_args!("setpc {} {pc:#x}", vcpu.id().0));
        self.0.set_pc(vcpu, pc);
    }

    // What is only looked at, at every exit, is not printed: it matters where something follows.
    fn pstate(&mut self, vcpu: &StoppedVcpu) -> Pstate {
        self.0.pstate(vcpu)
    }

    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate> {
        self.0.pstate_at_hand(vcpu)
    }

    fn writes_aarch32(&self) -> bool {
        self.0.writes_aarch32()
    }

    fn set_pstate(&mut self, vcpu: &StoppedVcpu, pstate: Pstate) {
        record(self.0, format_args!("setpstate {} {:#x}", vcpu.id().0, pstate.0));
        self.0.set_pstate(vcpu, pstate);
    }

    fn sctlr(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        self.0.sctlr(vcpu)
    }

    fn el1(&mut self, vcpu: &StoppedVcpu, register: El1) -> Option<u64> {
        let value = self.0.el1(vcpu, register);
        match value {
            Some(value) => {
                record(self.0, format_args!("el1 {} {register:?} {value:#x}", vcpu.id().0))
            }
            None => record(self.0, format_args!("el1 {} {register:?} none", vcpu.id().0)),
        }
        value
    }

    fn set_el1(&mut self, vcpu: &StoppedVcpu, register: El1, value: u64) {
        record(self.0, format_args!("setel1 {} {register:?} {value:#x}", vcpu.id().0));
        self.0.set_el1(vcpu, register, value);
    }

    fn fault_address(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        self.0.fault_address(vcpu)
    }

    fn virtual_timer(&mut self, vcpu: &StoppedVcpu) -> VirtualTimer {
        let timer = self.0.virtual_timer(vcpu);
        record(self.0, format_args!("vtimer {} {:#x} {:#x}", vcpu.id().0, timer.ctl, timer.cval));
        timer
    }
}

impl Vcpus for Traced<'_> {
    fn last_pc(&mut self, vcpu: Vcpu) -> Option<u64> {
        let pc = self.0.last_pc(vcpu);
        if let Some(pc) = pc {
            record(self.0, format_args!("lastpc {} {pc:#x}", vcpu.0));
        }
        pc
    }

    fn start(&mut self, vcpu: Vcpu, entry: Entry) {
        record(self.0, format_args!("start {} {} {:#x}", vcpu.0, entry.pc, entry.x0));
        self.0.start(vcpu, entry);
    }

    fn stop(&mut self, vcpu: Vcpu) {
        record(self.0, format_args!("stopcpu {}", vcpu.0));
        self.0.stop(vcpu);
    }

    fn wake(&mut self, vcpu: Vcpu) {
        record(self.0, format_args!("wake {}", vcpu.0));
        self.0.wake(vcpu);
    }
}

impl Interrupts for Traced<'_> {
    fn list_register_count(&self) -> u8 {
        self.0.list_register_count()
    }

    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        let result = self.0.inject(vcpu, slot, irq);
        let Injection { intid, priority, group, source: _ } = irq;
        let word = if result.is_ok() { "ok" } else { "refused" };
        record(
            self.0,
            format_args!("inject {} {slot} {} {priority} {group} {word}", vcpu.0, intid.number()),
        );
        result
    }

    fn reads_lists(&self) -> bool {
        self.0.reads_lists()
    }

    fn list_state(&mut self, vcpu: Vcpu, slot: u8) -> Option<ListState> {
        let state = self.0.list_state(vcpu, slot);
        if let Some(state) = state {
            record(self.0, format_args!("list {} {slot} {state:?}", vcpu.0));
        }
        state
    }

    fn clear_list(&mut self, vcpu: Vcpu, slot: u8, quiet: Injection) -> Result<(), InjectRefused> {
        if !self.reads_lists() {
            return self.inject(vcpu, slot, quiet);
        }
        record(self.0, format_args!("clear {} {slot}", vcpu.0));
        self.0.clear_list(vcpu, slot, quiet)
    }

    fn attend(&mut self, vcpu: Vcpu, room: bool, ends: bool) {
        if self.reads_lists() {
            record(self.0, format_args!("attend {} {room} {ends}", vcpu.0));
        }
        self.0.attend(vcpu, room, ends);
    }

    fn line_level(&mut self, intid: Intid) -> Option<bool> {
        let level = self.0.line_level(intid);
        if let Some(level) = level {
            record(self.0, format_args!("level {} {level}", intid.number()));
        }
        level
    }

    fn ack_timer(&mut self, vcpu: Vcpu) {
        record(self.0, format_args!("acktimer {}", vcpu.0));
        self.0.ack_timer(vcpu);
    }

    fn ack_line(&mut self, intid: Intid) {
        record(self.0, format_args!("ackline {}", intid.number()));
        self.0.ack_line(intid);
    }
}

impl GuestMemory for Traced<'_> {
    fn image(&self, image: Image) -> &[u8] {
        self.0.image(image)
    }

    fn seed(&self) -> &[u8] {
        self.0.seed()
    }

    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        self.0.memory(op)
    }
}

impl Clock for Traced<'_> {
    fn frequency(&self) -> u64 {
        self.0.frequency()
    }

    fn wall_clock(&mut self) -> u32 {
        let seconds = self.0.wall_clock();
        record(self.0, format_args!("wallclock {seconds:#x}"));
        seconds
    }

    fn now(&mut self) -> u64 {
        let now = self.0.now();
        record(self.0, format_args!("now {now:#x}"));
        now
    }
}

impl Console for Traced<'_> {
    fn print(&mut self, text: &str) {
        self.0.print(text);
    }
}

impl Firmware for Traced<'_> {
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        let answer = self.0.smc(args);
        let ([x0, x1, ..], [r0, r1, r2, r3]) = (args, answer);
        record(self.0, format_args!("smc {x0:#x} {x1:#x} {r0:#x} {r1:#x} {r2:#x} {r3:#x}"));
        answer
    }
}

impl Host for Traced<'_> {
    fn stats(&self) -> HostStats {
        self.0.stats()
    }
}
