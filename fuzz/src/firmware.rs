// SPDX-License-Identifier: BSD-2-Clause
//! Streams of SMCs from all vCPUs, with a book of who is on: what each call answers, who starts
//! where, and that nothing reaches the board's firmware that may not.

use vmm_core::arm::smccc::NEVER_FORWARDED;
use vmm_core::host::Action;
use vmm_core::ids::Vcpu;
use vmm_core::plan::RuleAction;
use vmm_testkit::fake::Life;

use crate::common::spec::{RAM, RAM_SIZE};
use crate::common::{Machine, Spec, esr};
use crate::input::Input;
use crate::machine::{Shape, booted};

const NOT_SUPPORTED: u64 = u64::MAX;
const INVALID_PARAMETERS: u64 = u64::MAX - 1;
const ALREADY_ON: u64 = u64::MAX - 3;
const INVALID_ADDRESS: u64 = u64::MAX - 8;

/// PSCI and SMCCC functions that there are (DEN0022F, table 6; DEN0028F, 7).
const KNOWN: [u32; 17] = [
    0x8400_0000,
    0x8400_0001,
    0xc400_0001,
    0x8400_0002,
    0x8400_0003,
    0xc400_0003,
    0x8400_0004,
    0xc400_0004,
    0x8400_0006,
    0x8400_0008,
    0x8400_0009,
    0x8400_000a,
    0x8400_0012,
    0xc400_0012,
    0x8000_0000,
    0x8000_0001,
    0xffff_ffff,
];

/// Rules of the plan: what a board file may say, and what it may not.
const ANSWERED: [(u32, u64); 2] = [(0xc200_0006, 0x21), (0x8200_0001, u64::MAX)];
const FORWARDED: [u32; 2] = [0xc200_0007, 0x8300_0010];
const REFUSED: [u32; 7] =
    [0xc200_0000, 0xc200_0001, 0xc200_0004, 0xc200_0005, 0xc200_000b, 0x8400_0020, 0x4200_0000];

fn rules(spec: &mut Spec) {
    ANSWERED.iter().for_each(|(function, value)| spec.rule(*function, RuleAction::Answer, *value));
    FORWARDED
        .iter()
        .chain(&REFUSED)
        .for_each(|function| spec.rule(*function, RuleAction::Forward, 0));
    // The monitor's own comes before any rule.
    spec.rule(0x8400_0000, RuleAction::Answer, 77);
}

/// What a call is to do.
enum Wanted {
    Answer(u64),
    On(u8, u64, u64),
    Forward,
    Off,
    Suspend,
    PowerOff,
    Reset,
}

/// The tables of the specifications, once more. `on` says who is.
fn wanted(args: [u64; 4], on: &[bool]) -> Wanted {
    let function = args[0] as u32;
    let cut = |arg: u64| if function >> 30 == 3 { arg } else { u64::from(arg as u32) };
    let [x1, x2, x3] = [cut(args[1]), cut(args[2]), cut(args[3])];
    let target = usize::try_from(x1).ok().and_then(|v| on.get(v));
    let answer =
        match function & !0x4000_0000 {
            0x8400_0000 if function >> 30 == 2 => 0x1_0001,
            0x8400_0001 => return Wanted::Suspend,
            0x8400_0002 if function >> 30 == 2 => return Wanted::Off,
            0x8400_0003 => match target {
                None => INVALID_PARAMETERS,
                Some(true) => ALREADY_ON,
                Some(false) if x2 % 4 != 0 || !(RAM..RAM + RAM_SIZE).contains(&x2) => {
                    INVALID_ADDRESS
                }
                Some(false) => return Wanted::On(x1 as u8, x2, x3),
            },
            0x8400_0004 => match target {
                Some(on) if x2 == 0 => u64::from(!on),
                _ => INVALID_PARAMETERS,
            },
            0x8400_0006 if function >> 30 == 2 => 2,
            0x8400_0008 if function >> 30 == 2 => return Wanted::PowerOff,
            0x8400_0009 if function >> 30 == 2 => return Wanted::Reset,
            0x8400_000a if function >> 30 == 2 => {
                let there = KNOWN[..15].contains(&(x1 as u32));
                if there { 0 } else { NOT_SUPPORTED }
            }
            0x8400_0012 if x1 as u32 == 0 => return Wanted::Reset,
            0x8400_0012 => INVALID_PARAMETERS,
            0x8000_0000 if function >> 30 == 2 => 0x1_0001,
            0x8000_0001 if function >> 30 == 2 => {
                if matches!(x1 as u32, 0x8000_0000 | 0x8000_0001) { 0 } else { NOT_SUPPORTED }
            }
            _ if FORWARDED.contains(&function) => return Wanted::Forward,
            _ => {
                let rule = ANSWERED.iter().find(|(known, _)| *known == function);
                rule.map_or(NOT_SUPPORTED, |(_, value)| *value)
            }
        };
    Wanted::Answer(answer)
}

