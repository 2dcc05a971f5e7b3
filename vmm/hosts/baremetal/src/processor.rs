// SPDX-License-Identifier: BSD-2-Clause
//! One processor for each vCPU: how it comes up, and its loop.

use core::arch::asm;

use aarch64_rt::{Stack, start_core};
use arm_sysregs::el1::accessors::read_midr_el1;
use arm_sysregs::el2::accessors as el2;
use arm_sysregs::el2::registers::{
    CnthctlEl2, CntvoffEl2, CptrEl2, HcrEl2, MdcrEl2, VbarEl2, VmpidrEl2, VpidrEl2,
};
use smccc::Smc;
use vmm_core::ids::{MAX_VCPUS, Vcpu, VcpuCount};
use vmm_core::vm::Vm;

use crate::machine::{Here, Machine, left_guest};
use crate::turns::Turns;
use crate::world::{Context, Left, vectors};
use crate::{SetupError, registers, stage2};

/// What decides and what obeys, for one processor at a time.
pub type Monitor = Turns<(Vm<'static>, Machine)>;

/// Pages of a further processor's stack: it only handles exits, in 3 KiB (Linux on four of them).
const STACK: usize = 8;

static mut STACKS: [Stack<STACK>; MAX_VCPUS - 1] = [const { Stack::new() }; MAX_VCPUS - 1];

/// Starts all processors but the first, each with affinity 0.0.0.n.
///
/// # Errors
/// [`SetupError::Processor`] for one that the firmware does not start.
pub fn start_others(monitor: &'static Monitor, cpus: VcpuCount) -> Result<(), SetupError> {
    for (Vcpu(n), index) in cpus.each().skip(1).zip(0..) {
        let stack = (&raw mut STACKS).cast::<Stack<STACK>>().wrapping_add(index);
        // SAFETY: each processor gets its own stack, once; the plan has at most MAX_VCPUS.
        unsafe { start_core::<Smc, _, _>(n.into(), stack, move || work(monitor, Vcpu(n))) }
            .map_err(|error| SetupError::Processor(n, error))?;
    }
    Ok(())
}

/// Sets this processor up and runs its vCPU until the machine is switched off. The core's part is
/// done with the monitor locked, the guest runs and the processor sleeps without.
pub fn work(monitor: &'static Monitor, me: Vcpu) -> ! {
    prepare(me);
    let mut context = Context::new();
    let mut left = None;
    let lists = monitor.lock(me).1.own_lists();
    stage2::activate(monitor.lock(me).1.stage2);
    monitor.lock(me).1.join(me);
    loop {
        let mut state = monitor.lock(me);
        let (vm, machine) = &mut *state;
        let mut here = Here { machine, context: &mut context, me };
        while let Some(exit) = here.exit(&mut left) {
            let action = vm.handle(&mut here, me, exit);
            here.obey(exit, action);
        }
        let runs = here.way_in();
        drop(state);
        left = Some(if runs {
            let left = context.run();
            left_guest(me, lists);
            left
        } else {
            // Interrupts are masked in EL2: a pending one, a kick for example, ends the wait and
            // stays pending, so none is lost between the check and the sleep.
            // SAFETY: waits; nothing else.
            unsafe { asm!("dsb sy", "wfi", options(nostack)) };
            Left::Interrupt
        });
    }
}

/// Exceptions of EL2, and what EL1 is and may do: as under seL4, apart from WFE, which does not
/// trap here.
pub fn prepare(me: Vcpu) {
    // SAFETY: the table has all sixteen entries, and stays.
    unsafe { el2::write_vbar_el2(VbarEl2::from_bits_retain((&raw const vectors) as u64)) };
    el2::write_vpidr_el2(VpidrEl2::from_bits_retain(read_midr_el1().bits()));
    // Affinity 0.0.0.n; bit 31 is RES1.
    el2::write_vmpidr_el2(VmpidrEl2::from_bits_retain(1 << 31 | u64::from(me.0)));
    // The guest reads the counter (bit 0 is EL1PCTEN where HCR_EL2.E2H is clear), which has no
    // offset; the physical timer is not for it.
    el2::write_cnthctl_el2(CnthctlEl2::EL0PCTEN);
    el2::write_cntvoff_el2(CntvoffEl2::empty());
    // Debug and performance counters are the guest's, all of them (HPMN; D24.3.17); HSTR_EL2 traps
    // AArch32 only. Both reset to values that the architecture does not name.
    // Without any, HPMN is reserved: zero.
    let counters = registers::event_counters().unwrap_or(0);
    el2::write_mdcr_el2(MdcrEl2::from_bits_retain(counters));
    el2::write_hstr_el2(0);
    // SAFETY: no trap of SIMD: the RES1 bits alone (DDI 0487, D24.2.38).
    unsafe { el2::write_cptr_el2(CptrEl2::from_bits_retain(0x33ff)) };
    let interrupts = HcrEl2::FMO | HcrEl2::IMO | HcrEl2::AMO;
    // SWIO: what EL1 invalidates by set and way is cleaned, too: such a line may be EL2's. No TSW:
    // a vCPU stays on its processor, so there is nothing better to do at a trap (D24.2.62).
    let calls = HcrEl2::TWI | HcrEl2::TSC | HcrEl2::SWIO;
    let hcr = interrupts | calls | HcrEl2::VM | HcrEl2::RW;
    // SAFETY: concerns EL1 and EL0, and interrupts, which EL2 keeps masked.
    unsafe { el2::write_hcr_el2(hcr) };
}
