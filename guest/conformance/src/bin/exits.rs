// SPDX-License-Identifier: BSD-2-Clause
//! After 100,000 exits every value was right, every register is what it was, and a timer that
//! runs beside them has lost no beat.
#![no_std]
#![no_main]

use guest_conformance::gic::{IPRIORITYR, SPECIAL};
use guest_conformance::registers::{Instruction, Registers};
use guest_conformance::smccc::{PSCI_VERSION, smc};
use guest_conformance::timer::{self, milliseconds};
use guest_conformance::{Platform, guest, line, require};

guest!(run);

const EXITS: u32 = 100_000;
const REGISTER: usize = IPRIORITYR + 40;
/// Of the timer, in milliseconds.
const BEAT: u64 = 5;

fn run(platform: &mut Platform) {
    let gic = platform.gic;
    let intid = platform.timer_intid;
    gic.set_up();
    gic.enable(intid);
    let version = smc(PSCI_VERSION, [0; 3]);
    let before =
        Registers { x: [gic.distributor.address(REGISTER) as u64; 31], ..Registers::pattern(1) };

    let start = timer::now();
    let beat = milliseconds(BEAT);
    let mut beats = 0;
    timer::arm(start + beat);
    // A store and a load are two exits.
    for number in 0..EXITS / 2 {
        let value = (number % 32 * 8) | ((31 - number % 32) * 8) << 8 | 0x8010_0000;
        gic.distributor.write(REGISTER, value);
        let back = gic.distributor.read(REGISTER);
        require!(back == value, "exit {}: {back:#x} in place of {value:#x}", number * 2);
        let acknowledged = gic.acknowledge();
        if acknowledged < SPECIAL {
            require!(acknowledged == intid, "INTID {acknowledged} came, which nobody raised");
            beats += 1;
            let due = start + beats * beat;
            require!(timer::now() >= due, "exit {}: beat {beats} is early", number * 2);
            timer::arm(due + beat);
            gic.end(acknowledged);
        }
        if number % 1000 == 0 {
            // SAFETY: X0 is a register of the distributor.
            let after = unsafe { before.across(Instruction::Store) };
            after.expect_kept(&before, 0, "STR");
            let again = smc(PSCI_VERSION, [0; 3]);
            require!(again == version, "exit {}: PSCI_VERSION is {again:#x}", number * 2);
        }
    }
    // What is overdue by now comes at once, beat by beat.
    while start + (beats + 1) * beat <= timer::now() {
        beats += 1;
        gic.expect_held(intid, || timer::arm(start + (beats + 1) * beat));
    }
    timer::disarm();
    let elapsed = (timer::now() - start) / beat;
    require!(elapsed.abs_diff(beats) <= 1, "{beats} beats in the time of {elapsed}");
    line(format_args!("exits: {EXITS} in {} ms", timer::microseconds(timer::now() - start) / 1000));
}
