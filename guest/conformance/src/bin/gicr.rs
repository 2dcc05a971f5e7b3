// SPDX-License-Identifier: BSD-2-Clause
//! GICv3: the redistributor names its CPU and that it is the last, and WAKER's two bits follow
//! each other.
#![no_std]
#![no_main]

use guest_conformance::gic::{GICR_TYPER, GICR_WAKER};
use guest_conformance::{Platform, fail, guest, read_register, require};

guest!(run);

/// GICR_WAKER.ProcessorSleep and ChildrenAsleep (IHI 0069H, 12.11.42).
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;

fn run(platform: &mut Platform) {
    let Some(gicr) = platform.gic.redistributor else { fail!("this machine has no GICv3") };
    let typer = gicr.read64(GICR_TYPER);
    let halves = u64::from(gicr.read(GICR_TYPER)) | u64::from(gicr.read(GICR_TYPER + 4)) << 32;
    require!(typer == halves, "GICR_TYPER is {typer:#x}, in halves {halves:#x}");
    let own = read_register!("mpidr_el1");
    let own = (own >> 32 & 0xff) << 24 | own & 0xff_ffff;
    require!(typer >> 32 == own, "GICR_TYPER has affinity {:#x}, MPIDR {own:#x}", typer >> 32);
    require!(typer & 1 << 4 != 0, "GICR_TYPER.Last is clear on a machine with one CPU");
    require!(typer >> 8 & 0xffff == 0, "GICR_TYPER has processor number {}", typer >> 8 & 0xffff);

    let both = PROCESSOR_SLEEP | CHILDREN_ASLEEP;
    for (write, should) in [(0, 0), (PROCESSOR_SLEEP, both), (0, 0)] {
        gicr.write(GICR_WAKER, write);
        let waker = gicr.read(GICR_WAKER) & both;
        require!(waker == should, "GICR_WAKER is {waker:#x} after {write:#x}, not {should:#x}");
    }
}
