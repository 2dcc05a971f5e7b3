// SPDX-License-Identifier: BSD-2-Clause
//! Whatever a guest or a kernel reports, the monitor has an answer, and guest memory stays as it
//! is.

use proptest::prelude::*;
use vmm_core::addr::Ipa;
use vmm_core::host::{Action, Exit};
use vmm_core::ids::{Intid, Vcpu};

use crate::common::spec::{EDGES, GICD, GICR, LEVELS, MARKER, RAM, RAM_SIZE};
use crate::common::{Machine, Spec, esr};

/// Addresses near everything that is somewhere, and all others.
fn address() -> impl Strategy<Value = u64> {
    let near =
        |base: u64, size: u64| (0..size + 16).prop_map(move |at| (base + at).wrapping_sub(8));
    prop_oneof![
        4 => near(GICD, 0x1_0000),
        4 => near(GICR, 0x8_0000),
        1 => near(MARKER, 0x1000),
        1 => near(RAM, RAM_SIZE),
        1 => any::<u64>(),
        1 => (0_u64..16).prop_map(|at| u64::MAX - at),
    ]
}

/// Any word, with those that mean something more often.
fn syndrome() -> impl Strategy<Value = u64> {
    let class = prop::sample::select(vec![0x01_u64, 0x16, 0x17, 0x18, 0x20, 0x24, 0x24, 0x24]);
    let icc =
        prop::sample::select(vec![esr::ICC_SGI1R, esr::ICC_ASGI1R, esr::ICC_SGI0R, esr::ICC_SRE]);
    prop_oneof![
        2 => any::<u64>(),
        4 => (class, any::<u32>()).prop_map(|(class, iss)| class << 26 | u64::from(iss) & 0x3ff_ffff),
        4 => (0_u8..4, 0_u8..32, any::<u64>()).prop_map(|(size, reg, bits)| {
            esr::load(1 << size, reg) | bits & (esr::WRITE | esr::SIGNED | esr::WIDE)
        }),
        1 => (any::<bool>(), icc, 0_u8..32).prop_map(|(read, icc, reg)| esr::register(read, icc, reg)),
    ]
}

fn exit() -> impl Strategy<Value = Exit> {
    let line = prop_oneof![prop::sample::select([LEVELS, EDGES].concat()), 0_u16..1020];
    prop_oneof![
        8 => (syndrome(), address()).prop_map(|(esr, ipa)| Exit::Trap { esr, ipa: Ipa(ipa) }),
        1 => Just(Exit::Hypercall),
        1 => Just(Exit::Timer),
        2 => any::<Option<u8>>().prop_map(Exit::Maintenance),
        2 => line.prop_map(|line| Exit::DeviceInterrupt(Intid::new(line).unwrap())),
        1 => Just(Exit::WakeUp),
    ]
}

/// Registers: small numbers, function identifiers, addresses, anything.
fn value() -> impl Strategy<Value = u64> {
    let function =
        prop::sample::select(vec![0x8400_0000_u64, 0xc400_0000, 0x8000_0000, 0xc200_0000]);
    prop_oneof![
        2 => 0_u64..16,
        2 => (function, 0_u64..32).prop_map(|(base, n)| base + n),
        1 => address(),
        2 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn no_exit_is_too_much(
        version in 2_u32..4,
        vcpus in 1_u32..5,
        slots in 1_u8..17,
        exits in prop::collection::vec((0_u8..5, exit(), prop::collection::vec(value(), 8)), 1..60),
    ) {
        let mut spec = Spec::new(version, vcpus);
        spec.slots = slots;
        let mut m = Machine::boot_all(&spec);
        let memory = |m: &Machine| {
            let mut ram = m.fake.ram.clone();
            ram.evict();
            ram.load_uncached(Ipa(RAM), RAM_SIZE as usize)
        };
        let before = memory(&m);
        for (v, exit, values) in exits {
            let machines_own = matches!(exit, Exit::DeviceInterrupt(_) | Exit::WakeUp);
            let vcpu = Vcpu(if u32::from(v) < vcpus { v } else { 0 });
            if !m.runs(vcpu) && !machines_own {
                continue;
            }
            for (reg, value) in (0..).zip(values) {
                m.set_reg(vcpu, reg, value);
            }
            match m.handle(vcpu, exit) {
                Action::Resume | Action::Park { .. } => {}
                Action::PowerOff | Action::Stop(_) => break,
            }
        }
        prop_assert_eq!(before, memory(&m));
        // Every line that was printed for a machine can be read by one.
        prop_assert!(!m.events().is_empty());
    }

    #[test]
    fn a_vcpu_that_does_not_exist_breaks_nothing(version in 2_u32..4, v in 1_u8.., exit in exit()) {
        let spec = Spec::new(version, 1);
        let mut m = Machine::boot(&spec);
        // Straight to the fake: the checks of the seam know no such vCPU.
        let _ = m.vm.handle(&mut m.fake, Vcpu(v), exit);
    }
}
