// SPDX-License-Identifier: BSD-2-Clause
//! A WFI with an interrupt already pending is over at once, and one with nothing but a disabled
//! interrupt pending is not.
#![no_std]
#![no_main]

use core::arch::asm;

use guest_conformance::timer::{self, microseconds, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run);

/// A WFI that lasts this long, in milliseconds, waited for the timer.
const BACKSTOP: u64 = 500;

/// Ticks that a WFI takes, with the timer as a backstop.
fn wait(milliseconds_until_timer: u64) -> u64 {
    let start = timer::now();
    timer::arm(start + milliseconds(milliseconds_until_timer));
    // SAFETY: waits for an interrupt.
    unsafe { asm!("wfi") };
    timer::now() - start
}

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let spi = platform.spare_spi(0);
    let (console, uart) = (platform.console, platform.console_intid);
    gic.set_up();
    gic.enable(platform.timer_intid);
    let at_once = |what| {
        let ticks = wait(BACKSTOP);
        let soon = ticks < milliseconds(BACKSTOP / 2);
        require!(soon, "a WFI with {what} pending took {} us", microseconds(ticks));
        timer::disarm();
    };

    gic.enable(7);
    gic.send_to_self(7);
    at_once("an SGI");
    gic.expect(7);

    gic.set_target(spi);
    gic.enable(spi);
    gic.pend(spi);
    at_once("an SPI");
    gic.expect(spi);

    gic.set_target(uart);
    gic.enable(uart);
    line(format_args!("wfi-pending: a line to send"));
    console.drain();
    console.set_transmit_interrupt(true);
    at_once("a device's line");
    gic.expect_held(uart, || console.set_transmit_interrupt(false));

    timer::arm(0);
    // SAFETY: waits for the timer, whose time is long over.
    unsafe { asm!("wfi") };
    gic.expect_held(platform.timer_intid, timer::disarm);

    gic.disable(spi);
    gic.pend(spi);
    let ticks = wait(20);
    let slept = ticks >= milliseconds(20);
    require!(slept, "a WFI with a disabled SPI pending took {} us, not 20 ms", microseconds(ticks));
    gic.expect_held(platform.timer_intid, timer::disarm);
    gic.enable(spi);
    gic.expect(spi);
}
