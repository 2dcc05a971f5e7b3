// SPDX-License-Identifier: BSD-2-Clause
//! The monitor with no seL4 under it: a small EL2 program that puts the same `vmm-core` under the
//! same guest, for demonstration and test.

#![no_std]
#![no_main]

mod board;
mod console;
mod gic;
mod machine;
mod memory;
mod processor;
mod registers;
mod stage2;
mod trap;
mod turns;
mod world;

use core::arch::asm;
use core::panic::PanicInfo;
use core::ptr::with_exposed_provenance;

use aarch64_rt::{InitialPagetable, entry, initial_pagetable};
use smccc::{Smc, psci};
use spin::Once;
use vmm_core::addr::Pa;
use vmm_core::host::{Action, FaultKind};
use vmm_core::ids::{GicVersion, Vcpu};
use vmm_core::plan::{Interrupt, PlanBlock, PlanError, RegionFacts, Text};
use vmm_core::report::refuse;
use vmm_core::vm::{Vm, VmError};

use crate::board::{DEVICES_END, MEMORY, NAME, PLAN};
use crate::console::Console;
use crate::gic::Gic;
use crate::machine::{Here, Machine};
use crate::memory::{Memory, address};
use crate::processor::Monitor;
use crate::world::Context;

/// A block of 1 GiB in EL2's own table (Arm DDI 0487, D8.3): valid, accessed; attribute 0 of
/// aarch64-rt is device memory, 1 is normal memory.
const DEVICE: usize = 1 | 1 << 10 | 1 << 54;
const NORMAL: usize = 1 | 1 << 10 | 3 << 8 | 1 << 2;
const BLOCK: u64 = 1 << 30;

/// Every address is its own: the board's memory, and devices in the rest below 4 GiB.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "computed when this is built, where what overflows is an error"
)]
const fn map() -> [usize; 512] {
    let mut table = [0; 512];
    let mut base = 0;
    while base < MEMORY.end || base < DEVICES_END {
        if MEMORY.start <= base && base < MEMORY.end {
            table[(base / BLOCK) as usize] = NORMAL | base as usize;
        } else if base < DEVICES_END {
            table[(base / BLOCK) as usize] = DEVICE | base as usize;
        }
        base += BLOCK;
    }
    table
}

initial_pagetable!(InitialPagetable(map()));

// 160 KiB of stack: the monitor's state is made there.
entry!(main);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    /// No plan block, or a bad one.
    #[error("{0}")]
    Plan(PlanError),
    /// The plan of another board.
    #[error(
        "the plan is for board {0:?}, this program is built for {NAME:?}: build it for that one"
    )]
    Board(Text<32>),
    /// The core refuses the plan.
    #[error("{0}")]
    Vm(VmError),
    /// The plan lacks its registers, or the machine has another one.
    #[error("the machine has no GICv{0}, or the plan no regions gicd, gicc, gich or gicr for it")]
    Gic(GicVersion),
    /// Each vCPU needs a processor.
    #[error("the firmware does not start processor {0} ({1:?}): make the plan with fewer CPUs")]
    Processor(u8, psci::Error),
    /// A region of the plan: its name, physical address and bytes, and what is wrong with it.
    #[error("region {0:?} at {1:#x}, {2:#x} bytes, {3}")]
    Region(Text<16>, u64, u64, &'static str),
    /// No region has this in it.
    #[error("no region of the guest holds {0}")]
    Missing(&'static str),
}

/// A region that cannot be used.
fn refused(region: &RegionFacts, what: &'static str) -> SetupError {
    SetupError::Region(region.name, region.pa, region.window.size, what)
}

/// The monitor, once it is there.
static MONITOR: Once<Monitor> = Once::new();

fn main(_x0: u64, _x1: u64, _x2: u64, _x3: u64) -> ! {
    processor::prepare(Vcpu(0));
    if let Err(error) = run() {
        // Writing to the console never fails.
        let _ = refuse(&mut Console, FaultKind::BadImage, format_args!("{error}"));
    }
    power_off()
}

/// Sets everything up and becomes the first processor; comes back if there is nothing to run.
fn run() -> Result<(), SetupError> {
    let place = address(Pa(PLAN.start))..address(Pa(PLAN.end));
    let block = with_exposed_provenance(place.start);
    // SAFETY: mapped memory that only the loader writes, before this program runs.
    let block = unsafe { core::slice::from_raw_parts(block, place.len()) };
    let plan = PlanBlock::read(block).map_err(SetupError::Plan)?;
    let facts = plan.facts();
    // Before any address of the plan is used: another board's may be this one's anything.
    if facts.board.as_str() != NAME {
        return Err(SetupError::Board(facts.board));
    }
    let window = facts.console.window.range();
    let missing = SetupError::Missing("its UART");
    let uart = memory::guest_registers(plan, window).ok_or(missing)?;
    // SAFETY: the plan says that this UART is there, in what EL2 maps as device memory.
    unsafe { Console::select(facts.console.kind, uart) };

    // The console first: everything below may have something to say.
    let memory = Memory::new(plan)?;
    let (version, cpus) = (facts.gic.version, facts.vcpus);
    // SAFETY: the plan says that the controller is there, in what EL2 maps as device memory, and
    // `Memory::new` that the guest does not have it; `run` is called once.
    let mut gic = unsafe { Gic::new(version, cpus, |name| memory::registers(plan, name)) }
        .ok_or(SetupError::Gic(version))?;
    for Interrupt { intid, trigger, .. } in plan.interrupts() {
        gic.route(intid, trigger);
    }
    let stage2 = stage2::build(plan)?;
    let vm = Vm::new(plan, gic.list_register_count()).map_err(SetupError::Vm)?;
    let machine = Machine::new(memory, stage2, gic);
    let monitor = MONITOR.call_once(|| Monitor::new((vm, machine)));
    processor::start_others(monitor, cpus)?;
    {
        let (vm, machine) = &mut *monitor.lock(Vcpu(0));
        let mut here = Here { machine, context: &mut Context::new(), me: Vcpu(0) };
        if vm.start(&mut here) != Action::Resume {
            return Ok(()); // the report is out
        }
    }
    processor::work(monitor, Vcpu(0))
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
    let _ = refuse(&mut Console, FaultKind::MonitorPanic, format_args!("{info}"));
    power_off()
}
