// SPDX-License-Identifier: BSD-2-Clause
//! The random guest of the core's property tests, steered by coverage: no interrupt is lost, none
//! comes twice, none is invented, nobody sleeps through one, whatever the order of things.

use vmm_core::ids::Vcpu;

use crate::common::spec::{EDGES, LEVELS};
use crate::input::Input;
use crate::machine::Shape;
use crate::world::{Op, World};

/// SGIs, a PPI, the timer, device lines, and an SPI of no device: those that the book covers.
const INTIDS: [u16; 11] = [0, 1, 15, 20, 27, 33, 40, 47, 50, 60, 63];
const SHARED: [u16; 6] = [33, 40, 47, 50, 60, 63];

fn op(input: &mut Input<'_>, one_group: bool) -> Option<(u8, Op)> {
    let kind = input.byte()?;
    let wires = [LEVELS, EDGES].concat();
    let op = match kind & 31 {
        0..=2 => Op::Enable(input.one_of(&INTIDS)?),
        3 => Op::Disable(input.one_of(&INTIDS)?),
        4 => Op::Pend(input.one_of(&INTIDS)?),
        5 => Op::Unpend(input.one_of(&INTIDS)?),
        6 => Op::Priority(input.one_of(&INTIDS)?, input.byte()?),
        7 => Op::Target(input.one_of(&SHARED)?, input.byte()? & 3),
        8 if !one_group => Op::Group(input.one_of(&INTIDS)?, input.byte()? & 1),
        9 => Op::Groups(input.byte()? & 3),
        10 => Op::Send(input.byte()? & 15, input.one_of(&[0, 1, 15])?),
        11..=13 => Op::Raise(input.one_of(&wires)?),
        14 => Op::Lower(input.one_of(&wires)?),
        15 => Op::Timer(input.byte()?.into()),
        16 => Op::TimerOff,
        17 => Op::Pass(input.half()? as u64 % 400),
        18..=20 => Op::Acknowledge(input.byte()? & 1 == 1),
        21..=23 => Op::End(usize::from(input.byte()? & 3)),
        24 => Op::Wfi,
        25 => Op::Spurious,
        // Its reset is checked for a guest of one group, which is what a reset can promise.
        26 if one_group => Op::Reset,
        27..=29 => Op::Step,
        _ => Op::Settle,
    };
    Some((kind >> 5, op))
}

/// The target.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(shape) = Shape::read(&mut input) else { return };
    let Some(one_group) = input.byte().map(|byte| byte & 1 == 1) else { return };
    let mut w = World::of(crate::machine::booted("interrupts", shape, |_| ()));
    if !one_group {
        // The guest's CPU interfaces take both groups: whatever is injected is seen.
        w.m.fake.groups = 0b11;
    }
    let mut steps = 0;
    while let Some((v, op)) = op(&mut input, one_group) {
        w.apply(Vcpu(v % w.m.vcpus), op);
        w.check();
        steps += 1;
        // A book of more is slow and no different.
        if steps == 200 {
            break;
        }
    }
    if one_group {
        w.apply(Vcpu(0), Op::Groups(0b11));
    }
    w.drain();
    w.done();
}
