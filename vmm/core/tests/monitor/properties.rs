// SPDX-License-Identifier: BSD-2-Clause
//! Properties of the interrupt controllers: random guests, devices and kernels, the same suite
//! over both views, one to four vCPUs, one to sixteen list registers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vmm_core::host::Exit;
use vmm_core::ids::Vcpu;
use vmm_testkit::fake::Life;

use crate::common::machine::CPU0;
use crate::common::spec::{GICD, LEVELS};
use crate::common::{Machine, Spec};
use crate::world::{Op, World, op};

/// GIC version, vCPUs, list registers and whether the host can read them.
fn shape() -> impl Strategy<Value = (u32, u32, (u8, bool))> {
    let slots = prop_oneof![Just(4_u8), 1_u8..4, Just(16)];
    (2_u32..4, 1_u32..5, (slots, any::<bool>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The whole of it: nothing lost, nothing invented, nothing twice, nothing overwritten,
    /// nobody sleeps through.
    #[test]
    fn no_interrupt_is_lost(
        (version, vcpus, slots) in shape(),
        ops in prop::collection::vec((0_u8..4, op()), 1..80),
    ) {
        let mut w = World::new(version, vcpus, slots);
        for (v, op) in ops {
            let vcpu = Vcpu(v % w.m.vcpus);
            w.apply(vcpu, op);
            w.check();
        }
        w.drain();
        w.done();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// All pending before the first is taken: they come by priority, then by number, however few
    /// list registers there are.
    #[test]
    fn interrupts_come_by_priority(
        (version, vcpus, slots) in shape(),
        v in 0_u8..4,
        all in prop::collection::btree_map(16_u16..64, any::<u8>(), 1..24),
    ) {
        let mut w = World::new(version, vcpus, slots);
        let vcpu = Vcpu(v % w.m.vcpus);
        w.m.store(vcpu, GICD, 4, 0);
        for (intid, priority) in &all {
            w.m.set_priority(vcpu, *intid, *priority);
            if *intid >= 32 {
                w.m.set_target(vcpu, *intid, vcpu.0);
            }
            w.m.enable(vcpu, *intid);
            w.m.store_bit(vcpu, 0x200, *intid);
        }
        w.m.store(vcpu, GICD, 4, 0b11);
        let mut expected: Vec<(u8, u16)> = all.iter().map(|(intid, priority)| (priority & 0xf8, *intid)).collect();
        expected.sort_unstable();
        let expected: Vec<u16> = expected.into_iter().map(|(_, intid)| intid).collect();
        let first = w.m.visible(vcpu);
        prop_assert_eq!(&first[..], &expected[..first.len()], "the best are in list registers, in order");
        prop_assert_eq!(w.m.take_all(vcpu), expected);
    }

    /// Pending one after the other: where list registers can be read, how few there are is not to
    /// be seen. Where they cannot, each still comes, and once.
    #[test]
    fn those_that_wait_come_by_priority(
        (version, vcpus, _) in shape(),
        slots in 1_u8..5,
        reads in any::<bool>(),
        all in prop::collection::btree_map(32_u16..64, any::<u8>(), 6..24),
    ) {
        let mut w = World::new(version, vcpus, (slots, reads));
        for (intid, priority) in &all {
            w.m.set_priority(CPU0, *intid, *priority);
            w.m.enable(CPU0, *intid);
            w.m.store_bit(CPU0, 0x200, *intid);
        }
        let mut expected: Vec<(u8, u16)> = all.iter().map(|(intid, priority)| (priority & 0xf8, *intid)).collect();
        expected.sort_unstable();
        let mut expected: Vec<u16> = expected.into_iter().map(|(_, intid)| intid).collect();
        let mut taken = w.m.take_all(CPU0);
        if !reads {
            expected.sort_unstable();
            taken.sort_unstable();
        }
        prop_assert_eq!(taken, expected);
    }

    /// An SGI comes once for each of its senders with GICv2, once in all with GICv3.
    #[test]
    fn sgis_come_once_for_each_sender(
        version in 2_u32..4,
        slots in 1_u8..6,
        sends in prop::collection::vec((0_u8..4, 0_u8..16, 0_u16..16), 1..40),
    ) {
        let mut w = World::new(version, 4, (slots, false));
        let mut senders: BTreeMap<(u8, u16), BTreeSet<u8>> = BTreeMap::new();
        for (from, to, intid) in sends {
            w.m.send(Vcpu(from), to, intid);
            for v in (0..4).filter(|v| to >> v & 1 == 1) {
                senders.entry((v, intid)).or_default().insert(from);
            }
        }
        for v in 0..4 {
            for intid in 0..16 {
                w.m.enable(Vcpu(v), intid);
            }
        }
        for v in 0..4 {
            let mut taken: BTreeMap<u16, usize> = BTreeMap::new();
            for intid in w.m.take_all(Vcpu(v)) {
                *taken.entry(intid).or_default() += 1;
            }
            let expected: BTreeMap<u16, usize> = senders
                .iter()
                .filter(|((to, _), _)| *to == v)
                .map(|((_, intid), from)| (*intid, if version == 2 { from.len() } else { 1 }))
                .collect();
            prop_assert_eq!(taken, expected, "vcpu{}", v);
        }
    }

    /// A kernel that now and then knows of an active interrupt refuses to overwrite it: nothing
    /// is lost, and the slot is used again once the interrupt has ended.
    #[test]
    fn a_refusing_kernel_loses_nothing(
        version in 2_u32..4,
        slots in 2_u8..5,
        ops in prop::collection::vec((op(), any::<bool>()), 1..60),
    ) {
        let mut w = World::new(version, 1, (slots, false));
        for (op, refresh) in ops {
            if refresh {
                w.m.fake.refresh_shadow(CPU0);
            }
            w.apply(CPU0, op);
            w.check();
        }
        w.drain();
        w.done();
    }

    /// A write of any register, of any width, anywhere: reads afterwards are what the registers'
    /// fields allow, and nothing is overwritten or doubled.
    #[test]
    fn any_register_may_be_written(
        (version, vcpus, slots) in shape(),
        writes in prop::collection::vec((0_u8..4, 0_u64..0x1_0000, 0_u32..4, any::<u64>(), any::<bool>()), 1..60),
    ) {
        let mut w = World::new(version, vcpus, slots);
        for (v, offset, size, value, private) in writes {
            let vcpu = Vcpu(v % w.m.vcpus);
            let base = if private { w.m.frame(vcpu, 0) } else { GICD };
            // Three of four land where the blocks are.
            let offset = if size == 0 { offset } else { offset % 0x1000 };
            let offset = offset & !((1 << size) - 1);
            w.m.store(vcpu, base + offset, 1 << size, value);
            w.m.load(vcpu, base + offset, 1 << size);
            w.m.fake.raise(LEVELS[0]);
            w.m.settle();
            for vcpu in w.each_vcpu() {
                let mut seen = w.m.visible(vcpu);
                let count = seen.len();
                seen.sort_unstable();
                seen.dedup();
                prop_assert_eq!(seen.len(), count);
            }
        }
        prop_assert!(w.m.fake.overwritten.is_empty());
        for vcpu in w.each_vcpu() {
            // Whatever is there can be taken; a line that stays high comes for ever.
            w.m.fake.lower(LEVELS[0]);
            w.m.take_all(vcpu);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Resets at any time, from any vCPU, with whatever is pending, active, masked or asleep: the
    /// next guest starts clean, and hears of every line again.
    #[test]
    fn a_reset_leaves_nothing_and_loses_nothing(
        (version, vcpus, slots) in shape(),
        ops in prop::collection::vec((0_u8..4, prop_oneof![12 => op(), 1 => Just(Op::Reset)]), 1..80),
    ) {
        let mut w = World::of_one_group(version, vcpus, slots);
        for (v, op) in ops {
            let vcpu = Vcpu(v % w.m.vcpus);
            let op = if let Op::Group(intid, _) = op { Op::Enable(intid) } else { op };
            w.apply(vcpu, op);
            w.check();
        }
        w.apply(CPU0, Op::Reset);
        w.drain();
        w.done();
    }

    /// Deadlines: the host is always told the earliest of all vCPUs that sleep.
    #[test]
    fn the_host_keeps_the_earliest_deadline(
        version in 2_u32..4,
        ops in prop::collection::vec((0_u8..4, 1_u64..500, 0_u8..4), 1..60),
    ) {
        let mut m = Machine::boot_all(&Spec::new(version, 4));
        m.set_up_gic();
        for v in 0..4 {
            m.enable(Vcpu(v), 27);
        }
        for (v, ticks, what) in ops {
            let vcpu = Vcpu(v);
            for v in 0..4 {
                if m.acknowledge(Vcpu(v)).is_some() {
                    m.fake.cpus[usize::from(v)].timer.ctl = 0;
                    m.end(Vcpu(v), 27);
                }
            }
            m.settle();
            match what {
                0 | 1 if m.runs(vcpu) => {
                    let timer = &mut m.fake.cpus[vcpu.index()].timer;
                    // Without a mask it is a deadline; with one it is none.
                    (timer.ctl, timer.cval) = (if what == 0 { 0b01 } else { 0b11 }, m.fake.now + ticks);
                    m.wfi(vcpu);
                }
                2 => m.fake.pass(ticks),
                _ => {
                    m.handle(CPU0, Exit::WakeUp); // a host's timer may be early
                }
            }
            m.settle();
            let asleep = (0..4).map(|v| &m.fake.cpus[v]).filter(|cpu| cpu.life == Life::Parked);
            let earliest = asleep.filter(|cpu| cpu.timer.ctl == 1).map(|cpu| cpu.timer.cval).min();
            prop_assert_eq!(m.deadline, earliest);
            prop_assert!(earliest.is_none_or(|deadline| deadline > m.fake.now));
        }
    }
}
