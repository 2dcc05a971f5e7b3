// SPDX-License-Identifier: BSD-2-Clause
//! The monitor with no seL4 under it: a small EL2 program that puts the same `vmm-core` under the
//! same guest, for demonstration and test.

#![no_std]
#![no_main]

mod console;
mod gic;
mod machine;
mod memory;
mod stage2;
mod trap;
mod world;

use core::arch::asm;
use core::panic::PanicInfo;
use core::ptr::with_exposed_provenance;

use aarch64_rt::{InitialPagetable, entry, initial_pagetable};
use arm_sysregs::el1::accessors::read_midr_el1;
use arm_sysregs::el2::accessors as el2;
use arm_sysregs::el2::registers::{
    CnthctlEl2, CntvoffEl2, CptrEl2, HcrEl2, VbarEl2, VmpidrEl2, VpidrEl2,
};
use smccc::{Smc, psci};
use vmm_core::host::{Action, Host as _, Vcpu};
use vmm_core::plan::{Plan, PlanError, RegionFacts, Text};
use vmm_core::report::refuse;
use vmm_core::uart::Uart;
use vmm_core::vm::{Vm, VmError};

use crate::console::Console;
use crate::gic::Gic;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::stage2::Tables;

/// A block of 1 GiB in EL2's own table (Arm DDI 0487, D8.3): valid, accessed; attribute 0 of
/// aarch64-rt is device memory, 1 is normal memory.
const DEVICE: usize = 1 | 1 << 10 | 1 << 54;
const NORMAL: usize = 1 | 1 << 10 | 3 << 8 | 1 << 2;

// Every address is its own: devices below 1 GiB, memory from 1 GiB to 3 GiB.
initial_pagetable!({
    let mut table = [0; 512];
    table[0] = DEVICE;
    table[1] = NORMAL | 0x4000_0000;
    table[2] = NORMAL | 0x8000_0000;
    InitialPagetable(table)
});

// 640 KiB of stack: the monitor's state and the stage-2 tables live there.
entry!(main, 160);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    /// No plan block, or a bad one.
    #[error("{0}")]
    Plan(PlanError),
    /// The core refuses the plan.
    #[error("{0}")]
    Vm(VmError),
    /// The plan lacks its registers, or the machine has another one.
    #[error("the machine has no GICv{0}, or the plan no regions gicd, gicc, gich or gicr for it")]
    Gic(u32),
    /// One processor is all there is.
    #[error("the plan has {0} vCPUs, this host runs 1: make the plan with one")]
    Vcpus(u32),
    /// A region of the plan.
    #[error("region {name:?} at {pa:#x}, {size:#x} bytes, {what}")]
    Region {
        /// Its name.
        name: Text<16>,
        /// Its physical address.
        pa: u64,
        /// Bytes.
        size: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// No region has guest RAM in it.
    #[error("no region of the guest holds all of its RAM")]
    NoRam,
    /// No region has the UART in it.
    #[error("no region of the guest holds its UART")]
    NoUart,
    /// Stage 2 would not fit.
    #[error("the guest's regions need more stage-2 tables than there are: use fewer regions")]
    Tables,
}

impl SetupError {
    fn region(region: &RegionFacts, what: &'static str) -> Self {
        Self::Region { name: region.name, pa: region.pa, size: region.window.size, what }
    }
}

fn main(_x0: u64, _x1: u64, _x2: u64, _x3: u64) -> ! {
    // SAFETY: the table has all sixteen entries, and stays.
    unsafe { el2::write_vbar_el2(VbarEl2::from_bits_retain((&raw const world::vectors) as u64)) };
    if let Err(error) = run() {
        // Writing to the console never fails.
        let _ = refuse(&mut Console, "bad-image", format_args!("{error}"));
    }
    power_off()
}

/// Sets everything up and carries out what the core decides, until it wants the power off.
fn run() -> Result<(), SetupError> {
    let block = with_exposed_provenance(memory::PLAN.start);
    // SAFETY: mapped memory that only the loader writes, before this program runs.
    let block = unsafe { core::slice::from_raw_parts(block, memory::PLAN.len()) };
    // SAFETY: both places are in what EL2 maps as device memory; see there.
    unsafe { Console::identify() };
    let plan = Plan::read(block).map_err(SetupError::Plan)?;
    let facts = plan.facts();
    let window = facts.console.window.range();
    let uart = memory::guest_registers(plan, window).ok_or(SetupError::NoUart)?;
    let kind = Uart::from_number(facts.console.kind).ok_or(SetupError::NoUart)?;
    // SAFETY: the plan says that this UART is there, in what EL2 maps as device memory.
    unsafe { Console::select(kind, uart) };

    let memory = Memory::new(plan)?;
    if facts.vcpus != 1 {
        return Err(SetupError::Vcpus(facts.vcpus));
    }
    let version = facts.gic.version;
    // SAFETY: the plan says that the controller is there, in what EL2 maps as device memory, and
    // `Memory::new` that the guest does not have it; `run` is called once.
    let mut gic = unsafe { Gic::new(version, |name| memory::registers(plan, name)) }
        .ok_or(SetupError::Gic(version))?;
    for line in plan.lines() {
        gic.route(line.intid, line.edge != 0);
    }
    let mut tables = Tables::new();
    stage2::build(plan, &mut tables)?;
    prepare_el1();

    let mut machine = Machine::new(memory, gic);
    let mut vm = Vm::new(plan, machine.slots()).map_err(SetupError::Vm)?;
    let mut action = vm.start(&mut machine);
    loop {
        match action {
            Action::Resume => {}
            Action::Park { until } => machine.park(until),
            Action::PowerOff | Action::Stop(_) => return Ok(()),
        }
        let exit = machine.next_exit();
        action = vm.handle(&mut machine, Vcpu(0), exit);
    }
}

/// What EL1 is and may do: as under seL4, apart from WFE, which does not trap here.
fn prepare_el1() {
    el2::write_vpidr_el2(VpidrEl2::from_bits_retain(read_midr_el1().bits()));
    // Processor 0; bit 31 is RES1.
    el2::write_vmpidr_el2(VmpidrEl2::from_bits_retain(1 << 31));
    // The guest reads the counter (bit 0 is EL1PCTEN where HCR_EL2.E2H is clear), which has no
    // offset; the physical timer is not for it.
    el2::write_cnthctl_el2(CnthctlEl2::EL0PCTEN);
    el2::write_cntvoff_el2(CntvoffEl2::empty());
    // SAFETY: no trap of SIMD: the RES1 bits alone (DDI 0487, D24.2.33).
    unsafe { el2::write_cptr_el2(CptrEl2::from_bits_retain(0x33ff)) };
    let hcr = HcrEl2::VM
        | HcrEl2::FMO
        | HcrEl2::IMO
        | HcrEl2::AMO
        | HcrEl2::TWI
        | HcrEl2::TSC
        | HcrEl2::RW;
    // SAFETY: concerns EL1 and EL0, and interrupts, which EL2 keeps masked.
    unsafe { el2::write_hcr_el2(hcr) };
}

/// Asks the firmware to switch the machine off.
fn power_off() -> ! {
    // It does not come back; where there is no firmware, sleep.
    let _ = psci::system_off::<Smc>();
    loop {
        // SAFETY: waits.
        unsafe { asm!("wfi", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // Writing to the console never fails.
    let _ = refuse(&mut Console, "monitor-panic", format_args!("{info}"));
    power_off()
}
