// SPDX-License-Identifier: BSD-2-Clause
//! The machine that the processors share, and the body of the core's [`Host`] as the processor
//! that has locked it sees it. What the core asks of a vCPU is noted here and carried out by the
//! vCPU's own processor on its way in: it alone reaches its timer and list registers.

use core::arch::asm;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU8, Ordering};

use arm_sysregs::el0::accessors as el0;
use arm_sysregs::el2::accessors as el2;
use arm_sysregs::el2::registers::{CnthpCtlEl2, CnthpCvalEl2};
use spin::RelaxStrategy as _;
use vmm_core::arm::pstate::Pstate;
use vmm_core::gic::MAX_LIST_REGISTERS;
use vmm_core::host::{
    Action, Clock, Console, El1, Entry, Exit, Firmware, GuestMemory, GuestRegisters, Host, Image,
    InjectRefused, Injection, Interrupts, ListState, MemoryOp, MemoryRefused, StoppedVcpu, Vcpus,
    VirtualTimer,
};
use vmm_core::ids::{Gpr, Intid, MAX_VCPUS, Vcpu};

use crate::console;
use crate::gic::{Gic, KICK, OwnLists, unpack};
use crate::memory::Memory;
use crate::turns::Relax;
use crate::world::{Context, Left};
use crate::{power_off, registers, trap};

/// Interrupts of a processor itself (Arm BSA, 3.8.1).
const MAINTENANCE: u32 = 25;
const HYPERVISOR_TIMER: u32 = 26;
const VIRTUAL_TIMER: u32 = 27;

/// The processors that are in their guest, a bit each. A bit is set with the machine locked, and
/// cleared without: who holds the lock can wait for that.
static IN_GUEST: AtomicU8 = AtomicU8::new(0);

/// What the list registers of each processor held when it left its guest last
/// ([`crate::gic::unpack`]): nobody else can read them.
static LISTS: [AtomicU8; MAX_VCPUS] = [const { AtomicU8::new(0) }; MAX_VCPUS];

/// A processor has left its guest.
pub fn left_guest(me: Vcpu, lists: OwnLists) {
    if let Some(states) = LISTS.get(me.index()) {
        states.store(lists.states(), Ordering::Relaxed);
    }
    IN_GUEST.fetch_and(!bit(me), Ordering::Release);
}

const fn bit(vcpu: Vcpu) -> u8 {
    1_u8.wrapping_shl(vcpu.0 as u32)
}

/// What the core wants of a vCPU.
#[derive(Default)]
struct Wanted {
    /// Whether it runs, or is parked or off.
    runs: bool,
    /// It starts afresh.
    start: Option<Entry>,
    /// List registers to fill or to empty.
    lists: [Option<Option<Injection>>; MAX_LIST_REGISTERS],
    /// What its processor is to report ([`vmm_core::host::Interrupts::attend`]).
    attends: (bool, bool),
    /// It was stopped: what it left its guest for is nobody's any more.
    stopped: bool,
    /// The core has yet to answer a virtual-timer event.
    timer_fired: bool,
    /// Whether the virtual timer's interrupt is enabled now.
    timer_on: bool,
    /// Its processor's own timer fires at this time.
    alarm: Option<u64>,
}

/// Memory, interrupt controller, and what is wanted of each vCPU.
pub struct Machine {
    /// For [`crate::stage2::activate`].
    pub stage2: u64,
    memory: Memory<'static>,
    gic: Gic,
    vcpus: [Wanted; MAX_VCPUS],
}

impl Machine {
    /// The machine, with every vCPU off.
    pub fn new(memory: Memory<'static>, stage2: u64, gic: Gic) -> Self {
        Self { stage2, memory, gic, vcpus: Default::default() }
    }

    /// A processor takes part from now on.
    pub fn join(&mut self, me: Vcpu) {
        self.gic.join(me, &[KICK, MAINTENANCE, HYPERVISOR_TIMER]);
    }

    /// How a processor reads its own list registers.
    pub fn own_lists(&self) -> OwnLists {
        self.gic.own_lists()
    }

