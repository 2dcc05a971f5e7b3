// SPDX-License-Identifier: BSD-2-Clause
//! The body of the core's [`Host`]: one processor that runs one vCPU.

use core::arch::asm;

use arm_gic::IntId;
use arm_sysregs::el0::accessors as el0;
use arm_sysregs::el0::registers::CntvCtlEl0;
use arm_sysregs::el1::accessors::write_sctlr_el1;
use arm_sysregs::el1::registers::SctlrEl1;
use arm_sysregs::el2::accessors as el2;
use arm_sysregs::el2::registers::{CnthpCtlEl2, CnthpCvalEl2};
use vmm_core::host::{
    ENTRY_SCTLR_EL1, ENTRY_SPSR, Entry, Exit, Gpr, Host, Image, InjectRefused, Injection, Intid,
    MemoryOp, MemoryRefused, Vcpu, VirtualTimer,
};

use crate::console::Console;
use crate::gic::Gic;
use crate::memory::Memory;
use crate::trap;
use crate::world::{Context, Left};

/// Interrupts of the processor itself (Arm BSA, 3.8.1).
const MAINTENANCE: u32 = 25;
const HYPERVISOR_TIMER: u32 = 26;
const VIRTUAL_TIMER: u32 = 27;

/// The machine with its one vCPU.
pub struct Machine<'a> {
    memory: Memory<'a>,
    gic: Gic,
    context: Context,
    /// Whether the vCPU runs, or is parked or stopped.
    runs: bool,
    /// Whether the core has yet to answer a virtual-timer event.
    timer_fired: bool,
}

impl<'a> Machine<'a> {
    /// The machine, with its vCPU stopped and its own interrupts on.
    pub fn new(memory: Memory<'a>, mut gic: Gic) -> Self {
        gic.enable(MAINTENANCE, true);
        gic.enable(HYPERVISOR_TIMER, true);
        Self { memory, gic, context: Context::new(), runs: false, timer_fired: false }
    }

    /// Runs the vCPU, or sleeps while it is parked, until the core has something to decide.
    pub fn next_exit(&mut self) -> Exit {
        loop {
            let left = if self.runs {
                self.context.run()
            } else {
                // Interrupts are masked in EL2: a pending one ends the wait and stays pending, so
                // none is lost between the check and the sleep.
                // SAFETY: waits; nothing else.
                unsafe { asm!("dsb sy", "wfi", options(nostack)) };
                Left::Interrupt
            };
            let exit = match left {
                Left::Synchronous => Some(trap::exit()),
                Left::Interrupt => self.interrupt(),
                Left::SError => {
                    Some(Exit::Other { what: "SError", code: el2::read_esr_el2().bits() })
                }
            };
            if let Some(exit) = exit {
                return exit;
            }
        }
    }

    /// Takes one physical interrupt.
    fn interrupt(&mut self) -> Option<Exit> {
        let taken = self.gic.acknowledge()?;
        let number = u32::from(taken);
        let exit = match number {
            MAINTENANCE => Exit::Maintenance(self.gic.take_ended()),
            HYPERVISOR_TIMER => {
                el2::write_cnthp_ctl_el2(CnthpCtlEl2::empty());
                Exit::WakeUp
            }
            VIRTUAL_TIMER => {
                self.timer_fired = true;
                self.gic.enable(number, false);
                Exit::Timer
            }
            _ => {
                self.gic.enable(number, false);
                line(taken)
            }
        };
        self.gic.end(taken);
        Some(exit)
    }

    /// Stops running the vCPU; with a deadline, [`Exit::WakeUp`] comes once it has passed.
    ///
    /// Its virtual timer fires no event meanwhile, as under seL4.
    pub fn park(&mut self, until: Option<u64>) {
        self.runs = false;
        self.gic.enable(VIRTUAL_TIMER, false);
        if let Some(until) = until {
            el2::write_cnthp_cval_el2(CnthpCvalEl2::from_bits_retain(until));
            el2::write_cnthp_ctl_el2(CnthpCtlEl2::ENABLE);
        }
    }

