// SPDX-License-Identifier: BSD-2-Clause
//! Stores that change nothing, whatever their value: the monitor does not ask for it.

use proptest::prelude::*;
use vmm_core::addr::IpaRange;
use vmm_core::devices::MmioAccess;
use vmm_core::gic::{Gic, Window};
use vmm_core::host::StoppedVcpu;
use vmm_core::ids::{GicVersion, Vcpu, VcpuCount};
use vmm_core::plan::FLAG_TRACE;
use vmm_testkit::fake::{Fake, Life};

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, GICR, LEVELS};
use crate::common::{Machine, Spec, esr};

/// Blocks of a register for each interrupt, and one word beyond the interrupts that there are.
const BLOCKS: std::ops::Range<u64> = 0x80..0xd00;
/// Where GICv3's redistributors have them.
const SGI_FRAME: u64 = 0x1_0000;

fn version() -> impl Strategy<Value = GicVersion> {
    prop_oneof![Just(GicVersion::V2), Just(GicVersion::V3)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// After any stores: where one is said to be ignored, it is, with any value.
    #[test]
    fn an_ignored_store_changes_nothing(
        version in version(),
        vcpus in 1_u8..5,
        stores in prop::collection::vec((BLOCKS, any::<u32>(), any::<bool>(), 0_u8..4), 0..40),
        value in any::<u32>(),
        size in prop_oneof![Just(1_u8), Just(2), Just(4), Just(8)],
    ) {
        let mut gic = Gic::new(version, VcpuCount::new(vcpus.into()).unwrap(), 96, 4);
        let mut fake = Fake::new(vcpus, IpaRange::default());
        fake.cpus.iter_mut().for_each(|cpu| cpu.life = Life::Running);
        let place = |private: bool, v: u8, offset: u64| match version {
            GicVersion::V3 if private => (Window::Redistributor(Vcpu(v % vcpus)), offset + SGI_FRAME),
            _ => (Window::Distributor, offset),
        };
        for (offset, value, private, v) in stores {
            let (window, offset) = place(private, v, offset & !3);
            let vcpu = StoppedVcpu::at_exit(Vcpu(v % vcpus));
            let access = MmioAccess { vcpu: &vcpu, offset, size: 4 };
            gic.write(&mut fake, window, access, value.into());
        }
        let before = format!("{gic:?}");
        let mut ignored = vec![];
        for (private, v) in [(false, 0), (false, 3), (true, 0), (true, 3)] {
            for offset in BLOCKS.step_by(usize::from(size)) {
                let vcpu = StoppedVcpu::at_exit(Vcpu(v % vcpus));
                let (window, offset) = place(private, v, offset);
                let access = MmioAccess { vcpu: &vcpu, offset, size };
                if gic.ignores(window, access) {
                    gic.write(&mut fake, window, access, value.into());
                    gic.write(&mut fake, window, access, u64::MAX);
                    ignored.push((window, offset));
                }
            }
        }
        prop_assert_eq!(format!("{gic:?}"), before, "one of {:x?}", ignored);
    }
}

/// How many registers the monitor asks its host for in a store of X3.
fn asked_for(m: &mut Machine, ipa: u64) -> usize {
    m.fake.printed.clear();
    m.set_reg(CPU0, 3, 0xffff_ffff);
    m.trap(CPU0, esr::store(4, 3), ipa);
    m.fake.printed.matches("@t reg 0 x3 ").count()
}

fn traced(version: u32) -> Machine {
    let mut spec = Spec::new(version, 1);
    spec.facts.flags |= FLAG_TRACE;
    Machine::boot(&spec)
}

#[test]
fn what_is_clear_is_cleared_without_asking() {
    for (version, private) in [(2, GICD), (3, GICR + SGI_FRAME)] {
        let mut m = traced(version);
        for block in [private, GICD + 4] {
            // Disable, take back, deactivate.
            for clear in [0x180, 0x280, 0x380] {
                assert_eq!(
                    asked_for(&mut m, block + clear),
                    0,
                    "GICv{version} {block:#x} {clear:#x}"
                );
            }
            // Group, enable, pend.
            for set in [0x080, 0x100, 0x200] {
                assert_eq!(asked_for(&mut m, block + set), 1, "GICv{version} {block:#x} {set:#x}");
            }
            assert_eq!(asked_for(&mut m, block + 0x180), 1, "some are enabled now");
            assert_eq!(asked_for(&mut m, block + 0x180), 0, "and now none is");
        }
    }
}

#[test]
fn what_is_pending_is_taken_back_by_its_value() {
    let mut m = traced(2);
    let word = u64::from(LEVELS[0] / 32) * 4;
    m.store_bit(CPU0, 0x200, LEVELS[0]);
    assert_eq!(asked_for(&mut m, GICD + 0x280 + word), 1);
    assert!(!m.load_bit(CPU0, 0x200, LEVELS[0]));
    assert_eq!(asked_for(&mut m, GICD + 0x280 + word), 0);
}