    fn wanted(&mut self, vcpu: Vcpu) -> &mut Wanted {
        let [zero, one, two, three] = &mut self.vcpus;
        match vcpu.0 {
            0 => zero,
            1 => one,
            2 => two,
            _ => three, // `MAX_VCPUS` are all there are
        }
    }
}

/// The machine as one of its processors sees it.
pub struct Here<'a> {
    /// What all share.
    pub machine: &'a mut Machine,
    /// The guest's registers on this processor.
    pub context: &'a mut Context,
    /// Number of the processor, and of its vCPU.
    pub me: Vcpu,
}

impl Here<'_> {
    /// What the core has to decide now that the guest has left; each call gives one.
    pub fn exit(&mut self, left: &mut Option<Left>) -> Option<Exit> {
        left.as_ref()?;
        if core::mem::take(&mut self.machine.wanted(self.me).stopped) {
            return None; // an interrupt stays pending
        }
        // First what the guest has ended: before it waits, the core shall know what is free.
        if let Some(slot) = self.machine.gic.take_ended() {
            return Some(Exit::Maintenance(Some(slot)));
        }
        if self.machine.wanted(self.me).attends.1 {
            let count = self.machine.gic.take_ended_aside();
            if count > 0 {
                return Some(Exit::EndedAside(count));
            }
        }
        match left.take()? {
            Left::Synchronous => Some(trap::exit()),
            Left::Interrupt => self.interrupt(),
            Left::SError => Some(Exit::Other { name: "SError", code: el2::read_esr_el2().bits() }),
        }
    }

    /// Takes one physical interrupt.
    fn interrupt(&mut self) -> Option<Exit> {
        let taken = self.machine.gic.acknowledge()?;
        // The upper bits of GICv2's SGIs say who sent them (IHI 0048B, 4.4.4).
        let number = u32::from(taken) & 0x3ff;
        let wanted = self.machine.wanted(self.me);
        let exit = match number {
            // What they are about is seen to in any case: `exit` and `way_in`.
            MAINTENANCE if wanted.attends.0 => Some(Exit::Maintenance(None)),
            KICK | MAINTENANCE => None,
            HYPERVISOR_TIMER => {
                wanted.alarm = None;
                el2::write_cnthp_ctl_el2(CnthpCtlEl2::empty());
                Some(Exit::WakeUp)
            }
            VIRTUAL_TIMER => {
                wanted.timer_fired = true;
                Some(Exit::Timer)
            }
            _ => {
                self.machine.gic.enable(self.me, number, false);
                u16::try_from(number).ok().and_then(Intid::new).map(Exit::DeviceInterrupt)
            }
        };
        self.machine.gic.end(taken);
        exit
    }

    /// Carries out the answer to an exit of this processor.
    pub fn obey(&mut self, exit: Exit, action: Action) {
        match action {
            Action::Resume => {}
            Action::Park { until } => {
                if exit != Exit::WakeUp {
                    self.machine.wanted(self.me).runs = false;
                }
                // Who wakes up first looks after all: one processor's timer is enough.
                let soon =
                    |until| self.machine.vcpus.iter().any(|v| v.alarm.is_some_and(|a| a <= until));
                if let Some(until) = until.filter(|until| !soon(*until)) {
                    self.machine.wanted(self.me).alarm = Some(until);
                    el2::write_cnthp_cval_el2(CnthpCvalEl2::from_bits_retain(until));
                    el2::write_cnthp_ctl_el2(CnthpCtlEl2::ENABLE);
                }
            }
            Action::PowerOff | Action::Stop(_) => power_off(),
        }
    }

    /// Does what is wanted of this processor's vCPU; says whether it runs, or sleeps.
    ///
    /// While it sleeps its virtual timer fires no event, as under seL4.
    pub fn way_in(&mut self) -> bool {
        let me = self.me;
        let wanted = self.machine.wanted(me);
        wanted.stopped = false;
        let runs = wanted.runs;
        let timer = runs && !wanted.timer_fired;
        let switch = core::mem::replace(&mut wanted.timer_on, timer) != timer;
        let (start, lists) = (wanted.start.take(), core::mem::take(&mut wanted.lists));
        let (room, ends) = wanted.attends;
        if let Some(entry) = start {
            *self.context = Context::at(entry);
            registers::reset();
            self.machine.gic.reset_virtual();
        }
        for (slot, irq) in (0..).zip(lists) {
            if let Some(irq) = irq {
                self.machine.gic.write_list(slot, irq);
            }
        }
        self.machine.gic.attend(room, ends);
        if switch {
            sample_timer();
            self.machine.gic.enable(me, VIRTUAL_TIMER, timer);
        }
        if !runs && let Some(states) = LISTS.get(me.index()) {
            states.store(self.machine.gic.own_lists().states(), Ordering::Relaxed);
        }
        IN_GUEST.fetch_or(if runs { bit(me) } else { 0 }, Ordering::Relaxed);
        runs
    }

    fn set_list(
        &mut self,
        vcpu: Vcpu,
        slot: u8,
        to: Option<Injection>,
    ) -> Result<(), InjectRefused> {
        let list = self.machine.wanted(vcpu).lists.get_mut(usize::from(slot));
        *list.ok_or(InjectRefused { slot })? = Some(to);
        self.kick(vcpu);
        Ok(())
    }

    /// Tells another processor that something is wanted of it.
    fn kick(&mut self, vcpu: Vcpu) {
        if vcpu != self.me {
            self.machine.gic.kick(vcpu);
        }
    }

    /// Makes sure that another processor is out of its guest; it cannot enter before the machine
    /// is unlocked.
    fn expel(&mut self, vcpu: Vcpu) {
        let inside = || IN_GUEST.load(Ordering::Acquire) & bit(vcpu) != 0;
        if inside() {
            self.machine.gic.kick(vcpu);
            while inside() {
                Relax::relax();
            }
        }
    }
}