    fn run_on(&mut self) {
        el2::write_cnthp_ctl_el2(CnthpCtlEl2::empty());
        self.runs = true;
        self.gic.enable(VIRTUAL_TIMER, !self.timer_fired);
    }
}

/// The exit for a device's interrupt.
fn line(taken: IntId) -> Exit {
    let number = u32::from(taken);
    u16::try_from(number)
        .ok()
        .and_then(Intid::new)
        .map_or(Exit::Other { what: "interrupt", code: u64::from(number) }, Exit::Line)
}

impl Host for Machine<'_> {
    fn slots(&self) -> u8 {
        self.gic.slots()
    }

    fn frequency(&self) -> u64 {
        el0::read_cntfrq_el0().bits()
    }

    fn reg(&mut self, _vcpu: Vcpu, reg: Gpr) -> u64 {
        self.context.x.get(usize::from(reg.number())).copied().unwrap_or(0)
    }

    fn set_reg(&mut self, _vcpu: Vcpu, reg: Gpr, value: u64) {
        if let Some(x) = self.context.x.get_mut(usize::from(reg.number())) {
            *x = value;
        }
    }

    fn pc(&mut self, _vcpu: Vcpu) -> u64 {
        self.context.pc
    }

    fn set_pc(&mut self, _vcpu: Vcpu, pc: u64) {
        self.context.pc = pc;
    }

    fn virtual_timer(&mut self, _vcpu: Vcpu) -> VirtualTimer {
        VirtualTimer {
            ctl: el0::read_cntv_ctl_el0().bits(),
            cval: el0::read_cntv_cval_el0().bits(),
        }
    }

    fn inject(&mut self, _vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        if slot >= self.gic.slots() || self.gic.is_active(slot) {
            return Err(InjectRefused { slot });
        }
        self.gic.write_list(slot, Some(irq));
        Ok(())
    }

    fn ack_timer(&mut self, _vcpu: Vcpu) {
        self.timer_fired = false;
        self.gic.enable(VIRTUAL_TIMER, self.runs);
    }

    fn ack_line(&mut self, intid: Intid) {
        self.gic.enable(u32::from(intid.number()), true);
    }

    fn start(&mut self, _vcpu: Vcpu, entry: Entry) {
        self.context = Context::new();
        self.context.pc = entry.pc.0;
        self.context.spsr = ENTRY_SPSR;
        if let Some(x0) = self.context.x.first_mut() {
            *x0 = entry.x0;
        }
        el0::write_cntv_ctl_el0(CntvCtlEl0::empty());
        // SAFETY: EL1's translation and caches; EL2 has its own.
        unsafe { write_sctlr_el1(SctlrEl1::from_bits_retain(ENTRY_SCTLR_EL1)) };
        self.gic.reset_virtual();
        self.run_on();
    }

    fn stop(&mut self, _vcpu: Vcpu) {
        self.park(None);
    }

    fn wake(&mut self, _vcpu: Vcpu) {
        self.run_on();
    }

    fn image(&self, image: Image) -> &[u8] {
        self.memory.image(image)
    }

    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        self.memory.step(op).ok_or(MemoryRefused(op))
    }

    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        let [function, arguments @ ..] = args;
        let mut all = [0; 17];
        for (to, from) in all.iter_mut().zip(arguments) {
            *to = from;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits (DEN0028F, 2.5)")]
        let [x0, x1, x2, x3, ..] = smccc::smc64(function as u32, all);
        [x0, x1, x2, x3]
    }

    fn now(&mut self) -> u64 {
        // SAFETY: a barrier: the counter is not read early (DDI 0487, D12.2.1).
        unsafe { asm!("isb", options(nostack)) };
        el0::read_cntpct_el0().bits()
    }

    fn print(&mut self, text: &str) {
        Console::print(text);
    }
}
