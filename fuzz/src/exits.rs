// SPDX-License-Identifier: BSD-2-Clause
//! Any exit, with any registers, at any time: the monitor answers or stops the guest, keeps the
//! rules of the seam (checked by the test machine), and leaves guest RAM alone.

use vmm_core::addr::Ipa;
use vmm_core::host::{Action, Exit, MemoryOp};
use vmm_core::ids::{Intid, Vcpu};
use vmm_testkit::fake::Life;

use crate::common::spec::{EDGES, GICD, GICR, LEVELS, MARKER, RAM, UART};
use crate::common::{Machine, esr};
use crate::input::Input;
use crate::machine::{Shape, booted};

/// Places where something is, or ends.
const PLACES: [u64; 12] = [
    GICD,
    GICD + 0x100,
    GICD + 0x200,
    GICD + 0xf00,
    GICD + 0x6100,
    GICR + 0x1_0100,
    GICR + 0x3_0200,
    GICR + 0x8_0000,
    MARKER,
    MARKER + 0x1000,
    UART,
    RAM,
];

/// Function identifiers and addresses: what registers hold when they mean something.
const VALUES: [u64; 8] =
    [0x8400_0000, 0xc400_0000, 0x8000_0000, 0xc200_0000, RAM, GICD, 0xffff, 0x0100_0000];

fn syndrome(input: &mut Input<'_>) -> Option<u64> {
    let kind = input.byte()?;
    let reg = kind >> 3;
    Some(match kind % 8 {
        0 => input.long()?,
        1 => u64::from(input.word()?),
        2 => esr::load(1 << (input.byte()? % 4), reg),
        3 => esr::store(1 << (input.byte()? % 4), reg),
        4 => esr::load(8, reg) ^ u64::from(input.word()?) & 0x3ff_ffff,
        5 => esr::SMC,
        6 => esr::WFI | u64::from(reg & 1),
        _ => {
            let all = [esr::ICC_SGI1R, esr::ICC_ASGI1R, esr::ICC_SGI0R, esr::ICC_SRE];
            esr::register(kind & 0x80 != 0, input.one_of(&all)?, reg)
        }
    })
}

fn exit(input: &mut Input<'_>) -> Option<Exit> {
    Some(match input.below(16)? {
        0..=8 => Exit::Trap { esr: syndrome(input)?, ipa: Ipa(input.number(&PLACES)?) },
        9 => Exit::Hypercall,
        10 => Exit::Timer,
        11 => Exit::Maintenance(input.byte().map(|slot| slot % 20)),
        12 => Exit::Maintenance(None),
        13 => Exit::DeviceInterrupt(Intid::new(input.half()? % 1020)?),
        14 => Exit::DeviceInterrupt(Intid::new(input.one_of(&[LEVELS, EDGES].concat())?)?),
        _ => Exit::WakeUp,
    })
}

fn play(m: &mut Machine, input: &mut Input<'_>) -> Option<()> {
    loop {
        let kind = input.byte()?;
        let vcpu = Vcpu(kind % m.vcpus);
        let cpu = &mut m.fake.cpus[vcpu.index()];
        // The world outside of the monitor.
        match kind >> 4 {
            0 => m.fake.pass(input.byte()?.into()),
            1 => m.fake.raise(input.one_of(&[LEVELS, EDGES].concat())?),
            2 => {
                m.acknowledge(vcpu);
            }
            3 => (cpu.timer.ctl, cpu.timer.cval) = (input.byte()?.into(), input.half()?.into()),
            4 if cpu.life == Life::Parked => cpu.life = Life::Running,
            5 => m.fake.refresh_shadow(vcpu),
            _ => {
                let reg = input.below(31)?;
                cpu.regs[usize::from(reg)] = input.number(&VALUES)?;
                cpu.regs[0] = input.number(&VALUES)?;
            }
        }
        // What really happened comes now and then, what did not at any time.
        let (vcpu, exit) = match m.fake.next_exit().filter(|_| kind & 8 != 0) {
            Some(exit) => exit,
            None => (vcpu, exit(input)?),
        };
        let machines_own = matches!(exit, Exit::DeviceInterrupt(_) | Exit::WakeUp);
        if !m.runs(vcpu) && !machines_own {
            continue;
        }
        let before = m.fake.memory_log.len();
        let reset = m.fake.cpus[0].pc;
        match m.handle(vcpu, exit) {
            Action::Resume | Action::Park { .. } => {}
            Action::PowerOff | Action::Stop(_) => return Some(()),
        }
        // Only a reset touches guest RAM, and then all of it.
        let touched = &m.fake.memory_log[before..];
        assert!(
            touched.is_empty() || matches!(touched[0], MemoryOp::CleanInvalidate(_)),
            "{exit:?} touched guest RAM at {reset:#x}: {touched:?}"
        );
    }
}

/// The target.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let Some(shape) = Shape::read(&mut input) else { return };
    let mut m = booted("exits", shape, |_| ());
    play(&mut m, &mut input);
    // Every line that was printed for a machine can be read by one.
    assert!(!m.events().is_empty());
}