/// Compares the guest's virtual timer with the counter now, and gives CNTV_CVAL_EL0. Emulators do
/// so late, except after a write, which seL4 does whenever it switches to a vCPU. A guest that is
/// told of its timer and finds ISTATUS clear would wait and be told again, thousands of times.
fn sample_timer() -> u64 {
    let cval = el0::read_cntv_cval_el0();
    el0::write_cntv_cval_el0(cval);
    cval.bits()
}

impl GuestRegisters for Here<'_> {
    fn reg(&mut self, _vcpu: &StoppedVcpu, reg: Gpr) -> u64 {
        // X0 to X30 are all there are.
        self.context.x.get(usize::from(reg.number())).copied().unwrap_or_default()
    }

    fn set_reg(&mut self, _vcpu: &StoppedVcpu, reg: Gpr, value: u64) {
        if let Some(x) = self.context.x.get_mut(usize::from(reg.number())) {
            *x = value;
        }
    }

    fn pc(&mut self, _vcpu: &StoppedVcpu) -> u64 {
        self.context.pc
    }

    fn set_pc(&mut self, _vcpu: &StoppedVcpu, pc: u64) {
        self.context.pc = pc;
    }

    fn pstate(&mut self, _vcpu: &StoppedVcpu) -> Pstate {
        Pstate(self.context.spsr)
    }

    fn pstate_at_hand(&mut self, vcpu: &StoppedVcpu) -> Option<Pstate> {
        Some(self.pstate(vcpu))
    }

    fn set_pstate(&mut self, _vcpu: &StoppedVcpu, pstate: Pstate) {
        self.context.spsr = pstate.0;
    }

    fn sctlr(&mut self, vcpu: &StoppedVcpu) -> Option<u64> {
        self.el1(vcpu, El1::Sctlr)
    }

    // EL1's registers are in this processor, whose exit is being handled.
    fn el1(&mut self, _vcpu: &StoppedVcpu, register: El1) -> Option<u64> {
        Some(registers::read(register))
    }

    fn set_el1(&mut self, _vcpu: &StoppedVcpu, register: El1, value: u64) {
        registers::write(register, value);
    }

    fn fault_address(&mut self, _vcpu: &StoppedVcpu) -> Option<u64> {
        Some(el2::read_far_el2().bits())
    }

    fn virtual_timer(&mut self, _vcpu: &StoppedVcpu) -> VirtualTimer {
        VirtualTimer { ctl: el0::read_cntv_ctl_el0().bits(), cval: sample_timer() }
    }
}

