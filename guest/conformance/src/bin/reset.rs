// SPDX-License-Identifier: BSD-2-Clause
//! SYSTEM_RESET starts the guest over as at first: images placed anew, processor, timer and
//! interrupt controller in their reset state, nothing left of what was pending or active.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use guest_conformance::smccc::{SYSTEM_RESET, smc};
use guest_conformance::timer::{self, Limit};
use guest_conformance::{Platform, fail, guest, line, require};

guest!(run);

/// In memory that a start does not write: says that the guest ran before.
struct Witness(UnsafeCell<[u64; 2]>);

// SAFETY: one CPU runs, and takes no interrupt.
unsafe impl Sync for Witness {}

#[unsafe(link_section = ".noinit")]
static WITNESS: Witness = Witness(UnsafeCell::new([0; 2]));

/// What the witness holds after the first boot.
const SEEN: [u64; 2] = [0x636f_6e66_6f72_6d31, !0x636f_6e66_6f72_6d31];

/// Part of the image: a start makes it pristine again.
static PRISTINE: AtomicU32 = AtomicU32::new(0x5eed);

const SGI: u32 = 2;

fn run(platform: &mut Platform) {
    // SAFETY: the only access besides the write below.
    let first = unsafe { WITNESS.0.get().read_volatile() } != SEEN;
    let pristine = PRISTINE.load(Ordering::Relaxed);
    require!(pristine == 0x5eed, "the image was not placed anew: {pristine:#x}");
    if first { leave_traces(platform) } else { look_for_traces(platform) }
}

fn leave_traces(platform: &Platform) -> ! {
    let gic = platform.gic;
    gic.set_up();
    line(format_args!("reset: first boot"));
    platform.console.drain();
    // One interrupt active, more pending than fit in list registers, a timer that has fired, a
    // device's line held high.
    gic.enable(SGI);
    gic.send_to_self(SGI);
    let active = gic.next_within(1000);
    require!(active == Some(SGI), "{active:?} came in place of SGI {SGI}");
    for index in 0..16 {
        let spi = platform.spare_spi(index);
        gic.set_target(spi);
        gic.set_priority(spi, 0x20);
        gic.enable(spi);
        gic.pend(spi);
    }
    gic.enable(platform.timer_intid);
    timer::arm(0);
    gic.set_target(platform.console_intid);
    gic.enable(platform.console_intid);
    platform.console.set_transmit_interrupt(true);
    let limit = Limit::milliseconds(5); // for the interrupts to reach the host
    while !limit.is_over() {}
    PRISTINE.store(0xdead, Ordering::Relaxed);
    // SAFETY: the only access besides the read above.
    unsafe { WITNESS.0.get().write_volatile(SEEN) };
    let answer = smc(SYSTEM_RESET, [0; 3]);
    fail!("SYSTEM_RESET came back with {answer:#x}");
}

fn look_for_traces(platform: &Platform) {
    let entry = platform.entry;
    require!(entry.x[1..] == [0; 3], "X1 to X3 are {:#x?}, not 0", &entry.x[1..]);
    require!(entry.daif == 0x3c0, "DAIF is {:#x}: not all is masked", entry.daif);
    require!(entry.sctlr & 0x1005 == 0, "SCTLR_EL1 is {:#x}: MMU or cache on", entry.sctlr);
    require!(entry.timer & 1 == 0, "the virtual timer is on");

    let gic = platform.gic;
    let (console, uart) = (platform.console, platform.console_intid);
    line(format_args!("reset: second boot"));
    console.drain();
    // Devices keep their state.
    console.set_transmit_interrupt(false);
    for index in 0..16 {
        let spi = platform.spare_spi(index);
        require!(!gic.is_enabled(spi), "INTID {spi} is enabled after a reset");
        require!(!gic.is_pending(spi), "INTID {spi} is pending after a reset");
    }
    gic.set_up();
    for index in 0..16 {
        gic.set_target(platform.spare_spi(index));
        gic.enable(platform.spare_spi(index));
    }
    gic.set_target(uart);
    [SGI, platform.timer_intid, uart].into_iter().for_each(|intid| gic.enable(intid));
    gic.expect_none();
    // And everything works: the same interrupts, more than there are list registers, the timer,
    // the device.
    gic.send_to_self(SGI);
    gic.expect(SGI);
    (0..16).for_each(|index| gic.pend(platform.spare_spi(index)));
    for number in 0..16 {
        match gic.next_within(1000) {
            Some(acknowledged) => gic.end(acknowledged),
            None => fail!("after a reset only {number} of 16 interrupts came"),
        }
    }
    timer::arm(0);
    gic.expect_held(platform.timer_intid, timer::disarm);
    console.set_transmit_interrupt(true);
    gic.expect_held(uart, || console.set_transmit_interrupt(false));
    gic.expect_none();
}