fn call(m: &mut Machine, vcpu: Vcpu, args: [u64; 4], on: &mut [bool]) -> Option<()> {
    for (reg, arg) in (0..).zip(args) {
        m.set_reg(vcpu, reg, arg);
    }
    let (old, smcs) = (m.fake.cpus[vcpu.index()].clone(), m.fake.smc_log.len());
    let action = m.trap(vcpu, esr::SMC, 0);
    let cpu = |v: u8| &m.fake.cpus[usize::from(v)];
    let forwarded = m.fake.smc_log.len() - smcs;
    let mut regs = old.regs;
    match wanted(args, on) {
        Wanted::Answer(value) => {
            regs[0] = value;
            assert_eq!(action, Action::Resume, "{args:x?}");
        }
        Wanted::On(target, entry, context) => {
            regs[0] = 0;
            assert_eq!(action, Action::Resume);
            let mut fresh = [0; 31];
            fresh[0] = context;
            assert_eq!((cpu(target).pc, cpu(target).regs), (entry, fresh));
            assert_eq!(cpu(target).life, Life::Running);
            on[usize::from(target)] = true;
        }
        Wanted::Forward => {
            regs[..4].copy_from_slice(&m.fake.smc_answer);
            assert_eq!((action, forwarded), (Action::Resume, 1));
            assert_eq!(m.fake.smc_log.last().map(|args| &args[..]), Some(&old.regs[..8]));
        }
        Wanted::Suspend => {
            regs[0] = 0;
            assert!(matches!(action, Action::Resume | Action::Park { .. }), "{action:?}");
        }
        Wanted::Off => {
            on[vcpu.index()] = false;
            m.off[vcpu.index()] = true;
            if !on.iter().any(|on| *on) {
                // Nothing can run again: a stop that says so.
                assert!(matches!(action, Action::Stop(_)), "{action:?}");
                return None;
            }
            assert!(matches!(action, Action::Park { .. }), "{action:?}");
            return Some(());
        }
        Wanted::PowerOff => {
            assert_eq!(action, Action::PowerOff);
            return None;
        }
        Wanted::Reset => {
            on.fill(false);
            on[0] = true;
            assert!(m.runs(Vcpu(0)) && m.pc(Vcpu(0)) == RAM);
            return Some(());
        }
    }
    if !FORWARDED.contains(&(args[0] as u32)) {
        assert_eq!(forwarded, 0, "{args:x?} reached the firmware");
    }
    assert_eq!(m.fake.cpus[vcpu.index()].regs, regs, "{args:x?}");
    assert_eq!(m.pc(vcpu), old.pc.wrapping_add(4));
    Some(())
}

fn play(input: &mut Input<'_>) -> Option<()> {
    let shape = Shape::read(input)?;
    let mut m = booted("firmware", shape, rules);
    m.fake.smc_answer = [0x21, 2, 3, u64::MAX];
    let mut on = vec![true; usize::from(m.vcpus)];
    // Longer streams say no more, and a reset takes time.
    for _ in 0..64 {
        let kind = input.byte()?;
        let vcpu = Vcpu((kind >> 5) % m.vcpus);
        let function = match kind & 3 {
            0 | 1 => input.one_of(&KNOWN)?,
            2 => input.one_of(&[&FORWARDED[..], &REFUSED, &[0xc200_0006, 0x8200_0001]].concat())?,
            _ => input.word()?,
        };
        // The upper half of X0 is nobody's.
        let x0 =
            u64::from(function) | if kind & 16 == 0 { 0 } else { u64::from(input.word()?) << 32 };
        let known =
            [0, 1, 2, 3, RAM, RAM + 4, RAM + RAM_SIZE, 0x8400_0000, 0x8000_0001, 0xc400_0003];
        let args = [x0, input.number(&known)?, input.number(&known)?, input.number(&known)?];
        if !on[vcpu.index()] {
            continue;
        }
        // Whoever sleeps may be let on at any time.
        m.fake.cpus[vcpu.index()].life = Life::Running;
        call(&mut m, vcpu, args, &mut on)?;
    }
    None
}

/// The target.
pub fn run(bytes: &[u8]) {
    play(&mut Input(bytes));
    assert!(NEVER_FORWARDED.iter().all(|function| REFUSED.contains(function)));
}