impl Vcpus for Here<'_> {
    fn start(&mut self, vcpu: Vcpu, entry: Entry) {
        let wanted = self.machine.wanted(vcpu);
        wanted.runs = true;
        wanted.start = Some(entry);
        wanted.timer_fired = false;
        self.kick(vcpu);
    }

    fn stop(&mut self, vcpu: Vcpu) {
        let wanted = self.machine.wanted(vcpu);
        wanted.runs = false;
        wanted.stopped = true;
        self.expel(vcpu);
    }

    fn wake(&mut self, vcpu: Vcpu) {
        self.machine.wanted(vcpu).runs = true;
        self.kick(vcpu);
    }
}

impl Interrupts for Here<'_> {
    fn list_register_count(&self) -> u8 {
        self.machine.gic.list_register_count()
    }

    fn inject(&mut self, vcpu: Vcpu, slot: u8, irq: Injection) -> Result<(), InjectRefused> {
        self.set_list(vcpu, slot, Some(irq))
    }

    fn reads_lists(&self) -> bool {
        true
    }

    fn list_state(&mut self, vcpu: Vcpu, slot: u8) -> Option<ListState> {
        if let Some(Some(to)) = self.machine.wanted(vcpu).lists.get(usize::from(slot)) {
            return Some(if to.is_some() { ListState::Pending } else { ListState::Empty });
        }
        if vcpu == self.me {
            return Some(self.machine.gic.list_state(slot));
        }
        self.expel(vcpu);
        LISTS.get(vcpu.index()).map(|states| unpack(states.load(Ordering::Relaxed), slot))
    }

    fn clear_list(&mut self, vcpu: Vcpu, slot: u8, _quiet: Injection) -> Result<(), InjectRefused> {
        self.set_list(vcpu, slot, None)
    }

    fn attend(&mut self, vcpu: Vcpu, room: bool, ends: bool) {
        self.machine.wanted(vcpu).attends = (room, ends);
        self.kick(vcpu);
    }

    fn line_level(&mut self, intid: Intid) -> Option<bool> {
        Some(self.machine.gic.line_level(u32::from(intid.number())))
    }

    fn ack_timer(&mut self, vcpu: Vcpu) {
        self.machine.wanted(vcpu).timer_fired = false;
        self.kick(vcpu);
    }

    fn ack_line(&mut self, intid: Intid) {
        self.machine.gic.enable(self.me, u32::from(intid.number()), true);
    }
}

impl GuestMemory for Here<'_> {
    fn image(&self, image: Image) -> &[u8] {
        self.machine.memory.image(image)
    }

    fn seed(&self) -> &[u8] {
        self.machine.memory.seed()
    }

    fn memory(&mut self, op: MemoryOp) -> Result<(), MemoryRefused> {
        self.machine.memory.step(op).ok_or(MemoryRefused(op))
    }
}

impl Clock for Here<'_> {
    fn frequency(&self) -> u64 {
        el0::read_cntfrq_el0().bits()
    }

    fn wall_clock(&mut self) -> u32 {
        self.machine.memory.wall_clock()
    }

    fn now(&mut self) -> u64 {
        // SAFETY: a barrier: the counter is not read early (DDI 0487, D12.2.1).
        unsafe { asm!("isb", options(nostack)) };
        el0::read_cntpct_el0().bits()
    }
}

impl Console for Here<'_> {
    fn print(&mut self, text: &str) {
        // The UART is the guest's: nobody else may write meanwhile.
        (0..4).map(Vcpu).for_each(|vcpu| self.expel(vcpu));
        // Writing to the console never fails.
        let _ = console::Console.write_str(text);
    }
}

impl Firmware for Here<'_> {
    fn smc(&mut self, args: [u64; 8]) -> [u64; 4] {
        let [function, arguments @ ..] = args;
        let mut all = [0; 17];
        all.iter_mut().zip(arguments).for_each(|(to, from)| *to = from);
        #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits (DEN0028F, 2.5)")]
        let [x0, x1, x2, x3, ..] = smccc::smc64(function as u32, all);
        [x0, x1, x2, x3]
    }
}

impl Host for Here<'_> {}
